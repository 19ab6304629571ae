use super::rules::rule;
use super::*;
use crate::testing::for_each_case;

const USERS: u32 = 6;
const ALL: std::ops::Range<u32> = 0..crate::membership::SHARDS as u32;

/// A worker that begins from these shards, with the same rules in force, and is yet to be activated.
fn restored(platform: &ModelledWorker, shards: &[(u32, Vec<u8>)], rules: &[(String, String)]) -> WorkerState {
    let mut worker = WorkerState::new(platform.history.clone(), platform.messages.clone());
    worker.begin_silence(platform.now);
    // Numbers of measures are given anew.
    let mut in_all = platform.worker.measures();
    in_all.reverse();
    worker.restore_measures(&in_all).expect("measures");
    for (shard, bytes) in shards {
        worker.restore(*shard, bytes, &in_all).expect("a shard");
    }
    for (id, text) in rules {
        worker.install(&[(id[..].into(), compile(text))], None);
        let publication = Publication { segment: id[..].into(), version: 1, content: SegmentContent::Rule };
        worker.publish(&[publication], &HashMap::new(), platform.now);
    }
    worker
}

/// A user: if they are known, the cells by the keys of their measures, and the events to come.
type ModelUser = (bool, Vec<(MeasureText, Cell)>, Vec<PendingEvent>);

/// Returns the rows of users that are known or have events to come, by id.
fn rows(worker: &WorkerState) -> BTreeMap<String, ModelUser> {
    let membership = worker.membership.read();
    let mut rows = BTreeMap::new();
    for (slot, user) in (0..).zip(&worker.rows.users) {
        if !user.known && user.cells.is_empty() && user.pending.is_empty() {
            continue;
        }
        let mut cells: Vec<(MeasureText, Cell)> = Vec::new();
        for cell in &user.cells {
            let Some(measure) = worker.rows.registry.measures.get(cell.measure()) else { continue };
            let mut cell = cell.clone();
            cell.renumber(0);
            // What has left a window is forgotten when the answer may change, or at a start.
            cell.advance(&measure.kind, worker.time.clock);
            cells.push((MeasureText::of(&measure.key), cell));
        }
        cells.sort_by_key(|(key, _)| format!("{key:?}"));
        rows.insert(membership.users.id(slot).to_owned(), (user.known, cells, user.pending.clone()));
    }
    rows
}

fn members(worker: &WorkerState) -> BTreeMap<String, BTreeSet<String>> {
    let membership = worker.membership.read();
    let members = |segment: &str| membership.members(segment).map(str::to_owned).collect();
    membership.segments.keys().map(|segment| (segment.to_string(), members(segment))).collect()
}

/// A platform in which something has happened, and the rules in force, those that others refer to first.
fn some_platform(random: &mut Rng) -> (ModelledWorker, Vec<(String, String)>) {
    let mut platform = ModelledWorker::new();
    let rules: Vec<(String, String)> =
        (0..random.usize(1..5)).map(|own| (format!("s{own}"), rule(own, random))).collect();
    for (id, text) in &rules {
        platform.some_tick(USERS, random);
        let rules = [(id.as_str(), text.as_str())];
        platform.install_with_history(&rules);
        platform.worker.begin_scan(None);
        while !platform.worker.scan_slice(u32::MAX) {}
        platform.publish(&rules);
    }
    for _ in 0..random.usize(1..12) {
        platform.some_tick(USERS, random);
    }
    (platform, rules)
}

/// Something that a user does, and that changes nobody's identity.
fn some_plain_record(now: Millis, random: &mut Rng) -> Vec<u8> {
    loop {
        let record = some_record(now, USERS, random);
        if event(&record).kind().counts() {
            return record;
        }
    }
}

#[test]
fn checkpoint_brings_back_every_row_and_every_membership() {
    for_each_case(200, |random| {
        let (mut platform, rules) = some_platform(random);
        let boundary = Boundary { sequence: platform.sequence, clock: platform.now };
        let shards = platform.worker.capture(ALL, boundary).expect("shards");
        let mut worker = restored(&platform, &shards, &rules);
        worker.activate();
        assert_eq!(rows(&worker), rows(&platform.worker));
        assert_eq!(members(&worker), members(&platform.worker));
        assert_eq!(worker.rows.known_users, platform.worker.rows.known_users);
        assert!(worker.output.changes.is_empty(), "a start gives nothing out");
        // What happens then comes to the same.
        platform.replace_worker(worker);
        platform.check();
        for _ in 0..random.usize(1..8) {
            platform.some_tick(USERS, random);
            platform.check();
        }
    });
}

/// Shards are taken at different moments: of each, the events from its own boundary on are done again, and no others.
#[test]
fn checkpoint_tells_of_each_shard_which_events_are_in_it() {
    for_each_case(150, |random| {
        let (mut platform, rules) = some_platform(random);
        let middle = random.u32(1..ALL.end);
        let taken_from = platform.sequence;
        let boundary = Boundary { sequence: platform.sequence, clock: platform.now };
        let mut shards = platform.worker.capture(0..middle, boundary).expect("shards");
        for _ in 0..random.usize(1..4) {
            let records = (0..random.usize(0..4)).map(|_| some_plain_record(platform.now, random)).collect();
            platform.tick(records);
        }
        let boundary = Boundary { sequence: platform.sequence, clock: platform.now };
        shards.extend(platform.worker.capture(middle..ALL.end, boundary).expect("shards"));
        let expected = (rows(&platform.worker), members(&platform.worker));
        let mut worker = restored(&platform, &shards, &rules);
        let records = platform.history.0.lock().clone();
        let mut routed = Routed::default();
        for record in &records[taken_from as usize..] {
            platform.route(&event(record), &mut routed.records);
        }
        worker.tick(TickInput { clock: TickClock::at(platform.now), routed: vec![routed] }).expect("a tick");
        worker.activate();
        assert_eq!((rows(&worker), members(&worker)), expected);
    });
}
