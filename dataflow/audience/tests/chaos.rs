//! Each loss at each moment, under load: how long until events are served again, within a stated time, and what was lost. After
//! each, four are the same: the topic `user-segments` folded, Redis, what is served, and what the naive evaluator says.
//!
//! `scripts/chaos` runs it. `AUDIENCE_CHAOS=long` has the whole matrix instead of one moment of each loss, and
//! `AUDIENCE_CHAOS_PAGE` names the page that is written. The loss of processes that compute together is in `faults.rs`, and
//! that of their links in `cluster.rs`.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod agreement;
#[allow(dead_code, reason = "each test uses a part")]
mod between;
mod chaos_page;
mod chaos_platform;
mod database;
#[allow(dead_code, reason = "each test uses a part")]
mod servers;
mod topics;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use audience_tests::client::Client;
use audience_tests::serve::pause;
use serde_json::{Value, json};

use agreement::{expected, put_surely, wait_until_ready};
use between::{ClusterMembers, PARTITIONS, folded, in_redis, metric, served, settle};
use chaos_page::{ChaosCell, ChaosOutcome, write_page};
use chaos_platform::{ChaosPlatform, PlatformLoss};
use servers::{StopSending, send};
use topics::committed;

/// Users of the sender; probes are of those after them.
const USERS: u64 = 100;
/// Users that Redis is asked for.
const ALL_USERS: u64 = USERS + 20;
/// The user whose events come by HTTP.
const BY_HTTP: &str = "u119";
/// The duration of a loss.
const LASTS: Duration = Duration::from_secs(3);
/// The longest wait for an event to be served: a start may take [`RESTORES`].
const PATIENCE: Duration = Duration::from_secs(90);
/// How often the topic and Redis are looked at until they have everything, half a second apart.
const SINK_LOOKS: u32 = 60;
/// The time within which events are served after a start on a lost data directory, whatever else happens.
const RESTORES: u64 = 60_000;

/// The platform's work as something is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChaosMoment {
    /// Nothing but two events a second.
    Idle,
    /// Events come in as fast as one sender puts them into Kafka.
    Burst,
    /// The same, and rules are edited one after the other.
    Edit,
    /// The same as `Burst`, as a checkpoint begins.
    Checkpoint,
    /// It comes back from the store of checkpoints, since its data directory was lost.
    Restore,
}

/// The moments, in the order of the page.
pub const MOMENTS: [ChaosMoment; 5] =
    [ChaosMoment::Idle, ChaosMoment::Burst, ChaosMoment::Edit, ChaosMoment::Checkpoint, ChaosMoment::Restore];

/// A loss, the time within which events are served, in milliseconds, and whether that counts while it lasts or once it is over.
pub const LOSSES: [(PlatformLoss, u64, bool); 9] = [
    (PlatformLoss::Kill, 5_000, false),
    (PlatformLoss::Stop, 5_000, false),
    (PlatformLoss::Cut, 10_000, false),
    (PlatformLoss::SlowNetwork, 5_000, true),
    (PlatformLoss::FullDisk, 5_000, false),
    (PlatformLoss::SlowDisk, 5_000, true),
    (PlatformLoss::ClockJump, 5_000, true),
    (PlatformLoss::StoreAway, 5_000, true),
    (PlatformLoss::Primary, 6_000, false),
];

fn rich(over: u64) -> Value {
    json!({"event": "buy", "measure": {"fn": "sum", "of": "amount"}, "operator": "gt", "value": over})
}

