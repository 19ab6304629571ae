-- A mark of every version of the catalogue, by which the same number with other content is known: a database that went back to
-- an earlier state, and went on from there, gives the number again, but never the mark.

CREATE TABLE audience.catalogue_marks (
    version bigint PRIMARY KEY,
    mark    uuid NOT NULL
);
INSERT INTO audience.catalogue_marks (version, mark) SELECT version, gen_random_uuid() FROM audience.catalogue;

-- Who puts by the API has chosen the mark.
CREATE FUNCTION audience.mark_version() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO audience.catalogue_marks (version, mark)
    VALUES (NEW.version, coalesce(nullif(current_setting('audience.mark', true), '')::uuid, gen_random_uuid()))
    ON CONFLICT (version) DO UPDATE SET mark = EXCLUDED.mark;
    RETURN NULL;
END $$;

CREATE TRIGGER mark_version AFTER UPDATE OF version ON audience.catalogue
    FOR EACH ROW EXECUTE FUNCTION audience.mark_version();
