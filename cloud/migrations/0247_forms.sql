-- Copies of printed forms that people taught fields on: how the form is known again, and where on it which value stands. A
-- form may have been taught on several copies.
CREATE TABLE forms (
    form_id       TEXT PRIMARY KEY,
    tenant_id     TEXT NOT NULL REFERENCES tenants (tenant_id),
    name          TEXT NOT NULL,
    document_type TEXT NOT NULL,
    template      TEXT NOT NULL,
    document_id   TEXT NOT NULL,
    taught_by     TEXT NOT NULL,
    created_ms    BIGINT NOT NULL,
    updated_ms    BIGINT NOT NULL
);
CREATE UNIQUE INDEX forms_by_document ON forms (tenant_id, document_id);
