//! This machine: the data directory and its disk, limits, addresses, and who may come in.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use audience_embedded::Options;
use rustix::fs::Access;
use rustix::process::{Resource, getrlimit};

use super::finding::Finding;
use crate::process_metrics;
use crate::settings::{AccessSettings, ServeSettings, When, named};

const GIB: f64 = (1_u64 << 30) as f64;
/// The free space below which a disk is told to be small, in multiples of the reserve.
const ROOMY: u64 = 8;
/// The files and connections that a server with some clients needs.
const FEW_FILES: u64 = 4_096;
/// The memory below which the stores and a small audience do not fit.
const LITTLE_MEMORY_BYTES: u64 = 1 << 30;

/// Looks at everything but other servers.
pub(super) fn look(settings: &ServeSettings) -> Vec<Finding> {
    let is_running = is_in_use(settings.data());
    let mut findings = vec![data_directory(settings.data(), is_running)];
    findings.extend(disk(settings.data()));
    findings.push(open_files());
    findings.extend(memory());
    let listeners = [("listen", settings.flags.listen.0), ("listen_ingest", settings.flags.listen_ingest.0)];
    findings.extend(listeners.map(|(name, address)| listener(name, address, is_running)));
    findings.push(access(&settings.flags.access, &listeners.map(|(_, address)| address)));
    findings
}

/// Returns whether a process has the data directory. Takes its lock for a moment, for which a start would wait.
fn is_in_use(data: &Path) -> bool {
    File::open(data.join("LOCK")).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
}

fn data_directory(data: &Path, is_running: bool) -> Finding {
    const PART: &str = "data directory";
    let place = data.display();
    let (exists, nearest) = nearest(data);
    if exists && !data.is_dir() {
        return Finding::fault(
            PART,
            format!("{place} is no directory"),
            format!("choose another one by {}", named("data")),
        );
    }
    if rustix::fs::access(nearest, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let fix = format!("give this user the right to write in {}", nearest.display());
        return Finding::fault(PART, format!("this user may not write in {}", nearest.display()), fix);
    }
    match (exists, is_running) {
        (true, true) => Finding::warning(
            PART,
            format!("a process serves {place} just now"),
            "stop that process before another start; the rest of this answer holds for a start after that",
        ),
        (true, false) => Finding::good(PART, format!("{place} can be written, and nobody uses it")),
        (false, _) => Finding::good(PART, format!("{place} is not there yet, and a start makes it")),
    }
}

/// Returns whether a path is there, and the nearest directory above that is.
fn nearest(path: &Path) -> (bool, &Path) {
    if path.exists() {
        return (true, path);
    }
    let above = path.ancestors().skip(1).find(|above| above.exists());
    // A relative path without a directory lies in the current one.
    (false, above.unwrap_or(Path::new(".")))
}

fn disk(data: &Path) -> Option<Finding> {
    const PART: &str = "disk";
    let disk = rustix::fs::statvfs(nearest(data).1).ok()?;
    let (free, all) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
    let reserve = Options::default().reserve_bytes;
    let found = format!("{:.1} of {:.1} GiB are free", free as f64 / GIB, all as f64 / GIB);
    Some(if free <= reserve {
        let found = format!("{found}, and nothing is written below {:.2} GiB", reserve as f64 / GIB);
        Finding::fault(PART, found, "free some space, or move the data directory to a larger disk")
    } else if free < ROOMY * reserve {
        let found = format!("{found}; events are refused from {:.2} GiB on", reserve as f64 / GIB);
        Finding::warning(PART, found, "free some space soon")
    } else {
        Finding::good(PART, found)
    })
}

fn open_files() -> Finding {
    const PART: &str = "open files";
    let most = getrlimit(Resource::Nofile).maximum;
    match most {
        Some(most) if most < FEW_FILES => Finding::warning(
            PART,
            format!("this process may have {most} files and connections"),
            "raise the limit: `ulimit -Hn 65536`, or LimitNOFILE=65536 in a unit of systemd",
        ),
        Some(most) => Finding::good(PART, format!("this process may have {most} files and connections")),
        None => Finding::good(PART, "this process may have any number of files and connections"),
    }
}

