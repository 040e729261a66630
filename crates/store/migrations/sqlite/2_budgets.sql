-- A client's payments. `spend` is what was reserved and `signed` the payment, in JSON; beside them stands what they are found
-- by. Rows are kept: they are the client's ledger.
CREATE TABLE spends (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    -- reserved, signed, refused, spent or released
    state TEXT NOT NULL,
    purchase TEXT,
    digest TEXT,
    settlement TEXT NOT NULL,
    -- Unix seconds
    changed BIGINT NOT NULL,
    spend TEXT NOT NULL,
    signed TEXT
);
CREATE INDEX spends_lost ON spends (purchase, number) WHERE state = 'signed';
CREATE INDEX spends_open ON spends (number) WHERE state IN ('reserved', 'signed', 'refused');
CREATE INDEX spends_digest ON spends (digest) WHERE digest IS NOT NULL;

-- What the payments add up to: 256-bit integers as decimal text. `until` is when a counter ends, in Unix seconds.
CREATE TABLE tallies (
    key TEXT NOT NULL PRIMARY KEY,
    counted TEXT NOT NULL,
    until BIGINT
) WITHOUT ROWID;
CREATE INDEX tallies_until ON tallies (until) WHERE until IS NOT NULL;
