-- What accounts paid for and may come back for. `kind` is what is left, in the order in which it is drawn from: 0 time, 1 calls,
-- 2 credit. `amount` is how much of it: calls, or atomic units of the asset, as 32 bytes, the highest first, so that they
-- compare as numbers do. Times are Unix seconds.
CREATE TABLE entitlements (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    owner TEXT COLLATE "C" NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    ends BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    network TEXT COLLATE "C",
    asset TEXT COLLATE "C",
    amount BYTEA NOT NULL
);
CREATE INDEX entitlements_ends ON entitlements (ends);

-- Who may draw from them: their owner, and those it shares them with. Scope, end and kind are the entitlement's and never
-- change; what is spent is kept for what is given back, and is in nobody's way.
CREATE TABLE entitled (
    entitlement TEXT COLLATE "C" NOT NULL REFERENCES entitlements (id) ON DELETE CASCADE,
    account TEXT COLLATE "C" NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    ends BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    spent BOOLEAN NOT NULL,
    PRIMARY KEY (entitlement, account)
);
CREATE INDEX entitled_live ON entitled (account, scope, kind, ends) WHERE NOT spent;

-- Nonces that were used, until nobody would believe them any more.
CREATE TABLE nonces (
    nonce TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    until BIGINT NOT NULL
);
CREATE INDEX nonces_until ON nonces (until);

-- Tokens, and accounts for all their tokens, that are not to be believed as far as they were issued until then.
CREATE TABLE revocations (
    revoked TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    issued_until BIGINT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX revocations_until ON revocations (until);
