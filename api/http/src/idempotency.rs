//! `Idempotency-Key`: the first request with a key is carried out, later ones get its answer.
//!
//! Kept in memory, bounded in number, bytes and time; a restart forgets. Events with a `messageId` are told apart by
//! the platform for good.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use warp::reply::Response;

use crate::options::ApiOptions;
use crate::problem::Problem;
use crate::reply;
use crate::request::Call;

/// A digest that tells two bodies apart.
pub(crate) type Fingerprint = [u8; 32];

/// An answer to give again.
#[derive(Clone, Debug)]
pub(crate) struct KeptAnswer {
    pub(crate) status: StatusCode,
    pub(crate) media: &'static str,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: Bytes,
}

impl KeptAnswer {
    /// 201, with where it is and its version.
    pub(crate) fn created<T: Serialize>(collection: &str, id: &str, value: &T, version: u64) -> Self {
        let body = reply::to_json(value).into();
        let headers = reply::place_and_version(collection, id, version);
        KeptAnswer { status: StatusCode::CREATED, media: "application/json", headers, body }
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response {
        let mut response = reply::bytes(self.status, self.media, self.body);
        response.headers_mut().extend(self.headers);
        response
    }

    /// The answer, to who asks again.
    pub(crate) fn again(self) -> Response {
        let mut response = self.into_response();
        let name = HeaderName::from_static("idempotency-replayed");
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
        response
    }
}

/// Creates something, or gives the answer that the key has. A failed request may be repeated under the same key.
pub(crate) fn create(
    keys: &Arc<Idempotency>,
    path: &str,
    key: Option<&str>,
    body: &[u8],
    create: impl FnOnce() -> Result<KeptAnswer, Problem>,
) -> Result<Response, Problem> {
    let Some(key) = key else { return Ok(create()?.into_response()) };
    match keys.begin(path, key, fingerprint("application/json", body))? {
        KeyState::Again(kept) => Ok(kept.again()),
        KeyState::First(reservation) => {
            let kept = create()?;
            reservation.keep(kept.clone());
            Ok(kept.into_response())
        }
    }
}

/// The state of a key.
pub(crate) enum KeyState {
    /// New: carry it out and [`Reservation::keep`] the answer.
    First(Reservation),
    /// Answered before.
    Again(KeptAnswer),
}

struct KeyEntry {
    fingerprint: Fingerprint,
    /// `None` while the first request is under way.
    answer: Option<KeptAnswer>,
    /// Tells this entry from a later one of the same key.
    number: u64,
}

#[derive(Default)]
struct KeyStore {
    entries: HashMap<String, KeyEntry>,
    /// Answered ones, oldest first.
    answered: VecDeque<(Instant, u64, String)>,
    bytes: usize,
    next: u64,
}

/// The keys.
pub(crate) struct Idempotency {
    store: Mutex<KeyStore>,
    ttl: Duration,
    max_entries: usize,
    max_bytes: usize,
}

/// The right to carry out a request; without an answer kept, the key is free again when this is dropped.
pub(crate) struct Reservation {
    owner: Arc<Idempotency>,
    key: String,
    number: u64,
    kept: bool,
}

/// The key of a request, which is its caller's alone: nobody is given the answer of another. `None` without one.
pub(crate) fn key(call: &Call) -> Result<Option<String>, Problem> {
    let Some(header) = call.headers.get("idempotency-key") else { return Ok(None) };
    match header.to_str() {
        Ok(key) if (1..=255).contains(&key.len()) => Ok(Some(format!("{}\n{key}", call.principal.caller().author()))),
        _ => Err(Problem::bad_request("invalid_header", "Idempotency-Key is ASCII text of 1 to 255 characters")),
    }
}

/// The fingerprint of a body.
pub(crate) fn fingerprint(media: &str, body: &[u8]) -> Fingerprint {
    let mut hash = Sha256::new();
    hash.update(media.as_bytes());
    hash.update([0]);
    hash.update(body);
    hash.finalize().into()
}

impl Idempotency {
    pub(crate) fn new(options: &ApiOptions) -> Self {
        Idempotency {
            store: Mutex::default(),
            ttl: options.idempotency_ttl,
            max_entries: options.idempotency_entries,
            max_bytes: options.idempotency_bytes,
        }
    }

