-- Which policy was in force for whom: a tenant with a policy of its own, or the site ('', for all tenants without one).
CREATE TABLE policy_scopes (
    scope    TEXT NOT NULL,
    sha256   TEXT NOT NULL,
    first_ms BIGINT NOT NULL,
    last_ms  BIGINT NOT NULL,
    PRIMARY KEY (scope, sha256)
);
INSERT INTO policy_scopes (scope, sha256, first_ms, last_ms) SELECT '', sha256, first_ms, last_ms FROM policies;
ALTER TABLE policies DROP COLUMN first_ms;
ALTER TABLE policies DROP COLUMN last_ms;
