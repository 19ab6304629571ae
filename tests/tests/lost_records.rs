//! A store of memberships that loses what it held, or refuses a record: what it lost comes back, and a fault that lasts is told for
//! as long as it lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_contract::{
    ChangeKind, HeldMembership, MembershipChange, Progress, Reach, ServingError, ServingState, ServingStore, Sink,
    SinkError, StoreError,
};
use audience_engine::service::Service;
use audience_tests::platform::{create_rule, members, send, start, stores, wait_until};
use audience_tests::serve::pause;
use parking_lot::Mutex;
use serde_json::{Value, json};

const NAME: &str = "records";

/// The records that are there, and the writes that led to them.
#[derive(Default)]
struct LossyMedium {
    reach: Option<Reach>,
    records: BTreeMap<String, BTreeSet<String>>,
    /// The reach and the number of entries and leaves of each write.
    writes: Vec<(Reach, usize, usize)>,
    opened: u64,
    /// Writes of changes are refused.
    refuses: bool,
    /// It does not answer.
    is_away: bool,
}

#[derive(Clone, Default)]
struct Records {
    medium: Arc<Mutex<LossyMedium>>,
    created: Vec<String>,
}

impl Records {
    fn held(&self, user: &str) -> BTreeSet<String> {
        self.medium.lock().records.get(user).cloned().unwrap_or_default()
    }

    fn lose_everything(&self) {
        let mut medium = self.medium.lock();
        (medium.reach, medium.records) = (None, BTreeMap::new());
        medium.writes.clear();
    }
}

impl Sink for Records {
    fn name(&self) -> &str {
        NAME
    }

    fn changes_at_once(&self) -> usize {
        200
    }

    fn is_transactional(&self) -> bool {
        false
    }

    fn keeps_history(&self) -> bool {
        false
    }

    fn store(&self) -> Option<Box<dyn ServingStore>> {
        Some(Box::new(self.clone()))
    }

    fn take_created(&mut self) -> Vec<String> {
        std::mem::take(&mut self.created)
    }

    fn open(&mut self) -> Result<Option<Reach>, SinkError> {
        let mut medium = self.medium.lock();
        medium.opened += 1;
        Ok(medium.reach.clone())
    }

    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError> {
        let mut medium = self.medium.lock();
        if medium.refuses && !changes.is_empty() {
            return Err(SinkError::Fatal("a record is too large".into()));
        }
        for change in changes {
            let is_new = !medium.records.contains_key(&*change.user_id);
            if is_new {
                self.created.push(change.user_id.to_string());
            }
            let record = medium.records.entry(change.user_id.to_string()).or_default();
            match change.change {
                ChangeKind::Entered => record.insert(change.segment_id.to_string()),
                ChangeKind::Left => record.remove(&*change.segment_id),
            };
        }
        let entered = changes.iter().filter(|change| change.change == ChangeKind::Entered).count();
        medium.writes.push((reach.clone(), entered, changes.len() - entered));
        medium.reach = Some(reach.clone());
        Ok(())
    }

    fn clear(&mut self, _: Progress, owns: &dyn Fn(&str) -> bool) -> Result<(), SinkError> {
        let mut medium = self.medium.lock();
        medium.records.retain(|user, _| !owns(user));
        medium.reach = None;
        Ok(())
    }
}

impl ServingStore for Records {
    fn name(&self) -> &str {
        NAME
    }

    fn state(&self) -> Result<ServingState, StoreError> {
        let medium = self.medium.lock();
        if medium.is_away {
            return Err(StoreError::Unavailable { action: "looking", detail: "it is away".to_owned() });
        }
        Ok(ServingState::of(medium.reach.as_ref()))
    }

    fn segments_of(&self, user: &str) -> Result<Vec<HeldMembership>, ServingError> {
        self.state()?.check()?;
        let held = self.held(user).into_iter();
        Ok(held.map(|segment_id| HeldMembership { segment_id, since: 0 }).collect())
    }
}

fn buy(user: u64) -> Value {
    json!({"userId": format!("u{user:05}"), "eventType": "buy"})
}

fn segments(service: &Service) {
    create_rule(service, "once", &json!({"event": "buy"}));
    create_rule(service, "odd", &json!({"event": "buy", "operator": "in", "value": [1, 3, 5]}));
}

/// Everybody who is in something, as the engine has it.
fn expected(service: &Service) -> BTreeMap<String, BTreeSet<String>> {
    let mut expected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for segment in ["once", "odd"] {
        for user in members(service, segment) {
            expected.entry(user).or_default().insert(segment.to_owned());
        }
    }
    expected
}

fn is_whole(service: &Service, records: &Records) -> bool {
    let held = records.medium.lock().records.clone();
    held.into_iter().filter(|(_, segments)| !segments.is_empty()).eq(expected(service))
}

