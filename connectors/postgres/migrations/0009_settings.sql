-- Settings of the platform, such as its time zone, with every version of each.

CREATE TABLE audience.settings (
    name       text COLLATE "C" PRIMARY KEY,
    value      jsonb,
    version    bigint,
    updated_at timestamptz,
    author     text,
    extra      jsonb,
    note       text
);
COMMENT ON TABLE audience.settings IS 'timezone: a name of the tz database, as JSON: ''"Europe/Berlin"''.';
COMMENT ON COLUMN audience.settings.note IS 'The author''s note to this version; a statement that does not set it clears it.';

CREATE TABLE audience.setting_versions (
    name              text COLLATE "C" NOT NULL,
    catalogue_version bigint NOT NULL,
    is_deleted        boolean NOT NULL,
    changed_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    changed_by        text NOT NULL,
    value jsonb, version bigint, updated_at timestamptz, author text, extra jsonb, note text,
    PRIMARY KEY (name, catalogue_version)
);

-- The words of the audit log are the program's, which has more of them with each version.
ALTER TABLE audience.audit_log
    DROP CONSTRAINT audit_log_action_check,
    DROP CONSTRAINT audit_log_kind_check,
    ADD CONSTRAINT audit_log_action_check CHECK (action ~ '^[A-Za-z]+$'),
    ADD CONSTRAINT audit_log_kind_check CHECK (kind ~ '^[A-Za-z]+$');

CREATE FUNCTION audience.complete_setting() RETURNS trigger LANGUAGE plpgsql AS $$
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
        -- A note is of one version.
        IF NEW.note IS NOT DISTINCT FROM OLD.note THEN NEW.note := NULL; END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audience.keep_setting() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    actor text := audience.actor();
BEGIN
    IF TG_OP = 'UPDATE' AND NEW IS NOT DISTINCT FROM OLD AND NOT audience.is_store() THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'DELETE' OR (TG_OP = 'UPDATE' AND NEW.name <> OLD.name) THEN
        INSERT INTO audience.setting_versions (name, catalogue_version, is_deleted, changed_by)
        VALUES (OLD.name, audience.take_version(), true, actor)
        ON CONFLICT (name, catalogue_version) DO UPDATE
        SET (is_deleted, changed_at, value, version, updated_at, author, extra, note)
          = (true, clock_timestamp(), NULL, NULL, NULL, NULL, NULL, NULL);
        PERFORM audience.note('delete', 'setting', OLD.name, actor);
        IF TG_OP = 'DELETE' THEN
            RETURN NULL;
        END IF;
    END IF;
    actor := coalesce(NEW.author, actor);
    INSERT INTO audience.setting_versions
        (name, catalogue_version, is_deleted, changed_by, value, version, updated_at, author, extra, note)
    VALUES
        (NEW.name, audience.take_version(), false, actor, NEW.value, NEW.version, NEW.updated_at, NEW.author, NEW.extra, NEW.note)
    ON CONFLICT (name, catalogue_version) DO UPDATE
    SET (is_deleted, changed_at, changed_by, value, version, updated_at, author, extra, note)
      = (false, clock_timestamp(), EXCLUDED.changed_by, EXCLUDED.value, EXCLUDED.version, EXCLUDED.updated_at,
         EXCLUDED.author, EXCLUDED.extra, EXCLUDED.note);
    PERFORM audience.note(CASE WHEN TG_OP = 'INSERT' THEN 'create' ELSE 'update' END, 'setting', NEW.name, actor);
    RETURN NULL;
END $$;

CREATE TRIGGER a_lock BEFORE INSERT OR UPDATE OR DELETE ON audience.settings
    FOR EACH STATEMENT EXECUTE FUNCTION audience.lock_catalogue();
CREATE TRIGGER complete BEFORE INSERT OR UPDATE ON audience.settings
    FOR EACH ROW EXECUTE FUNCTION audience.complete_setting();
CREATE TRIGGER keep AFTER INSERT OR UPDATE OR DELETE ON audience.settings
    FOR EACH ROW EXECUTE FUNCTION audience.keep_setting();
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audience.settings
    EXECUTE FUNCTION audience.refuse('delete the rows, so that their versions are kept');
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audience.setting_versions
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION audience.refuse('versions are kept as they were');
CREATE TRIGGER no_truncate BEFORE TRUNCATE ON audience.setting_versions
    EXECUTE FUNCTION audience.refuse('versions are kept as they were');
