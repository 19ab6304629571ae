//! Profiles of users given to a store outside: what is known of a user, so that one read there gives it.
//!
//! A thread follows the event log from where the store itself says that it is, and writes each user of whom something was
//! accepted once a round, however much it was. It rests for half as long as it worked: the more there is to do the longer rounds
//! become, and the cheaper a user, since a run of events is read once for all users of a round. All users are gone through
//! at the beginning, where computed traits are others, and from time to time where a profile has changed by time alone.

mod everyone;
mod known;
mod touched;
mod traits;

use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use audience_contract::{Everyone, ProfileReach, ProfileStore, SinkError, StoreError};
use audience_rules::ast::Millis;
use audience_rules::record::records;

use self::everyone::Sweep;
use self::known::Known;
use self::touched::{Touched, User};
use self::traits::Traits;
use super::status::{GiveError, Status};
use super::{Service, clock};
use crate::engine::EngineError;

/// From the beginning of one round to that of the next, at least.
const ROUND: Duration = Duration::from_secs(1);
/// Where there is more to do already.
const SHORTEST_REST: Duration = Duration::from_millis(10);
/// Records in a round at most: the more, the fewer times the same parts of the log are read for a user.
const RECORDS_AT_ONCE: u64 = 1 << 17;
/// Of all users, those who are gone through in a round.
const USERS_AT_ONCE: usize = 1 << 16;
/// Bytes of events that are held at once, but for those of a single user.
const MOST_BYTES: usize = 256 << 20;
/// Users whose profiles are made and written at once.
const PROFILES_AT_ONCE: usize = 1 << 13;

impl Service {
    /// Gives profiles of users to a store outside too. Those that change by time alone are written anew each `refresh`.
    pub fn give_profiles_to(
        self: &Arc<Self>,
        store: Box<dyn ProfileStore>,
        refresh: Duration,
    ) -> Result<(), EngineError> {
        let status = Arc::new(Status::new(store.name()));
        let log = self.change_log()?;
        self.connectors.add_outside(status.clone());
        let service = self.clone();
        self.thread(&format!("sink {}", status.name), move || {
            let mut feeder = Feeder::new(&service, store, log, refresh);
            service.give_in_rounds(&status, "profiles of users", &mut || feeder.round());
            Ok(())
        })
    }
}

/// Brings one store what is known of users.
struct Feeder<'a> {
    service: &'a Service,
    store: Box<dyn ProfileStore>,
    /// The name of the change log, which is as old as the event log.
    log: String,
    refresh: Millis,
    threads: usize,
    traits: Traits,
    /// What was noted last in the store, and what was perhaps.
    noted: [Option<ProfileReach>; 2],
    sweep: Option<Sweep>,
}

impl<'a> Feeder<'a> {
    fn new(service: &'a Service, store: Box<dyn ProfileStore>, log: String, refresh: Duration) -> Self {
        Feeder {
            service,
            store,
            log,
            refresh: refresh.as_millis().try_into().unwrap_or(Millis::MAX),
            // The cores are there to compute memberships.
            threads: (available_parallelism().map_or(1, NonZeroUsize::get) / 4).max(1),
            traits: Traits::of(service.editor.documents()),
            noted: [None, None],
            sweep: None,
        }
    }

    /// Writes what is new and, where that is due, some of all users; gives how long to rest then: half as long as it worked.
    fn round(&mut self) -> Result<Duration, GiveError> {
        let begun = Instant::now();
        self.tell();
        // What a record says of aliases is known once its tick is given out.
        let given = self.service.stores.changes.progress()?.unwrap_or_default().sequence;
        let documents = self.service.editor.documents();
        if !self.traits.are_of(&documents) {
            self.traits = Traits::of(documents);
        }
        let mut reach = self.reached(given)?;
        let before = reach.clone();
        if self.follow(&mut reach, given)? {
            self.go_through(&mut reach)?;
        }
        if reach != before {
            self.note(reach)?;
        }
        self.sweep.take_if(|sweep| sweep.is_done);
        self.tell();
        let (worked, is_behind) = (begun.elapsed(), self.sweep.is_some() || self.sequence() < given);
        let shortest = if is_behind { SHORTEST_REST } else { ROUND.saturating_sub(worked) };
        Ok(shortest.max(worked / 2))
    }

    /// Where the store is. It may have lost everything, or what it took last, since it was written.
    fn reached(&mut self, given: u64) -> Result<ProfileReach, GiveError> {
        match self.store.reached()? {
            Some(reach) if self.noted.iter().flatten().any(|noted| *noted == reach) => {
                self.noted = [Some(reach.clone()), None];
                Ok(reach)
            }
            Some(reach) if reach.log == self.log && reach.sequence <= given && reach.everyone.is_some() => {
                self.noted = [Some(reach.clone()), None];
                self.sweep = None;
                Ok(reach)
            }
            _ => self.begin(given),
        }
    }

    /// Begins anew: whoever has a profile that is not written from now on is no user.
    fn begin(&mut self, given: u64) -> Result<ProfileReach, GiveError> {
        tracing::info!(sink = self.store.name(), "profiles of all users are written");
        self.sweep = Some(Sweep::new(clock::now(), self.traits.digest, true));
        let reach = ProfileReach { log: self.log.clone(), sequence: given, everyone: None };
        self.note(reach.clone())?;
        Ok(reach)
    }

