-- How many codes a signer of the desk had on which day, in days since 1970: there is a limit.
ALTER TABLE desk_signers ADD COLUMN codes_day BIGINT NOT NULL DEFAULT 0;
ALTER TABLE desk_signers ADD COLUMN codes_sent BIGINT NOT NULL DEFAULT 0;
