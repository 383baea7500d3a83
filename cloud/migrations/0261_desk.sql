-- The desk: turns, roles, what is filled in where, proof of identity, the order of seals, the certificate.

-- When a recipient's turn comes; 0 stands for its position.
ALTER TABLE desk_signers ADD COLUMN turn BIGINT NOT NULL DEFAULT 0;
UPDATE desk_signers SET turn = position + 1;
ALTER TABLE desk_signers ADD COLUMN role TEXT NOT NULL DEFAULT 'signer';
ALTER TABLE desk_signers ADD COLUMN known_name TEXT;
-- What is to be filled in, with places as fractions of the page, as JSON.
ALTER TABLE desk_signers ADD COLUMN blanks TEXT NOT NULL DEFAULT '[]';
-- The signature as it was drawn, and what was filled in, as JSON.
ALTER TABLE desk_signers ADD COLUMN drawn TEXT;
ALTER TABLE desk_signers ADD COLUMN entries TEXT;
-- Which seal of the envelope is this signer's, from 1. Each seal stands on the one before it.
ALTER TABLE desk_signers ADD COLUMN seal_order BIGINT;
CREATE UNIQUE INDEX desk_seals ON desk_signers (envelope_id, seal_order);
UPDATE desk_signers SET seal_order = position + 1 WHERE sealed_sha256 IS NOT NULL;
-- A one-time code, as a keyed digest; how often it was tried; the browser that gave it.
ALTER TABLE desk_signers ADD COLUMN code_tag TEXT;
ALTER TABLE desk_signers ADD COLUMN code_sent_ms BIGINT;
ALTER TABLE desk_signers ADD COLUMN code_tries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE desk_signers ADD COLUMN browser_sha256 TEXT;
ALTER TABLE desk_signers ADD COLUMN proved_ms BIGINT;

-- How signers prove who they are: 'link' or 'code'.
ALTER TABLE desk_envelopes ADD COLUMN identity TEXT NOT NULL DEFAULT 'link';
ALTER TABLE desk_envelopes ADD COLUMN certificate_sha256 TEXT;
