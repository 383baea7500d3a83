-- The policies that were in force, by the digest that events name, so that each decision can be shown and repeated. They
-- are the site's, not a tenant's.
CREATE TABLE policies (
    sha256    TEXT PRIMARY KEY,
    name      TEXT NOT NULL,
    version   TEXT NOT NULL,
    policy    TEXT NOT NULL,
    directory TEXT,
    first_ms  BIGINT NOT NULL,
    last_ms   BIGINT NOT NULL
);
