-- Segments, computed traits and static lists, as people write them by hand, with every version of each.
--
-- A transaction that changes any of them, by the API or by hand, makes one version of the catalogue: its first change
-- takes the next number, each changed row is kept under it in its table of versions, every change has a row in the audit
-- log, and who listens to audience_catalogue is woken at the commit.

-- Its one row is also the lock that puts changes in order.
CREATE TABLE audience.catalogue (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version bigint NOT NULL,
    -- Which catalogue it is, for those who follow it.
    identity uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO audience.catalogue (version) VALUES (0);

CREATE TABLE audience.segments (
    id          text COLLATE "C" PRIMARY KEY,
    name        text,
    description text,
    type        text DEFAULT 'DYNAMIC' CHECK (type IN ('DYNAMIC', 'STATIC')),
    status      text DEFAULT 'ACTIVE' CHECK (status IN ('DRAFT', 'ACTIVE', 'INACTIVE', 'ARCHIVED')),
    rules       jsonb,
    tags        text[] CHECK (coalesce(array_ndims(tags), 1) = 1 AND array_position(tags, NULL) IS NULL),
    owner       text,
    version     bigint,
    created_at  timestamptz,
    updated_at  timestamptz,
    author      text,
    extra       jsonb
);
COMMENT ON COLUMN audience.segments.version IS 'Of this segment: 1 at creation, one more with every change; set by itself.';
COMMENT ON COLUMN audience.segments.author IS 'Who made this version; set by itself where a statement does not.';
COMMENT ON COLUMN audience.segments.extra IS 'Members of the document that have no column.';

CREATE TABLE audience.traits (
    name       text COLLATE "C" PRIMARY KEY,
    definition jsonb,
    version    bigint,
    updated_at timestamptz,
    author     text,
    extra      jsonb
);

CREATE TABLE audience.static_members (
    segment_id text COLLATE "C" PRIMARY KEY,
    members    text[] NOT NULL CHECK (coalesce(array_ndims(members), 1) = 1 AND array_position(members, NULL) IS NULL)
);

-- Of each: the row as of that version of the catalogue; only the key where it was deleted.
CREATE TABLE audience.segment_versions (
    id                text COLLATE "C" NOT NULL,
    catalogue_version bigint NOT NULL,
    is_deleted        boolean NOT NULL,
    changed_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by        text NOT NULL,
    name text, description text, type text, status text, rules jsonb, tags text[], owner text,
    version bigint, created_at timestamptz, updated_at timestamptz, author text, extra jsonb,
    PRIMARY KEY (id, catalogue_version)
);
CREATE TABLE audience.trait_versions (
    name              text COLLATE "C" NOT NULL,
    catalogue_version bigint NOT NULL,
    is_deleted        boolean NOT NULL,
    changed_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by        text NOT NULL,
    definition jsonb, version bigint, updated_at timestamptz, author text, extra jsonb,
    PRIMARY KEY (name, catalogue_version)
);
CREATE TABLE audience.static_member_versions (
    segment_id        text COLLATE "C" NOT NULL,
    catalogue_version bigint NOT NULL,
    is_deleted        boolean NOT NULL,
    changed_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by        text NOT NULL,
    members text[],
    PRIMARY KEY (segment_id, catalogue_version)
);

CREATE TABLE audience.audit_log (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at                timestamptz NOT NULL DEFAULT clock_timestamp(),
    catalogue_version bigint NOT NULL,
    actor             text NOT NULL,
    via               text NOT NULL CHECK (via IN ('store', 'sql')),
    database_user     text NOT NULL DEFAULT session_user,
    client            inet DEFAULT inet_client_addr(),
    action            text NOT NULL CHECK (action IN ('create', 'update', 'delete')),
    kind              text NOT NULL CHECK (kind IN ('segment', 'trait', 'members')),
    document_id       text COLLATE "C" NOT NULL
);
CREATE INDEX audit_log_by_document ON audience.audit_log (kind, document_id, id);

-- Whether the statement is the program's own, which says itself what every column holds.
CREATE FUNCTION audience.is_store() RETURNS boolean LANGUAGE sql STABLE AS
$$ SELECT coalesce(current_setting('audience.writer', true), '') = 'store' $$;

-- Who changes the catalogue: as the program says it, or the user of the database.
CREATE FUNCTION audience.actor() RETURNS text LANGUAGE sql STABLE AS
$$ SELECT coalesce(nullif(current_setting('audience.actor', true), ''), session_user) $$;

-- The version of the catalogue that this transaction makes.
CREATE FUNCTION audience.take_version() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    taken text := current_setting('audience.version_taken', true);
    number bigint;
BEGIN
    IF taken <> '' THEN
        RETURN taken::bigint;
    END IF;
    UPDATE audience.catalogue SET version = version + 1 RETURNING version INTO number;
    -- Until the end of the transaction, or of the savepoint that is rolled back.
    PERFORM set_config('audience.version_taken', number::text, true);
    PERFORM pg_notify('audience_catalogue', number::text);
    RETURN number;
END $$;

-- Before any row is locked: whoever changes the catalogue locks it first, so that no two wait for each other.
CREATE FUNCTION audience.lock_catalogue() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM 1 FROM audience.catalogue FOR UPDATE;
    RETURN NULL;
END $$;

CREATE FUNCTION audience.note(action text, kind text, document_id text, actor text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO audience.audit_log (catalogue_version, actor, via, action, kind, document_id)
    VALUES (audience.take_version(), actor, CASE WHEN audience.is_store() THEN 'store' ELSE 'sql' END, action, kind, document_id)
$$;

-- Only changes themselves make rows of the audit log.
REVOKE EXECUTE ON FUNCTION audience.note(text, text, text, text) FROM PUBLIC;

-- What a statement written by hand leaves to the catalogue: versions, times and the author.
CREATE FUNCTION audience.complete_segment() RETURNS trigger LANGUAGE plpgsql AS $$
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
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audience.complete_trait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF audience.is_store() THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'INSERT' THEN
        NEW.version := coalesce(NEW.version, 1);
        NEW.author := coalesce(NEW.author, audience.actor());
        NEW.updated_at := coalesce(NEW.updated_at, clock_timestamp());
    ELSIF NEW IS DISTINCT FROM OLD THEN
        IF NEW.version IS NOT DISTINCT FROM OLD.version THEN NEW.version := coalesce(OLD.version, 0) + 1; END IF;
        IF NEW.author IS NOT DISTINCT FROM OLD.author THEN NEW.author := audience.actor(); END IF;
        IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN NEW.updated_at := clock_timestamp(); END IF;
    END IF;
    -- The definition bears the name too.
    IF jsonb_typeof(NEW.definition) = 'object' AND NOT NEW.definition ? 'name' THEN
        NEW.definition := NEW.definition || jsonb_build_object('name', NEW.name);
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audience.keep_segment() RETURNS trigger
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
        SET (is_deleted, changed_at, name, description, type, status, rules, tags, owner, version, created_at, updated_at, author, extra)
          = (true, clock_timestamp(), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
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
         created_at, updated_at, author, extra)
    VALUES
        (NEW.id, audience.take_version(), false, actor, NEW.name, NEW.description, NEW.type, NEW.status, NEW.rules, NEW.tags,
         NEW.owner, NEW.version, NEW.created_at, NEW.updated_at, NEW.author, NEW.extra)
    ON CONFLICT (id, catalogue_version) DO UPDATE
    SET (is_deleted, changed_at, changed_by, name, description, type, status, rules, tags, owner, version, created_at, updated_at, author, extra)
      = (false, clock_timestamp(), EXCLUDED.changed_by, EXCLUDED.name, EXCLUDED.description, EXCLUDED.type, EXCLUDED.status,
         EXCLUDED.rules, EXCLUDED.tags, EXCLUDED.owner, EXCLUDED.version, EXCLUDED.created_at, EXCLUDED.updated_at,
         EXCLUDED.author, EXCLUDED.extra);
    PERFORM audience.note(CASE WHEN TG_OP = 'INSERT' THEN 'create' ELSE 'update' END, 'segment', NEW.id, actor);
    RETURN NULL;
END $$;

CREATE FUNCTION audience.keep_trait() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor text := audience.actor();
BEGIN
    IF TG_OP = 'UPDATE' AND NEW IS NOT DISTINCT FROM OLD AND NOT audience.is_store() THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NEW.name <> OLD.name) THEN
        INSERT INTO audience.trait_versions (name, catalogue_version, is_deleted, changed_by)
        VALUES (OLD.name, audience.take_version(), true, actor)
        ON CONFLICT (name, catalogue_version) DO UPDATE
        SET (is_deleted, changed_at, definition, version, updated_at, author, extra)
          = (true, clock_timestamp(), NULL, NULL, NULL, NULL, NULL);
        PERFORM audience.note('delete', 'trait', OLD.name, actor);
        IF TG_OP = 'DELETE' THEN
            RETURN NULL;
        END IF;
    END IF;
    actor := coalesce(NEW.author, actor);
    INSERT INTO audience.trait_versions
        (name, catalogue_version, is_deleted, changed_by, definition, version, updated_at, author, extra)
    VALUES
        (NEW.name, audience.take_version(), false, actor, NEW.definition, NEW.version, NEW.updated_at, NEW.author, NEW.extra)
    ON CONFLICT (name, catalogue_version) DO UPDATE
    SET (is_deleted, changed_at, changed_by, definition, version, updated_at, author, extra)
      = (false, clock_timestamp(), EXCLUDED.changed_by, EXCLUDED.definition, EXCLUDED.version, EXCLUDED.updated_at,
         EXCLUDED.author, EXCLUDED.extra);
    PERFORM audience.note(CASE WHEN TG_OP = 'INSERT' THEN 'create' ELSE 'update' END, 'trait', NEW.name, actor);
    RETURN NULL;
END $$;

CREATE FUNCTION audience.keep_members() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW IS NOT DISTINCT FROM OLD AND NOT audience.is_store() THEN
        RETURN NULL;
    END IF;
    IF NOT audience.is_store() THEN
        -- The segment with another list is another version of it.
        UPDATE audience.segments SET updated_at = clock_timestamp()
        WHERE id = CASE WHEN TG_OP = 'DELETE' THEN OLD.segment_id ELSE NEW.segment_id END;
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NEW.segment_id <> OLD.segment_id) THEN
        INSERT INTO audience.static_member_versions (segment_id, catalogue_version, is_deleted, changed_by)
        VALUES (OLD.segment_id, audience.take_version(), true, audience.actor())
        ON CONFLICT (segment_id, catalogue_version) DO UPDATE
        SET (is_deleted, changed_at, members) = (true, clock_timestamp(), NULL);
        PERFORM audience.note('delete', 'members', OLD.segment_id, audience.actor());
        IF TG_OP = 'DELETE' THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO audience.static_member_versions (segment_id, catalogue_version, is_deleted, changed_by, members)
    VALUES (NEW.segment_id, audience.take_version(), false, audience.actor(), NEW.members)
    ON CONFLICT (segment_id, catalogue_version) DO UPDATE
    SET (is_deleted, changed_at, members) = (false, clock_timestamp(), EXCLUDED.members);
    PERFORM audience.note(CASE WHEN TG_OP = 'INSERT' THEN 'create' ELSE 'update' END, 'members', NEW.segment_id, audience.actor());
    RETURN NULL;
