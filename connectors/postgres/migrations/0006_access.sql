-- Members, keys and sessions: who may come in.

CREATE TABLE audience.access_revision (
    is_only  boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    revision bigint NOT NULL
);
INSERT INTO audience.access_revision (revision) VALUES (0);

CREATE TABLE audience.access_documents (
    kind       text COLLATE "C" NOT NULL,
    id         text COLLATE "C" NOT NULL,
    body       jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (kind, id)
);
COMMENT ON TABLE audience.access_documents IS 'Written by the program alone, with digests of secrets. A change by hand counts once the revision moves on.';
REVOKE ALL ON audience.access_documents, audience.access_revision FROM PUBLIC;

-- To look at, without what is secret.
CREATE VIEW audience.users AS
    SELECT id, body->>'email' AS email, body->>'name' AS name, body->>'role' AS role, (body->>'disabled')::boolean AS is_disabled
    FROM audience.access_documents WHERE kind = 'member';
CREATE VIEW audience.api_keys AS
    SELECT id, body->>'name' AS name, body->>'kind' AS kind, body->'permissions' AS permissions, body->>'madeBy' AS made_by
    FROM audience.access_documents WHERE kind = 'key';
REVOKE ALL ON audience.users, audience.api_keys FROM PUBLIC;

ALTER TABLE audience.audit_log
    DROP CONSTRAINT audit_log_action_check,
    DROP CONSTRAINT audit_log_kind_check,
    -- The first three are of statements written by hand.
    ADD CONSTRAINT audit_log_action_check CHECK (action IN ('create', 'update', 'delete', 'created', 'updated', 'activated',
        'deactivated', 'archived', 'rolledBack', 'deleted', 'membersReplaced', 'membersAdded', 'membersRemoved', 'erased',
        'paused', 'resumed', 'secretRotated', 'signedIn', 'signedOut', 'refused', 'invited', 'joined', 'passwordChanged')),
    ADD CONSTRAINT audit_log_kind_check CHECK (kind IN ('segment', 'trait', 'members', 'user', 'webhook', 'member', 'key',
        'session', 'invitation', 'route'));
