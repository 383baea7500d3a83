-- The PDF of an envelope that all have signed, with the means to check its seals later: where seals are time-stamped.
ALTER TABLE desk_envelopes ADD COLUMN completed_sha256 TEXT;
