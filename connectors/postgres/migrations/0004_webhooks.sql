-- Webhooks: to whom changes of memberships are posted, and how far that has come.

CREATE TABLE audience.webhooks (
    id         text COLLATE "C" PRIMARY KEY,
    body       jsonb NOT NULL,
    url        text GENERATED ALWAYS AS (body->'webhook'->>'url') STORED,
    status     text GENERATED ALWAYS AS (body->'webhook'->>'status') STORED,
    attempts   bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE audience.webhooks IS 'Written by the program alone: it does not read again what is changed by hand while it runs.';
COMMENT ON COLUMN audience.webhooks.body IS 'With the secret that messages are signed with.';
REVOKE ALL ON audience.webhooks FROM PUBLIC;

CREATE TABLE audience.webhook_attempts (
    webhook_id text COLLATE "C" NOT NULL REFERENCES audience.webhooks ON DELETE CASCADE,
    number     bigint NOT NULL,
    body       jsonb NOT NULL,
    PRIMARY KEY (webhook_id, number)
);

-- What the catalogue keeps no versions of is told of as it was and is.
ALTER TABLE audience.audit_log
    ADD COLUMN before json,
    ADD COLUMN after json,
    DROP CONSTRAINT audit_log_action_check,
    DROP CONSTRAINT audit_log_kind_check,
    -- The first three are of statements written by hand.
    ADD CONSTRAINT audit_log_action_check CHECK (action IN ('create', 'update', 'delete', 'created', 'updated', 'activated',
        'deactivated', 'archived', 'rolledBack', 'deleted', 'membersReplaced', 'membersAdded', 'membersRemoved', 'erased',
        'paused', 'resumed', 'secretRotated')),
    ADD CONSTRAINT audit_log_kind_check CHECK (kind IN ('segment', 'trait', 'members', 'user', 'webhook'));

CREATE OR REPLACE FUNCTION audience.audit(author text, at timestamptz, entries jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO audience.audit_log (at, catalogue_version, actor, via, action, kind, document_id, version, note, before, after)
    SELECT $2, audience.take_version(), $1, 'store', entry->>'action', entry->>'kind', entry->>'id',
        (entry->>'version')::bigint, entry->>'note', (entry->>'before')::json, (entry->>'after')::json
    FROM jsonb_array_elements($3) WITH ORDINALITY AS listed (entry, place) ORDER BY place
$$;