    fn note(&mut self, reach: ProfileReach) -> Result<(), SinkError> {
        self.noted[1] = Some(reach.clone());
        self.store.reach(&reach)?;
        self.noted = [Some(reach), None];
        Ok(())
    }

    /// Writes the users of whom something was accepted. Gives whether it did: it may have to begin anew instead.
    fn follow(&mut self, reach: &mut ProfileReach, given: u64) -> Result<bool, GiveError> {
        let range = reach.sequence..given.min(reach.sequence + RECORDS_AT_ONCE);
        let resolved = match self.touched(range.clone())? {
            Some(touched) => touched.resolve(self.service.engine.aliases()),
            None => None,
        };
        let Some((users, mut gone)) = resolved else {
            // Whom it spoke of is not known any more.
            tracing::warn!(sink = self.store.name(), "records were erased before profiles followed them");
            *reach = self.begin(given)?;
            return Ok(false);
        };
        gone.extend(self.bring(reach, &users)?);
        if !gone.is_empty() {
            self.store.erase(&gone)?;
        }
        reach.sequence = range.end;
        Ok(true)
    }

    /// Whom the records of a range speak of; none where some of them are erased.
    fn touched(&self, range: Range<u64>) -> Result<Option<Touched>, StoreError> {
        let (mut touched, mut count) = (Touched::default(), 0);
        if !range.is_empty() {
            self.service.stores.events.scan(range.clone(), &mut |run| {
                for record in records(run).filter(|record| range.contains(&record.sequence())) {
                    touched.add(&record);
                    count += 1;
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok((count == range.end.saturating_sub(range.start)).then_some(touched))
    }

    /// Writes the profiles of users. Gives those of whom nothing is known.
    fn bring(&mut self, reach: &mut ProfileReach, mut users: &[User]) -> Result<Vec<String>, GiveError> {
        let mut unknown = Vec::new();
        while !users.is_empty() {
            let events = known::gather(&*self.service.stores.events, users, MOST_BYTES)?;
            let (read, others) = users.split_at(events.len());
            for (users, events) in read.chunks(PROFILES_AT_ONCE).zip(events.chunks(PROFILES_AT_ONCE)) {
                let known = Known::of(users, events, &self.traits, self.threads);
                self.write(reach, &known)?;
                unknown.extend(known.unknown);
            }
            users = others;
        }
        Ok(unknown)
    }

    fn write(&mut self, reach: &mut ProfileReach, known: &Known) -> Result<(), GiveError> {
        if known.profiles.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        self.store.write(&known.profiles)?;
        let metrics = &self.service.metrics.connectors;
        metrics.written(self.store.name(), known.profiles.len(), begun.elapsed());
        let earliest = |due: Option<Millis>| due.into_iter().chain(known.due).min();
        if let Some(everyone) = &mut reach.everyone {
            everyone.due = earliest(everyone.due);
        }
        if let Some(sweep) = &mut self.sweep {
            sweep.due = earliest(sweep.due);
        }
        Ok(())
    }

    /// Goes through some of all users, where that is due.
    fn go_through(&mut self, reach: &mut ProfileReach) -> Result<(), GiveError> {
        let (digest, now) = (self.traits.digest, clock::now());
        let is_due = reach.everyone.as_ref().is_some_and(|everyone| self.is_due(everyone, now));
        match &mut self.sweep {
            Some(sweep) if sweep.traits != digest => sweep.begin_again(digest),
            None if is_due => self.sweep = Some(Sweep::new(now, digest, false)),
            _ => {}
        }
        let engine = &self.service.engine;
        let Some(sweep) = &mut self.sweep else { return Ok(()) };
        let place = sweep.place();
        let ids = sweep.next_ids(engine, USERS_AT_ONCE);
        if ids.is_empty() {
            if sweep.is_first {
                self.store.erase_before(sweep.begun)?;
            }
            sweep.is_done = true;
            reach.everyone = Some(Everyone { begun: sweep.begun, traits: sweep.traits, due: sweep.due });
            return Ok(());
        }
        let users = everyone::users(&ids, engine.aliases());
        let brought = self.bring(reach, &users).map(drop);
        if brought.is_err()
            && let Some(sweep) = &mut self.sweep
        {
            sweep.go_back(place);
        }
        brought
    }

    fn is_due(&self, everyone: &Everyone, now: Millis) -> bool {
        let is_time = everyone.due.is_some_and(|due| due <= now) && everyone.begun.saturating_add(self.refresh) <= now;
        is_time || everyone.traits != self.traits.digest
    }

    /// Up to where the store has everything, as far as is known.
    fn sequence(&self) -> u64 {
        self.noted[0].as_ref().map_or(0, |reach| reach.sequence)
    }

    /// Tells how far the store is behind.
    fn tell(&self) {
        let events = self.service.stores.events.end().saturating_sub(self.sequence());
        let users = self.sweep.as_ref().map_or(0, |sweep| sweep.left(&self.service.engine));
        self.service.metrics.connectors.profiles_behind(self.store.name(), events, users);
    }
}
