-- Full-text search: a projection of events and page texts, made anew by `platen-cloud rebuild`. `place` is the order in
-- which documents came; lists of what was found are read by it. What words are is decided in `store/search.rs`, the
-- same for both engines: neither may split or fold them in a way of its own.

-- only sqlite
CREATE TABLE search_places (
    place       INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant_id   TEXT NOT NULL REFERENCES tenants (tenant_id),
    document_id TEXT NOT NULL UNIQUE
);
CREATE VIRTUAL TABLE search_words USING fts5 (
    -- Whatever stands between blanks is a word: they were made before.
    tenant, names, words, tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* P* S* C*'"
);
-- end
-- only postgres
CREATE TABLE search_places (
    place       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id   TEXT NOT NULL REFERENCES tenants (tenant_id),
    document_id TEXT NOT NULL UNIQUE
);
CREATE TABLE search_words (
    place  BIGINT PRIMARY KEY REFERENCES search_places (place) ON DELETE CASCADE,
    tenant TSVECTOR NOT NULL,
    names  TSVECTOR NOT NULL,
    words  TSVECTOR NOT NULL,
    all_of TSVECTOR GENERATED ALWAYS AS (tenant || names || words) STORED
);
CREATE INDEX search_words_all_of ON search_words USING GIN (all_of);
-- end
