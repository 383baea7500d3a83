-- When the recipients of an envelope were last reminded by their route.
CREATE TABLE envelope_reminders (
    envelope_id TEXT PRIMARY KEY,
    reminded_ms BIGINT NOT NULL
);
