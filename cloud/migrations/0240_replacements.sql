-- Documents that take the place of others: a division that a person undid. All documents of a capture have its trace;
-- `replaces` is the trace of those that this one stands for.
ALTER TABLE documents ADD COLUMN trace TEXT NOT NULL DEFAULT '';
ALTER TABLE documents ADD COLUMN replaces TEXT;
-- only sqlite
UPDATE documents SET trace = json_extract(record, '$.document.correlation_id');
-- end
-- only postgres
UPDATE documents SET trace = record::json -> 'document' ->> 'correlation_id';
-- end
CREATE INDEX documents_by_trace ON documents (tenant_id, trace);
CREATE INDEX documents_by_replaced ON documents (tenant_id, replaces);
