//! Rows written by hand in SQL are versions like any other.

mod common;

use std::time::Duration;

use audience_contract::{Audit, AuditEntry, AuditFilter, CatalogueStore, Document, DocumentKind};
use common::{Scratch, json, segment};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn an_edit_takes_a_version_and_is_noticed() {
    let scratch = Scratch::new();
    let mut settings = scratch.settings();
    settings.poll_interval = 10 * LONG;
    let catalogue = audience_postgres::PostgresCatalogue::open(&settings).expect("it opens");
    assert!(catalogue.put(0, &[segment("a", 1, 1), segment("b", 1, 2)]).expect("put"));
    let sql = scratch.sql();
    sql.run(r#"UPDATE audience.segments SET rules = '{"field": "x", "operator": "gt", "value": 7}' WHERE id = 'a'"#);
    assert_eq!(catalogue.wait_for_change(1, LONG).expect("wait"), 2);
    let now = catalogue.at(2).expect("at");
    let (a, b) = (json(&now[0]), json(&now[1]));
    assert_eq!((now[0].catalogue_version, now[1].catalogue_version), (2, 1));
    assert_eq!(a["document"]["rules"]["value"], 7);
    let user = sql.texts("SELECT session_user::text").remove(0);
    assert_eq!((&a["document"]["version"], &a["author"]), (&2.into(), &user.clone().into()));
    assert_ne!(a["document"]["updatedAt"], "2026-11-21T10:37:16.900Z");
    assert_eq!(a["document"]["createdAt"], "2026-11-21T10:37:16.900Z");
    assert_eq!(b["document"]["version"], 1);
    let before = catalogue.at(1).expect("at");
    assert_eq!(json(&before[0])["document"]["rules"]["value"], 1, "what was, is kept");
    assert!(!catalogue.put(1, &[]).expect("put"), "the edit by hand counts");
    let audit = "SELECT concat_ws(' ', catalogue_version, actor, via, action, kind, document_id) FROM audience.audit_log ORDER BY id";
    let by_hand = format!("2 {user} sql update segment a");
    let expected = ["1 api-user store create segment a", "1 api-user store create segment b", &by_hand];
    assert_eq!(sql.texts(audit), expected);
}

#[test]
fn a_setting_is_a_version_with_its_author_like_a_segment() {
    let scratch = Scratch::new();
    let catalogue = scratch.open();
    let sql = scratch.sql();
    sql.run(r#"INSERT INTO audience.settings (name, value) VALUES ('timezone', '"Europe/Berlin"')"#);
    sql.run(r#"UPDATE audience.settings SET value = '"UTC"', note = 'back' WHERE name = 'timezone'"#);
    let history = catalogue.history(DocumentKind::Setting, "timezone").expect("history");
    let told = |index: usize| {
        let stored = json(&history[index]);
        let document = &stored["document"];
        (document["value"].clone(), document["version"].clone(), document["note"].clone(), stored["author"].clone())
    };
    let user = sql.texts("SELECT session_user::text").remove(0);
    assert_eq!(told(0), ("Europe/Berlin".into(), 1.into(), serde_json::Value::Null, user.clone().into()));
    assert_eq!(told(1), ("UTC".into(), 2.into(), "back".into(), user.into()));
    sql.run("DELETE FROM audience.settings");
    assert_eq!(catalogue.at(3).expect("at"), [], "a deleted one is UTC again");
    let rows = catalogue.audit(&AuditFilter { limit: 9, ..AuditFilter::default() }).expect("audit");
    let rows: Vec<_> = rows.iter().map(|row| (&*row.entry.action, &*row.entry.kind, row.entry.version)).collect();
    assert_eq!(rows, [("deleted", "setting", None), ("updated", "setting", Some(2)), ("created", "setting", Some(1))]);
}

#[test]
fn what_changes_nothing_takes_no_version() {
    let scratch = Scratch::new();
    let catalogue = scratch.open();
    assert!(catalogue.put(0, &[segment("a", 1, 1)]).expect("put"));
    let sql = scratch.sql();
    sql.run("UPDATE audience.segments SET name = name");
    sql.run("DELETE FROM audience.segments WHERE id = 'none'");
    sql.run("BEGIN; UPDATE audience.segments SET name = 'x'; ROLLBACK");
    assert_eq!(catalogue.version().expect("version"), 1);
}

#[test]
fn a_transaction_is_one_version() {
    let scratch = Scratch::new();
    let catalogue = scratch.open();
    scratch.sql().run(
        r#"BEGIN;
        INSERT INTO audience.segments (id, name, rules) VALUES ('a', 'A', '{"field": "x", "operator": "exists"}'), ('b', 'B', '{}');
        INSERT INTO audience.traits (name, definition) VALUES ('t', '{"event": "purchase"}');
        SAVEPOINT s;
        DELETE FROM audience.segments;
        ROLLBACK TO s;
        UPDATE audience.segments SET name = 'A2', tags = '{x,y}' WHERE id = 'a';
        DELETE FROM audience.segments WHERE id = 'b';
        INSERT INTO audience.segments (id, name, type) VALUES ('list', 'List', 'STATIC');
        INSERT INTO audience.static_members VALUES ('list', '{u1,u2}');
        COMMIT"#,
    );
    assert_eq!(catalogue.version().expect("version"), 1);
    let now = catalogue.at(1).expect("at");
    let found: Vec<_> = now.iter().map(|one| (one.kind, one.id.as_str(), one.catalogue_version)).collect();
    let (segment, list) = (DocumentKind::Segment, DocumentKind::Members);
    assert_eq!(found, [(DocumentKind::Trait, "t", 1), (segment, "a", 1), (segment, "list", 1), (list, "list", 1)]);
    assert_eq!(json(&now[0])["document"]["definition"]["name"], "t", "a definition bears its name");
    let a = &json(&now[1])["document"];
    assert_eq!((&a["name"], &a["status"], &a["type"]), (&"A2".into(), &"ACTIVE".into(), &"DYNAMIC".into()));
    assert_eq!(a["tags"][1], "y");
    assert_eq!(now[3].body.as_deref(), Some(r#"["u1","u2"]"#));
    let deleted = catalogue.history(segment, "b").expect("history");
    assert_eq!(deleted.iter().map(|one| one.body.is_none()).collect::<Vec<_>>(), [true]);
}

#[test]
fn a_list_is_edited_like_a_segment_and_goes_with_it() {
    let scratch = Scratch::new();
    let catalogue = scratch.open();
    let sql = scratch.sql();
    sql.run("INSERT INTO audience.segments (id, name, type) VALUES ('list', 'List', 'STATIC')");
    sql.run("INSERT INTO audience.static_members VALUES ('list', '{u1}')");
    sql.run("UPDATE audience.static_members SET members = array_append(members, 'u2') WHERE segment_id = 'list'");
    let history = catalogue.history(DocumentKind::Segment, "list").expect("history");
    let versions: Vec<_> = history.iter().map(|one| json(one)["document"]["version"].clone()).collect();
    assert_eq!(versions, [1, 2, 3], "another list is another version of the segment");
    assert_eq!(catalogue.at(2).expect("at")[1].body.as_deref(), Some(r#"["u1"]"#));
    sql.run("UPDATE audience.segments SET id = 'other' WHERE id = 'list'");
    assert_eq!(catalogue.at(4).expect("at")[0].id, "other");
    assert!(catalogue.history(DocumentKind::Segment, "list").expect("history").last().expect("one").body.is_none());
    sql.run("INSERT INTO audience.static_members VALUES ('other', '{u3}'); DELETE FROM audience.segments");
    let left: Vec<_> = catalogue.at(99).expect("at").into_iter().map(|one| one.id).collect();
    assert_eq!(left, ["list"], "the list of the segment that was named otherwise stays");
}

#[test]
fn what_was_is_not_rewritten() {
    let scratch = Scratch::new();
    let catalogue = scratch.open();
    assert!(catalogue.put(0, &[segment("a", 1, 1)]).expect("put"));
    let sql = scratch.sql();
    sql.run("INSERT INTO audience.traits (name, definition) VALUES ('t', '{}'); INSERT INTO audience.static_members VALUES ('a', '{}')");
    sql.run("INSERT INTO audience.settings (name, value) VALUES ('timezone', '\"UTC\"')");
    for table in ["audit_log", "segment_versions", "trait_versions", "static_member_versions", "setting_versions"] {
        let statements = [format!("DELETE FROM audience.{table}"), format!("TRUNCATE audience.{table}")];
        let update = format!("UPDATE audience.{table} SET catalogue_version = 9");
        for statement in statements.into_iter().chain([update]) {
            let error = sql.try_run(&statement).expect_err("it is refused");
            assert!(error.contains("is refused"), "{statement}: {error}");
        }
    }
    for table in ["segments", "traits", "static_members", "settings"] {
        assert!(sql.try_run(&format!("TRUNCATE audience.{table}")).is_err(), "{table}");
    }
}

#[test]
fn who_may_only_edit_segments_can() {
    let scratch = Scratch::new();
    let catalogue = scratch.open();
    assert!(catalogue.put(0, &[segment("a", 1, 1)]).expect("put"));
    let sql = scratch.sql();
    let role = format!("editor_{:x}", fastrand::u64(..));
    sql.run(&format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA audience TO {role}"));
    sql.run(&format!("GRANT SELECT, UPDATE ON audience.segments TO {role}"));
    sql.run(&format!("SET SESSION AUTHORIZATION {role}; UPDATE audience.segments SET name = 'E'"));
    assert!(sql.try_run("UPDATE audience.catalogue SET version = 0").is_err());
    assert!(sql.try_run("SELECT audience.note('create', 'segment', 'x', 'someone else')").is_err());
    let history = catalogue.history(DocumentKind::Segment, "a").expect("history");
    assert_eq!(json(&history[1])["author"], role.as_str());
    sql.run(&format!("RESET SESSION AUTHORIZATION; DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn the_audit_log_has_edits_by_hand_beside_those_of_the_api() {
    let scratch = Scratch::new();
    let catalogue = scratch.open();
    let entry = |action: &str| AuditEntry {
        action: action.to_owned(),
        kind: "segment".to_owned(),
        id: "a".to_owned(),
        version: Some(1),
        note: Some("why".to_owned()),
        ..AuditEntry::default()
    };
    let audit = |action: &str| Audit { author: "ann".to_owned(), at: 1_000, entries: vec![entry(action)] };
    assert!(catalogue.put_audited(0, &[segment("a", 1, 1)], Some(&audit("created"))).expect("put"));
    let sql = scratch.sql();
    sql.run("UPDATE audience.segments SET name = 'E', note = 'by hand' WHERE id = 'a'");
    sql.run("UPDATE audience.segments SET name = 'F' WHERE id = 'a'");
    let notes: Vec<_> = catalogue.history(DocumentKind::Segment, "a").expect("history");
    let notes: Vec<_> = notes.iter().map(|one| json(one)["document"]["note"].clone()).collect();
    assert_eq!(notes, [serde_json::Value::Null, "by hand".into(), serde_json::Value::Null], "a note is of one version");
    sql.run("INSERT INTO audience.segments (id, name, type) VALUES ('list', 'L', 'STATIC')");
    sql.run("INSERT INTO audience.static_members VALUES ('list', '{u1}')");
    let gone = Document { body: None, catalogue_version: 6, ..segment("a", 6, 1) };
    assert!(catalogue.put_audited(5, &[gone], Some(&audit("deleted"))).expect("put"));
    let user = sql.texts("SELECT session_user::text").remove(0);
    let rows = catalogue.audit(&AuditFilter { limit: 100, ..AuditFilter::default() }).expect("audit");
    let rows: Vec<_> = rows
        .iter()
        .rev()
        .map(|row| (row.catalogue_version, row.author.as_str(), row.entry.action.as_str(), row.entry.version))
        .collect();
    let expected = [
        (1, "ann", "created", Some(1)),
        (2, &user, "updated", Some(2)),
        (3, &user, "updated", Some(3)),
        (4, &user, "created", Some(1)),
        (5, &user, "updated", Some(2)),
        (5, &user, "membersReplaced", Some(2)),
        (6, "ann", "deleted", Some(1)),
    ];
    assert_eq!(rows, expected);
    let updated = AuditFilter { action: Some("updated".to_owned()), limit: 2, ..AuditFilter::default() };
    assert_eq!(catalogue.audit(&updated).expect("audit").len(), 2, "in the words of the API");
    let whose = "SELECT DISTINCT changed_by FROM audience.segment_versions WHERE is_deleted";
    assert_eq!(sql.texts(whose), ["ann"], "a deletion has its author");
}

#[test]
fn nobody_gets_around_the_audit_log() {
    let scratch = Scratch::new();
    let catalogue = scratch.open();
    assert!(catalogue.put(0, &[segment("a", 1, 1)]).expect("put"));
    let sql = scratch.sql();
    let role = format!("editor_{:x}", fastrand::u64(..));
    sql.run(&format!("CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA audience TO {role}"));
    sql.run(&format!("GRANT SELECT, UPDATE ON audience.segments TO {role}"));
    sql.run(&format!("SET SESSION AUTHORIZATION {role}; SET audience.is_audited = 'yes'"));
    sql.run("UPDATE audience.segments SET name = 'E'");
    assert!(sql.try_run("SELECT audience.audit('me', now(), '[]')").is_err());
    sql.run("RESET SESSION AUTHORIZATION");
    let rows = catalogue.audit(&AuditFilter { limit: 1, ..AuditFilter::default() }).expect("audit");
    assert_eq!((rows[0].author.as_str(), rows[0].entry.action.as_str()), (role.as_str(), "updated"));
    sql.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}
