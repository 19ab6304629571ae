//! Metrics of the process: its build, CPU, memory and files, what it may use of them, and the disk of its data.
//!
//! The figures of the system are read when they are asked for. Linux tells them under `/proc` and `/sys`; one that cannot be
//! read is left out.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use audience_background::clock;
use audience_engine::start::{StartPhase, StartProgress};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::{Registry, Unit};

use crate::{last_backup, telemetry};

/// The time for which the size of the data directory is remembered: adding it up looks at every file.
const REMEMBERED: Duration = Duration::from_secs(15);

/// The metrics of this process, once it has begun to serve.
static PROCESS: OnceLock<Process> = OnceLock::new();

struct Process {
    registry: Registry,
    start: Arc<StartProgress>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    commit: &'static str,
}

/// Begins to measure this process; once, before it serves. `data` is its data directory, `restarts` how often its supervisor
/// has restarted it. Returns what its start is to report to.
pub(crate) fn begin(data: Option<&Path>, restarts: u64) -> Arc<StartProgress> {
    let begin = || {
        let mut registry = Registry::default();
        let build: Family<BuildLabels, Gauge> = Family::default();
        let commit = env!("AUDIENCE_BUILT_FROM").trim_matches([' ', '(', ')']);
        build.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION"), commit }).set(1);
        registry.register("audience_build_info", "The version and the commit of the program", build);
        registry.register_collector(Box::new(System {
            begun_at: clock::now() as f64 / 1000.0,
            restarts,
            data: data.map(DataDirectory::new),
        }));
        Process { registry, start: Arc::default() }
    };
    PROCESS.get_or_init(begin).start.clone()
}

/// Ends the start of this process: from here on it takes work.
pub(crate) fn ready() {
    if let Some(process) = PROCESS.get() {
        process.start.enter(StartPhase::Ready);
    }
}

/// All metrics of the program, for `/metrics`: those of the process, of its start and of exported spans.
pub(crate) fn figures() -> String {
    let mut text = telemetry::figures();
    if let Some(process) = PROCESS.get() {
        // Writing into memory does not fail.
        let _ = encode_registry(&mut text, &process.registry);
        text.push_str(&process.start.figures());
    }
    text
}

/// The figures that the system has of this process.
#[derive(Debug)]
struct System {
    /// In seconds since 1970.
    begun_at: f64,
    restarts: u64,
    data: Option<DataDirectory>,
}

impl Collector for System {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut write = |name: &str, help: &str, unit: Option<&Unit>, metric: &dyn Encode| {
            metric.write(encoder.encode_descriptor(name, help, unit, metric.kind())?)
        };
        let bytes = Some(&Unit::Bytes);
        if let Some(used) = Used::read() {
            let cpu = ConstCounter::new(used.cpu_seconds);
            write("process_cpu", "CPU time of this process", Some(&Unit::Seconds), &cpu)?;
            let resident = ConstGauge::new(used.resident_bytes as f64);
            write("process_resident_memory", "Memory of this process", bytes, &resident)?;
            let mapped = ConstGauge::new(used.mapped_bytes as f64);
            write("process_virtual_memory", "Address space of this process", bytes, &mapped)?;
            write("process_threads", "Threads of this process", None, &ConstGauge::new(used.threads as f64))?;
        }
        let begun = ConstGauge::new(self.begun_at);
        write("process_start_time", "The start of this process, since 1970", Some(&Unit::Seconds), &begun)?;
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            write("process_open_fds", "Open files and connections", None, &ConstGauge::new(files.count() as f64))?;
        }
        if let Some(most) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
            write("process_max_fds", "Files and connections that may be open", None, &ConstGauge::new(most as f64))?;
        }
        if let Some(most) = memory_limit() {
            let most = ConstGauge::new(most as f64);
            write("audience_process_memory_limit", "Memory that this process may use", bytes, &most)?;
        }
        let cores = ConstGauge::new(cpu_limit());
        write("audience_process_cpu_limit_cores", "Cores that this process may use", None, &cores)?;
        let restarts = ConstCounter::new(self.restarts as f64);
        write("audience_worker_restarts", "Restarts of this process by its supervisor", None, &restarts)?;
        let Some(data) = &self.data else { return Ok(()) };
        if let Ok(disk) = rustix::fs::statvfs(&data.path) {
            let free = ConstGauge::new((disk.f_bavail * disk.f_frsize) as f64);
            write("audience_data_free", "Free space on the disk of the data directory", bytes, &free)?;
            let all = ConstGauge::new((disk.f_blocks * disk.f_frsize) as f64);
            write("audience_data_capacity", "Size of the disk of the data directory", bytes, &all)?;
        }
        let backup = ConstGauge::new(last_backup::read(&data.path).unwrap_or(0) as f64 / 1000.0);
        let help = "The start of the last backup, since 1970; 0 where none was made";
        write("audience_backup_timestamp", help, Some(&Unit::Seconds), &backup)?;
        let used = ConstGauge::new(data.used() as f64);
        write("audience_data_used", "Disk space that the data directory takes", bytes, &used)
    }
}

