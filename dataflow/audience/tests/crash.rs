//! The real program, killed at random moments while events and edits come in: what was acknowledged is there once, the
//! changes given out are never taken back, and who is in what is what the naive evaluator says.
//!
//! `AUDIENCE_CRASH_ROUNDS` kills so often instead of [`ROUNDS`] times; `AUDIENCE_CRASH_SEED` begins with that seed.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::{ScopedJoinHandle, scope};

use audience_tests::client::Client;
use audience_tests::ledger::{Ledger, Members, members_at, same};
use audience_tests::program;
use audience_tests::random::Random;
use audience_tests::serve::{Served, Setup, pause, wall_clock};
use audience_tests::traffic::{Account, Editor, EventWriter, Link, Standing};

/// How often the program is killed.
const ROUNDS: u64 = 22;
/// Nothing changes by time any more once it has been quiet for so long: the longest window, and the farthest future.
const QUIET_MILLISECONDS: u64 = 15_500;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// When the program is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So many milliseconds after it was started, ready or not.
    Starting(u64),
    /// So many milliseconds after it was ready.
    Running(u64),
    /// While a checkpoint is being written that has so many files.
    InCheckpoint(usize),
    /// As soon as a checkpoint is finished, while older ones are being deleted.
    AtCheckpoint,
    /// So many milliseconds after an edit was sent.
    InEdit(u64),
}

impl Moment {
    fn any(random: &mut Random) -> Moment {
        match random.weighted(&[15, 35, 15, 10, 25]) {
            0 => Moment::Starting(random.between(0, 400)),
            1 => Moment::Running(*random.pick(&[0, 1, 20, 300, 700, 1200, 3000])),
            2 => Moment::InCheckpoint(random.between(1, 20) as usize),
            3 => Moment::AtCheckpoint,
            _ => Moment::InEdit(random.between(0, 25)),
        }
    }

    /// Waits for it; some never come.
    fn wait(self, data: &Path, link: &Link) {
        let poll = |is_met: &dyn Fn() -> bool| {
            let deadline = wall_clock() + 5_000;
            while !is_met() && wall_clock() < deadline {
                pause(1);
            }
        };
        match self {
            Moment::Starting(milliseconds) | Moment::Running(milliseconds) => pause(milliseconds),
            Moment::InCheckpoint(files) => {
                poll(&|| newest_checkpoint(data).is_some_and(|(_, found, done)| !done && found >= files));
            }
            Moment::AtCheckpoint => {
                let before = newest_checkpoint(data).map(|(number, ..)| number);
                poll(&|| newest_checkpoint(data).is_some_and(|(number, _, done)| done && Some(number) != before));
            }
            Moment::InEdit(milliseconds) => {
                let before = link.edits();
                poll(&|| link.edits() > before);
                pause(milliseconds);
            }
        }
    }
}

/// The newest checkpoint: its name, how many files it has, and whether it is finished.
fn newest_checkpoint(data: &Path) -> Option<(PathBuf, usize, bool)> {
    let found = fs::read_dir(data.join("checkpoints")).ok()?;
    let newest = found.filter_map(|entry| Some(entry.ok()?.path())).max()?;
    let files = fs::read_dir(&newest).ok()?.count();
    let is_finished = newest.join("manifest").exists();
    Some((newest, files, is_finished))
}

/// A run of the program with what is known of it.
struct Run<'a> {
    setup: Setup,
    link: &'a Link,
    account: &'a Account,
    before: Ledger,
    random: Random,
    scratch: PathBuf,
}

impl<'a> Run<'a> {
    fn new(directory: &Path, link: &'a Link, account: &'a Account, seed: u64) -> Self {
        Run {
            setup: Setup::within(program!(), directory),
            link,
            account,
            before: Ledger::default(),
            random: Random::new(seed),
            scratch: directory.join("copy"),
        }
    }

    fn start(&mut self) -> Served {
        self.setup.workers = self.random.between(1, 4) as usize;
        let served = self.setup.start();
        self.link.set(Some(served.client()));
        served
    }

    fn round(&mut self, moment: Moment) -> Result<(), String> {
        if let Moment::Starting(_) = moment {
            self.setup.workers = self.random.between(1, 4) as usize;
            let served = self.setup.spawn();
            self.link.set(Some(served.client()));
            moment.wait(&self.setup.data, self.link);
            self.link.set(None);
            served.kill();
        } else {
            let served = self.start();
            moment.wait(&self.setup.data, self.link);
            served.kill();
            self.link.set(None);
        }
        self.look()
    }

    /// Looks at the data while nothing runs.
    fn look(&mut self) -> Result<(), String> {
        if !self.setup.data.join("FORMAT").exists() {
            return Ok(());
        }
        let ledger = Ledger::of_copy(&self.setup.data, &self.scratch)?;
        self.account.check(&ledger.events)?;
        ledger.check(&self.before)?;
        self.before = ledger;
        Ok(())
    }

    /// Stops the program once all that was accepted is in the progress, and looks.
    fn stop(&mut self, served: Served) -> Result<(), String> {
        served.stop();
        self.link.set(None);
        self.look()
    }
}

