-- What can be taken away is counted or chained, so that it is missed.

-- How many time-stamps the tenant's checkpoints have.
ALTER TABLE feeds ADD COLUMN stamps BIGINT NOT NULL DEFAULT 0;
UPDATE feeds SET stamps = (SELECT COUNT(*) FROM checkpoint_stamps s WHERE s.tenant_id = feeds.tenant_id);

-- Each entry of the audit names the one before it by its digest. Entries from before this have the number 0 and no hash.
ALTER TABLE audit ADD COLUMN number BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_in_order ON audit (tenant_id, number);
CREATE TABLE audit_heads (
    tenant_id TEXT PRIMARY KEY REFERENCES tenants (tenant_id),
    number    BIGINT NOT NULL,
    hash      TEXT NOT NULL
);