/// The data directory, with its size as last added up.
#[derive(Debug)]
struct DataDirectory {
    path: PathBuf,
    size: Mutex<Option<(Instant, u64)>>,
}

impl DataDirectory {
    fn new(path: &Path) -> DataDirectory {
        DataDirectory { path: path.to_owned(), size: Mutex::default() }
    }

    fn used(&self) -> u64 {
        let mut size = self.size.lock();
        match *size {
            Some((at, bytes)) if at.elapsed() < REMEMBERED => bytes,
            _ => {
                let bytes = disk_usage(&self.path);
                *size = Some((Instant::now(), bytes));
                bytes
            }
        }
    }
}

/// The bytes on disk of all files below a directory. A file that vanishes meanwhile does not count.
fn disk_usage(directory: &Path) -> u64 {
    let mut left = vec![directory.to_owned()];
    let mut bytes = 0;
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            // Of a link itself, not of what it leads to.
            let Ok(metadata) = entry.metadata() else { continue };
            bytes += metadata.blocks() * 512;
            if metadata.is_dir() {
                left.push(entry.path());
            }
        }
    }
    bytes
}

/// The time and memory that a process uses, by `/proc/self/stat`.
#[derive(Debug, PartialEq)]
struct Used {
    cpu_seconds: f64,
    threads: u64,
    mapped_bytes: u64,
    resident_bytes: u64,
}

impl Used {
    fn read() -> Option<Used> {
        let page = rustix::param::page_size() as u64;
        Used::parse(&fs::read_to_string("/proc/self/stat").ok()?, rustix::param::clock_ticks_per_second(), page)
    }

    /// Parses the line of proc_pid_stat(5). The name of the program may have spaces and brackets.
    fn parse(stat: &str, ticks_per_second: u64, page_bytes: u64) -> Option<Used> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        // The first of these is the third of the manual.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Used {
            cpu_seconds: (field(14)? + field(15)?) as f64 / ticks_per_second.max(1) as f64,
            threads: field(20)?,
            mapped_bytes: field(23)?,
            resident_bytes: field(24)?.saturating_mul(page_bytes),
        })
    }
}

/// The directories of this process's control group, innermost first.
fn control_groups() -> impl Iterator<Item = PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = text.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default().to_owned();
    let root = Path::new("/sys/fs/cgroup");
    let groups: Vec<PathBuf> = Path::new(&own).ancestors().map(|group| root.join(group)).collect();
    groups.into_iter()
}

/// The least of what the control groups and the machine have.
pub(crate) fn memory_limit() -> Option<u64> {
    let of_group = |group: PathBuf| fs::read_to_string(group.join("memory.max")).ok()?.trim().parse().ok();
    let groups = control_groups().filter_map(of_group);
    groups.chain(machine_memory(&fs::read_to_string("/proc/meminfo").ok()?)).min()
}