/// What is served, once it is what everything stored says; an error where that does not come about.
fn served_members(client: Client, ledger: &Ledger) -> Result<Members, String> {
    let world = ledger.newest_world()?;
    let expected = members_at(&world, wall_clock());
    if expected != members_at(&world, wall_clock() + 10_000) {
        return Err("the test did not wait long enough".to_owned());
    }
    let mut served = Members::new();
    for id in world.catalogue.segments.keys() {
        let members = client.members(id).map_err(|error| error.to_string())?;
        let members = members.ok_or_else(|| format!("there is no segment {id}"))?;
        let sorted = members.is_sorted();
        if !sorted {
            return Err(format!("the members of {id} are in no order: {members:?}"));
        }
        if !members.is_empty() {
            served.insert(id.to_string(), members.into_iter().collect());
        }
    }
    same("it serves", &served, &expected)?;
    for (user, history) in world.at(wall_clock()).histories() {
        let answer = client.get(&format!("/api/users/{user}")).map_err(|error| error.to_string())?;
        if answer.json()["eventCount"].as_u64() != Some(history.events().len() as u64) {
            return Err(format!("{user} has {} events, not {}", answer.text(), history.events().len()));
        }
    }
    Ok(served)
}

/// The segments that are served are those that the editor was told of.
fn check_documents(client: Client, standings: &BTreeMap<String, Standing>) -> Result<(), String> {
    for (id, standing) in standings {
        let answer = client.get(&format!("/api/segments/{id}")).map_err(|error| error.to_string())?;
        let json = answer.json();
        let found = (answer.status == 200)
            .then(|| (json["name"].as_str().unwrap_or_default(), json["status"].as_str().unwrap_or_default()));
        if found != standing.as_ref().map(|(name, status)| (name.as_str(), *status)) {
            return Err(format!("{id} should be {standing:?} and is {}", answer.text()));
        }
    }
    Ok(())
}

fn joined<T>(handle: ScopedJoinHandle<'_, Result<T, String>>) -> Result<T, String> {
    handle.join().unwrap_or_else(|_| Err("a writer panicked".to_owned()))
}

/// Ends the writers where the test panics, which would else wait for them for good.
struct Guard<'a>(&'a Link);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.give_up();
        }
    }
}

/// Runs `act` beside writers; when it is through, they end what they have under way. Gives what must be there.
fn beside_writers<T>(
    link: &Link,
    account: &Account,
    seed: u64,
    act: impl FnOnce() -> Result<T, String>,
) -> Result<(T, BTreeMap<String, Standing>), String> {
    scope(|threads| {
        let _guard = Guard(link);
        let writer = |number: u64| {
            let random = Random::new(seed ^ (number + 1));
            let writer = EventWriter { link, account, random, next: number * 1_000_000_000 };
            threads.spawn(move || writer.run().inspect_err(|_| link.give_up()))
        };
        let writers = [writer(0), writer(1)];
        let editor = Editor { link, random: Random::new(seed ^ 77), standings: BTreeMap::new() };
        let editor = threads.spawn(move || editor.run().inspect_err(|_| link.give_up()));
        let acted = act().inspect_err(|_| link.give_up());
        link.stop();
        let mut faults: Vec<String> = Vec::new();
        faults.extend(writers.into_iter().filter_map(|writer| joined(writer).err()));
        let standings = joined(editor);
        faults.extend(standings.as_ref().err().cloned());
        match (acted, standings) {
            (Ok(acted), Ok(standings)) if faults.is_empty() => Ok((acted, standings)),
            (acted, _) => {
                faults.extend(acted.err());
                Err(faults.join("\n"))
            }
        }
    })
}

fn killed_again_and_again(seed: u64, rounds: u64) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let (link, account) = (Link::default(), Account::default());
    let mut run = Run::new(directory.path(), &link, &account, seed);
    let (served, standings) = beside_writers(&link, &account, seed, || {
        for round in 0..rounds {
            let moment = Moment::any(&mut run.random);
            run.round(moment).map_err(|wrong| format!("round {round}, killed {moment:?}: {wrong}"))?;
            if link.is_given_up() {
                return Err(format!("round {round}, killed {moment:?}: a writer gave up"));
            }
        }
        let served = run.start();
        pause(500);
        Ok(served)
    })?;
    eprintln!("{} events, {} changes so far", account.len(), run.before.changes.len());
    check_documents(served.client(), &standings)?;
    // Stopped while windows are open.
    run.stop(served).map_err(|wrong| format!("stopped: {wrong}"))?;
    let served = run.start();
    pause(QUIET_MILLISECONDS);
    check_documents(served.client(), &standings)?;
    let members = served_members(served.client(), &run.before)?;
    run.stop(served).map_err(|wrong| format!("stopped when quiet: {wrong}"))?;
    same("the changes say", &run.before.folded()?, &members)?;
    let served = run.start();
    let again = served_members(served.client(), &run.before)?;
    same("after a restart it serves", &again, &members)
}

