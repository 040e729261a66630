-- Services. `entry` is what is known of one, in JSON; beside it stands what it is found and ordered by. `position` is its rank,
-- `tokens` are its words and facets, `next_probe` a Unix second, `price` millionths of a dollar.
CREATE TABLE catalogue (
    number BIGINT NOT NULL PRIMARY KEY,
    key TEXT COLLATE "C" NOT NULL UNIQUE,
    position BIGINT NOT NULL UNIQUE,
    payer TEXT COLLATE "C" NOT NULL,
    host TEXT COLLATE "C" NOT NULL,
    next_probe BIGINT NOT NULL,
    price BIGINT,
    tokens TSVECTOR NOT NULL,
    entry TEXT NOT NULL
);
CREATE INDEX catalogue_payer ON catalogue (payer);
CREATE INDEX catalogue_host ON catalogue (host);
CREATE INDEX catalogue_due ON catalogue (next_probe, number);
CREATE INDEX catalogue_tokens ON catalogue USING GIN (tokens);

-- The last number given out. Whoever lists something new locks it first.
CREATE TABLE catalogue_last (
    number BIGINT NOT NULL
);
INSERT INTO catalogue_last (number) VALUES (0);