/// The memory of the machine, by proc_meminfo(5).
fn machine_memory(text: &str) -> Option<u64> {
    let kibibytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix("kB")?;
    Some(kibibytes.trim().parse::<u64>().ok()? << 10)
}

/// The least of what the control groups and the machine have. A group may have parts of a core.
fn cpu_limit() -> f64 {
    let of_group = |group: PathBuf| cpu_quota(&fs::read_to_string(group.join("cpu.max")).ok()?);
    let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
    // The number of cores is whole, and at least one: it says nothing of a smaller quota.
    let groups = control_groups().filter_map(of_group);
    groups.reduce(f64::min).unwrap_or(cores)
}

/// The cores of a quota `MICROSECONDS PERIOD`; `max` is none.
fn cpu_quota(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

/// A metric that is written into a descriptor.
trait Encode {
    fn kind(&self) -> prometheus_client::metrics::MetricType;
    fn write(&self, encoder: prometheus_client::encoding::MetricEncoder<'_>) -> Result<(), fmt::Error>;
}

impl<M: EncodeMetric> Encode for M {
    fn kind(&self) -> prometheus_client::metrics::MetricType {
        self.metric_type()
    }

    fn write(&self, encoder: prometheus_client::encoding::MetricEncoder<'_>) -> Result<(), fmt::Error> {
        self.encode(encoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_stat_is_read_behind_a_name_with_brackets() {
        let stat =
            "7 (a) b (c) R 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 9 0 12345 8192000 300 18446744073709551615";
        let used = Used { cpu_seconds: 3.0, threads: 9, mapped_bytes: 8_192_000, resident_bytes: 300 * 4096 };
        assert_eq!(Used::parse(stat, 100, 4096), Some(used));
        for damaged in ["", "7 (a", "7 (a) R 1 7", "7 (a) R 1 7 7 0 -1 1 1 0 0 0 x 50 0 0 20 0 9 0 1 8 3"] {
            assert_eq!(Used::parse(damaged, 100, 4096), None, "{damaged}");
        }
    }

    #[test]
    fn a_quota_is_a_part_of_a_core_or_none() {
        assert_eq!(cpu_quota("30000 100000\n"), Some(0.3));
        for none in ["max 100000", "", "100000", "0 100000", "1 0"] {
            assert_eq!(cpu_quota(none), None, "{none}");
        }
        assert_eq!(machine_memory("MemFree: 1 kB\nMemTotal:       16384 kB\n"), Some(16 << 20));
        assert_eq!(machine_memory("MemFree: 1 kB"), None);
    }

    #[test]
    fn the_size_of_a_directory_is_that_of_all_files_below_it() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let within = directory.path().join("a/b");
        fs::create_dir_all(&within).expect("a directory can be made");
        let before = disk_usage(directory.path());
        fs::write(within.join("c"), vec![1; 1 << 20]).expect("a file can be written");
        std::os::unix::fs::symlink("/", within.join("root")).expect("a link can be made");
        let more = disk_usage(directory.path()) - before;
        assert!((1 << 20..2 << 20).contains(&more), "{more}");
        assert_eq!(disk_usage(Path::new("/nowhere")), 0);
    }

    #[test]
    fn this_process_is_measured() {
        let directory = tempfile::tempdir().expect("a directory can be made");
        begin(Some(directory.path()), 2);
        let text = figures();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_else(|| panic!("{name} is not in {text}")).parse::<f64>().expect("a number")
        };
        assert!(value("process_resident_memory_bytes") > 1e6);
        assert!(value("process_resident_memory_bytes") < value("audience_process_memory_limit_bytes"));
        assert!(value("process_open_fds") >= 3.0 && value("process_open_fds") < value("process_max_fds"));
        assert!(value("audience_data_free_bytes") <= value("audience_data_capacity_bytes"));
        assert!(value("process_start_time_seconds") > 1.7e9 && value("audience_process_cpu_limit_cores") > 0.0);
        assert!(value("audience_worker_restarts_total") == 2.0 && value("process_cpu_seconds_total") >= 0.0);
        assert!(text.contains("audience_build_info{version=\""), "{text}");
    }
}