#[test]
fn kills_lose_nothing_and_take_nothing_back() {
    let seed = setting("AUDIENCE_CRASH_SEED", 20_260_101);
    let rounds = setting("AUDIENCE_CRASH_ROUNDS", ROUNDS);
    eprintln!("AUDIENCE_CRASH_SEED={seed} AUDIENCE_CRASH_ROUNDS={rounds}");
    if let Err(wrong) = killed_again_and_again(seed, rounds) {
        panic!("{wrong}");
    }
}

/// A program with some members, and what they are.
fn with_members(setup: &Setup) -> (Served, Members) {
    let served = setup.start();
    let client = served.client();
    let rules = r#"{"name":"two","rules":{"event":"buy","operator":"gte","value":2}}"#;
    assert_eq!(client.put("/api/segments/two", rules).unwrap().status, 201);
    let rules = r#"{"name":"top","rules":{"rank":{"by":{"event":"buy"}},"top":5}}"#;
    assert_eq!(client.put("/api/segments/top", rules).unwrap().status, 201);
    let lines: Vec<String> =
        (0..300).map(|number| format!(r#"{{"userId":"u{}","eventType":"buy"}}"#, number * number % 97)).collect();
    let answer = client.send("POST", "/api/events", "application/x-ndjson", lines.join("\n").as_bytes()).unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    (served, members_once(client, 300))
}

/// The members once so many events are in them.
fn members_once(client: Client, events: u64) -> Members {
    let count =
        |user: &str| client.get(&format!("/api/users/{user}")).unwrap().json()["eventCount"].as_u64().unwrap_or(0);
    let mut known = 0;
    for _ in 0..500 {
        known = (0..97).map(|number| count(&format!("u{number}"))).sum();
        if known == events {
            break;
        }
        pause(20);
    }
    assert_eq!(known, events);
    pause(1_000);
    let members = |id: &str| (id.to_owned(), client.members(id).unwrap().unwrap().into_iter().collect());
    ["top", "two"].map(members).into()
}

/// Waits until there are so many finished checkpoints; gives them, newest last.
fn finished_checkpoints(data: &Path, count: usize) -> Vec<PathBuf> {
    for _ in 0..3_000 {
        let found = fs::read_dir(data.join("checkpoints")).unwrap().map(|entry| entry.unwrap().path());
        let mut finished: Vec<PathBuf> = found.filter(|path| path.join("manifest").exists()).collect();
        finished.sort();
        if finished.len() >= count {
            return finished;
        }
        pause(10);
    }
    panic!("no {count} checkpoints come about");
}

#[test]
fn sigterm_drains_and_nothing_answered_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (link, account) = (Link::default(), Account::default());
    let mut run = Run::new(directory.path(), &link, &account, 5);
    let outcome = beside_writers(&link, &account, 5, || {
        for milliseconds in [0, 30, 700] {
            let served = run.start();
            pause(milliseconds);
            run.stop(served)?;
        }
        Ok(run.start())
    });
    let (served, standings) = outcome.unwrap();
    check_documents(served.client(), &standings).unwrap();
    run.stop(served).unwrap();
    assert!(!account.is_empty());
}

#[test]
fn a_second_program_on_the_same_data_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::within(program!(), directory.path());
    let first = setup.start();
    let other = Setup { log: directory.path().join("other-log"), ..setup.clone() };
    let mut second = other.spawn();
    let status = second.wait();
    let said = second.said();
    assert!(!status.success() && said.contains("in use by another process"), "{status}: {said}");
    assert!(said.contains(&*setup.data.to_string_lossy()), "{said}");
    assert_eq!(first.client().get("/health/ready").unwrap().status, 200);
    first.stop();
    setup.start().stop();
}

#[test]
fn damaged_checkpoints_are_passed_over_and_workers_may_be_others() {
    let directory = tempfile::tempdir().unwrap();
    let mut setup = Setup::within(program!(), directory.path());
    let (served, expected) = with_members(&setup);
    assert!(expected["two"].len() > 40 && expected["top"].len() == 5);
    finished_checkpoints(&setup.data, 2);
    served.stop();
    let damage = |checkpoints: &[PathBuf]| {
        for checkpoint in checkpoints {
            let mut shards: Vec<PathBuf> =
                fs::read_dir(checkpoint).unwrap().map(|entry| entry.unwrap().path()).collect();
            shards.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("shard-")));
            shards.sort();
            let mut bytes = fs::read(&shards[0]).unwrap();
            bytes.iter_mut().skip(20).for_each(|byte| *byte = b'x');
            fs::write(&shards[0], bytes).unwrap();
        }
    };
    // The newest; then all of them; then none, with another number of workers each time.
    for (workers, damaged, word) in [(1, 1, "from_checkpoint=true"), (3, 9, "from_checkpoint=false"), (4, 0, "=true")] {
        let finished = finished_checkpoints(&setup.data, 1);
        damage(&finished[finished.len().saturating_sub(damaged)..]);
        setup.workers = workers;
        let served = setup.start();
        let said = served.said();
        assert_eq!(members_once(served.client(), 300), expected, "{said}");
        assert_eq!(damaged > 0, said.contains("is damaged"), "{said}");
        assert!(said.contains(word), "{said}");
        finished_checkpoints(&setup.data, 2);
        served.stop();
    }
}