fn is_up(service: &Service) -> bool {
    service.platform().operations.health().components[&format!("sink:{NAME}")].is_up()
}

/// A store that opens and takes nothing is down all the while, and is tried less and less often.
#[test]
fn a_refused_write_is_told_until_one_succeeds() {
    let directory = tempfile::tempdir().unwrap();
    let service = start(stores(directory.path()), 1);
    segments(&service);
    let records = Records::default();
    service.emit_to(Box::new(records.clone())).unwrap();
    wait_until("it is up", || is_up(&service));
    records.medium.lock().refuses = true;
    send(&service, (0..10).map(buy));
    wait_until("it is down", || !is_up(&service));
    let (opened, begun) = (records.medium.lock().opened, Instant::now());
    while begun.elapsed() < Duration::from_secs(4) {
        assert!(!is_up(&service), "after {:?}", begun.elapsed());
        pause(2);
    }
    let opened = records.medium.lock().opened - opened;
    assert!(opened <= 8, "opened {opened} times in 4 s");
    records.medium.lock().refuses = false;
    wait_until("everybody", || is_whole(&service, &records) && is_up(&service));
    service.stop();
}

/// A store that lost everything is given what is, each user at once, and no state of before.
#[test]
fn an_empty_store_gets_the_snapshot_and_never_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let service = start(stores(directory.path()), 2);
    segments(&service);
    for round in 1..=4 {
        send(&service, (0..1_000).map(buy));
        let odd = if round % 2 == 1 { 1_000 } else { 0 };
        wait_until("all are done", || {
            members(&service, "once").len() == 1_000 && members(&service, "odd").len() == odd
        });
    }
    let records = Records::default();
    service.emit_to(Box::new(records.clone())).unwrap();
    for _ in 0..2 {
        wait_until("everybody", || is_whole(&service, &records) && is_up(&service));
        let writes = records.medium.lock().writes.clone();
        let entered: usize = writes.iter().map(|(_, entered, _)| entered).sum();
        assert_eq!((entered, writes.iter().filter(|(_, _, left)| *left > 0).count()), (1_000, 0), "{writes:?}");
        let before = writes.iter().take_while(|(reach, _, _)| matches!(reach, Reach::Users { .. }));
        assert!(before.count() >= 5, "it says that it is being filled: {writes:?}");
        // And again, while nothing happens.
        let lost = Instant::now();
        records.lose_everything();
        wait_until("it is noticed", || !records.medium.lock().writes.is_empty());
        assert!(lost.elapsed() < Duration::from_secs(10), "{:?}", lost.elapsed());
    }
    let away = Instant::now();
    records.medium.lock().is_away = true;
    wait_until("it is away", || !is_up(&service));
    assert!(away.elapsed() < Duration::from_secs(10), "{:?}", away.elapsed());
    records.medium.lock().is_away = false;
    wait_until("it is back", || is_up(&service));
    service.stop();
}

/// Deleted by hand: a change writes the record whole, and a comparison finds those without a change.
#[test]
fn a_deleted_record_is_written_whole() {
    let directory = tempfile::tempdir().unwrap();
    let service = start(stores(directory.path()), 2);
    segments(&service);
    let records = Records::default();
    service.emit_to(Box::new(records.clone())).unwrap();
    send(&service, (0..50).map(buy));
    wait_until("everybody", || members(&service, "odd").len() == 50 && is_whole(&service, &records));
    create_rule(&service, "viewers", &json!({"event": "view"}));
    records.medium.lock().records.remove("u00007");
    send(&service, [json!({"userId": "u00007", "eventType": "view"})]);
    wait_until("a change makes it whole", || records.held("u00007").len() == 3);
    {
        let mut medium = records.medium.lock();
        medium.records.remove("u00008");
        medium.records.entry("u00009".to_owned()).or_default().insert("viewers".to_owned());
    }
    service.platform().operations.verify_sink(NAME).unwrap();
    wait_until("a comparison finds the others", || {
        records.held("u00008").len() == 2 && !records.held("u00009").contains("viewers")
    });
    wait_until("it ends", || {
        let sinks = service.platform().operations.sinks().unwrap();
        sinks[0].verification.is_some_and(|done| !done.running && done.ended == 1 && done.wrong == 2)
    });
    assert!(service.platform().operations.verify_sink("nothing").is_err());
    records.medium.lock().records.insert("stranger".to_owned(), BTreeSet::from(["once".to_owned()]));
    service.platform().operations.rebuild_sink(NAME).unwrap();
    wait_until("a rebuild leaves nothing else", || records.held("stranger").is_empty());
    wait_until("everybody again", || is_up(&service) && records.held("u00007").len() == 3);
    service.stop();
}
