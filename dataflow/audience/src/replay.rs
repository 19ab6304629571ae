//! `audience replay`: timelines and files of events under a logical clock, on the kernel or on its specification.

#[cfg(feature = "standard-kernel")]
mod standard;

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use audience_engine::engine::EngineOptions;
use audience_engine::replay::bulk::definitions::{add_segments, add_traits};
use audience_engine::replay::bulk::{BulkInput, BulkOptions, Summary, replay};
use audience_engine::replay::logical::LogicalEngine;
use audience_engine::replay::timeline::EngineSubject;
use audience_rules::catalogue::Catalogue;
use audience_rules::fault::Fault;
use audience_rules::timeline::{self, Line, TimelineOutcome};
use audience_rules::value::Value;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};

use crate::files::{listed, read_json};

/// Events of a timeline that go into one tick at most.
const TIMELINE_BATCH: u64 = 1000;
/// Output is written in pieces of so many bytes.
const WRITE_BYTES: usize = 1 << 20;

#[derive(Debug, Args)]
#[command(after_help = "\
Timelines: exit status 1 where an expectation did not come true; each is printed as `file:line: ...`. What was refused \
is noted on the standard error, and by itself is no failure.

Events: lines that are no event are left out. They are counted, the first of them printed on the standard error, and \
the exit status is 0 all the same.

Exit status 2: something cannot be read, written or is invalid.")]
pub(crate) struct ReplayArgs {
    /// Timelines: one JSON object a line (case, at, event, trait, segment, deleteSegment, expect, refused).
    #[arg(value_name = "TIMELINE", required_unless_present = "events", conflicts_with = "events")]
    timelines: Vec<PathBuf>,
    /// Events, one a line, instead of timelines; now follows their greatest timestamp.
    #[arg(long, value_name = "E.ndjson")]
    events: Option<PathBuf>,
    /// Segments: a list of {id, name, rules}. [default: none]
    #[arg(long, value_name = "R.json", requires = "events")]
    rules: Option<PathBuf>,
    /// Computed traits, added to the shipped ones: a list of {name, event, where?, measure?, within?}, or, with
    /// `aggregate` and `property` for `measure`, of the older form. [default: none]
    #[arg(long, value_name = "T.json", requires = "events")]
    traits: Option<PathBuf>,
    /// Writes the membership at the end: lines of user TAB segment, sorted by bytes. [default: not written]
    #[arg(long, value_name = "M.tsv", requires = "events")]
    members: Option<PathBuf>,
    /// Writes each change: {"at", "userId", "segmentId", "change": "entered" or "left"} a line; of what comes and goes
    /// within a second, nothing. [default: not written]
    #[arg(long, value_name = "C.ndjson", requires = "events")]
    changes: Option<PathBuf>,
    /// Worker threads. Files of events are read and decoded on further ones, half as many.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: u16,
    /// The kernel that computes the memberships.
    #[arg(long, value_enum, default_value_t = Kernel::Rows)]
    kernel: Kernel,
}

/// An implementation of the law.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kernel {
    /// The kernel that `audience serve` runs: it keeps users' rows of its own.
    Rows,
    /// The kernel's specification in standard differential operators: one worker, small data, no --changes.
    #[cfg(feature = "standard-kernel")]
    Standard,
}

pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    match &args.events {
        Some(events) => replay_events(args, events),
        None => replay_timelines(args),
    }
}

