//! A segment's life on the running platform, the same with its catalogue in PostgreSQL and in the data directory.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_contract::CatalogueStore;
use audience_embedded::{Options, Stores};
use audience_engine::engine::EngineOptions;
use audience_engine::service::{PlatformStores, Service, ServiceOptions, clock};
use audience_engine::standby::Pairing;
use audience_protocol::{
    AuditQuery, ConflictKind, MembersChange, MembersEffect, MembersMode, MembersOutcome, PageLimit, PlatformError,
    ResourceKind, SegmentInput, SegmentQuery, TraitInput, TraitView, Transition,
};
use audience_rules::catalogue::SegmentStatus;
use audience_rules::event::{EventDecoder, EventDefaults};
use common::Scratch;
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn start(data: &Path, catalogue: Option<Arc<dyn CatalogueStore>>) -> Arc<Service> {
    let stores = Stores::open(data, &Options { cache_bytes: 4 << 20, ..Options::default() }).expect("the stores open");
    let stores = PlatformStores {
        events: stores.events(),
        messages: stores.messages(),
        changes: stores.changes(),
        catalogue: catalogue.unwrap_or_else(|| stores.catalogue()),
        checkpoints: stores.checkpoints(),
        notes: stores.notes(),
    };
    let options = ServiceOptions {
        engine: EngineOptions::default(),
        cluster: None,
        checkpoint_interval: Duration::from_secs(3600),
        start: Arc::default(),
        placeholders: Arc::default(),
        offsite: None,
        pairing: Pairing::default(),
    };
    Service::start(stores, &options).expect("the platform starts")
}

fn send(service: &Service, user: &str, amount: u32) {
    let mut record = Vec::new();
    let event = json!({"userId": user, "eventType": "buy", "properties": {"amount": amount}}).to_string();
    let defaults = EventDefaults { accepted_at: clock::now() };
    EventDecoder::new().decode(event.as_bytes(), &defaults, &mut record).expect("an event");
    service.platform().events.ingest(record, 1).expect("it is accepted");
}

fn over(value: u32) -> Value {
    json!({"event": "buy", "measure": {"fn": "sum", "of": "amount"}, "operator": "gt", "value": value})
}

fn limit(items: usize) -> PageLimit {
    PageLimit::new(items).expect("a limit")
}

fn input(segment: Value) -> SegmentInput {
    serde_json::from_value(segment).expect("an input")
}

