-- A device that is lost: its order is retired. SQLite cannot change a CHECK, so the table is made anew; those that refer to it are
-- looked at when all is in place again.
PRAGMA defer_foreign_keys = ON;
CREATE TABLE orders_new (
    id             TEXT   NOT NULL PRIMARY KEY,
    image          TEXT   NOT NULL,
    serial         TEXT,
    sign_in        TEXT   NOT NULL,
    person         TEXT   NOT NULL,
    hostname       TEXT   NOT NULL,
    locale         TEXT   NOT NULL,
    keyboard       TEXT   NOT NULL,
    timezone       TEXT,
    state          TEXT   NOT NULL CHECK (state IN ('open', 'done', 'retired')),
    record         BIGINT,
    imported_at    BIGINT NOT NULL,
    tunnel_address TEXT,
    confirmation   BIGINT,
    amiss          TEXT,
    heard_at       BIGINT,
    runs           TEXT
);
INSERT INTO orders_new (id, image, serial, sign_in, person, hostname, locale, keyboard, timezone, state, record, imported_at,
                        tunnel_address, confirmation, amiss, heard_at, runs)
SELECT id, image, serial, sign_in, person, hostname, locale, keyboard, timezone, state, record, imported_at,
       tunnel_address, confirmation, amiss, heard_at, runs FROM orders;
DROP TABLE orders;
ALTER TABLE orders_new RENAME TO orders;
CREATE UNIQUE INDEX orders_open_serial ON orders (serial) WHERE state = 'open';
CREATE INDEX orders_serial ON orders (serial);
-- `jobs.sections` has a digest for each section now. Devices that are at work get their job anew when they ask again.
UPDATE jobs SET expires_at = 0 WHERE state IN ('issued', 'working', 'failed', 'replaced');
-- What `healthz` writes, to tell whether the station still can.
CREATE TABLE health (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    at BIGINT NOT NULL
);
