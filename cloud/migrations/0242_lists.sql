-- What lists are narrowed to leads to its documents in their order, however many others there are.
CREATE INDEX documents_by_type ON documents (tenant_id, document_type, document_id);
CREATE INDEX documents_by_status_and_type ON documents (tenant_id, status, document_type, document_id);
