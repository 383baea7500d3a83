-- Signing: what our books hold about calls and callbacks, and the tables of the two built-in providers.
-- Times are milliseconds since 1970. Ids and digests are text.

-- A call to create an envelope, marked before it is made (INV-10). Removed only when its outcome is certain.
CREATE TABLE envelope_calls (
    envelope_id TEXT PRIMARY KEY,
    attempt BIGINT NOT NULL,
    at_ms BIGINT NOT NULL
);

-- Callbacks as they came, each once. The key tells repetitions.
CREATE TABLE callbacks (
    tenant_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    callback_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    reference TEXT,
    received_ms BIGINT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL,
    repeats BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, provider, callback_id)
);

-- The sandbox. What its signers do follows from their addresses and the time, so no state is kept here.
CREATE TABLE sandbox_envelopes (
    reference TEXT PRIMARY KEY,
    envelope_id TEXT NOT NULL UNIQUE,
    tenant_id TEXT NOT NULL,
    pdf_sha256 TEXT NOT NULL,
    signers TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    void_reason TEXT,
    signed_sha256 TEXT,
    callbacks_sent BIGINT NOT NULL DEFAULT 0,
    callbacks_done BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX sandbox_callbacks_due ON sandbox_envelopes (callbacks_done, created_ms);

-- The desk.
CREATE TABLE desk_envelopes (
    envelope_id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    document_id TEXT NOT NULL,
    title TEXT NOT NULL,
    pdf_sha256 TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    void_reason TEXT
);
CREATE TABLE desk_signers (
    envelope_id TEXT NOT NULL REFERENCES desk_envelopes (envelope_id),
    position BIGINT NOT NULL,
    address TEXT NOT NULL,
    token_sha256 TEXT NOT NULL UNIQUE,
    invited_ms BIGINT,
    viewed_ms BIGINT,
    signed_ms BIGINT,
    declined_ms BIGINT,
    decline_reason TEXT,
    name TEXT,
    consent TEXT,
    remote_address TEXT,
    user_agent TEXT,
    sealed_sha256 TEXT,
    PRIMARY KEY (envelope_id, position)
);

-- Pictures of pages, rendered once. A cache: rows may be removed at any time.
CREATE TABLE page_pictures (
    tenant_id TEXT NOT NULL,
    pdf_sha256 TEXT NOT NULL,
    page BIGINT NOT NULL,
    width_px BIGINT NOT NULL,
    png_sha256 TEXT NOT NULL,
    PRIMARY KEY (tenant_id, pdf_sha256, page, width_px)
);

-- Each device's signature of the manifest it sent, for the evidence. Kept with the document's first event.
CREATE TABLE manifest_signatures (
    document_id TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL,
    device_id TEXT NOT NULL,
    public_key TEXT NOT NULL,
    signature TEXT NOT NULL
);
