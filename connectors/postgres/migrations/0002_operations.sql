-- Where the state of the engine is kept, and what it reads.

CREATE TABLE audience.checkpoints (
    id                bigint PRIMARY KEY,
    location          text NOT NULL,
    tick              bigint NOT NULL,
    clock             timestamptz NOT NULL,
    catalogue_version bigint NOT NULL,
    size_bytes        bigint NOT NULL CHECK (size_bytes >= 0),
    finished_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE audience.ingest_sources (
    id         text COLLATE "C" PRIMARY KEY,
    name       text NOT NULL,
    type       text NOT NULL,
    settings   jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(settings) = 'object'),
    is_enabled boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
