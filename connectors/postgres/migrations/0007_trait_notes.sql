-- Notes of the versions of computed traits, as segments have them.

ALTER TABLE audience.traits ADD COLUMN note text;
ALTER TABLE audience.trait_versions ADD COLUMN note text;
COMMENT ON COLUMN audience.traits.note IS 'The author''s note to this version; a statement that does not set it clears it.';

-- As they were, with the note.
CREATE OR REPLACE FUNCTION audience.complete_trait() RETURNS trigger LANGUAGE plpgsql AS $$
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
    -- The definition bears the name too.
    IF jsonb_typeof(NEW.definition) = 'object' AND NOT NEW.definition ? 'name' THEN
        NEW.definition := NEW.definition || jsonb_build_object('name', NEW.name);
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION audience.keep_trait() RETURNS trigger
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
        SET (is_deleted, changed_at, definition, version, updated_at, author, extra, note)
          = (true, clock_timestamp(), NULL, NULL, NULL, NULL, NULL, NULL);
        PERFORM audience.note('delete', 'trait', OLD.name, actor);
        IF TG_OP = 'DELETE' THEN
            RETURN NULL;
        END IF;
    END IF;
    actor := coalesce(NEW.author, actor);
    INSERT INTO audience.trait_versions
        (name, catalogue_version, is_deleted, changed_by, definition, version, updated_at, author, extra, note)
    VALUES
        (NEW.name, audience.take_version(), false, actor, NEW.definition, NEW.version, NEW.updated_at, NEW.author, NEW.extra,
         NEW.note)
    ON CONFLICT (name, catalogue_version) DO UPDATE
    SET (is_deleted, changed_at, changed_by, definition, version, updated_at, author, extra, note)
      = (false, clock_timestamp(), EXCLUDED.changed_by, EXCLUDED.definition, EXCLUDED.version, EXCLUDED.updated_at,
         EXCLUDED.author, EXCLUDED.extra, EXCLUDED.note);
    PERFORM audience.note(CASE WHEN TG_OP = 'INSERT' THEN 'create' ELSE 'update' END, 'trait', NEW.name, actor);
    RETURN NULL;
END $$;
