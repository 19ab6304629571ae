//! Failpoints: named lines at which a test ends the process, as `kill -9` in that instant would, or has a device fail.

/// Passes a failpoint. Without the feature `failpoints` this is nothing.
///
/// With the feature, the variable `AUDIENCE_FAILPOINT=name:n` aborts the process at the `n`-th pass of that name. No
/// destructor runs and nothing is flushed.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn failpoint(_name: &str) {}

/// Passes a failpoint of a store at which its device may fail. Without the feature `failpoints` this is nothing.
///
/// With the feature, the variable `AUDIENCE_FAILPOINT_ERROR=store.name:n` makes the `n`-th pass an input/output error.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn failpoint_error(_store: &str, _name: &str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
pub use self::armed::{failpoint, failpoint_error};

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The failpoint that the environment names.
    struct Armed {
        name: String,
        pass: u64,
        passed: AtomicU64,
    }

    impl Armed {
        /// Reads `name:n`.
        fn read(text: &str) -> Option<Armed> {
            let (name, pass) = text.rsplit_once(':')?;
            Some(Armed { name: name.to_owned(), pass: pass.parse().ok()?, passed: AtomicU64::new(0) })
        }

        /// Returns whether this pass of `name` is the one at which the process ends.
        fn is_reached(&self, name: &str) -> bool {
            self.name == name && self.passed.fetch_add(1, Ordering::Relaxed) + 1 == self.pass
        }
    }

    /// Passes a failpoint: ends the process if it is the one that is armed.
    pub fn failpoint(name: &str) {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let read = || std::env::var("AUDIENCE_FAILPOINT").ok().and_then(|text| Armed::read(&text));
        if ARMED.get_or_init(read).as_ref().is_some_and(|armed| armed.is_reached(name)) {
            eprintln!("the failpoint {name} is reached");
            #[expect(clippy::disallowed_methods, reason = "a test asks for the end at this very line")]
            std::process::abort();
        }
    }

    /// The number of an input/output error.
    const EIO: i32 = 5;

    /// Passes a failpoint of a store: fails if it is the one that is armed.
    pub fn failpoint_error(store: &str, name: &str) -> std::io::Result<()> {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let read = || std::env::var("AUDIENCE_FAILPOINT_ERROR").ok().and_then(|text| Armed::read(&text));
        let Some(armed) = ARMED.get_or_init(read) else { return Ok(()) };
        if armed.is_reached(&format!("{store}.{name}")) {
            return Err(std::io::Error::from_raw_os_error(EIO));
        }
        Ok(())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_pass_that_is_named_is_reached_once() {
            let armed = Armed::read("log_written:3").expect("a failpoint");
            let reached = ["log_written", "other", "log_written", "log_written", "log_written"];
            assert_eq!(reached.map(|name| armed.is_reached(name)), [false, false, false, true, false]);
            assert!(Armed::read("log_written").is_none() && Armed::read("log_written:x").is_none());
        }
    }
}
