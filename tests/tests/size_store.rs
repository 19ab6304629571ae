//! Sizes of segments given to a store outside, in memory and failing often: what is there is what was.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_contract::{SinkError, SizeSample, SizeStore};
use audience_engine::service::Service;
use audience_protocol::SizeQuery;
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::time::parse_rfc3339;
use audience_tests::platform::{create_rule, send, start, stores, wait_until};
use audience_tests::random::Random;
use audience_tests::serve::wall_clock;
use parking_lot::Mutex;
use serde_json::{Value, json};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const DAYS: i64 = 120;

#[derive(Default)]
struct SizeMedium {
    sizes: BTreeMap<(String, i64), u64>,
    reached: Option<i64>,
    written: Vec<SizeSample>,
    /// How often it was asked how far it reaches.
    asked: u64,
    /// The chance that a call fails, in percent.
    faults: u64,
}

struct SizeMemory {
    medium: Arc<Mutex<SizeMedium>>,
    random: Random,
}

impl SizeMemory {
    fn fault(&mut self) -> Result<(), SinkError> {
        let percent = self.medium.lock().faults;
        if self.random.percent(percent) { Err(SinkError::Transient("it does not answer".into())) } else { Ok(()) }
    }
}

impl SizeStore for SizeMemory {
    fn name(&self) -> &str {
        "memory-sizes"
    }

    fn reached(&mut self) -> Result<Option<i64>, SinkError> {
        self.fault()?;
        let mut medium = self.medium.lock();
        medium.asked += 1;
        Ok(medium.reached)
    }

    fn write(&mut self, samples: &[SizeSample]) -> Result<(), SinkError> {
        self.fault()?;
        {
            let mut medium = self.medium.lock();
            medium.written.extend_from_slice(samples);
            medium.sizes.extend(samples.iter().map(|s| ((s.segment_id.to_string(), s.at), s.size)));
        }
        // It is written, and nobody hears of it.
        self.fault()
    }

    fn reach(&mut self, at: i64) -> Result<(), SinkError> {
        self.fault()?;
        self.medium.lock().reached = Some(at);
        Ok(())
    }
}

fn give(service: &Arc<Service>, medium: &Arc<Mutex<SizeMedium>>, seed: u64) {
    service.write_sizes_to(Box::new(SizeMemory { medium: medium.clone(), random: Random::new(seed) })).unwrap();
}

fn fault(service: &Service) -> Option<String> {
    service.platform().operations.health().components["sink:memory-sizes"].detail.clone()
}

/// Buys of people over some months.
fn buys(now: i64) -> Vec<Value> {
    let (mut buys, mut random, mut at) = (Vec::new(), Random::new(7), now - DAYS * DAY);
    while at < now {
        buys.push(json!({"userId": format!("u{}", random.between(0, 99)), "eventType": "buy", "timestamp": at}));
        at += random.between(5, 360) as i64 * MINUTE;
    }
    buys
}

/// Each as if it had been accepted at its time.
fn in_their_time(events: &[Value]) -> Vec<u8> {
    let (mut decoder, mut records) = (EventDecoder::new(), Vec::new());
    for event in events {
        let defaults = EventDefaults { accepted_at: event["timestamp"].as_i64().unwrap() };
        decoder.decode(event.to_string().as_bytes(), &defaults, &mut records).unwrap();
    }
    records
}

/// The size at an instant, by what is in the store: that of the greatest instant at or before it.
fn stored(medium: &SizeMedium, id: &str, at: i64) -> Option<u64> {
    let (_, size) = medium.sizes.range((id.to_owned(), i64::MIN)..=(id.to_owned(), at)).next_back()?;
    Some(*size)
}

/// Checks that the store says of every day, and of every hour of the last two, what the platform says.
fn check(service: &Service, medium: &SizeMedium, now: i64) {
    let to = medium.reached.unwrap();
    for id in ["buyers", "lately"] {
        for (from, step) in [(now - (DAYS - 1) * DAY, DAY), (now - 2 * DAY, HOUR)] {
            let mut points = service.platform().sizes.segment_sizes(id, &SizeQuery { from, to, step }).unwrap().points;
            points.pop();
            assert!(points.iter().any(|point| point.size > 0));
            for point in points {
                let at = parse_rfc3339(&point.at).unwrap();
                assert_eq!(stored(medium, id, at), Some(point.size), "{id} at {}", point.at);
            }
        }
    }
}

#[test]
fn all_that_is_known_is_there_whatever_fails_and_only_what_is_new_comes_after() {
    let directory = tempfile::tempdir().unwrap();
    let now = wall_clock();
    let medium = Arc::new(Mutex::new(SizeMedium { faults: 30, ..SizeMedium::default() }));
    let service = start(stores(directory.path()), 2);
    let buys = buys(now);
    create_rule(&service, "buyers", &json!({"event": "buy"}));
    create_rule(&service, "lately", &json!({"event": "buy", "within": "7d"}));
    create_rule(&service, "nobody", &json!({"event": "sell"}));
    send(&service, buys.clone());
    service.put_past_sizes(&in_their_time(&buys)).unwrap();
    give(&service, &medium, 1);
    wait_until("all sizes", || medium.lock().reached.is_some());
    medium.lock().faults = 0;
    check(&service, &medium.lock(), now);
    let days_of_nobody = medium.lock().sizes.keys().filter(|(id, _)| id == "nobody").count();
    assert!((1..=2).contains(&days_of_nobody), "the beginning of today, and of tomorrow where that began meanwhile");
    service.stop();
    drop(service);
    // What has everything gets only what is new.
    let reached = {
        let mut medium = medium.lock();
        (medium.asked, medium.written) = (0, Vec::new());
        medium.reached.unwrap()
    };
    let service = start(stores(directory.path()), 1);
    give(&service, &medium, 2);
    wait_until("two rounds", || medium.lock().asked >= 2);
    assert!(medium.lock().written.iter().all(|sample| sample.at > reached));
    // What has lost everything while it was away gets all of it again.
    medium.lock().faults = 100;
    wait_until("a fault", || fault(&service).is_some());
    {
        let mut medium = medium.lock();
        (medium.reached, medium.faults) = (None, 0);
        medium.sizes.clear();
    }
    wait_until("all sizes", || medium.lock().reached.is_some());
    wait_until("health", || fault(&service).is_none());
    check(&service, &medium.lock(), now);
    service.stop();
}
