-- Users who may not sign in for the time being, and jobs listed by their ids.
ALTER TABLE users ADD COLUMN disabled_ms BIGINT NOT NULL DEFAULT 0;
CREATE INDEX jobs_by_tenant ON jobs (tenant_id, job_id);
CREATE INDEX devices_by_tenant ON devices (tenant_id, device_id);
