-- When a reminder of a signer at the desk was begun that is not known to have gone out: it names the message, so that one
-- repeated after a crash is the same, and the next reminder is another.
ALTER TABLE desk_signers ADD COLUMN reminding_ms BIGINT;
