//! The parts of a bundle. One that cannot be had says why in its place.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use audience_embedded::Stores;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args as _, Command};
use serde_json::{Value, json};

use super::args::BundleArgs;
use super::hide;
use crate::asking::{self, HttpQuestion};
use crate::settings::{ServeFlags, ServeSettings};
use crate::version::VERSION;
use crate::{doctor, process_metrics};

/// The end of a log that is added.
const LOG_BYTES: i64 = 4 << 20;
/// Files of the data directory that are listed.
const MOST_FILES: usize = 10_000;
/// Bytes of an answer of the process.
const MOST: u64 = 16 << 20;
/// The questions to the process: the path, and the name of the answer.
const QUESTIONS: [(&str, &str); 6] = [
    ("/actuator/health", "process/health.json"),
    ("/metrics", "process/metrics.txt"),
    ("/api/system", "process/system.json"),
    ("/api/sinks", "process/sinks.json"),
    ("/api/catalogue/faulty", "process/faulty.json"),
    ("/api/webhooks", "process/webhooks.json"),
];

/// All parts: the name of each, and its bytes.
pub(super) fn gather(args: &BundleArgs, given: &ArgMatches) -> Vec<(&'static str, Vec<u8>)> {
    let mut parts = vec![("about.json", text(&about())), ("settings.json", text(&settings(args, given)))];
    match ServeSettings::load(args.settings.clone()) {
        Err(error) => parts.push(("doctor.json", why(&format!("the settings are wrong: {error:#}")))),
        Ok(settings) => {
            let findings = serde_json::to_value(doctor::look(&settings)).unwrap_or_default();
            parts.push(("doctor.json", text(&findings)));
            parts.push(("data-directory.json", text(&data_directory(settings.data()))));
            parts.push(("checkpoints.json", text(&checkpoints(settings.data()))));
        }
    }
    for (path, name) in QUESTIONS {
        let question = HttpQuestion { key: args.key.as_deref(), most: MOST, ..HttpQuestion::get(path) };
        let answer = asking::ask_here(args.settings.listen.0, question);
        parts.push((name, answer.map_or_else(|error| why(&format!("{error:#}")), |answer| answered(&answer))));
    }
    if let Some(log) = &args.log_file {
        let end = end_of(log).map(|end| hide::in_text(&end).into_bytes());
        parts.push(("log.txt", end.unwrap_or_else(|error| why(&format!("{}: {error}", log.display())))));
    }
    parts
}

fn text(value: &Value) -> Vec<u8> {
    format!("{value:#}\n").into_bytes()
}

fn why(reason: &str) -> Vec<u8> {
    format!("{}\n", hide::in_text(reason)).into_bytes()
}

/// An answer of the process. The secrets of webhooks are hidden by their names.
fn answered((status, body): &(u16, String)) -> Vec<u8> {
    match serde_json::from_str::<Value>(body) {
        Ok(json) => text(&hide::in_json(json)),
        Err(_) if *status == 200 => hide::in_text(body).into_bytes(),
        Err(_) => why(&format!("{status} {body}")),
    }
}

fn about() -> Value {
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    json!({
        "version": VERSION,
        "system": system.map(|name| name.trim_matches('"')),
        "kernel": rustix::system::uname().release().to_string_lossy(),
        "cores": std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get),
        "memoryLimitBytes": process_metrics::memory_limit(),
    })
}

/// Every setting that is not at its default, with the place that says it, and the file.
fn settings(args: &BundleArgs, given: &ArgMatches) -> Value {
    let command = ServeFlags::augment_args(Command::new("serve"));
    let setting = |argument: &clap::Arg| {
        let id = argument.get_id().as_str();
        let place = match given.value_source(id)? {
            ValueSource::CommandLine => "command line",
            ValueSource::EnvVariable => "variable",
            _ => return None,
        };
        let values = given.get_raw(id)?.map(|value| hide::in_text(&value.to_string_lossy()));
        let values: Vec<String> = match argument.is_hide_env_values_set() || hide::is_secret(id) {
            true => vec![hide::hidden()],
            false => values.collect(),
        };
        Some(json!({"name": id, "from": place, "value": values.join(",")}))
    };
    let said: Vec<Value> = command.get_arguments().filter_map(setting).collect();
    let file = args.settings.config.read().ok().flatten();
    let file = file.map(|file| serde_json::to_value(file.content()).map(hide::in_json).unwrap_or_default());
    json!({"said": said, "file": file})
}

/// The files of the data directory, with sizes and times of their last change.
fn data_directory(data: &Path) -> Value {
    let (mut left, mut files) = (vec![data.to_owned()], Vec::new());
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                left.push(entry.path());
            } else if files.len() < MOST_FILES {
                let changed = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
                let name: PathBuf = entry.path().strip_prefix(data).map_or_else(|_| entry.path(), Path::to_owned);
                let changed = changed.map(|since| since.as_secs());
                files.push(json!({"name": name, "bytes": metadata.len(), "changedAtSeconds": changed}));
            }
        }
    }
    json!({"directory": data, "files": files})
}

fn checkpoints(data: &Path) -> Value {
    let found = Stores::look_at_checkpoints(data).and_then(|store| store.found());
    found.map_or_else(|error| json!({"error": error.to_string()}), |numbers| json!({"numbers": numbers}))
}

/// The last bytes of a file.
fn end_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = i64::try_from(file.metadata()?.len()).unwrap_or(i64::MAX);
    file.seek(SeekFrom::End(-length.min(LOG_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
