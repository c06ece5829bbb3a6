-- The laptop's own address in the tunnel, as the roster gives it: for the concentrator's configuration.
ALTER TABLE orders ADD COLUMN tunnel_address TEXT;
