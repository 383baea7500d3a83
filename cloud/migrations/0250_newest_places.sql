-- The newest documents of one tenant, in which a search looks first.
CREATE INDEX search_places_by_tenant ON search_places (tenant_id, place);
