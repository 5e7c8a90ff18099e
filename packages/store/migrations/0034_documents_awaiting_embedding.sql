-- How many documents of a collection are still to be embedded, without reading all that are.
CREATE INDEX documents_awaiting_embedding ON documents (collection) WHERE embedding IS NULL;
