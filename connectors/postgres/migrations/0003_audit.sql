-- Notes of versions, and an audit log that has what the API knows: what was done, with which note, also to users.

ALTER TABLE audience.segments ADD COLUMN note text;
ALTER TABLE audience.segment_versions ADD COLUMN note text;
COMMENT ON COLUMN audience.segments.note IS 'What its author says to this version; a statement that does not set it clears it.';

ALTER TABLE audience.audit_log
    ADD COLUMN version bigint,
    ADD COLUMN note text,
    DROP CONSTRAINT audit_log_action_check,
    DROP CONSTRAINT audit_log_kind_check,
    -- The first three are of statements written by hand.
    ADD CONSTRAINT audit_log_action_check CHECK (action IN ('create', 'update', 'delete', 'created', 'updated', 'activated',
        'deactivated', 'archived', 'rolledBack', 'deleted', 'membersReplaced', 'membersAdded', 'membersRemoved', 'erased')),
    ADD CONSTRAINT audit_log_kind_check CHECK (kind IN ('segment', 'trait', 'members', 'user'));
CREATE INDEX audit_log_by_actor ON audience.audit_log (actor, id);

-- Rows in the words of the program. Who may not call it is audited row by row, as by hand: a program that connects as
-- another user than the owner of the tables needs the right to.
CREATE FUNCTION audience.audit(author text, at timestamptz, entries jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO audience.audit_log (at, catalogue_version, actor, via, action, kind, document_id, version, note)
    SELECT $2, audience.take_version(), $1, 'store', entry->>'action', entry->>'kind', entry->>'id',
        (entry->>'version')::bigint, entry->>'note'
    FROM jsonb_array_elements($3) WITH ORDINALITY AS listed (entry, place) ORDER BY place
$$;
REVOKE EXECUTE ON FUNCTION audience.audit(text, timestamptz, jsonb) FROM PUBLIC;

-- A change makes a row by itself, unless the program says in the same transaction what was done.
CREATE OR REPLACE FUNCTION audience.note(action text, kind text, document_id text, actor text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO audience.audit_log (catalogue_version, actor, via, action, kind, document_id)
    SELECT audience.take_version(), $4, CASE WHEN audience.is_store() THEN 'store' ELSE 'sql' END, $1, $2, $3
    WHERE NOT (coalesce(current_setting('audience.is_audited', true), '') = 'yes'
        AND has_function_privilege(session_user, 'audience.audit(text, timestamptz, jsonb)', 'EXECUTE'))
$$;

-- As they were, with the note.
CREATE OR REPLACE FUNCTION audience.complete_segment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF audience.is_store() THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'INSERT' THEN
        NEW.version := coalesce(NEW.version, 1);
        NEW.author := coalesce(NEW.author, audience.actor());
        NEW.created_at := coalesce(NEW.created_at, clock_timestamp());
        NEW.updated_at := coalesce(NEW.updated_at, NEW.created_at);
    ELSIF NEW IS DISTINCT FROM OLD THEN
        IF NEW.version IS NOT DISTINCT FROM OLD.version THEN NEW.version := coalesce(OLD.version, 0) + 1; END IF;
        IF NEW.author IS NOT DISTINCT FROM OLD.author THEN NEW.author := audience.actor(); END IF;
        IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN NEW.updated_at := clock_timestamp(); END IF;
        -- A note is of one version.
        IF NEW.note IS NOT DISTINCT FROM OLD.note THEN NEW.note := NULL; END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION audience.keep_segment() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor text := audience.actor();
BEGIN
    IF TG_OP = 'UPDATE' AND NEW IS NOT DISTINCT FROM OLD AND NOT audience.is_store() THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NEW.id <> OLD.id) THEN
        INSERT INTO audience.segment_versions (id, catalogue_version, is_deleted, changed_by)
        VALUES (OLD.id, audience.take_version(), true, actor)
        ON CONFLICT (id, catalogue_version) DO UPDATE
        SET (is_deleted, changed_at, name, description, type, status, rules, tags, owner, version, created_at, updated_at, author, extra, note)
          = (true, clock_timestamp(), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
        PERFORM audience.note('delete', 'segment', OLD.id, actor);
        IF TG_OP = 'DELETE' THEN
            IF NOT audience.is_store() THEN
                DELETE FROM audience.static_members WHERE segment_id = OLD.id;
            END IF;
            RETURN NULL;
        END IF;
    END IF;
    actor := coalesce(NEW.author, actor);
    INSERT INTO audience.segment_versions
        (id, catalogue_version, is_deleted, changed_by, name, description, type, status, rules, tags, owner, version,
         created_at, updated_at, author, extra, note)
    VALUES
        (NEW.id, audience.take_version(), false, actor, NEW.name, NEW.description, NEW.type, NEW.status, NEW.rules, NEW.tags,
         NEW.owner, NEW.version, NEW.created_at, NEW.updated_at, NEW.author, NEW.extra, NEW.note)
    ON CONFLICT (id, catalogue_version) DO UPDATE
    SET (is_deleted, changed_at, changed_by, name, description, type, status, rules, tags, owner, version, created_at, updated_at, author, extra, note)
      = (false, clock_timestamp(), EXCLUDED.changed_by, EXCLUDED.name, EXCLUDED.description, EXCLUDED.type, EXCLUDED.status,
         EXCLUDED.rules, EXCLUDED.tags, EXCLUDED.owner, EXCLUDED.version, EXCLUDED.created_at, EXCLUDED.updated_at,
         EXCLUDED.author, EXCLUDED.extra, EXCLUDED.note);
    PERFORM audience.note(CASE WHEN TG_OP = 'INSERT' THEN 'create' ELSE 'update' END, 'segment', NEW.id, actor);
    RETURN NULL;
END $$;
