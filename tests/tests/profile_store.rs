//! Profiles of users given to a store outside, in memory and failing often: what is there is what the platform says.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use audience_contract::{Profile, ProfileReach, ProfileStore, SinkError, TraitValues};
use audience_engine::service::Service;
use audience_protocol::TraitInput;
use audience_tests::platform::{send, start, stores, wait_until};
use audience_tests::random::Random;
use audience_tests::serve::wall_clock;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use serde_json::{Value, json};

const IDS: u64 = 60;
const REFRESH: Duration = Duration::from_secs(1);

/// Traits and computed traits, as JSON.
type Said = (String, String);

#[derive(Clone, Default)]
struct ProfileMedium {
    profiles: BTreeMap<String, (i64, Said)>,
    reached: Option<ProfileReach>,
    /// How often it was asked how far it reaches, and what was done.
    asked: u64,
    written: u64,
    /// The chance that a call fails, in percent; and that a write does where it is greater.
    faults: u64,
    write_faults: u64,
}

impl ProfileMedium {
    fn said(&self) -> BTreeMap<String, Said> {
        self.profiles.iter().map(|(user, (_, said))| (user.clone(), said.clone())).collect()
    }
}

struct ProfileMemory {
    medium: Arc<Mutex<ProfileMedium>>,
    random: Random,
}

impl ProfileMemory {
    fn fault(&mut self) -> Result<(), SinkError> {
        let percent = self.medium.lock().faults;
        self.fault_of(percent)
    }

    fn fault_of(&mut self, percent: u64) -> Result<(), SinkError> {
        if self.random.percent(percent) { Err(SinkError::Transient("it does not answer".into())) } else { Ok(()) }
    }
}

fn text(values: &TraitValues) -> String {
    serde_json::to_string(values).unwrap()
}

impl ProfileStore for ProfileMemory {
    fn name(&self) -> &str {
        "memory-profiles"
    }

    fn reached(&mut self) -> Result<Option<ProfileReach>, SinkError> {
        self.fault()?;
        let mut medium = self.medium.lock();
        medium.asked += 1;
        Ok(medium.reached.clone())
    }

    fn write(&mut self, profiles: &[Profile]) -> Result<(), SinkError> {
        let ProfileMedium { faults, write_faults, .. } = *self.medium.lock();
        let percent = faults.max(write_faults);
        // Some of it is written, or all, and nobody hears of it.
        let some = match self.fault_of(percent) {
            Ok(()) => profiles.len(),
            Err(_) => self.random.between(0, profiles.len() as u64) as usize,
        };
        let mut medium = self.medium.lock();
        medium.written += some as u64;
        medium
            .profiles
            .extend(profiles[..some].iter().map(|p| (p.user_id.clone(), (p.at, (text(&p.traits), text(&p.computed))))));
        drop(medium);
        if some == profiles.len() { self.fault() } else { Err(SinkError::Transient("broken off".into())) }
    }

    fn erase(&mut self, user_ids: &[String]) -> Result<(), SinkError> {
        self.fault()?;
        self.medium.lock().profiles.retain(|user, _| !user_ids.contains(user));
        self.fault()
    }

    fn erase_before(&mut self, at: i64) -> Result<(), SinkError> {
        self.fault()?;
        self.medium.lock().profiles.retain(|_, (of, _)| *of >= at);
        self.fault()
    }

    fn reach(&mut self, reach: &ProfileReach) -> Result<(), SinkError> {
        self.fault()?;
        self.medium.lock().reached = Some(reach.clone());
        self.fault()
    }
}

fn give(service: &Arc<Service>, medium: &Arc<Mutex<ProfileMedium>>, seed: u64) {
    let store = ProfileMemory { medium: medium.clone(), random: Random::new(seed) };
    service.write_profiles_to(Box::new(store), REFRESH).unwrap();
}

fn fault(service: &Service) -> Option<String> {
    service.platform().operations.health().components["sink:memory-profiles"].detail.clone()
}