/// Waits until these are the members.
#[track_caller]
fn has(service: &Service, id: &str, members: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = service.platform().segments.members(id, None, limit(100)).expect("members").items;
        if found == members {
            return;
        }
        assert!(Instant::now() < deadline, "in vain: {members:?}, but there are {found:?}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn change(service: &Service, mode: MembersMode, members: &[&str]) -> MembersOutcome {
    let members = members.iter().map(|id| (*id).to_owned()).collect();
    let change = MembersChange { mode, members, is_dry_run: false, note: Some("import".to_owned()) };
    service.platform().segments.change_members("list", change, None, "ann").expect("it is changed")
}

fn status(service: &Service, id: &str) -> (SegmentStatus, u64) {
    let document = service.platform().segments.segment(id).expect("a segment").document;
    (document.status, document.version)
}

/// Rows of the audit log, oldest first: author, action, kind, id, version.
fn audit(service: &Service, query: AuditQuery) -> Vec<String> {
    let page = service.platform().catalogue.audit(&AuditQuery { limit: limit(100), ..query }).expect("the audit log");
    let rows = page.items.iter().rev().map(|row| {
        let version = row.version.map_or(String::new(), |version| format!(" {version}"));
        let note = row.note.as_ref().map_or(String::new(), |note| format!(" ({note})"));
        format!("{} {} {} {}{version}{note}", row.author, row.action, row.kind, row.id)
    });
    rows.collect()
}

fn edit_and_roll_back(service: &Service) {
    let segment = json!({"id": "high", "name": "High", "rules": over(100), "note": "first"});
    service.platform().segments.create_segment(input(segment), "ann").expect("it is created");
    for (user, amount) in [("a", 150), ("b", 250)] {
        send(service, user, amount);
    }
    let edited = json!({"id": "high", "name": "Higher", "rules": over(200), "tags": ["x"]});
    let view =
        service.platform().segments.replace_segment("high", input(edited), Some(1), "bob").expect("it is replaced");
    assert_eq!((view.document.updated_by.as_str(), view.document.note), ("bob", None), "a note is of one version");
    has(service, "high", &["b"]);
    let stale = service.platform().segments.rollback_segment("high", 1, None, Some(1), "ann");
    assert!(matches!(stale, Err(PlatformError::VersionMismatch { expected: 1, current: 2 })));
    let back = service
        .platform()
        .segments
        .rollback_segment("high", 1, Some("too few".to_owned()), Some(2), "ann")
        .expect("it goes back");
    let document = back.document;
    assert_eq!((document.name.as_str(), document.version, document.tags.len()), ("High", 3, 0));
    has(service, "high", &["a", "b"]);
    let missing = service.platform().segments.rollback_segment("high", 9, None, None, "ann");
    assert!(matches!(missing, Err(PlatformError::NotFound { kind: ResourceKind::Version, .. })));
    let versions = service.platform().segments.segment_versions("high").expect("versions");
    let who: Vec<_> = versions.iter().map(|one| (one.updated_by.as_str(), one.note.as_deref())).collect();
    assert_eq!(who, [("ann", Some("first")), ("bob", None), ("ann", Some("too few"))]);
}

fn archive_and_delete(service: &Service) {
    service
        .platform()
        .segments
        .transition_segment("high", Transition::Archive, Some("old".to_owned()), None, "ann")
        .expect("archived");
    has(service, "high", &[]);
    let refused = service.platform().segments.transition_segment("high", Transition::Activate, None, None, "ann");
    assert!(matches!(refused, Err(PlatformError::Conflict { kind: ConflictKind::Archived, .. })));
    service.platform().segments.rollback_segment("high", 3, None, None, "ann").expect("taken up again");
    assert_eq!(status(service, "high"), (SegmentStatus::Inactive, 5), "nobody enters before it is looked at");
    service.platform().segments.transition_segment("high", Transition::Activate, None, None, "ann").expect("activated");
    has(service, "high", &["a", "b"]);
    service.platform().segments.delete_segment("high", Some(6), "bob").expect("deleted");
    assert!(service.platform().segments.segment("high").is_err());
    assert_eq!(service.platform().segments.segment_versions("high").expect("versions").len(), 6, "they are kept");
    let expects = service.platform().segments.rollback_segment("high", 2, None, Some(6), "ann");
    assert!(matches!(expects, Err(PlatformError::VersionMismatch { current: 0, .. })));
    service.platform().segments.rollback_segment("high", 2, None, None, "ann").expect("it comes back");
    assert_eq!(
        (status(service, "high"), service.platform().segments.segment_versions("high").expect("versions").len()),
        ((SegmentStatus::Inactive, 7), 7)
    );
    service.platform().segments.delete_segment("high", None, "bob").expect("deleted");
    service
        .platform()
        .segments
        .create_segment(input(json!({"id": "high", "name": "New", "rules": over(1)})), "ann")
        .expect("created");
    assert_eq!(
        service.platform().segments.segment_versions("high").expect("versions").len(),
        1,
        "a new one has none of the old versions"
    );
    let other = json!({"id": "user", "name": "u", "rules": {"segment": "high"}});
    service.platform().segments.create_segment(input(other), "ann").expect("created");
    let alone = json!({"id": "user", "name": "u", "rules": over(5)});
    service.platform().segments.replace_segment("user", input(alone), None, "ann").expect("replaced");
    service.platform().segments.delete_segment("high", None, "ann").expect("nothing refers to it any more");
    let broken = service
        .platform()
        .segments
        .rollback_segment("user", 1, None, None, "ann")
        .expect_err("what it refers to is gone");
    assert!(matches!(broken, PlatformError::Invalid(faults) if faults[0].pointer == "/rules/segment"));
}

fn search(service: &Service) {
    let tagged = json!({"id": "t1", "name": "T", "rules": over(9), "tags": ["Spring", "x"], "owner": "Olga"});
    service.platform().segments.create_segment(input(tagged), "ann").expect("it is created");
    let found = |query: SegmentQuery| {
        let items =
            service.platform().segments.segments(&SegmentQuery { limit: limit(100), ..query }).expect("a page").items;
        items.into_iter().map(|view| view.document.id).collect::<Vec<_>>()
    };
    let text = |text: &str| Some(text.to_owned());
    for text in [text("spring"), text("OLGA"), text("t1")] {
        assert_eq!(found(SegmentQuery { text, ..SegmentQuery::default() }), ["t1"]);
    }
    assert_eq!(found(SegmentQuery { tag: text("x"), owner: text("Olga"), ..SegmentQuery::default() }), ["t1"]);
    assert_eq!(found(SegmentQuery { tag: text("spring"), ..SegmentQuery::default() }), [""; 0], "a tag is exact");
    assert_eq!(found(SegmentQuery { owner: text("Ann"), ..SegmentQuery::default() }), [""; 0]);
    service.platform().segments.delete_segment("t1", None, "ann").expect("deleted");
}

fn lists(service: &Service) {
    let list = json!({"id": "list", "name": "List", "type": "static", "members": ["a", "b"]});
    service.platform().segments.create_segment(input(list), "ann").expect("it is created");
    let counts =
        |outcome: MembersOutcome| (outcome.segment.document.version, outcome.added, outcome.removed, outcome.unchanged);
    assert_eq!(counts(change(service, MembersMode::Add, &["b", "c"])), (2, 1, 0, 1));
    assert_eq!(counts(change(service, MembersMode::Add, &["b", "c"])), (2, 0, 0, 2), "nothing new, no version");
    assert_eq!(counts(change(service, MembersMode::Remove, &["a", "z"])), (3, 0, 1, 1));
    assert_eq!(counts(change(service, MembersMode::Replace, &["a", "b"])), (4, 1, 1, 1));
    let dry = MembersChange { mode: MembersMode::Replace, members: Vec::new(), is_dry_run: true, note: None };
    assert_eq!(
        counts(service.platform().segments.change_members("list", dry, Some(4), "ann").expect("dry")),
        (4, 0, 2, 0)
    );
    let ids = ["a", "z", "c"].map(str::to_owned).to_vec();
    let dry = MembersChange { mode: MembersMode::Replace, members: ids, is_dry_run: true, note: None };
    let effect = service
        .platform()
        .segments
        .change_members("list", dry, None, "ann")
        .expect("dry")
        .effect
        .expect("an engine runs");
    let unknown = vec!["z".to_owned(), "c".to_owned()];
    assert_eq!(effect, MembersEffect { known: 1, unknown: 2, sample_unknown: unknown, entered: 2, left: 1 });
    assert_eq!(status(service, "list").1, 4, "nothing is saved");
    has(service, "list", &["a", "b"]);
    service.platform().segments.rollback_segment("list", 2, None, None, "ann").expect("its list is still there");
    has(service, "list", &["a", "b", "c"]);
    service.checkpoint().expect("a checkpoint forgets replaced lists");
    let forgotten = service.platform().segments.rollback_segment("list", 3, None, None, "ann");
    assert!(matches!(forgotten, Err(PlatformError::Conflict { kind: ConflictKind::ListForgotten, .. })));
    service.platform().users.erase_user("a", "carl").expect("erased");
    has(service, "list", &["b", "c"]);
}

fn put_trait(service: &Service, event: &str, note: Option<&str>) -> TraitView {
    let definition = RawValue::from_string(json!({"name": "bought", "event": event}).to_string()).expect("JSON");
    let input = TraitInput { definition, note: note.map(str::to_owned) };
    service.platform().traits.put_trait(input, None, "ann").expect("it is put")
}

fn traits_go_back(service: &Service) {
    put_trait(service, "buy", Some("first"));
    let rules = json!({"field": "bought", "operator": "gte", "value": 1});
    let uses = json!({"id": "buyers", "name": "Buyers", "rules": rules});
    service.platform().segments.create_segment(input(uses), "ann").expect("it is created");
    has(service, "buyers", &["b"]);
    let edited = put_trait(service, "nothing", None);
    let used_by: Vec<&str> = edited.used_by.iter().map(|one| one.id.as_str()).collect();
    assert_eq!((edited.document.version, edited.document.note, used_by), (2, None, vec!["buyers"]));
    has(service, "buyers", &[]);
    let stale = service.platform().traits.rollback_trait("bought", 1, None, Some(1), "bob");
    assert!(matches!(stale, Err(PlatformError::VersionMismatch { expected: 1, current: 2 })));
    let missing = service.platform().traits.rollback_trait("bought", 9, None, None, "bob");
    assert!(matches!(missing, Err(PlatformError::NotFound { kind: ResourceKind::Version, .. })));
    let back = service.platform().traits.rollback_trait("bought", 1, Some("wrong event".to_owned()), Some(2), "bob");
    assert_eq!(back.expect("it goes back").document.version, 3);
    has(service, "buyers", &["b"]);
    service.platform().segments.delete_segment("buyers", None, "ann").expect("deleted");
    service.platform().traits.delete_trait("bought", Some(3), "ann").expect("nothing uses it any more");
    assert!(service.platform().traits.computed_trait("bought").is_err());
    let versions = service.platform().traits.trait_versions("bought").expect("they are kept");
    let who: Vec<_> = versions.iter().map(|one| (one.version, one.updated_by.as_str(), one.note.as_deref())).collect();
    assert_eq!(who, [(1, "ann", Some("first")), (2, "ann", None), (3, "bob", Some("wrong event"))]);
    let again =
        service.platform().traits.rollback_trait("bought", 2, None, None, "ann").expect("a deleted trait comes back");
    assert_eq!((again.document.version, again.used_by.len()), (4, 0));
    let of = AuditQuery { kind: Some("trait"), id: Some("bought".to_owned()), ..AuditQuery::default() };
    let expected = [
        "ann created trait bought 1 (first)",
        "ann updated trait bought 2",
        "bob rolledBack trait bought 3 (wrong event)",
        "ann deleted trait bought 3",
        "ann rolledBack trait bought 4 (back to version 2)",
    ];
    assert_eq!(audit(service, of), expected);
    service.platform().traits.delete_trait("bought", None, "ann").expect("deleted");
    put_trait(service, "buy", None);
    assert_eq!(
        service.platform().traits.trait_versions("bought").expect("versions").len(),
        1,
        "a new one has none of the old versions"
    );
}

fn audited(service: &Service) {
    let of = |kind, id: &str| AuditQuery { kind: Some(kind), id: Some(id.to_owned()), ..AuditQuery::default() };
    let expected = [
        "ann created segment high 1 (first)",
        "bob updated segment high 2",
        "ann rolledBack segment high 3 (too few)",
        "ann archived segment high 4 (old)",
        "ann rolledBack segment high 5 (back to version 3)",
        "ann activated segment high 6",
        "bob deleted segment high 6",
        "ann rolledBack segment high 7 (back to version 2)",
        "bob deleted segment high 7",
        "ann created segment high 1",
        "ann deleted segment high 1",
    ];
    assert_eq!(audit(service, of("segment", "high")), expected);
    let expected = [
        "ann membersAdded members list 2 (import)",
        "ann membersRemoved members list 3 (import)",
        "ann membersReplaced members list 4 (import)",
        "carl membersRemoved members list 6 (a user was erased)",
    ];
    assert_eq!(audit(service, of("members", "list")), expected);
    let erased =
        service.platform().catalogue.audit(&AuditQuery { limit: limit(9), ..of("user", "a") }).expect("rows").items;
    assert_eq!((erased.len(), erased[0].author.as_str(), erased[0].action.as_str()), (1, "carl", "erased"));
    assert!(erased[0].id.starts_with("sha256:"), "nothing names the user any more");
    assert_eq!(audit(service, of("user", "b")), [""; 0]);
    let shipped = audit(service, AuditQuery { author: Some("audience".to_owned()), ..AuditQuery::default() });
    assert_eq!(shipped.len(), 6, "{shipped:?}");
    let page =
        service.platform().catalogue.audit(&AuditQuery { limit: limit(2), ..AuditQuery::default() }).expect("a page");
    let before = page.next_cursor.and_then(|cursor| cursor.parse().ok());
    let next = service
        .platform()
        .catalogue
        .audit(&AuditQuery { limit: limit(2), before, ..AuditQuery::default() })
        .expect("a page");
    assert_eq!(next.items[0].sequence + 1, page.items[1].sequence);
}

fn life(catalogue: Option<Arc<dyn CatalogueStore>>) {
    let directory = tempfile::tempdir().expect("a directory");
    let service = start(directory.path(), catalogue);
    edit_and_roll_back(&service);
    archive_and_delete(&service);
    search(&service);
    lists(&service);
    audited(&service);
    traits_go_back(&service);
    service.stop();
}

#[test]
fn in_the_data_directory() {
    life(None);
}

#[test]
fn in_postgresql() {
    let scratch = Scratch::new();
    life(Some(Arc::new(scratch.open())));
}
