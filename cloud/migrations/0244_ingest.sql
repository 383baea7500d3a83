-- Taking documents in: pieces of uploads that every node reaches, keys that requests are repeated under, limits of
-- tenants that differ from the site's, and an order of documents by the time they came.

CREATE TABLE upload_pieces (
    upload_id TEXT NOT NULL,
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    begins    BIGINT NOT NULL,
    bytes     BIGINT NOT NULL,
    -- In the storage of blobs, beside them.
    name      TEXT NOT NULL UNIQUE,
    PRIMARY KEY (upload_id, begins)
);

-- `fingerprint` is the digest of what was sent. `holder` is who sent it: a key is of one caller.
CREATE TABLE idempotency_keys (
    tenant_id   TEXT NOT NULL REFERENCES tenants (tenant_id),
    holder      TEXT NOT NULL,
    name        TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    document_id TEXT NOT NULL,
    expires_ms  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, holder, name)
);
CREATE INDEX idempotency_keys_by_end ON idempotency_keys (expires_ms);

-- NULL stands for the site's limit.
CREATE TABLE tenant_limits (
    tenant_id            TEXT PRIMARY KEY REFERENCES tenants (tenant_id),
    part_bytes           BIGINT,
    document_pages       BIGINT,
    documents_per_minute BIGINT
);

CREATE INDEX documents_by_time ON documents (tenant_id, created_ms);