    /// Looks the key up, and reserves it where it is new.
    pub(crate) fn begin(
        self: &Arc<Self>,
        path: &str,
        key: &str,
        fingerprint: Fingerprint,
    ) -> Result<KeyState, Problem> {
        let key = format!("{path} {key}");
        let mut store = self.lock();
        self.forget(&mut store, Instant::now());
        if let Some(entry) = store.entries.get(&key) {
            if entry.fingerprint != fingerprint {
                return Err(Problem::new(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "idempotency_key_reused",
                    "this Idempotency-Key came with another body before; take a new key for a new request",
                ));
            }
            return entry.answer.clone().map(KeyState::Again).ok_or_else(|| {
                let detail = "the first request with this Idempotency-Key is still under way";
                Problem::new(StatusCode::CONFLICT, "request_in_progress", detail).retry_after(1)
            });
        }
        let number = store.next;
        store.next += 1;
        store.entries.insert(key.clone(), KeyEntry { fingerprint, answer: None, number });
        Ok(KeyState::First(Reservation { owner: Arc::clone(self), key, number, kept: false }))
    }

    /// Drops what is too old or too much.
    fn forget(&self, store: &mut KeyStore, now: Instant) {
        while let Some((at, number, key)) = store.answered.front() {
            let full = store.answered.len() > self.max_entries || store.bytes > self.max_bytes;
            if !full && now.duration_since(*at) < self.ttl {
                return;
            }
            if store.entries.get(key).is_some_and(|entry| entry.number == *number) {
                let gone = store.entries.remove(key);
                store.bytes -= gone.and_then(|entry| entry.answer).map_or(0, |answer| cost(key, &answer));
            }
            store.answered.pop_front();
        }
    }

    /// A panic of another thread cannot have left the store half changed: nothing in it panics between two changes.
    fn lock(&self) -> MutexGuard<'_, KeyStore> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cost(key: &str, answer: &KeptAnswer) -> usize {
    let headers: usize = answer.headers.iter().map(|(_, value)| value.len()).sum();
    key.len() * 2 + answer.body.len() + headers + 300
}

impl Reservation {
    /// Keeps the answer for those that come again.
    pub(crate) fn keep(mut self, answer: KeptAnswer) {
        let mut store = self.owner.lock();
        self.kept = true;
        store.bytes += cost(&self.key, &answer);
        let now = Instant::now();
        store.answered.push_back((now, self.number, self.key.clone()));
        if let Some(entry) = store.entries.get_mut(&self.key) {
            entry.answer = Some(answer);
        }
        self.owner.forget(&mut store, now);
        drop(store);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.kept {
            self.owner.lock().entries.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(entries: usize, bytes: usize, ttl: Duration) -> Arc<Idempotency> {
        let options = ApiOptions {
            idempotency_entries: entries,
            idempotency_bytes: bytes,
            idempotency_ttl: ttl,
            ..ApiOptions::default()
        };
        Arc::new(Idempotency::new(&options))
    }

    fn kept(text: &'static str) -> KeptAnswer {
        let body = Bytes::from_static(text.as_bytes());
        KeptAnswer { status: StatusCode::ACCEPTED, media: "application/json", headers: Vec::new(), body }
    }

    fn first(store: &Arc<Idempotency>, key: &str) -> Option<Reservation> {
        match store.begin("/p", key, [1; 32]) {
            Ok(KeyState::First(reservation)) => Some(reservation),
            _ => None,
        }
    }

    #[test]
    fn first_again_other_body_and_under_way() {
        let store = store(10, 1 << 20, Duration::from_secs(60));
        let reservation = first(&store, "k").unwrap();
        assert_eq!(store.begin("/p", "k", [1; 32]).err().unwrap().code, "request_in_progress");
        assert_eq!(store.begin("/p", "k", [2; 32]).err().unwrap().code, "idempotency_key_reused");
        assert!(matches!(store.begin("/other", "k", [2; 32]), Ok(KeyState::First(_))));
        reservation.keep(kept("done"));
        assert!(matches!(store.begin("/p", "k", [1; 32]), Ok(KeyState::Again(kept)) if kept.body == "done"));
        assert_eq!(store.begin("/p", "k", [2; 32]).err().unwrap().code, "idempotency_key_reused");
    }

    #[test]
    fn a_dropped_reservation_frees_its_key() {
        let store = store(10, 1 << 20, Duration::from_secs(60));
        drop(first(&store, "k"));
        assert!(first(&store, "k").is_some());
    }

    #[test]
    fn bounded_in_number_bytes_and_time() {
        let few = store(2, 1 << 20, Duration::from_secs(60));
        let small = store(100, 1_000, Duration::from_secs(60));
        let short = store(100, 1 << 20, Duration::ZERO);
        for store in [&few, &small, &short] {
            for key in 0..50 {
                first(store, &key.to_string()).unwrap().keep(kept("x"));
            }
            let held = store.lock().entries.len();
            assert!(held <= 5, "{held}");
            assert_eq!(held, store.lock().answered.len());
        }
        assert!(first(&few, "0").is_some());
        assert!(first(&few, "49").is_none());
        assert_eq!(short.lock().bytes, 0);
    }
}
