-- Where a tenant wants to be told of events, and what was sent there. Secrets are not kept: they are made of the site's
-- key and `secret_number`, so that a copy of the database signs nothing.

CREATE TABLE webhook_endpoints (
    endpoint_id     TEXT PRIMARY KEY,
    tenant_id       TEXT NOT NULL REFERENCES tenants (tenant_id),
    url             TEXT NOT NULL,
    -- Names of events separated by blanks; none stands for all.
    events          TEXT NOT NULL,
    secret_number   BIGINT NOT NULL DEFAULT 1,
    -- Until when the secret before this one signs as well.
    former_until_ms BIGINT NOT NULL DEFAULT 0,
    -- Why nothing is sent any more; empty while it is.
    disabled        TEXT NOT NULL DEFAULT '',
    -- Since when every attempt failed; 0 while they do not.
    failing_ms      BIGINT NOT NULL DEFAULT 0,
    created_ms      BIGINT NOT NULL
);
CREATE INDEX webhook_endpoints_by_tenant ON webhook_endpoints (tenant_id, endpoint_id);

-- `position` is the event's place in the tenant's feed: its bytes are read there.
CREATE TABLE webhook_deliveries (
    delivery_id TEXT PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenants (tenant_id),
    endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints (endpoint_id) ON DELETE CASCADE,
    position    BIGINT NOT NULL,
    event       TEXT NOT NULL,
    -- waiting, delivered or failed.
    state       TEXT NOT NULL,
    attempts    BIGINT NOT NULL DEFAULT 0,
    -- The answer's status, 0 where none came, and what went wrong.
    status      BIGINT NOT NULL DEFAULT 0,
    trouble     TEXT NOT NULL DEFAULT '',
    created_ms  BIGINT NOT NULL,
    tried_ms    BIGINT NOT NULL DEFAULT 0,
    UNIQUE (endpoint_id, position)
);
CREATE INDEX webhook_deliveries_newest ON webhook_deliveries (tenant_id, delivery_id);
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (endpoint_id, delivery_id);