/// The rules, with the last one as edits leave it.
fn rules(over: u64) -> [(&'static str, Value); 5] {
    [
        ("buyers", json!({"event": "buy", "operator": "gte", "value": 3})),
        ("lately", json!({"event": "buy", "within": "1h"})),
        ("top", json!({"rank": {"by": {"event": "buy", "measure": {"fn": "sum", "of": "amount"}}}, "top": 7})),
        ("probed", json!({"event": "probe"})),
        ("rich", rich(over)),
    ]
}

/// Sends events by HTTP, each until it is answered `202`; returns how many were.
fn hit(address: &Mutex<Client>, is_stopping: &AtomicBool) -> u64 {
    let mut accepted = 0;
    while !is_stopping.load(Ordering::Acquire) {
        let event = format!(r#"{{"messageId":"hit{accepted}","userId":"{BY_HTTP}","eventType":"hit"}}"#);
        let client = *address.lock().unwrap();
        accepted += u64::from(client.post("/api/events", &event).is_ok_and(|answer| answer.status == 202));
        pause(500);
    }
    accepted
}

/// Edits a rule again and again; returns nothing, since the last edit is made by the test.
fn edit(address: &Mutex<Client>, is_stopping: &AtomicBool) {
    for over in 1.. {
        if is_stopping.load(Ordering::Acquire) {
            return;
        }
        let client = *address.lock().unwrap();
        let body = json!({"name": "rich", "rules": rich(over % 400)}).to_string();
        let _ = client.put("/api/segments/rich", &body);
        pause(20);
    }
}

/// Brings the platform to that moment.
fn reach(platform: &mut ChaosPlatform, moment: ChaosMoment) {
    match moment {
        ChaosMoment::Restore => platform.lose_data(),
        ChaosMoment::Checkpoint => {
            let taken = || metric(platform.served.client(), "audience_checkpoint_timestamp_seconds");
            let before = taken();
            for _ in 0..500 {
                if taken() > before {
                    break;
                }
                pause(10);
            }
            // One a second: the next one begins about now.
            pause(950);
        }
        ChaosMoment::Idle | ChaosMoment::Burst | ChaosMoment::Edit => {}
    }
}

/// Loses something; returns how long it took until events were served.
fn suffer(
    platform: &mut ChaosPlatform,
    (loss, _, is_meanwhile): (PlatformLoss, u64, bool),
) -> Result<Duration, String> {
    let begun = Instant::now();
    platform.lose(loss);
    if matches!(loss, PlatformLoss::Kill | PlatformLoss::Primary) {
        return platform.serves(begun, PATIENCE);
    }
    let meanwhile = if is_meanwhile { Some(platform.serves(begun, PATIENCE)) } else { None };
    if loss == PlatformLoss::Stop {
        pause(LASTS.as_millis() as u64);
    } else {
        platform.hold(LASTS.saturating_sub(begun.elapsed()));
    }
    platform.give_back(loss);
    let after = platform.serves(Instant::now(), PATIENCE);
    match meanwhile {
        Some(Ok(took)) => after.map(|_| took),
        Some(failed) => failed,
        None => after,
    }
}

/// The events that come in while something is lost.
struct ChaosLoad<'scope> {
    sender: Option<ScopedJoinHandle<'scope, Vec<Value>>>,
    hits: ScopedJoinHandle<'scope, u64>,
}

impl<'scope> ChaosLoad<'scope> {
    fn begin<'env: 'scope>(
        scope: &'scope Scope<'scope, 'env>,
        (moment, topic): (ChaosMoment, &'scope str),
        address: &'scope Mutex<Client>,
        is_stopping: &'scope AtomicBool,
    ) -> ChaosLoad<'scope> {
        let sender = (moment != ChaosMoment::Idle).then(|| scope.spawn(move || send(topic, USERS, 5, is_stopping)));
        if moment == ChaosMoment::Edit {
            scope.spawn(move || edit(address, is_stopping));
        }
        ChaosLoad { sender, hits: scope.spawn(move || hit(address, is_stopping)) }
    }

    /// The events sent into Kafka, and the number of those accepted by HTTP.
    fn end(self) -> (Vec<Value>, u64) {
        (self.sender.map(|sender| sender.join().unwrap()).unwrap_or_default(), self.hits.join().unwrap())
    }
}

/// The places that are written to: the topic of changes, and Redis.
struct WrittenPlaces {
    changes: String,
    prefix: String,
}

impl WrittenPlaces {
    /// Says which place does not hold the members, if one does not.
    fn say(&self, truth: &ClusterMembers) -> Result<(), String> {
        let changes = committed(&self.changes, PARTITIONS);
        let changes: Vec<Value> = changes.iter().map(|(_, change)| serde_json::from_slice(change).unwrap()).collect();
        same("the topic", &folded(&changes), truth)?;
        same("Redis", &in_redis(&self.prefix, ALL_USERS), truth)
    }
}

fn same(place: &str, members: &ClusterMembers, truth: &ClusterMembers) -> Result<(), String> {
    match members == truth {
        true => Ok(()),
        false => Err(format!("{place} says {members:?}, and the naive evaluator {truth:?}")),
    }
}

/// Compares four places; returns how many of the events that HTTP accepted are missing.
fn agree(mut platform: ChaosPlatform, mut events: Vec<Value>, accepted: u64) -> Result<u64, String> {
    platform.keep_up();
    wait_until_ready(&platform.served);
    put_surely(&platform.served, "rich", &rich(123));
    settle(&platform.served);
    events.append(&mut platform.probed);
    let client = platform.served.client();
    let found = client.get(&format!("/api/users/{BY_HTTP}")).unwrap().json()["eventCount"].as_u64().unwrap_or(0);
    // Rules ask whether they are known, and not for how many events they have.
    let known = json!({"messageId": "hit", "userId": BY_HTTP, "eventType": "hit"});
    events.extend((found > 0).then_some(known));
    let rules = rules(123);
    let truth = expected(&events, &rules);
    let api = served(client, &rules.each_ref().map(|(id, _)| *id));
    let places =
        WrittenPlaces { changes: format!("{}user-segments", platform.prefix), prefix: platform.prefix.clone() };
    // A sink may be about to be tried again.
    for _ in 0..SINK_LOOKS {
        if places.say(&truth) == Ok(()) {
            break;
        }
        pause(500);
    }
    let ChaosPlatform { served: running, .. } = platform;
    running.stop();
    same("the API", &api, &truth)?;
    places.say(&truth)?;
    Ok(accepted.saturating_sub(found))
}

fn cell((loss, budget, is_meanwhile): (PlatformLoss, u64, bool), moment: ChaosMoment) -> ChaosOutcome {
    if (loss, moment) == (PlatformLoss::Primary, ChaosMoment::Restore) {
        return ChaosOutcome::NotRun("a standby is filled before it can take over".to_owned());
    }
    let mut platform = ChaosPlatform::start(USERS, loss);
    if let Some(why) = platform.cannot_lose(loss) {
        return ChaosOutcome::NotRun(why);
    }
    rules(0).iter().for_each(|(id, rules)| put_surely(&platform.served, id, rules));
    if loss == PlatformLoss::Primary {
        platform.begin_standby();
    }
    let (topic, is_stopping) = (format!("{}user-events", platform.prefix), AtomicBool::new(false));
    let address = platform.address.clone();
    // A start needs what is lost: it counts from when that is back.
    let is_restore = moment == ChaosMoment::Restore;
    let (budget, is_meanwhile) = if is_restore { (RESTORES, false) } else { (budget, is_meanwhile) };
    let (took, events, accepted) = std::thread::scope(|scope| {
        let _stop = StopSending(&is_stopping);
        let load = ChaosLoad::begin(scope, (moment, &topic), &address, &is_stopping);
        let took = platform.serves(Instant::now(), PATIENCE).and_then(|_| {
            platform.hold(Duration::from_millis(1_500));
            reach(&mut platform, moment);
            suffer(&mut platform, (loss, budget, is_meanwhile))
        });
        is_stopping.store(true, Ordering::Release);
        let (events, accepted) = load.end();
        (took, events, accepted)
    });
    let agreed = took.and_then(|took| Ok((took, agree(platform, events, accepted)?)));
    match agreed {
        // A file of history is a second old at most, and those that are not yet in one are lost with the directory.
        Ok((_, lost)) if lost > 0 && moment != ChaosMoment::Restore => {
            ChaosOutcome::Failed(format!("{lost} of {accepted} events that HTTP had accepted are lost"))
        }
        Ok((took, lost)) if took.as_millis() as u64 <= budget => ChaosOutcome::Served { took, accepted, lost },
        Ok((took, _)) => {
            ChaosOutcome::Failed(format!("events are served after {took:?}, and the budget is {budget} ms"))
        }
        Err(why) => ChaosOutcome::Failed(why),
    }
}

/// The cells that are tried: all, or each loss at one moment and each moment with some loss.
fn matrix(is_long: bool) -> Vec<((PlatformLoss, u64, bool), ChaosMoment)> {
    let all = LOSSES.iter().enumerate().flat_map(|(row, loss)| {
        let moments = MOMENTS.iter().enumerate();
        moments.filter(move |(column, _)| is_long || row % MOMENTS.len() == *column).map(|(_, moment)| (*loss, *moment))
    });
    all.collect()
}

#[test]
#[ignore = "takes minutes, and real servers: scripts/chaos runs it"]
fn every_loss_is_got_over_in_time() {
    let is_long = std::env::var("AUDIENCE_CHAOS").is_ok_and(|length| length == "long");
    let mut cells = Vec::new();
    for (loss, moment) in matrix(is_long) {
        let outcome = catch_unwind(AssertUnwindSafe(|| cell(loss, moment)));
        let outcome = outcome.unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<String>().cloned();
            ChaosOutcome::Failed(said.unwrap_or_else(|| "it panicked".to_owned()))
        });
        eprintln!("{:?}, {moment:?}: {outcome:?}", loss.0);
        cells.push(ChaosCell { loss: loss.0, moment, outcome });
    }
    if let Ok(page) = std::env::var("AUDIENCE_CHAOS_PAGE") {
        write_page(page.as_ref(), &cells);
    }
    let failed: Vec<String> = cells
        .iter()
        .filter(|cell| matches!(cell.outcome, ChaosOutcome::Failed(_)))
        .map(|cell| format!("{:?}, {:?}", cell.loss, cell.moment))
        .collect();
    assert!(failed.is_empty(), "{failed:?}");
}
