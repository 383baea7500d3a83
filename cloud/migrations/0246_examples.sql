-- What people said of documents, kept to fit and test the rules with: the type, the values of fields, and the text that
-- was read. A projection of events; a document that is deleted has none.
CREATE TABLE examples (
    tenant_id        TEXT NOT NULL REFERENCES tenants (tenant_id),
    document_id      TEXT NOT NULL,
    document_type    TEXT NOT NULL,
    fields           TEXT NOT NULL,
    file_name        TEXT NOT NULL,
    page_text_sha256 TEXT NOT NULL,
    told_by          TEXT NOT NULL,
    told_ms          BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, document_id)
);
