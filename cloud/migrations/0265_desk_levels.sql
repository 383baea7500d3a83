-- What of the means to check an envelope's seals later could not be had, as a JSON list of sentences.
ALTER TABLE desk_envelopes ADD COLUMN lacking TEXT;
-- PINs of orders that were refused: since then they are written with the envelope or not at all.
DELETE FROM desk_pins WHERE NOT EXISTS (SELECT 1 FROM envelopes e WHERE e.envelope_id = desk_pins.envelope_id);
-- The telephone number that codes go to, where a signer has one.
ALTER TABLE desk_signers ADD COLUMN phone TEXT;
