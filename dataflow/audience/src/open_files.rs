//! The limit of open files and connections of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More are of no use.
const MOST: u64 = 1 << 20;
/// Files that the stores and other servers need, beside the connections of clients.
const RESERVE: u64 = 512;
/// The least that is left to clients.
const LEAST_CONNECTIONS: u64 = 16;

/// Raises the limit as far as the system permits, and returns the number of connections of clients that leaves the stores
/// enough.
pub(crate) fn connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(MOST).min(MOST);
    let now = limit.current.unwrap_or(MOST);
    if now < most {
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum });
        let _ = raised.inspect_err(|error| tracing::warn!(%error, "The limit of open files cannot be raised"));
    }
    for_clients(getrlimit(Resource::Nofile).current.unwrap_or(MOST))
}

/// The connections of clients under a limit of open files.
fn for_clients(limit: u64) -> usize {
    let connections = limit.saturating_sub(RESERVE.max(limit / 8)).max(LEAST_CONNECTIONS);
    usize::try_from(connections).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_leave_the_stores_a_reserve() {
        assert_eq!([100, 1_024, 4_096, 20_000].map(for_clients), [16, 512, 3_584, 17_500]);
        assert!(connections() >= 16);
    }
}
