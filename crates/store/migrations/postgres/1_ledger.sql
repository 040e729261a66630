-- Who has the store open. A holder whose lease has run out, by the database's clock, is dead, and stays so: others may
-- have gone on with what it held.
CREATE TABLE holders (
    id BIGINT NOT NULL PRIMARY KEY,
    until TIMESTAMPTZ NOT NULL
);

-- Claims: `id` is the SHA-256 of scope and key, `token` of scope and the caller's token. `record` is the claim as it came,
-- in JSON; beside it stands what decisions need.
CREATE TABLE claims (
    id BYTEA NOT NULL PRIMARY KEY,
    token BYTEA UNIQUE,
    scope TEXT NOT NULL,
    turn BIGINT NOT NULL,
    holder BIGINT NOT NULL,
    -- Whether a transaction that carries it is in `attempts`.
    signed BOOLEAN NOT NULL,
    -- Whether it was handed to its holder, who has not come for it yet.
    handed BOOLEAN NOT NULL,
    -- Unix seconds: when it may be forgotten, and when its payment dies.
    due BIGINT,
    dead_after BIGINT,
    outcome TEXT,
    record TEXT NOT NULL
);
CREATE INDEX claims_due ON claims (due) WHERE due IS NOT NULL;
CREATE INDEX claims_open ON claims (holder) WHERE outcome IS NULL;
CREATE INDEX claims_handed ON claims (holder) WHERE handed;

-- Signed transactions that an open claim waits for, in the order of their writing. `slot` is the SHA-256 of the place in
-- the signer's order, `tx` the transaction in JSON without its bytes.
CREATE TABLE attempts (
    number BIGINT NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    slot BYTEA NOT NULL,
    hash TEXT NOT NULL,
    tx TEXT NOT NULL,
    bytes BYTEA NOT NULL,
    UNIQUE (slot, hash)
);

-- Which attempt carries which claim, for as long as the claim waits for it.
CREATE TABLE carried (
    attempt BIGINT NOT NULL,
    claim BYTEA NOT NULL,
    PRIMARY KEY (attempt, claim)
);
CREATE INDEX carried_claim ON carried (claim);

-- Who signs with what, and the newest epoch heard of.
CREATE TABLE signers (
    network TEXT NOT NULL,
    signer TEXT NOT NULL,
    holder BIGINT,
    epoch BIGINT NOT NULL,
    PRIMARY KEY (network, signer)
);
