//! Profiles of users in stores: what is known of a user, so that one read there gives it.
//!
//! A thread follows the event log from the store's own position, and writes each user with new records once a round, however
//! many records there are. It rests for half as long as it worked: the more there is to do, the longer rounds become, and the
//! cheaper a user, since a run of events is read once for all users of a round. It passes over all users at the start, after
//! an edit of computed traits, and from time to time if a profile has changed by time alone.

mod batch;
mod sweep;
mod touched;
mod traits;

use std::io;
use std::num::NonZeroUsize;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use audience_background::{Failure, Job, JobHandle, Outcome, Runner, clock};
use audience_contract::{EventLog, Everyone, ProfileReach, ProfileStore, SinkError, StoreError};
use audience_rules::ast::Millis;
use audience_rules::record::records;

use self::batch::Profiles;
use self::sweep::ProfileSweep;
use self::touched::{ProfileUser, Touched};
use self::traits::ProfileTraits;
use crate::catalogue::TraitDefinitions;
use crate::emitted::Emitted;
use crate::metrics::SinkMetrics;
use crate::store_write::WriteError;
use crate::users::Users;

/// From the start of one round to that of the next, at least.
const ROUND: Duration = Duration::from_secs(1);
/// The rest after a round if there is more to do already.
const SHORTEST_REST: Duration = Duration::from_millis(10);
/// Records in a round at most: the more, the less often the same parts of the log are read.
const RECORDS_AT_ONCE: u64 = 1 << 17;
/// Users of a pass over all in a round.
const USERS_AT_ONCE: usize = 1 << 16;
/// Bytes of events in memory at once, unless a single user has more.
const MOST_BYTES: usize = 256 << 20;
/// Profiles in one write.
const PROFILES_AT_ONCE: usize = 1 << 13;

/// The sources of profiles.
pub struct ProfileContext {
    /// The progress of events in what is emitted.
    pub emitted: Arc<Emitted>,
    /// The event log.
    pub events: Arc<dyn EventLog>,
    /// The users.
    pub users: Arc<dyn Users>,
    /// The computed traits.
    pub traits: Arc<dyn TraitDefinitions>,
}

impl ProfileContext {
    /// Starts to write profiles to a store. Those that change by time alone are written again after `refresh`. `log` is the
    /// name of the change log.
    pub fn write_to(
        self: &Arc<Self>,
        store: Box<dyn ProfileStore>,
        (log, refresh): (String, Duration),
        metrics: SinkMetrics,
        runner: &Runner,
    ) -> io::Result<JobHandle> {
        let (name, failures) = (store.name().to_owned(), metrics.clone());
        let job = Job::new(format!("sink {name}"), ROUND)
            .complaint("The sink does not take profiles of users")
            .on_failure(move |_| failures.failed(&name));
        let mut writer = ProfileWriter {
            context: self.clone(),
            store,
            metrics,
            log,
            refresh: refresh.as_millis().try_into().unwrap_or(Millis::MAX),
            // The cores are there to compute memberships.
            threads: (available_parallelism().map_or(1, NonZeroUsize::get) / 4).max(1),
            traits: ProfileTraits::of(&*self.traits),
            stored: [None, None],
            sweep: None,
        };
        runner.start(job, move |_| Ok::<Outcome, Failure<WriteError>>(Outcome::Rest(writer.round()?)))
    }
}

/// Writes profiles to one store.
struct ProfileWriter {
    context: Arc<ProfileContext>,
    store: Box<dyn ProfileStore>,
    metrics: SinkMetrics,
    /// The name of the change log, which is as old as the event log.
    log: String,
    refresh: Millis,
    threads: usize,
    traits: ProfileTraits,
    /// The position that was stored last, and one that perhaps was.
    stored: [Option<ProfileReach>; 2],
    sweep: Option<ProfileSweep>,
}

impl ProfileWriter {
    /// Writes the users with new records and, if that is due, some of all users; returns how long to rest then: half as long as
    /// it worked.
    fn round(&mut self) -> Result<Duration, WriteError> {
        let begun = Instant::now();
        self.set_lag();
        // Who is one user by a record is known once the record's tick is emitted.
        let emitted = self.context.emitted.newest().sequence;
        if self.traits.version() != self.context.traits.version() {
            self.traits = ProfileTraits::of(&*self.context.traits);
        }
        let mut reach = self.reached(emitted)?;
        let before = reach.clone();
        if self.follow(&mut reach, emitted)? {
            self.go_through(&mut reach)?;
        }
        if reach != before {
            self.reach(reach)?;
        }
        self.sweep.take_if(|sweep| sweep.is_done);
        self.set_lag();
        let (worked, has_lag) = (begun.elapsed(), self.sweep.is_some() || self.sequence() < emitted);
        let shortest = if has_lag { SHORTEST_REST } else { ROUND.saturating_sub(worked) };
        Ok(shortest.max(worked / 2))
    }

    /// Returns the store's position. The store may have lost everything, or what it took last, since it was written.
    fn reached(&mut self, emitted: u64) -> Result<ProfileReach, WriteError> {
        match self.store.reached()? {
            Some(reach) if self.stored.iter().flatten().any(|stored| *stored == reach) => {
                self.stored = [Some(reach.clone()), None];
                Ok(reach)
            }
            Some(reach) if reach.log == self.log && reach.sequence <= emitted && reach.everyone.is_some() => {
                self.stored = [Some(reach.clone()), None];
                self.sweep = None;
                Ok(reach)
            }
            _ => self.restart(emitted),
        }
    }

