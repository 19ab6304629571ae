//! A byte changed anywhere in a data directory is noticed, or changes nothing: never is there a wrong answer. A repair makes anew
//! what follows from the events, and names the rest.
//!
//! `AUDIENCE_DAMAGE_ROUNDS` says how many bytes are tried, `AUDIENCE_DAMAGE_SEED` where to begin.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use audience_contract::{Document, DocumentKind, MessageIndex, Progress, Result, StoreError, suite};
use audience_embedded::{DirectoryRepair, Options, PartState, Stores};

const EVENTS: u64 = 70_000;
const USERS: u64 = 50;
const MESSAGES: u64 = 20_000;
const CHECKPOINTS: [u64; 2] = [5, 6];

/// Small buffers, so that there are table files and not only journals.
fn open(path: &Path) -> Result<Stores> {
    Stores::open(
        path,
        &Options { cache_bytes: 4 << 20, reserve_bytes: 0, buffer_bytes: 128 << 10, ..Options::default() },
    )
}

#[test]
fn damage_is_never_a_wrong_answer() {
    let number = |name, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let rounds: u64 = number("AUDIENCE_DAMAGE_ROUNDS", 60);
    let seed: u64 = number("AUDIENCE_DAMAGE_SEED", 1);
    let whole = tempfile::tempdir().unwrap();
    let expected = build(whole.path());
    let files = files(whole.path());
    let mut noticed = 0;
    let mut wrong = Vec::new();
    for round in seed..seed + rounds {
        let mut random = DamageRandom(round.wrapping_mul(0x2545_f491_4f6c_dd1d) | 1);
        let copy = tempfile::tempdir().unwrap();
        copy_all(whole.path(), copy.path());
        let what = damage(copy.path(), &files, &mut random);
        // A second time, because opening may have tidied up.
        for time in ["first", "second"] {
            match catch_unwind(AssertUnwindSafe(|| open(copy.path()).and_then(|stores| read(&stores)))) {
                Err(_) => wrong.push(format!("round {round}: {what}: panic, {time} time")),
                Ok(Ok(found)) if found != expected => wrong.push(format!("round {round}: {what}: wrong, {time} time")),
                Ok(Ok(_)) => {}
                Ok(Err(_)) => noticed += 1,
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {rounds}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(noticed > rounds / 2, "only {noticed} errors in {rounds} rounds: is anything read?");
}

/// Repairs a directory; gives the words of what is lost, and how many parts were made anew.
fn repair(path: &Path) -> Result<(Vec<String>, usize)> {
    let options = Options { cache_bytes: 4 << 20, reserve_bytes: 0, buffer_bytes: 128 << 10, ..Options::default() };
    let mut repair = DirectoryRepair::open(path, &options)?;
    let log = repair.events()?;
    let fill = |index: &dyn MessageIndex| {
        let messages: Vec<_> = (0..MESSAGES).map(|message| (key(message), message)).collect();
        index.note(&messages).map(|_| ())
    };
    repair.messages(log.is_some().then_some(&fill))?;
    repair.ledger()?;
    let lost = repair.parts().iter().filter_map(|part| match &part.state {
        PartState::Lost(why) => Some(format!("{}: {why}", part.part)),
        _ => None,
    });
    let rebuilt = repair.parts().iter().filter(|part| matches!(part.state, PartState::Rebuilt(_))).count();
    Ok((lost.collect(), rebuilt))
}

/// Returns whether all of a file of the directory follows from the events.
fn follows_from_events(file: &Path) -> bool {
    file.starts_with("messages") || file.starts_with("events/keyspaces/3") || file.ends_with("durable.mark")
}

#[test]
fn a_repair_makes_indexes_anew_and_names_what_is_lost() {
    let rounds: u64 = std::env::var("AUDIENCE_DAMAGE_ROUNDS").map_or(40, |text| text.parse().unwrap());
    let whole = tempfile::tempdir().unwrap();
    let expected = build(whole.path());
    let (files, others): (Vec<_>, Vec<_>) = files(whole.path())
        .into_iter()
        .filter(|(file, _)| !file.starts_with("checkpoints") && !file.ends_with("LOCK"))
        .partition(|(file, _)| follows_from_events(file));
    assert!(files.iter().any(|(file, _)| file.starts_with("events/keyspaces/3/tables")), "{files:?}");
    let (mut rebuilt, mut named, mut wrong) = (0, 0, Vec::new());
    for round in 1..=rounds {
        let mut random = DamageRandom(round.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let copy = tempfile::tempdir().unwrap();
        copy_all(whole.path(), copy.path());
        let is_index = round % 4 != 0;
        let what = damage(copy.path(), if is_index { &files } else { &others }, &mut random);
        let mut say = |fault: String| wrong.push(format!("round {round}: {what}: {fault}"));
        match repair(copy.path()) {
            Ok((lost, anew)) if lost.is_empty() => {
                rebuilt += anew;
                match open(copy.path()).and_then(|stores| read(&stores)) {
                    Ok(found) if found == expected => {}
                    Ok(_) => say("wrong".to_owned()),
                    Err(error) => say(format!("not repaired: {error}")),
                }
                match repair(copy.path()) {
                    Ok((lost, 0)) if lost.is_empty() => {}
                    other => say(format!("not whole after it: {other:?}")),
                }
            }
            Ok((lost, _)) if is_index => say(lost.join("; ")),
            Ok(_) => named += 1,
            Err(StoreError::Corrupt { .. }) if !is_index => named += 1,
            Err(error) => say(error.to_string()),
        }
    }
    assert!(wrong.is_empty(), "{} of {rounds}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(rebuilt as u64 > rounds / 4 && named > 0, "{rebuilt} made anew and {named} named in {rounds} rounds");
}

#[test]
fn a_repair_is_refused_where_a_process_has_the_directory_and_where_there_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let stores = open(directory.path()).unwrap();
    assert!(matches!(repair(directory.path()), Err(StoreError::InUse(_))));
    drop(stores);
    assert_eq!(repair(directory.path()).unwrap(), (Vec::new(), 0));
    // A repair that was killed between its two steps leaves no index of messages.
    fs::remove_dir_all(directory.path().join("messages")).unwrap();
    assert!(open(directory.path()).is_err());
    assert_eq!(repair(directory.path()).unwrap(), (Vec::new(), 1));
    open(directory.path()).unwrap();
    fs::remove_dir_all(directory.path().join("events")).unwrap();
    let (lost, rebuilt) = repair(directory.path()).unwrap();
    assert!(lost.len() == 1 && lost[0].starts_with("the log of events") && rebuilt == 0, "{lost:?}");
    let nothing = directory.path().join("elsewhere");
    assert!(matches!(repair(&nothing), Err(StoreError::Corrupt { .. })) && !nothing.exists());
}

/// Everything that the stores say.
#[derive(PartialEq)]
struct Everything {
    events: Vec<u8>,
    of_users: Vec<Vec<u8>>,
    messages: Vec<Option<u64>>,
    progress: Option<Progress>,
    changes: Vec<(u64, Vec<u8>)>,
    documents: Vec<Vec<Document>>,
    checkpoints: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

fn read(stores: &Stores) -> Result<Everything> {
    let (log, catalogue, checkpoints) = (stores.events(), stores.catalogue(), stores.checkpoints());
    let mut events = Vec::new();
    log.scan(0..u64::MAX, &mut |run| {
        events.extend_from_slice(run);
        ControlFlow::Continue(())
    })?;
    let of_users = (0..USERS).map(|user| log.of_users(&[&format!("u{user}")], u64::MAX)).collect::<Result<_>>()?;
    let messages = stores.messages().first(&(0..MESSAGES + 10).map(key).collect::<Vec<_>>())?;
    let mut changes = Vec::new();
    stores.changes().read(0, &mut |tick, bytes| {
        changes.push((tick, bytes.to_vec()));
        ControlFlow::Continue(())
    })?;
    let mut documents = (0..=catalogue.version()?).map(|version| catalogue.at(version)).collect::<Result<Vec<_>>>()?;
    documents.push(catalogue.history(DocumentKind::Segment, "s1")?);
    checkpoints.list()?;
    let checkpoints = CHECKPOINTS.iter().map(|id| Ok((checkpoints.manifest(*id)?, checkpoints.shard(*id, 1)?)));
    Ok(Everything {
        events,
        of_users,
        messages,
        progress: stores.changes().progress()?,
        changes,
        documents,
        checkpoints: checkpoints.collect::<Result<_>>()?,
    })
}

fn key(message: u64) -> u128 {
    u128::from(message.wrapping_mul(0x9e37_79b9_7f4a_7c15)) << 64
}

fn build(path: &Path) -> Everything {
    {
        let stores = open(path).unwrap();
        let mut records = Vec::new();
        for event in 0..EVENTS {
            suite::record(&format!("u{}", event % USERS), "", &event.to_string(), &mut records);
            if event % 400 == 399 || event + 1 == EVENTS {
                stores.events().append(&mut records).unwrap();
                records.clear();
            }
        }
        for batch in 0..MESSAGES / 100 {
            let batch: Vec<_> = (batch * 100..batch * 100 + 100).map(|message| (key(message), message)).collect();
            stores.messages().note(&batch).unwrap();
        }
        for tick in 1..=150 {
            let progress = Progress { tick, sequence: tick, ..Progress::default() };
            stores.changes().commit(progress, &vec![tick as u8; (tick * 100) as usize]).unwrap();
            let body = Some(format!("body of {tick} ").repeat(tick as usize * 5));
            let id = format!("s{}", tick % 7);
            let document = Document { kind: DocumentKind::Segment, id, catalogue_version: tick, body };
            assert!(stores.catalogue().put(tick - 1, &[document]).unwrap());
        }
        for id in CHECKPOINTS {
            stores.checkpoints().put_shard(id, 1, &vec![id as u8; 10_000]).unwrap();
            stores.checkpoints().finish(id, b"manifest").unwrap();
        }
        stores.messages().flush().unwrap();
        // Tables are written in the background.
        std::thread::park_timeout(Duration::from_millis(500));
    }
    // Opened again, journals have no room set aside.
    let stores = open(path).unwrap();
    std::thread::park_timeout(Duration::from_millis(500));
    read(&stores).unwrap()
}

/// Changes one thing; says what.
fn damage(root: &Path, files: &[(PathBuf, u64)], random: &mut DamageRandom) -> String {
    // Half by file, so that small ones have their turn, half by byte.
    let (name, length) = if random.below(2) == 0 {
        files[random.below(files.len() as u64) as usize].clone()
    } else {
        let mut at = random.below(files.iter().map(|file| file.1).sum());
        let found = files.iter().find(|(_, length)| {
            let here = at < *length;
            at = at.saturating_sub(*length);
            here
        });
        found.unwrap().clone()
    };
    let path = root.join(&name);
    let mut bytes = fs::read(&path).unwrap();
    let at = random.below(length) as usize;
    let what = match random.below(8) {
        0 => {
            bytes.truncate(at);
            "cut off"
        }
        1 => {
            let end = bytes.len().min((at | 4095) + 1);
            bytes[at & !4095..end].fill(0);
            "page zeroed"
        }
        2..=4 => {
            bytes[at] ^= 1 << random.below(8);
            "bit changed"
        }
        _ => {
            bytes[at] ^= 1 + random.below(255) as u8;
            "byte changed"
        }
    };
    fs::write(&path, bytes).unwrap();
    format!("{} at {at} of {length}: {what}", name.display())
}

/// Every file that is not empty, with its length.
fn files(root: &Path) -> Vec<(PathBuf, u64)> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut found = Vec::new();
    walk(root, &mut found);
    found.sort();
    let named = found.iter().map(|path| (path.strip_prefix(root).unwrap().to_owned(), path.metadata().unwrap().len()));
    named.filter(|(_, length)| *length > 0).collect()
}

fn copy_all(from: &Path, to: &Path) {
    fn copy(from: &Path, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let path = entry?.path();
            let target = to.join(path.file_name().unwrap());
            if path.is_dir() { copy(&path, &target)? } else { fs::copy(&path, &target).map(|_| ())? }
        }
        Ok(())
    }
    copy(from, to).unwrap();
}

/// xorshift64*.
struct DamageRandom(u64);

impl DamageRandom {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % limit
    }
}
