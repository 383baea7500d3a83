-- What each device told of itself last, and what it is asked to do. 0 in done_ms says: not yet.

CREATE TABLE device_reports (
    device_id   TEXT PRIMARY KEY REFERENCES devices (device_id),
    tenant_id   TEXT NOT NULL REFERENCES tenants (tenant_id),
    received_ms BIGINT NOT NULL,
    report      TEXT NOT NULL
);
CREATE INDEX device_reports_by_tenant ON device_reports (tenant_id, device_id);

CREATE TABLE device_orders (
    order_id   TEXT PRIMARY KEY,
    device_id  TEXT NOT NULL REFERENCES devices (device_id),
    tenant_id  TEXT NOT NULL REFERENCES tenants (tenant_id),
    kind       TEXT NOT NULL,
    asked_by   TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    done_ms    BIGINT NOT NULL DEFAULT 0,
    outcome    TEXT NOT NULL DEFAULT ''
);
CREATE INDEX device_orders_open ON device_orders (tenant_id, device_id, done_ms);
