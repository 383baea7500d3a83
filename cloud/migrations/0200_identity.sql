-- Clients of the API, their credentials, tokens of devices and clients alike, lockouts by name, and the audit.
-- 0 in a *_ms column of an end says: none.

CREATE TABLE clients (
    client_id  TEXT PRIMARY KEY,
    tenant_id  TEXT NOT NULL REFERENCES tenants (tenant_id),
    name       TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    revoked_ms BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX clients_by_tenant ON clients (tenant_id, client_id);

-- `kind` is secret (`value` is its digest) or key (`value` is the public key). Several at once: that is rotation.
CREATE TABLE client_credentials (
    credential_id TEXT PRIMARY KEY,
    client_id     TEXT NOT NULL REFERENCES clients (client_id),
    tenant_id     TEXT NOT NULL REFERENCES tenants (tenant_id),
    kind          TEXT NOT NULL,
    value         TEXT NOT NULL,
    created_ms    BIGINT NOT NULL,
    expires_ms    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX client_credentials_by_client ON client_credentials (client_id);

ALTER TABLE devices ADD COLUMN revoked_ms BIGINT NOT NULL DEFAULT 0;

-- `holder` is the device's or the client's id.
DROP TABLE access_tokens;
CREATE TABLE access_tokens (
    token_sha256 TEXT PRIMARY KEY,
    tenant_id    TEXT NOT NULL REFERENCES tenants (tenant_id),
    holder       TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    expires_ms   BIGINT NOT NULL
);
CREATE INDEX access_tokens_by_holder ON access_tokens (holder);
DROP TABLE used_assertions;
CREATE TABLE used_assertions (
    holder     TEXT NOT NULL,
    jti        TEXT NOT NULL,
    expires_ms BIGINT NOT NULL,
    PRIMARY KEY (holder, jti)
);

-- Wrong passwords by the digest of the name that was tried, whether anybody has it or not.
CREATE TABLE lockouts (
    name_sha256     TEXT PRIMARY KEY,
    failures        BIGINT NOT NULL,
    locked_until_ms BIGINT NOT NULL,
    last_ms         BIGINT NOT NULL
);
ALTER TABLE users DROP COLUMN failures;
ALTER TABLE users DROP COLUMN locked_until_ms;
-- The token of a session's forms is made of the session's own: nothing to keep.
ALTER TABLE sessions DROP COLUMN csrf;

-- Who signed in and who administered what. Rows are only ever added.
CREATE TABLE audit (
    audit_id  TEXT PRIMARY KEY,
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    at_ms     BIGINT NOT NULL,
    actor     TEXT NOT NULL,
    action    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    detail    TEXT NOT NULL
);
CREATE INDEX audit_newest ON audit (tenant_id, audit_id);