END $$;

CREATE FUNCTION audience.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% on %.% is refused: %', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0]
        USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER a_lock BEFORE INSERT OR UPDATE OR DELETE ON audience.segments
    FOR EACH STATEMENT EXECUTE FUNCTION audience.lock_catalogue();
CREATE TRIGGER complete BEFORE INSERT OR UPDATE ON audience.segments
    FOR EACH ROW EXECUTE FUNCTION audience.complete_segment();
CREATE TRIGGER keep AFTER INSERT OR UPDATE OR DELETE ON audience.segments
    FOR EACH ROW EXECUTE FUNCTION audience.keep_segment();
CREATE TRIGGER a_lock BEFORE INSERT OR UPDATE OR DELETE ON audience.traits
    FOR EACH STATEMENT EXECUTE FUNCTION audience.lock_catalogue();
CREATE TRIGGER complete BEFORE INSERT OR UPDATE ON audience.traits
    FOR EACH ROW EXECUTE FUNCTION audience.complete_trait();
CREATE TRIGGER keep AFTER INSERT OR UPDATE OR DELETE ON audience.traits
    FOR EACH ROW EXECUTE FUNCTION audience.keep_trait();
CREATE TRIGGER a_lock BEFORE INSERT OR UPDATE OR DELETE ON audience.static_members
    FOR EACH STATEMENT EXECUTE FUNCTION audience.lock_catalogue();
