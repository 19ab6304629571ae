-- How far the audit log was told in the topic segment-updates, and until when one of several processes tells what is behind.

CREATE TABLE audience.segment_updates (
    is_only     boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    told        bigint NOT NULL,
    taken_until timestamptz NOT NULL
);
INSERT INTO audience.segment_updates (told, taken_until) VALUES (0, '-infinity');
COMMENT ON COLUMN audience.segment_updates.told IS 'The id of the last row of audience.audit_log that was told.';
