//! Passwords: what is taken for one, and argon2id in a bounded queue of its own.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use argon2::{Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _};
use parking_lot::Mutex;

use crate::error::AuthError;

/// Characters of a password, at least and at most.
const SHORTEST: usize = 10;
const LONGEST: usize = 256;
/// Passwords that wait for a thread. Each takes 19 MiB and tens of milliseconds once it has one.
const WAITING: usize = 32;
/// Threads that hash at once, at most: the rest of the machine is for requests.
const THREADS: usize = 2;
/// A hash that no password has: a try of somebody who is not known takes as long as one of a member.
const UNFIT: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// Beginnings of passwords that everybody tries first.
const COMMON: [&str; 16] = [
    "password",
    "passw0rd",
    "qwerty",
    "letmein",
    "welcome",
    "administrator",
    "changeme",
    "iloveyou",
    "12345",
    "abc123",
    "audience",
    "marketing",
    "111111",
    "000000",
    "sunshine",
    "football",
];

/// Says why a text is no password, if it is none. `email` is that of its member.
pub(crate) fn check(password: &str, email: &str) -> Result<(), AuthError> {
    let refused = |message: String| Err(AuthError::Invalid { pointer: "/password", message });
    let characters = password.chars().count();
    if !(SHORTEST..=LONGEST).contains(&characters) {
        return refused(format!("a password has {SHORTEST} to {LONGEST} characters"));
    }
    let lower = password.to_lowercase();
    let name = email.split('@').next().unwrap_or_default();
    let begins = COMMON.iter().copied().chain([name]).find(|common| common.len() > 3 && lower.starts_with(common));
    let distinct = lower.chars().collect::<std::collections::BTreeSet<_>>().len();
    // What follows a common beginning must be a password of its own.
    if begins.is_some_and(|common| lower.chars().count() < common.chars().count() + SHORTEST) || distinct < 5 {
        return refused(
            "this password is among the first that are tried; take a longer one, such as four words".into(),
        );
    }
    Ok(())
}

enum Work {
    Hash(String),
    /// Against the hash of a member, or against one that nothing fits where there is no such member: both take as long.
    Verify(String, Option<String>),
}

enum Done {
    Hash(Result<String, AuthError>),
    Verified(bool),
}

type HashJob = (Work, SyncSender<Done>);

/// Threads that hash passwords. Dropping it ends them.
pub(crate) struct Hasher {
    jobs: SyncSender<HashJob>,
}

impl Hasher {
    /// Starts the threads.
    pub(crate) fn start() -> Result<Hasher, AuthError> {
        let (jobs, taken) = sync_channel(WAITING);
        let taken = Arc::new(Mutex::new(taken));
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        for _ in 0..cores.min(THREADS) {
            let taken = Arc::clone(&taken);
            thread::Builder::new()
                .name("passwords".to_owned())
                .spawn(move || work(&taken))
                .map_err(|_| AuthError::Busy)?;
        }
        Ok(Hasher { jobs })
    }

    /// Hashes a password; the PHC text has the parameters. Waits for its turn; refuses where too many wait.
    pub(crate) fn hash(&self, password: &str) -> Result<String, AuthError> {
        match self.ask(Work::Hash(password.to_owned()))? {
            Done::Hash(hash) => hash,
            Done::Verified(_) => Err(AuthError::Busy),
        }
    }

    /// Returns whether a password fits. Without a hash it takes as long and does not.
    pub(crate) fn is_right(&self, password: &str, hash: Option<&str>) -> Result<bool, AuthError> {
        let done = self.ask(Work::Verify(password.chars().take(LONGEST).collect(), hash.map(str::to_owned)))?;
        Ok(matches!(done, Done::Verified(true)))
    }

    fn ask(&self, work: Work) -> Result<Done, AuthError> {
        let (sender, done) = sync_channel(1);
        match self.jobs.try_send((work, sender)) {
            Ok(()) => done.recv().map_err(|_| AuthError::Busy),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(AuthError::Busy),
        }
    }
}

fn work(taken: &Mutex<Receiver<HashJob>>) {
    let argon2 = Argon2::default();
    loop {
        let Ok((work, sender)) = taken.lock().recv() else { return };
        let done = match work {
            Work::Hash(password) => Done::Hash(hash(&argon2, &password)),
            Work::Verify(password, Some(stored)) => Done::Verified(is_right(&argon2, &password, &stored)),
            Work::Verify(password, None) => {
                // As much work as for a member: the time does not tell who is one.
                std::hint::black_box(is_right(&argon2, &password, UNFIT));
                Done::Verified(false)
            }
        };
        // Whoever asked may have given up.
        let _ = sender.try_send(done);
    }
}

fn hash(argon2: &Argon2<'_>, password: &str) -> Result<String, AuthError> {
    argon2.hash_password(password.as_bytes()).map(|hash| hash.to_string()).map_err(|_| AuthError::NoRandomness)
}

fn is_right(argon2: &Argon2<'_>, password: &str, stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| argon2.verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash() {
        let hasher = Hasher::start().unwrap();
        let hash = hasher.hash("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(hasher.is_right("correct horse battery", Some(&hash)).unwrap());
        assert!(!hasher.is_right("correct horse batterz", Some(&hash)).unwrap());
        assert!(!hasher.is_right("no password of anybody", None).unwrap());
        let parameters = |hash: &str| hash.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(parameters(UNFIT), parameters(&hash), "it takes as long");
        let lengths = |hash: &str| hash.rsplit('$').map(str::len).take(2).collect::<Vec<_>>();
        assert!(PasswordHash::new(UNFIT).is_ok() && lengths(UNFIT) == lengths(&hash));
        assert!(!hasher.is_right("x", Some("no hash")).unwrap());
        assert_ne!(hash, hasher.hash("correct horse battery").unwrap(), "each has a salt");
    }

    #[test]
    fn too_many_passwords_at_once_are_refused() {
        let hasher = Arc::new(Hasher::start().unwrap());
        let refused = thread::scope(|scope| {
            let ask = || scope.spawn(|| hasher.is_right("wrong", None).is_err());
            let threads: Vec<_> = (0..WAITING + THREADS + 20).map(|_| ask()).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).filter(|refused| *refused).count()
        });
        assert!(refused > 0 && refused <= 20 + THREADS, "{refused}");
        assert!(hasher.is_right("wrong", None).is_ok(), "it goes on");
    }

    #[test]
    fn short_and_common_passwords_are_refused() {
        for bad in ["", "short", "password12", "Passw0rd!!", "aaaaaaaaaaaa", "123456789012", "anne.meyer", "1212121212"]
        {
            assert!(check(bad, "anne.meyer@example.org").is_err(), "{bad}");
        }
        for good in ["correct horse", "password is a bad one", "ünïcödé wörds", &"x7-kq".repeat(20)] {
            assert!(check(good, "anne.meyer@example.org").is_ok(), "{good}");
        }
        assert!(check(&"abcdefg".repeat(40), "a@b").is_err());
    }
}