fn replay_timelines(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let mut failures = 0;
    for path in &args.timelines {
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        let lines = timeline::parse_timeline(&text).with_context(|| format!("{name} is no timeline"))?;
        let outcome = match args.kernel {
            Kernel::Rows => run_on_engine(args.workers, &lines),
            #[cfg(feature = "standard-kernel")]
            Kernel::Standard => Ok(standard::run_timeline(lines)),
        };
        let outcome = outcome.with_context(|| format!("{name} cannot be run to its end"))?;
        for note in &outcome.refusals {
            eprintln!("{name}:{}: note: {}", note.line, note.message);
        }
        for failure in &outcome.failures {
            println!("{name}:{}: {}", failure.line, failure.message);
        }
        failures += outcome.failures.len();
    }
    Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_on_engine(workers: u16, lines: &[(usize, Line)]) -> anyhow::Result<TimelineOutcome> {
    let options = EngineOptions { workers: workers.into(), ..EngineOptions::default() };
    let engine = LogicalEngine::start(options, TIMELINE_BATCH, |_, _| {}, Box::new(|_| Ok(())), None)?;
    let mut subject = EngineSubject::new(engine);
    let outcome = timeline::run(lines, &mut subject);
    if let Some(failure) = subject.failure {
        return Err(failure.into());
    }
    subject.engine.stop();
    Ok(outcome)
}

fn replay_events(args: &ReplayArgs, events: &Path) -> anyhow::Result<ExitCode> {
    refuse_overwriting(args, events)?;
    let mut catalogue = Catalogue::with_shipped_traits();
    add(&mut catalogue, args.traits.as_deref(), add_traits)?;
    add(&mut catalogue, args.rules.as_deref(), add_segments)?;
    let length = std::fs::metadata(events).with_context(|| format!("cannot read {}", events.display()))?.len();
    let progress = progress_bar(length);
    let open_events = || {
        let file = File::open(events)?;
        progress.reset();
        Ok(Box::new(progress.wrap_read(file)) as Box<dyn Read + Send>)
    };
    match args.kernel {
        Kernel::Rows => {}
        #[cfg(feature = "standard-kernel")]
        Kernel::Standard => return replay_on_standard(args, events, catalogue, open_events()?),
    }
    let open_changes = |path: &Path| {
        let file = File::create(path)?;
        Ok(Box::new(BufWriter::with_capacity(WRITE_BYTES, file)) as Box<dyn Write + Send>)
    };
    let open_changes = args.changes.as_deref().map(|path| move || open_changes(path));
    let input = BulkInput {
        catalogue: &catalogue,
        events: &open_events,
        changes: open_changes.as_ref().map(|open| open as &dyn Fn() -> _),
    };
    let start = Instant::now();
    let replayed = replay(BulkOptions::new(args.workers.into()), &input)?;
    let seconds = start.elapsed().as_secs_f64();
    progress.finish_and_clear();
    write_members(args, |out| replayed.write_members(out))?;
    let Summary { entered, left, .. } = replayed.summary;
    report_refused(&replayed.summary, events);
    println!("{}; {entered} entered, {left} left", rate(replayed.summary.events, seconds));
    replayed.stop();
    Ok(ExitCode::SUCCESS)
}

/// Replays a file of events on the specification: its memberships as of its greatest timestamp.
#[cfg(feature = "standard-kernel")]
fn replay_on_standard(
    args: &ReplayArgs,
    path: &Path,
    catalogue: Catalogue,
    events: Box<dyn Read + Send>,
) -> anyhow::Result<ExitCode> {
    if args.changes.is_some() {
        bail!(
            "--changes: the standard kernel computes only the memberships at the end; leave it out, or use --kernel rows"
        );
    }
    let start = Instant::now();
    let (records, summary) = standard::read(events)?;
    let lines = standard::members(catalogue, records, summary.clock);
    let seconds = start.elapsed().as_secs_f64();
    write_members(args, |out| lines.iter().try_for_each(|line| writeln!(out, "{line}")))?;
    report_refused(&summary, path);
    println!("{}; {} memberships", rate(summary.events, seconds), lines.len());
    Ok(ExitCode::SUCCESS)
}

/// Writes the file of `--members`, if it is asked for.
fn write_members(args: &ReplayArgs, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> anyhow::Result<()> {
    let Some(path) = &args.members else { return Ok(()) };
    let write = || {
        let mut out = BufWriter::with_capacity(WRITE_BYTES, File::create(path)?);
        write(&mut out)?;
        out.flush()
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

/// Refuses an output that is an input or the other output, by whatever name: nothing is open for writing yet.
fn refuse_overwriting(args: &ReplayArgs, events: &Path) -> anyhow::Result<()> {
    let of = |flag: &'static str, path: &Option<PathBuf>| path.clone().map(|path| (flag, path));
    let inputs = [Some(("--events", events.to_owned())), of("--rules", &args.rules), of("--traits", &args.traits)];
    let mut taken: Vec<(&str, PathBuf)> = inputs.into_iter().flatten().collect();
    for (flag, output) in [of("--members", &args.members), of("--changes", &args.changes)].into_iter().flatten() {
        if let Some((other, _)) = taken.iter().find(|(_, path)| is_same_file(path, &output)) {
            bail!("{flag} {} is the file of {other}, which it would overwrite", output.display());
        }
        taken.push((flag, output));
    }
    Ok(())
}

/// Returns whether two paths lead to one regular file, there or not yet. A terminal or `/dev/null` may be given twice.
fn is_same_file(one: &Path, other: &Path) -> bool {
    match (std::fs::metadata(one), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino()),
        (Err(_), Err(_)) => one == other || place(one).is_some_and(|place_of_one| place(other) == Some(place_of_one)),
        _ => false,
    }
}

/// The path of a file that is not there yet.
fn place(path: &Path) -> Option<PathBuf> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(parent.canonicalize().ok()?.join(path.file_name()?))
}

type Add = fn(&mut Catalogue, &Value) -> Result<(), Vec<Fault>>;

fn add(catalogue: &mut Catalogue, path: Option<&Path>, add: Add) -> anyhow::Result<()> {
    let Some(path) = path else { return Ok(()) };
    if let Err(faults) = add(catalogue, &read_json(path)?) {
        bail!("{} is invalid\n{}", path.display(), listed(path, &faults).trim_end());
    }
    Ok(())
}

/// Drawn on a terminal only.
fn progress_bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let style = ProgressStyle::with_template("{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn report_refused(summary: &Summary, path: &Path) {
    if summary.refused > 0 {
        eprintln!("warning: {} lines of {} are no events and were left out:", summary.refused, path.display());
        for refusal in &summary.refusals {
            let fault = &refusal.fault;
            eprintln!("line {}: {}: {}", refusal.line, fault.pointer, fault.message);
        }
        if summary.refused > summary.refusals.len() as u64 {
            eprintln!("... and {} more", summary.refused - summary.refusals.len() as u64);
        }
    }
}

fn rate(events: u64, seconds: f64) -> String {
    let rate = events as f64 / seconds.max(1e-9);
    format!("{events} events in {seconds:.3} s, {rate:.0} events/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_input_is_overwritten_and_no_output_by_another() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let (events, rules, traits) = (path("e.ndjson"), path("r.json"), path("t.json"));
        std::fs::write(&events, "{}\n").unwrap();
        std::fs::write(&rules, "[]").unwrap();
        std::fs::write(&traits, "[]").unwrap();
        std::fs::create_dir(path("d")).unwrap();
        std::os::unix::fs::symlink(&events, path("soft")).unwrap();
        std::fs::hard_link(&rules, path("hard")).unwrap();
        let out = Some(path("out"));
        let outputs = [
            (Some(events.clone()), None),
            (None, Some(traits.clone())),
            (Some(path("soft")), None),
            (None, Some(path("hard"))),
            (Some(path("d/../e.ndjson")), out.clone()),
            (out.clone(), out.clone()),
            (Some(path("d/../out")), out),
        ];
        for (members, changes) in outputs {
            let (events, rules, traits) = (Some(events.clone()), Some(rules.clone()), Some(traits.clone()));
            let args = ReplayArgs {
                timelines: Vec::new(),
                events,
                rules,
                traits,
                members,
                changes,
                workers: 1,
                kernel: Kernel::Rows,
            };
            let refused = run(&args).map_err(|error| error.to_string());
            assert!(refused.as_ref().is_err_and(|error| error.contains("overwrite")), "{args:?}: {refused:?}");
        }
        let read = [&events, &rules, &traits].map(|path| std::fs::read_to_string(path).unwrap());
        assert_eq!((read, path("out").exists()), (["{}\n", "[]", "[]"].map(str::to_owned), false));
        for (one, other, is_same) in [("out", "d/out", false), ("e.ndjson", "out", false), ("out", "d/../out", true)] {
            assert_eq!(is_same_file(&path(one), &path(other)), is_same, "{one} {other}");
        }
        assert!(!is_same_file(Path::new("/dev/null"), Path::new("/dev/null")), "it may take both");
    }
}
