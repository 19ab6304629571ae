//! A sink after a lost data directory: its position leads nowhere, and it is written what differs from what it holds.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use audience_contract::{ChangeKind, MembershipChange, Progress, Reach, Sink, SinkError};
use audience_engine::durability::{LogLimits, Offsite};
use audience_engine::engine::EngineOptions;
use audience_engine::service::{PlatformStores, Service, ServiceOptions};
use audience_engine::standby::Pairing;
use audience_objects::Objects;
use audience_tests::given_out::folded;
use audience_tests::ledger::Members;
use audience_tests::platform::{create_rule, members, send, stores, wait_until};
use parking_lot::Mutex;
use serde_json::json;

const SEGMENTS: [&str; 3] = ["once", "twice", "idle"];

/// A topic that is read back, with how far its writer came.
#[derive(Default)]
struct HeldTopic {
    reach: Option<Reach>,
    changes: Vec<MembershipChange>,
    writer: u64,
}

/// A writer to it, of so many changes at once.
#[derive(Clone, Default)]
struct LastingWriter {
    topic: Arc<Mutex<HeldTopic>>,
    number: u64,
}

impl LastingWriter {
    /// How far the topic's writer came, and the number of its changes.
    fn state(&self) -> (Option<Reach>, usize) {
        let topic = self.topic.lock();
        (topic.reach.clone(), topic.changes.len())
    }
}

impl Sink for LastingWriter {
    fn name(&self) -> &str {
        "topic"
    }

    fn changes_at_once(&self) -> usize {
        2
    }

    fn is_transactional(&self) -> bool {
        true
    }

    fn open(&mut self) -> Result<Option<Reach>, SinkError> {
        let mut topic = self.topic.lock();
        topic.writer = topic.writer.max(self.number);
        if topic.writer > self.number { Err(SinkError::Fenced("topic".into())) } else { Ok(topic.reach.clone()) }
    }

    fn write(&mut self, reach: &Reach, changes: &[MembershipChange]) -> Result<(), SinkError> {
        let mut topic = self.topic.lock();
        if topic.writer > self.number {
            return Err(SinkError::Fenced("topic".into()));
        }
        topic.reach = Some(reach.clone());
        topic.changes.extend_from_slice(changes);
        Ok(())
    }

    fn leaves(
        &mut self,
        progress: Progress,
        owns: &dyn Fn(&str) -> bool,
    ) -> Result<Option<Vec<MembershipChange>>, SinkError> {
        let mut held: HashMap<(Arc<str>, Arc<str>), MembershipChange> = HashMap::new();
        for change in self.topic.lock().changes.iter().filter(|change| owns(&change.user_id)) {
            let key = (change.user_id.clone(), change.segment_id.clone());
            match change.change {
                ChangeKind::Entered => held.insert(key, change.clone()),
                ChangeKind::Left => held.remove(&key),
            };
        }
        let leave = |change| MembershipChange { change: ChangeKind::Left, at: progress.clock, ..change };
        Ok(Some(held.into_values().map(leave).collect()))
    }

    fn clear(&mut self, _: Progress, _: &dyn Fn(&str) -> bool) -> Result<(), SinkError> {
        Err(SinkError::Fatal("everybody would leave, for those who read it".to_owned()))
    }
}

/// Starts on a data directory that has what is outside, and writes to the topic.
fn start(directory: &Path, number: u64, topic: &LastingWriter) -> Arc<Service> {
    let owner = format!("owner-{number}");
    let objects = Objects::open(&format!("file://{}", directory.join("outside").display()), &[]).unwrap();
    objects.own(&owner).unwrap();
    objects.write_as(&owner);
    let stores = PlatformStores { checkpoints: objects.checkpoints(), ..stores(&directory.join(&owner)) };
    let (file_age, limits) = (Duration::from_millis(20), LogLimits::default());
    let offsite = Offsite { history: objects.history(), file_events: 100, file_age, keeps_catalogue: true, limits };
    let options = ServiceOptions {
        engine: EngineOptions { workers: 2, ..EngineOptions::default() },
        cluster: None,
        checkpoint_interval: Duration::from_secs(3600),
        start: Arc::default(),
        placeholders: Arc::default(),
        offsite: Some(offsite),
        pairing: Pairing::default(),
    };
    let service = Service::start(stores, &options).unwrap();
    if number == 0 {
        create_rule(&service, "once", &json!({"event": "buy"}));
        create_rule(&service, "twice", &json!({"event": "buy", "operator": "gte", "value": 2}));
        create_rule(&service, "idle", &json!({"logic": "NOT", "conditions": [{"event": "buy"}]}));
    }
    service.emit_to(Box::new(LastingWriter { number, ..topic.clone() })).unwrap();
    service
}

fn served(service: &Service) -> Members {
    let of = |id: &str| (id.to_owned(), members(service, id).into_iter().collect::<BTreeSet<_>>());
    SEGMENTS.map(of).into_iter().filter(|(_, members)| !members.is_empty()).collect()
}

fn wait_for(service: &Service, topic: &LastingWriter) {
    wait_until("the topic", || folded(&topic.topic.lock().changes) == served(service));
}

#[test]
fn a_topic_is_written_what_differs_and_nobody_leaves_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let topic = LastingWriter::default();
    let buy = |user: u64| json!({"userId": format!("u{user}"), "eventType": if user.is_multiple_of(3) { "view" } else { "buy" }});
    let first = start(directory.path(), 0, &topic);
    send(&first, (0..30).map(buy).chain((0..10).map(buy)));
    wait_for(&first, &topic);
    first.stop();
    let (reach, heard) = topic.state();
    assert!(heard >= 30);

    let second = start(directory.path(), 1, &topic);
    wait_until("it is taken over", || topic.topic.lock().reach != reach);
    assert_eq!(folded(&topic.topic.lock().changes), served(&second));
    assert_eq!(topic.topic.lock().changes.len(), heard, "nothing differs, and nothing is written");
    send(&second, (20..40).map(buy));
    wait_for(&second, &topic);
    second.stop();

    // Of one member it lost the entry, and it holds somebody whom no directory knows.
    {
        let mut held = topic.topic.lock();
        let entry = held.changes.iter().find(|change| change.user_id.as_ref() == "u31").unwrap().clone();
        held.changes.retain(|change| change.user_id.as_ref() != "u31");
        for segment in ["once", "idle", "twice"] {
            held.changes.push(MembershipChange {
                user_id: "stranger".into(),
                segment_id: segment.into(),
                change: ChangeKind::Entered,
                ..entry.clone()
            });
        }
    }
    let (reach, heard) = topic.state();
    let third = start(directory.path(), 2, &topic);
    wait_until("it is taken over", || {
        topic.topic.lock().reach.as_ref().is_some_and(|now| Some(now) != reach.as_ref() && *now != Reach::nowhere())
    });
    assert_eq!(folded(&topic.topic.lock().changes), served(&third));
    assert_eq!(topic.topic.lock().changes.len(), heard + 4, "three leaves and one entry");
    third.stop();
}
