//! The pair that a start is one of: its lease, and the primary where it is a standby.

use std::fs::read_to_string;
use std::path::Path;

use audience_contract::LeaseStore as _;
use audience_embedded::FileLease;
use rustix::fs::Access;

use super::finding::Finding;
use crate::asking::{CaFlag, HttpQuestion, ServerAddress};
use crate::pairing;
use crate::settings::{ServeSettings, StandbySettings, named};

const PART: &str = "standby";

/// Looks at the lease, and at the primary.
pub(super) fn look(settings: &ServeSettings) -> Vec<Finding> {
    let pair = &settings.flags.standby;
    let Some(lease) = &pair.lease else {
        let fix = format!("name the directory of the lease by {}", named("lease"));
        let found = "a standby takes over by a lease, and there is none";
        return pair.standby_of.iter().map(|_| Finding::fault(PART, found, fix.clone())).collect();
    };
    let mut findings = vec![match pairing::directory(lease) {
        Ok(directory) => at_lease(&directory),
        Err(error) => Finding::fault(PART, format!("{error:#}"), format!("correct {}", named("lease"))),
    }];
    findings.extend(pair.standby_of.as_deref().map(|url| primary(url, pair)));
    findings
}

fn at_lease(directory: &Path) -> Finding {
    let place = directory.display();
    if !directory.exists() {
        return Finding::good(PART, format!("there is no lease at {place} yet, and a start makes it"));
    }
    if rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let fix = format!("give this user the right to write in {place}");
        return Finding::fault(PART, format!("this user may not write the lease in {place}"), fix);
    }
    match FileLease::open(directory, "doctor").and_then(|store| store.read()) {
        Ok(None) => Finding::good(PART, format!("nobody has the lease at {place}")),
        Ok(Some(lease)) if lease.is_followed => Finding::good(
            PART,
            format!("{} has the lease of epoch {}, and a standby follows", lease.holder, lease.epoch),
        ),
        Ok(Some(lease)) => {
            let found = format!("{} has the lease of epoch {}, and no standby follows it", lease.holder, lease.epoch);
            Finding::good(PART, found)
        }
        Err(error) => {
            Finding::fault(PART, error.to_string(), format!("restore {place}, or correct {}", named("lease")))
        }
    }
}

fn primary(url: &str, pair: &StandbySettings) -> Finding {
    if let Some(file) = &pair.standby_key_file
        && let Err(error) = read_to_string(file)
    {
        let fix = format!("correct {}, or the rights of the file", named("standby_key_file"));
        return Finding::fault(PART, format!("{} cannot be read: {error}", file.display()), fix);
    }
    let ca = CaFlag { ca_file: pair.standby_ca_file.clone() };
    let answer =
        ServerAddress::parse(url, "--standby-of", &ca).and_then(|server| server.ask(HttpQuestion::get("/health/live")));
    match answer {
        Ok(_) => Finding::good(PART, format!("the primary answers at {url}")),
        Err(error) => {
            let fix = format!("start the primary, or correct {}", named("standby_of"));
            Finding::fault(PART, format!("the primary at {url} does not answer: {error:#}"), fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use audience_contract::Lease;

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_lease_is_told_with_its_holder() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("lease");
        assert!(at_lease(&directory).found.contains("a start makes it"));
        assert!(!directory.exists(), "nothing is changed");
        let store = FileLease::open(&directory, "one").unwrap();
        assert!(at_lease(&directory).found.contains("nobody has"));
        let lease = Lease { version: 1, epoch: 7, holder: "one".to_owned(), lasts_ms: 1, is_followed: true };
        assert!(store.replace(None, &lease).unwrap());
        assert!(at_lease(&directory).found.contains("one has the lease of epoch 7, and a standby follows"));
        std::fs::write(directory.join("lease.00000000000000000002"), "torn").unwrap();
        assert_eq!(at_lease(&directory).verdict, Verdict::Fault);
    }
}