fn memory() -> Option<Finding> {
    const PART: &str = "memory";
    let most = process_metrics::memory_limit()?;
    let found = format!("this process may use {:.1} GiB", most as f64 / GIB);
    Some(if most < LITTLE_MEMORY_BYTES {
        Finding::warning(PART, found, "give it at least 1 GiB, and more for millions of users")
    } else {
        Finding::good(PART, found)
    })
}

fn listener(name: &str, address: SocketAddr, is_running: bool) -> Finding {
    const PART: &str = "address";
    match TcpListener::bind(address) {
        Ok(_) => Finding::good(PART, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_running => Finding::good(
            PART,
            format!("{address} is taken, as is to be expected while a process serves the data directory"),
        ),
        Err(error) => {
            let fix = match error.kind() {
                ErrorKind::AddrInUse => {
                    format!("stop what listens there, or choose another address by {}", named(name))
                }
                ErrorKind::PermissionDenied => format!("choose a port from 1024 on by {}", named(name)),
                _ => format!("choose an address of this machine by {}", named(name)),
            };
            Finding::fault(PART, format!("{address} cannot be listened on: {error}"), fix)
        }
    }
}

/// Returns whether callers are asked who they are. The members are not read: a start says what it misses among them.
fn access(access: &AccessSettings, listeners: &[SocketAddr]) -> Finding {
    const PART: &str = "access";
    let is_local = listeners.iter().all(|address| address.ip().is_loopback());
    let unreadable = access.first_admin().map(|admin| {
        admin.and_then(|admin| std::fs::read(&admin.password_file).err().map(|error| (admin.password_file, error)))
    });
    match unreadable {
        Err(error) => Finding::fault(PART, error.to_string(), "set both or none"),
        Ok(Some((file, error))) => Finding::fault(
            PART,
            format!("{} cannot be read: {error}", file.display()),
            format!("correct {}, or the rights of the file", named("admin_password_file")),
        ),
        Ok(None) if access.auth == When::Off && !is_local => Finding::warning(
            PART,
            "another machine can reach a listener, and nobody is asked who they are",
            format!("set {} to `required`, unless everybody on that network may do everything", named("auth")),
        ),
        Ok(None) if access.auth == When::Off => {
            Finding::good(PART, "nobody is asked who they are, on this machine alone")
        }
        Ok(None) if is_local && access.auth == When::Auto => {
            Finding::good(PART, "everybody on this machine may do everything until there is a member")
        }
        Ok(None) => Finding::good(PART, "callers sign in"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_directory_that_cannot_be_one_is_a_fault() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(data_directory(&file, false).verdict, Verdict::Fault);
        assert_eq!(data_directory(place.path(), false).verdict, Verdict::Good);
        assert_eq!(data_directory(&place.path().join("a/b"), false).verdict, Verdict::Good);
        assert_eq!(data_directory(Path::new("nothing-there"), false).verdict, Verdict::Good);
    }

    #[test]
    fn the_lock_of_a_process_is_seen() {
        let place = tempfile::tempdir().unwrap();
        assert!(!is_in_use(place.path()));
        let lock = File::create(place.path().join("LOCK")).unwrap();
        assert!(!is_in_use(place.path()));
        lock.lock().unwrap();
        assert!(is_in_use(place.path()));
        assert_eq!(data_directory(place.path(), true).verdict, Verdict::Warning);
    }

    #[test]
    fn an_address_that_is_taken_is_a_fault_unless_the_program_has_it() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let fault = listener("listen", address, false);
        assert_eq!(fault.verdict, Verdict::Fault);
        assert!(fault.fix.is_some_and(|fix| fix.contains("--listen")));
        assert_eq!(listener("listen", address, true).verdict, Verdict::Good);
        drop(taken);
        assert_eq!(listener("listen", "192.0.2.1:80".parse().unwrap(), false).verdict, Verdict::Fault);
    }
}
