-- The line: orders, devices as they enrolled, jobs, and the append-only log of records.
-- Times are milliseconds since 1970 (UTC); keys and digests hexadecimal text; documents JSON text.

CREATE TABLE orders (
    id          TEXT   NOT NULL PRIMARY KEY,
    image       TEXT   NOT NULL,              -- NAME@VERSION/ORDER
    serial      TEXT,                         -- NULL until the line knows it
    sign_in     TEXT   NOT NULL,
    person      TEXT   NOT NULL,
    hostname    TEXT   NOT NULL,
    locale      TEXT   NOT NULL,
    keyboard    TEXT   NOT NULL,
    timezone    TEXT,
    state       TEXT   NOT NULL CHECK (state IN ('open', 'done')),
    record      BIGINT,                       -- the latest record's place in the log
    imported_at BIGINT NOT NULL
);
-- One machine, one open order. A machine that comes back for another employee has its earlier orders done.
CREATE UNIQUE INDEX orders_open_serial ON orders (serial) WHERE state = 'open';
CREATE INDEX orders_serial ON orders (serial);

-- A device as it enrolled at one boot: the key is made anew at each.
CREATE TABLE devices (
    device_key   TEXT   NOT NULL PRIMARY KEY,
    serial       TEXT   NOT NULL,             -- as usable; empty where the firmware has none
    manufacturer TEXT   NOT NULL,
    product      TEXT   NOT NULL,
    macs         TEXT   NOT NULL,
    inventory    TEXT   NOT NULL,
    agent        TEXT   NOT NULL,
    waiting      TEXT,                        -- why it waits; NULL once it has a job
    fault        TEXT,                        -- of a device that gave up without a job
    first_seen   BIGINT NOT NULL,
    last_seen    BIGINT NOT NULL
);
CREATE INDEX devices_serial ON devices (serial);
CREATE INDEX devices_last_seen ON devices (last_seen);

CREATE TABLE jobs (
    id         TEXT   NOT NULL PRIMARY KEY,
    order_id   TEXT   NOT NULL REFERENCES orders (id),
    device_key TEXT   NOT NULL REFERENCES devices (device_key),
    serial     TEXT   NOT NULL,
    image      TEXT   NOT NULL,
    manifest   TEXT   NOT NULL,
    size       BIGINT NOT NULL,               -- bytes of the image
    sections   TEXT   NOT NULL,               -- what its record must cover
    envelope   TEXT   NOT NULL,               -- the signed job
    state      TEXT   NOT NULL CHECK (state IN ('issued', 'working', 'failed', 'done', 'replaced')),
    phase      TEXT   NOT NULL,
    done_bytes BIGINT NOT NULL,
    all_bytes  BIGINT NOT NULL,
    rate       BIGINT NOT NULL,               -- bytes a second
    fault      TEXT,
    record     BIGINT,
    issued_at  BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    last_seen  BIGINT NOT NULL
);
-- One order is at work on one device at a time, even if two requests race.
CREATE UNIQUE INDEX jobs_at_work ON jobs (order_id) WHERE state IN ('issued', 'working');
CREATE INDEX jobs_order ON jobs (order_id, issued_at);
CREATE INDEX jobs_last_seen ON jobs (last_seen);

-- Evidence. `envelope` holds the very bytes received, `digest` their SHA-256, and
-- `previous` the chain up to the row before: chain(n) = SHA-256(chain(n-1) || digest(n)), chain(0) = 32 zero bytes.
CREATE TABLE log (
    sequence     BIGINT NOT NULL PRIMARY KEY,
    kind         TEXT   NOT NULL,
    job          TEXT   NOT NULL UNIQUE,
    order_id     TEXT   NOT NULL,
    serial       TEXT   NOT NULL,
    envelope     BLOB   NOT NULL,
    digest       TEXT   NOT NULL UNIQUE,
    previous     TEXT   NOT NULL,
    job_envelope TEXT   NOT NULL,             -- signed by the station: names the device's key
    receipt      TEXT   NOT NULL,             -- signed by the station: names sequence, digest and time
    accepted_at  BIGINT NOT NULL
);
CREATE INDEX log_order ON log (order_id, sequence);

CREATE TRIGGER log_no_update BEFORE UPDATE ON log BEGIN
    SELECT RAISE(ABORT, 'the log of records is append-only');
END;
CREATE TRIGGER log_no_delete BEFORE DELETE ON log BEGIN
    SELECT RAISE(ABORT, 'the log of records is append-only');
END;
-- Also stops INSERT OR REPLACE, for which SQLite fires no delete trigger (recursive_triggers is off by default).
CREATE TRIGGER log_next_only BEFORE INSERT ON log
WHEN NEW.sequence <> (SELECT COALESCE(MAX(sequence), 0) + 1 FROM log) BEGIN
    SELECT RAISE(ABORT, 'the log of records grows by one row at a time');
END;
CREATE TRIGGER log_no_replace BEFORE INSERT ON log
WHEN EXISTS (SELECT 1 FROM log WHERE job = NEW.job OR digest = NEW.digest) BEGIN
    SELECT RAISE(ABORT, 'the log of records has that job or record already');
END;
