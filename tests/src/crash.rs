//! Crashes beside writers that never rest, and the state that must be there after them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::{ScopedJoinHandle, scope};

use crate::client::Client;
use crate::ledger::{Ledger, Members, members_at, same};
use crate::random::Random;
use crate::serve::{Served, Setup, pause, wall_clock};
use crate::traffic::{Account, EditTraffic, EventTraffic, ProgramAddress, Standing};

/// Nothing changes by time any more once it has been quiet for so long: the longest window, and the farthest future.
pub const QUIET_MILLISECONDS: u64 = 15_500;

/// A number of the environment, or what is said here.
pub fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// When something is done to the program.
#[derive(Clone, Copy, Debug)]
pub enum CrashPoint {
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

impl CrashPoint {
    /// Any of them.
    pub fn any(random: &mut Random) -> CrashPoint {
        match random.weighted(&[15, 35, 15, 10, 25]) {
            0 => CrashPoint::Starting(random.between(0, 400)),
            1 => CrashPoint::Running(*random.pick(&[0, 1, 20, 300, 700, 1200, 3000])),
            2 => CrashPoint::InCheckpoint(random.between(1, 20) as usize),
            3 => CrashPoint::AtCheckpoint,
            _ => CrashPoint::InEdit(random.between(0, 25)),
        }
    }

    /// Waits for it; some never come.
    pub fn wait(self, data: &Path, link: &ProgramAddress) {
        let poll = |is_met: &dyn Fn() -> bool| {
            let deadline = wall_clock() + 5_000;
            while !is_met() && wall_clock() < deadline {
                pause(1);
            }
        };
        match self {
            CrashPoint::Starting(milliseconds) | CrashPoint::Running(milliseconds) => pause(milliseconds),
            CrashPoint::InCheckpoint(files) => {
                poll(&|| newest_checkpoint(data).is_some_and(|(_, found, done)| !done && found >= files));
            }
            CrashPoint::AtCheckpoint => {
                let before = newest_checkpoint(data).map(|(number, ..)| number);
                poll(&|| newest_checkpoint(data).is_some_and(|(number, _, done)| done && Some(number) != before));
            }
            CrashPoint::InEdit(milliseconds) => {
                let before = link.edits();
                poll(&|| link.edits() > before);
                pause(milliseconds);
            }
        }
    }
}

/// The newest checkpoint: its name, how many files it has, and whether it is finished.
pub fn newest_checkpoint(data: &Path) -> Option<(PathBuf, usize, bool)> {
    let found = fs::read_dir(data.join("checkpoints")).ok()?;
    let newest = found.filter_map(|entry| Some(entry.ok()?.path())).max()?;
    let files = fs::read_dir(&newest).ok()?.count();
    let is_finished = newest.join("manifest").exists();
    Some((newest, files, is_finished))
}

/// Runs of the program on one data directory, with what is known of it.
pub struct CrashRun<'a> {
    /// The settings of its start.
    pub setup: Setup,
    /// The address at which writers reach it.
    pub link: &'a ProgramAddress,
    /// The requests that they sent.
    pub account: &'a Account,
    /// The ledger of its data when last looked at.
    pub before: Ledger,
    /// The source of random choices.
    pub random: Random,
    scratch: PathBuf,
}

impl<'a> CrashRun<'a> {
    /// Everything in a directory.
    pub fn new(program: PathBuf, directory: &Path, link: &'a ProgramAddress, account: &'a Account, seed: u64) -> Self {
        CrashRun {
            setup: Setup::within(program, directory),
            link,
            account,
            before: Ledger::default(),
            random: Random::new(seed),
            scratch: directory.join("copy"),
        }
    }

    /// Starts it with any number of workers.
    pub fn start(&mut self) -> Served {
        self.setup.workers = self.random.between(1, 4) as usize;
        let served = self.setup.start();
        self.link.set(Some(served.client()));
        served
    }

    /// Starts it, and kills it at that moment.
    pub fn round(&mut self, moment: CrashPoint) -> Result<(), String> {
        if let CrashPoint::Starting(_) = moment {
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

    /// Starts it, waits until it ends at that pass of that failpoint, and looks.
    pub fn end_at(&mut self, failpoint: &str, pass: u64) -> Result<(), String> {
        self.setup.workers = self.random.between(1, 4) as usize;
        self.setup.variables = vec![("AUDIENCE_FAILPOINT".to_owned(), format!("{failpoint}:{pass}"))];
        let mut served = self.setup.spawn();
        self.setup.variables.clear();
        self.link.set(Some(served.client()));
        let status = served.wait();
        self.link.set(None);
        let said = served.said();
        if !said.contains(&format!("the failpoint {failpoint} is reached")) {
            return Err(format!("it ended with {status} elsewhere:\n{said}"));
        }
        self.look()
    }

    /// Looks at the data while nothing runs.
    pub fn look(&mut self) -> Result<(), String> {
        if !self.setup.data.join("FORMAT").exists() {
            return Ok(());
        }
        let ledger = Ledger::of_copy(&self.setup.data, &self.scratch)?;
        eprintln!("given out: {:?}", ledger.progress);
        self.account.check(&ledger.events)?;
        ledger.check(&self.before)?;
        self.before = ledger;
        Ok(())
    }

    /// Stops the program once all that was accepted is in the progress, and looks.
    pub fn stop(&mut self, served: Served) -> Result<(), String> {
        served.stop();
        self.link.set(None);
        self.look()
    }
}

/// The served memberships, once they are those of everything stored; an error if that does not come about.
pub fn served_members(client: Client, ledger: &Ledger) -> Result<Members, String> {
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
pub fn check_documents(client: Client, standings: &BTreeMap<String, Standing>) -> Result<(), String> {
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
struct PanicGuard<'a>(&'a ProgramAddress);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.give_up();
        }
    }
}

/// Runs `act` beside writers; when it is through, they end what they have under way. Gives what must be there.
pub fn beside_writers<T>(
    link: &ProgramAddress,
    account: &Account,
    seed: u64,
    act: impl FnOnce() -> Result<T, String>,
) -> Result<(T, BTreeMap<String, Standing>), String> {
    scope(|threads| {
        let _guard = PanicGuard(link);
        let writer = |number: u64| {
            let random = Random::new(seed ^ (number + 1));
            let writer = EventTraffic { link, account, random, next: number * 1_000_000_000 };
            threads.spawn(move || writer.run().inspect_err(|_| link.give_up()))
        };
        let writers = [writer(0), writer(1)];
        let editor = EditTraffic { link, random: Random::new(seed ^ 77), standings: BTreeMap::new() };
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
