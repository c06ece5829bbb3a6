-- What a device in use says of itself goes into the same log, as rows of kind 'confirmation'. Their `job` is the job whose record
-- they confirm, with a number of their own behind it: JOB/1, JOB/2. A serial leads to its latest record.
CREATE INDEX log_serial ON log (serial, sequence);
-- What a device that did the job must say of itself, from the manifest: JSON. NULL for jobs of before.
ALTER TABLE jobs ADD COLUMN expects TEXT;
-- The latest confirmation since the latest record: its place in the log, what did not take (a JSON list, empty for a device that is
-- in use), and when the device was last heard of.
ALTER TABLE orders ADD COLUMN confirmation BIGINT;
ALTER TABLE orders ADD COLUMN amiss TEXT;
ALTER TABLE orders ADD COLUMN heard_at BIGINT;