/// The platform's view of every user.
fn expected(service: &Service) -> BTreeMap<String, Said> {
    let view = |id: String| {
        let view = service.platform().users.user(&id).ok().filter(|view| view.user_id == id)?;
        Some((id, (text(&view.traits), text(&view.computed_traits))))
    };
    (0..IDS).filter_map(|user| view(format!("u{user}"))).collect()
}

fn wait_for_all(service: &Service, medium: &Mutex<ProfileMedium>) {
    wait_until("that the store says what the platform says", || {
        let said = expected(service);
        assert!(!said.is_empty());
        medium.lock().said() == said
    });
}

/// Waits until all users are gone through, and everything below that number is followed.
fn wait_for_everyone(medium: &Mutex<ProfileMedium>, sequence: u64) {
    wait_until("everyone", || {
        let medium = medium.lock();
        medium.reached.as_ref().is_some_and(|reach| reach.everyone.is_some() && reach.sequence == sequence)
    });
}

fn wait_for_no_lag(service: &Service, of: &str) {
    let figure = format!(r#"audience_sink_lag_{of}{{sink="memory-profiles"}} 0"#);
    wait_until(&figure, || service.platform().operations.metrics().contains(&figure));
}

fn put_trait(service: &Service, definition: &Value) {
    let definition = RawValue::from_string(definition.to_string()).unwrap();
    service.platform().traits.put_trait(TraitInput { definition, note: None }, None, "test").unwrap();
}

fn event(random: &mut Random) -> Value {
    let at = wall_clock() - random.between(0, 90 * 86_400) as i64 * 1_000;
    let user = |random: &mut Random| format!("u{}", random.between(0, IDS - 1));
    let (one, other) = (user(random), user(random));
    let traits = json!({
        (*random.pick(&["plan", "city", "a.b"])): *random.pick(&["x", "y", "z"]),
        (*random.pick(&["plan", "age"])): random.pick(&[json!(null), json!(7), json!(0.1), json!({"b": [1, null]})]),
    });
    match random.between(0, 19) {
        0 => json!({"eventType": "alias", "previousId": one, "userId": other}),
        1 => json!({"eventType": "identify", "anonymousId": one, "userId": other, "traits": traits, "timestamp": at}),
        2..=6 => json!({"eventType": "identify", "userId": one, "traits": traits, "timestamp": at}),
        _ => json!({"eventType": *random.pick(&["purchase", "page_view"]), "userId": one, "timestamp": at,
            "properties": {"amount": random.between(1, 99)}, "messageId": format!("m{}", random.between(0, 400))}),
    }
}

/// Events, and some who are erased.
fn go_on(service: &Service, random: &mut Random) {
    for _ in 0..8 {
        send(service, (0..12).map(|_| event(random)));
        if random.percent(60) {
            service.platform().users.erase_user(&format!("u{}", random.between(0, IDS - 1)), "test").unwrap();
        }
    }
}

#[test]
fn profiles_are_what_the_platform_says_whatever_fails() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = Random::new(11);
    let medium = Arc::new(Mutex::new(ProfileMedium { faults: 10, ..ProfileMedium::default() }));
    // Of somebody whom nobody knows.
    medium.lock().profiles.insert("stranger".to_owned(), (0, Said::default()));
    let mut service = start(stores(directory.path()), 2);
    go_on(&service, &mut random);
    give(&service, &medium, 1);
    wait_for_all(&service, &medium);
    for round in 0..5 {
        go_on(&service, &mut random);
        let before = medium.lock().clone();
        match round {
            // It is away, and meanwhile what it did not hear of is erased from the log.
            0 => {
                medium.lock().faults = 100;
                wait_until("a fault", || fault(&service).is_some());
                go_on(&service, &mut random);
                service.checkpoint().unwrap();
                service.checkpoint().unwrap();
                medium.lock().faults = 10;
            }
            // It loses everything, and what it gets instead is often broken off.
            1 => {
                wait_for_all(&service, &medium);
                wait_for_no_lag(&service, "events");
                *medium.lock() = ProfileMedium { faults: 10, write_faults: 80, ..ProfileMedium::default() };
            }
            // It loses what it took last.
            2 => {
                wait_for_all(&service, &medium);
                *medium.lock() = before;
            }
            // It goes on behind a start.
            3 => {
                service.stop();
                drop(service);
                service = start(stores(directory.path()), 1);
                give(&service, &medium, 2);
            }
            // It held what follows from another log.
            _ => {
                let mut medium = medium.lock();
                medium.profiles.insert("stranger".to_owned(), (0, Said::default()));
                medium.reached.as_mut().unwrap().log = "another".to_owned();
            }
        }
        wait_for_all(&service, &medium);
        medium.lock().write_faults = 0;
    }
    medium.lock().faults = 0;
    wait_until("health", || fault(&service).is_none());
    service.stop();
}

