-- What is asked often, or of many rows, is found by an index.

-- Jobs run in lanes, so that long ones and slow receivers keep nobody waiting: capture is long, deliver is slow.
ALTER TABLE jobs ADD COLUMN lane TEXT NOT NULL DEFAULT 'quick';
UPDATE jobs SET lane = 'long' WHERE kind = 'capture';
UPDATE jobs SET lane = 'deliver' WHERE kind = 'deliver';
DROP INDEX jobs_due;
DROP INDEX jobs_of_tenant;
CREATE INDEX jobs_due ON jobs (state, lane, run_at_ms);
CREATE INDEX jobs_of_tenant ON jobs (tenant_id, state, lane, run_at_ms);
CREATE INDEX jobs_listed_by_state ON jobs (tenant_id, state, job_id);

-- Uploads and credentials leave when their time is over.
CREATE INDEX uploads_by_end ON uploads (expires_ms, upload_id);
CREATE INDEX uploads_of_tenant ON uploads (tenant_id, upload_id);
CREATE INDEX access_tokens_by_end ON access_tokens (expires_ms);
CREATE INDEX used_assertions_by_end ON used_assertions (expires_ms);
CREATE INDEX sessions_by_end ON sessions (expires_ms);
CREATE INDEX sessions_of_user ON sessions (tenant_id, user_name);
CREATE INDEX lockouts_by_last ON lockouts (last_ms);

-- Whether a row still names a blob.
CREATE INDEX sandbox_envelopes_by_pdf ON sandbox_envelopes (pdf_sha256);
CREATE INDEX sandbox_envelopes_by_signed ON sandbox_envelopes (signed_sha256);
CREATE INDEX desk_envelopes_by_pdf ON desk_envelopes (pdf_sha256);
CREATE INDEX desk_envelopes_by_certificate ON desk_envelopes (certificate_sha256);
CREATE INDEX desk_envelopes_by_completed ON desk_envelopes (completed_sha256);
CREATE INDEX desk_signers_by_seal ON desk_signers (sealed_sha256);
CREATE INDEX page_pictures_by_png ON page_pictures (png_sha256);

-- Pictures of pages are rendered again when they are wanted again: they leave after a while.
ALTER TABLE page_pictures ADD COLUMN made_ms BIGINT NOT NULL DEFAULT 0;
CREATE INDEX page_pictures_by_age ON page_pictures (made_ms);

CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (tenant_id, state, delivery_id);
CREATE INDEX webhook_deliveries_by_state_of_endpoint ON webhook_deliveries (endpoint_id, state, delivery_id);
CREATE INDEX webhook_deliveries_by_age ON webhook_deliveries (created_ms);

-- Documents in the order in which they were received, read page by page.
DROP INDEX documents_by_time;
CREATE INDEX documents_by_time ON documents (tenant_id, created_ms, document_id);

-- The head of each chain beside its document: a checkpoint reads this and no event.
ALTER TABLE documents ADD COLUMN head TEXT NOT NULL DEFAULT '';
-- only sqlite
UPDATE documents SET head = COALESCE(json_extract(record, '$.head'), '');
-- end
-- only postgres
UPDATE documents SET head = COALESCE(record::json ->> 'head', '');
-- end
CREATE INDEX documents_heads ON documents (tenant_id, document_id, head);
