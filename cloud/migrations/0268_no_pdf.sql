-- Since when a provider that says "completed" has answered with something that is no PDF.
ALTER TABLE envelope_calls ADD COLUMN no_pdf_ms BIGINT;
