-- Session tokens a client was given, the newest with the highest number. Whoever reads them can use the sessions. `until` is
-- when they end, in Unix seconds.
CREATE TABLE tokens (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    origin TEXT NOT NULL,
    token TEXT NOT NULL,
    until BIGINT NOT NULL,
    UNIQUE (origin, token)
);
CREATE INDEX tokens_until ON tokens (until);
