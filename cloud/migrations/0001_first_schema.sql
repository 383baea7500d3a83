-- The first schema. Portable between SQLite and PostgreSQL: ids and JSON are TEXT, times are milliseconds since
-- 1970 in *_ms columns, secrets are kept only as digests. Every table that holds a tenant's data names the tenant.

CREATE TABLE tenants (
    tenant_id  TEXT PRIMARY KEY,
    created_ms BIGINT NOT NULL
);

CREATE TABLE users (
    name            TEXT PRIMARY KEY,
    tenant_id       TEXT NOT NULL REFERENCES tenants (tenant_id),
    role            TEXT NOT NULL,
    password_hash   TEXT NOT NULL,
    failures        BIGINT NOT NULL DEFAULT 0,
    locked_until_ms BIGINT NOT NULL DEFAULT 0,
    created_ms      BIGINT NOT NULL
);

CREATE TABLE sessions (
    token_sha256 TEXT PRIMARY KEY,
    tenant_id    TEXT NOT NULL REFERENCES tenants (tenant_id),
    user_name    TEXT NOT NULL REFERENCES users (name),
    csrf         TEXT NOT NULL,
    expires_ms   BIGINT NOT NULL
);

CREATE TABLE devices (
    device_id  TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL REFERENCES tenants (tenant_id),
    name       TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE TABLE enrolment_codes (
    code_sha256 TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenants (tenant_id),
    expires_ms  BIGINT NOT NULL,
    device_id   TEXT REFERENCES devices (device_id)
);

CREATE TABLE used_assertions (
    device_id  TEXT NOT NULL REFERENCES devices (device_id),
    jti        TEXT NOT NULL,
    expires_ms BIGINT NOT NULL,
    PRIMARY KEY (device_id, jti)
);

CREATE TABLE access_tokens (
    token_sha256 TEXT PRIMARY KEY,
    tenant_id    TEXT NOT NULL REFERENCES tenants (tenant_id),
    device_id    TEXT NOT NULL REFERENCES devices (device_id),
    expires_ms   BIGINT NOT NULL
);

CREATE TABLE uploads (
    upload_id  TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL REFERENCES tenants (tenant_id),
    sha256     TEXT NOT NULL,
    mime       TEXT NOT NULL,
    bytes      BIGINT NOT NULL,
    received   BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);

-- Which tenant may see which blob. The bytes are in the blob folder.
CREATE TABLE blobs (
    tenant_id  TEXT NOT NULL REFERENCES tenants (tenant_id),
    sha256     TEXT NOT NULL,
    bytes      BIGINT NOT NULL,
    mime       TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, sha256)
);
CREATE INDEX blobs_by_digest ON blobs (sha256);

-- A projection of `events`: which blobs they name. What none names is garbage after a while.
CREATE TABLE blob_references (
    tenant_id   TEXT NOT NULL REFERENCES tenants (tenant_id),
    sha256      TEXT NOT NULL,
    document_id TEXT NOT NULL,
    PRIMARY KEY (tenant_id, sha256, document_id)
);
CREATE INDEX blob_references_of_document ON blob_references (document_id);

-- The truth. `bytes` is the event's exact JSON, `hash` its digest, `position` its place in the tenant's feed.
CREATE TABLE events (
    document_id TEXT NOT NULL,
    sequence    BIGINT NOT NULL,
    tenant_id   TEXT NOT NULL REFERENCES tenants (tenant_id),
    position    BIGINT NOT NULL,
    hash        TEXT NOT NULL,
    bytes       TEXT NOT NULL,
    PRIMARY KEY (document_id, sequence),
    UNIQUE (tenant_id, position)
);

-- The last place that was given away in each tenant's feed, and the number of its last checkpoint.
CREATE TABLE feeds (
    tenant_id   TEXT PRIMARY KEY REFERENCES tenants (tenant_id),
    position    BIGINT NOT NULL,
    checkpoints BIGINT NOT NULL DEFAULT 0
);

-- Signed statements of what all chains of a tenant were. `bytes` is the exact JSON that is signed.
CREATE TABLE checkpoints (
    tenant_id  TEXT NOT NULL REFERENCES tenants (tenant_id),
    number     BIGINT NOT NULL,
    bytes      TEXT NOT NULL,
    public_key TEXT NOT NULL,
    signature  TEXT NOT NULL,
    PRIMARY KEY (tenant_id, number)
);

-- A projection of `events`: `record` is everything, the other columns are what lists filter and sort by.
CREATE TABLE documents (
    document_id   TEXT PRIMARY KEY,
    tenant_id     TEXT NOT NULL REFERENCES tenants (tenant_id),
    status        TEXT NOT NULL,
    document_type TEXT NOT NULL,
    file_name     TEXT NOT NULL,
    version       BIGINT NOT NULL,
    created_ms    BIGINT NOT NULL,
    updated_ms    BIGINT NOT NULL,
    record        TEXT NOT NULL
);
CREATE INDEX documents_newest ON documents (tenant_id, document_id);
CREATE INDEX documents_by_status ON documents (tenant_id, status, document_id);

-- A projection of `events`.
CREATE TABLE envelopes (
    envelope_id        TEXT PRIMARY KEY,
    tenant_id          TEXT NOT NULL REFERENCES tenants (tenant_id),
    document_id        TEXT NOT NULL,
    provider           TEXT NOT NULL,
    provider_reference TEXT,
    status             TEXT NOT NULL,
    signers            TEXT NOT NULL,
    document_sha256    TEXT NOT NULL,
    created_ms         BIGINT NOT NULL,
    updated_ms         BIGINT NOT NULL
);
CREATE INDEX envelopes_by_document ON envelopes (tenant_id, document_id);
CREATE INDEX envelopes_by_reference ON envelopes (provider, provider_reference);

-- Work to do. `state` is ready, leased or dead; finished jobs leave. `again` asks for one more run of a leased job.
-- `lease` counts the leases: who holds the newest may record an end. `troubles` is JSON: the last failures.
CREATE TABLE jobs (
    job_id         TEXT PRIMARY KEY,
    tenant_id      TEXT NOT NULL REFERENCES tenants (tenant_id),
    document_id    TEXT,
    kind           TEXT NOT NULL,
    argument       TEXT NOT NULL,
    state          TEXT NOT NULL,
    failures       BIGINT NOT NULL DEFAULT 0,
    again          BIGINT NOT NULL DEFAULT 0,
    run_at_ms      BIGINT NOT NULL,
    node           TEXT,
    lease          BIGINT NOT NULL DEFAULT 0,
    lease_until_ms BIGINT NOT NULL DEFAULT 0,
    last_error     TEXT,
    troubles       TEXT NOT NULL DEFAULT '[]',
    created_ms     BIGINT NOT NULL
);
CREATE INDEX jobs_due ON jobs (state, run_at_ms);
CREATE INDEX jobs_of_tenant ON jobs (tenant_id, state, run_at_ms);
CREATE INDEX jobs_leases ON jobs (state, lease_until_ms);
CREATE INDEX jobs_by_document ON jobs (document_id);
