-- The image that a device in use runs since it took a newer one by itself, NAME@VERSION; NULL while it is the one that it was written with.
ALTER TABLE orders ADD COLUMN runs TEXT;