    /// Restarts from scratch: an id whose profile is not written from now on is no user.
    fn restart(&mut self, emitted: u64) -> Result<ProfileReach, WriteError> {
        tracing::info!(sink = self.store.name(), "The sink gets the profiles of all users");
        self.sweep = Some(ProfileSweep::new(clock::now(), self.traits.digest, true));
        let reach = ProfileReach { log: self.log.clone(), sequence: emitted, everyone: None };
        self.reach(reach.clone())?;
        Ok(reach)
    }

    fn reach(&mut self, reach: ProfileReach) -> Result<(), SinkError> {
        self.stored[1] = Some(reach.clone());
        self.store.reach(&reach)?;
        self.stored = [Some(reach), None];
        Ok(())
    }

    /// Writes the users with new records. Returns whether it did: it may have to restart instead.
    fn follow(&mut self, reach: &mut ProfileReach, emitted: u64) -> Result<bool, WriteError> {
        let range = reach.sequence..emitted.min(reach.sequence + RECORDS_AT_ONCE);
        let resolved = match self.touched(range.clone())? {
            Some(touched) => touched.resolve(&*self.context.users),
            None => None,
        };
        let Some((users, mut gone)) = resolved else {
            // Whom the records named is not known any more.
            tracing::warn!(
                sink = self.store.name(),
                "Records were erased before the sink had their profiles; the sink restarts from scratch"
            );
            *reach = self.restart(emitted)?;
            return Ok(false);
        };
        gone.extend(self.bring(reach, &users)?);
        if !gone.is_empty() {
            self.store.erase(&gone)?;
        }
        reach.sequence = range.end;
        Ok(true)
    }

    /// Returns the ids that the records of a range name; none if some of the records are erased.
    fn touched(&self, range: Range<u64>) -> Result<Option<Touched>, StoreError> {
        let (mut touched, mut count) = (Touched::default(), 0);
        if !range.is_empty() {
            self.context.events.scan(range.clone(), &mut |run| {
                for record in records(run).filter(|record| range.contains(&record.sequence())) {
                    touched.add(&record);
                    count += 1;
                }
                ControlFlow::Continue(())
            })?;
        }
        Ok((count == range.end.saturating_sub(range.start)).then_some(touched))
    }

    /// Writes the profiles of users. Returns the ids of those that have no events.
    fn bring(&mut self, reach: &mut ProfileReach, mut users: &[ProfileUser]) -> Result<Vec<String>, WriteError> {
        let mut unknown = Vec::new();
        while !users.is_empty() {
            let events = batch::gather(&*self.context.events, users, MOST_BYTES)?;
            let (read, others) = users.split_at(events.len());
            for (users, events) in read.chunks(PROFILES_AT_ONCE).zip(events.chunks(PROFILES_AT_ONCE)) {
                let known = Profiles::of(users, events, &self.traits, self.threads);
                self.write(reach, &known)?;
                unknown.extend(known.unknown);
            }
            users = others;
        }
        Ok(unknown)
    }

    fn write(&mut self, reach: &mut ProfileReach, known: &Profiles) -> Result<(), WriteError> {
        if known.profiles.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        self.store.write(&known.profiles)?;
        self.metrics.written(self.store.name(), known.profiles.len(), begun.elapsed());
        let earliest = |due: Option<Millis>| due.into_iter().chain(known.due).min();
        if let Some(everyone) = &mut reach.everyone {
            everyone.due = earliest(everyone.due);
        }
        if let Some(sweep) = &mut self.sweep {
            sweep.due = earliest(sweep.due);
        }
        Ok(())
    }

    /// Writes some of all users, if that is due.
    fn go_through(&mut self, reach: &mut ProfileReach) -> Result<(), WriteError> {
        let (digest, now) = (self.traits.digest, clock::now());
        let is_due = reach.everyone.as_ref().is_some_and(|everyone| self.is_due(everyone, now));
        match &mut self.sweep {
            Some(sweep) if sweep.traits != digest => sweep.restart(digest),
            None if is_due => self.sweep = Some(ProfileSweep::new(now, digest, false)),
            _ => {}
        }
        let known = self.context.users.clone();
        let Some(sweep) = &mut self.sweep else { return Ok(()) };
        let position = sweep.position();
        let ids = sweep.next_ids(&*known, USERS_AT_ONCE);
        if ids.is_empty() {
            if sweep.is_first {
                self.store.erase_before(sweep.begun)?;
            }
            sweep.is_done = true;
            reach.everyone = Some(Everyone { begun: sweep.begun, traits: sweep.traits, due: sweep.due });
            return Ok(());
        }
        let users = sweep::users(&ids, &*known);
        let brought = self.bring(reach, &users).map(drop);
        if brought.is_err()
            && let Some(sweep) = &mut self.sweep
        {
            sweep.go_back(position);
        }
        brought
    }

    fn is_due(&self, everyone: &Everyone, now: Millis) -> bool {
        let is_time = everyone.due.is_some_and(|due| due <= now) && everyone.begun.saturating_add(self.refresh) <= now;
        is_time || everyone.traits != self.traits.digest
    }

    /// Returns the sequence number up to which the store has everything, as far as is known.
    fn sequence(&self) -> u64 {
        self.stored[0].as_ref().map_or(0, |reach| reach.sequence)
    }

    /// Sets the store's lag.
    fn set_lag(&self) {
        let events = self.context.events.end().saturating_sub(self.sequence());
        let users = self.sweep.as_ref().map_or(0, |sweep| sweep.left(&*self.context.users));
        self.metrics.set_profile_lag(self.store.name(), events, users);
    }
}