#[test]
fn users_of_a_write_that_failed_are_gone_through_again() {
    let directory = tempfile::tempdir().unwrap();
    let medium = Arc::new(Mutex::new(ProfileMedium { write_faults: 100, ..ProfileMedium::default() }));
    let service = start(stores(directory.path()), 2);
    send(&service, (0..20).map(|user| json!({"userId": format!("u{user}"), "eventType": "purchase"})));
    wait_until("that they are known", || expected(&service).len() == 20);
    // It commits how far all is given out: none of them is to be written for an event.
    service.checkpoint().unwrap();
    give(&service, &medium, 1);
    wait_until("a fault", || fault(&service).is_some());
    medium.lock().write_faults = 0;
    wait_for_everyone(&medium, 20);
    assert_eq!(medium.lock().said(), expected(&service));
    service.stop();
}

#[test]
fn only_what_is_new_comes_after() {
    let directory = tempfile::tempdir().unwrap();
    let medium = Arc::new(Mutex::new(ProfileMedium::default()));
    let service = start(stores(directory.path()), 2);
    send(&service, (0..20).map(|user| json!({"userId": format!("u{user}"), "eventType": "purchase"})));
    give(&service, &medium, 1);
    wait_for_everyone(&medium, 20);
    assert_eq!(medium.lock().said(), expected(&service));
    service.stop();
    drop(service);
    let service = start(stores(directory.path()), 1);
    (medium.lock().asked, medium.lock().written) = (0, 0);
    give(&service, &medium, 2);
    send(&service, (0..30).map(|_| json!({"userId": "u7", "eventType": "purchase"})));
    wait_until("three rounds", || medium.lock().asked >= 3);
    wait_for_all(&service, &medium);
    // Events of a round are one write; they may have come in two.
    assert!((1..=2).contains(&medium.lock().written), "{} writes", medium.lock().written);
    ["events", "users"].into_iter().for_each(|of| wait_for_no_lag(&service, of));
    service.stop();
}

#[test]
fn edits_and_time_come_to_everyone() {
    let directory = tempfile::tempdir().unwrap();
    let medium = Arc::new(Mutex::new(ProfileMedium::default()));
    let service = start(stores(directory.path()), 2);
    let purchases = || (0..20).map(|user| json!({"userId": format!("u{user}"), "eventType": "purchase"}));
    send(&service, purchases());
    give(&service, &medium, 1);
    wait_for_everyone(&medium, 20);
    wait_for_all(&service, &medium);
    put_trait(&service, &json!({"name": "buys", "event": "purchase"}));
    wait_for_all(&service, &medium);
    assert!(medium.lock().said().values().all(|(_, computed)| computed.contains(r#""buys":1"#)));
    // It is written before these leave the window, and what changes then is nothing but time.
    send(&service, purchases());
    put_trait(&service, &json!({"name": "buys", "event": "purchase", "within": "6s"}));
    wait_until("that all left the window", || {
        medium.lock().said().values().all(|(_, computed)| computed.contains(r#""buys":0"#))
    });
    // An event that is yet to come, where nothing else depends on time.
    service.platform().traits.delete_trait("buys", None, "test").unwrap();
    let soon =
        json!({"userId": "u3", "eventType": "identify", "traits": {"plan": "x"}, "timestamp": wall_clock() + 6_000});
    send(&service, [soon]);
    wait_until("the trait", || medium.lock().said()["u3"].0.contains("plan"));
    wait_for_all(&service, &medium);
    service.stop();
}
