-- A PIN that the sender set for a signer of the desk and hands over by another way: as an argon2id hash, with the tries
-- that failed, and the browser that gave it. Set with the order, or later, so it does not wait for the desk's own row.
CREATE TABLE desk_pins (
    envelope_id    TEXT NOT NULL,
    position       BIGINT NOT NULL,
    tenant_id      TEXT NOT NULL,
    pin            TEXT NOT NULL,
    tries          BIGINT NOT NULL DEFAULT 0,
    set_by         TEXT NOT NULL,
    set_ms         BIGINT NOT NULL,
    given_ms       BIGINT,
    browser_sha256 TEXT,
    PRIMARY KEY (envelope_id, position)
);
