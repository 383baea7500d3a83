-- Time-stamp tokens of checkpoints (RFC 3161), as their authority sent them.
CREATE TABLE checkpoint_stamps (
    tenant_id TEXT NOT NULL REFERENCES tenants (tenant_id),
    number    BIGINT NOT NULL,
    token     BLOB NOT NULL,
    PRIMARY KEY (tenant_id, number)
);
