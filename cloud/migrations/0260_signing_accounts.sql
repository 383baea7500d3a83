-- Signing at accounts of providers: drafts, rests between polls, what operators paused.

-- The draft a call made, kept before it is sent: of two drafts only this one ever is.
ALTER TABLE envelope_calls ADD COLUMN draft TEXT;
-- When the provider was last asked for the envelope's state.
ALTER TABLE envelope_calls ADD COLUMN polled_ms BIGINT;

-- Routes and accounts on which nothing is sent until an operator says so.
CREATE TABLE signing_pauses (
    tenant_id TEXT NOT NULL,
    -- 'route' or 'account'
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    by_actor TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, kind, name)
);

-- Who signs, approves and gets a copy, what they fill in where, and when the envelope ends.
ALTER TABLE envelopes ADD COLUMN blanks TEXT NOT NULL DEFAULT '[]';
ALTER TABLE envelopes ADD COLUMN expires_ms BIGINT;
CREATE INDEX envelopes_open ON envelopes (tenant_id, status, expires_ms);

-- The query of a callback's address: some providers sign there.
ALTER TABLE callbacks ADD COLUMN query TEXT NOT NULL DEFAULT '';