CREATE TRIGGER keep AFTER INSERT OR UPDATE OR DELETE ON audience.static_members
    FOR EACH ROW EXECUTE FUNCTION audience.keep_members();

CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audience.segments
    EXECUTE FUNCTION audience.refuse('delete the rows, so that their versions are kept');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audience.traits
    EXECUTE FUNCTION audience.refuse('delete the rows, so that their versions are kept');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audience.static_members
    EXECUTE FUNCTION audience.refuse('delete the rows, so that their versions are kept');

-- A transaction that changes a row twice replaces its own version of it: that comes from a trigger, at a depth above 0.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audience.segment_versions
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION audience.refuse('versions are kept as they were');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audience.trait_versions
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION audience.refuse('versions are kept as they were');
-- Lists that were replaced name users and are forgotten, by the program, which says so.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audience.static_member_versions
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND current_setting('audience.writer', true) IS DISTINCT FROM 'forget') EXECUTE FUNCTION audience.refuse('versions are kept as they were');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audience.audit_log
    FOR EACH ROW EXECUTE FUNCTION audience.refuse('the audit log is only added to');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audience.segment_versions
    EXECUTE FUNCTION audience.refuse('versions are kept as they were');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audience.trait_versions
    EXECUTE FUNCTION audience.refuse('versions are kept as they were');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audience.static_member_versions
    EXECUTE FUNCTION audience.refuse('versions are kept as they were');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audience.audit_log
    EXECUTE FUNCTION audience.refuse('the audit log is only added to');
