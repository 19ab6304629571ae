//! The primary's side: its logs go to a standby, and what is given out waits until the standby has it.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_background::Stop;
use audience_contract::{AuditFilter, Progress, StoreError};
use audience_emit::Emitted;
use audience_protocol::PlatformError;
use audience_rules::record::records_of;
use parking_lot::{Condvar, Mutex};

use super::fence::Fence;
use super::figures::StandbyLag;
use super::shipment::{Held, Shipment, Shipped, ShippedCatalogue, ShippedTicks, VERSION};
use crate::health::{ReportedParts, Reports};
use crate::metrics::Metrics;
use crate::stores::PlatformStores;

/// Bytes of records in one shipment, at most: a standby that is waited for never lags as much, and gets each shipment whole.
const RECORD_BYTES: usize = 64 << 20;
/// Bytes of changes in one shipment, at most.
const CHANGE_BYTES: usize = 64 << 20;
/// How long old events are read for one shipment, about: the standby hears something meanwhile.
const READING: Duration = Duration::from_millis(500);
/// How long a shipment waits for something to ship: shorter than the standby's patience.
const LONG_POLL: Duration = Duration::from_millis(200);
/// Between looks for what nobody tells of.
const LOOK: Duration = Duration::from_millis(20);
/// Appends whose size and time are remembered.
const REMEMBERED: usize = 4096;
/// A standby that lacks fewer events is near enough to be waited for.
const NEAR: u64 = 1 << 16;

/// Settings of a primary that ships its log.
#[derive(Clone)]
pub struct ShippingOptions {
    /// The lease.
    pub fence: Arc<Fence>,
    /// True if answers to events wait until the standby has them.
    pub answers_wait: bool,
    /// How long a standby may be silent before the primary goes on alone.
    pub patience: Duration,
    /// True if the catalogue is in the data directory, and goes to the standby too.
    pub ships_catalogue: bool,
}

/// The log on its way to a standby.
pub(crate) struct Shipping {
    options: ShippingOptions,
    stores: PlatformStores,
    emitted: Arc<Emitted>,
    state: Mutex<ShippingState>,
    changed: Condvar,
}

/// Events that were appended at once.
struct Appended {
    end: u64,
    /// Bytes of all records up to that end, in this run.
    bytes: u64,
    at: Instant,
}

struct ShippingState {
    /// The last shipment that was asked for.
    last_seen: Option<Instant>,
    held_events: u64,
    /// The events and the tick from which on a standby is waited for; none while it is not near.
    paired: Option<(u64, u64)>,
    appended: VecDeque<Appended>,
    bytes: u64,
    /// The number of appends of events in this run.
    appends: u64,
    /// Bytes of the records that the standby has, in this run.
    held_bytes: u64,
}

impl Shipping {
    /// The shipping of a platform that is about to give out.
    pub(crate) fn new(options: ShippingOptions, stores: &PlatformStores, emitted: Arc<Emitted>) -> Shipping {
        let mut state = ShippingState {
            last_seen: None,
            held_events: 0,
            paired: None,
            appended: VecDeque::new(),
            bytes: 0,
            appends: 0,
            held_bytes: 0,
        };
        if options.fence.may_say_followed() {
            // The standby of the run before may be taking over, or come back.
            let tick = emitted.hold_back().tick;
            (state.paired, state.last_seen) = (Some((stores.events.end(), tick)), Some(Instant::now()));
        }
        Shipping { options, stores: stores.clone(), emitted, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Refuses where the lease is not held: nothing is accepted any more.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.options.fence.is_held() {
            return Ok(());
        }
        let detail = "another process may hold the lease by now".to_owned();
        Err(StoreError::Unavailable { action: "accepting events", detail })
    }

    /// Events were appended up to `end`.
    pub(crate) fn appended(&self, end: u64, bytes: usize) {
        let mut state = self.state.lock();
        state.appends += 1;
        state.bytes += bytes as u64;
        let bytes = state.bytes;
        if state.appended.len() < REMEMBERED {
            state.appended.push_back(Appended { end, bytes, at: Instant::now() });
        } else if let Some(last) = state.appended.back_mut() {
            (last.end, last.bytes) = (end.max(last.end), bytes);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until the standby has the events below `end`, where answers wait for it; or until there is none to wait for.
    pub(crate) fn wait_held(&self, end: u64) -> Result<(), PlatformError> {
        let mut state = self.state.lock();
        loop {
            if !self.options.fence.is_held() {
                let why = "the lease ran out while the standby was waited for: the event may count";
                return Err(PlatformError::OutcomeUnknown(why.to_owned()));
            }
            if !self.options.answers_wait || state.paired.is_none() || state.held_events >= end {
                return Ok(());
            }
            self.changed.wait_for(&mut state, LOOK);
        }
    }

    /// Looks after the pair until the stop: a standby that is silent for too long is not waited for any more, once the lease
    /// says so.
    pub(crate) fn tend(&self, stop: &Stop) {
        while !stop.wait(LOOK) {
            let mut state = self.state.lock();
            let is_silent = state.last_seen.is_none_or(|seen| seen.elapsed() > self.options.patience);
            if state.paired.is_none() || !is_silent {
                continue;
            }
            self.options.fence.wish_followed(false);
            if !self.options.fence.may_say_followed() {
                tracing::error!("The standby is silent; the primary goes on alone, and the lease says so");
                state.paired = None;
                self.emitted.release_all();
                self.changed.notify_all();
            }
        }
    }

    /// Answers a standby: what comes after what it has. Waits a little where there is nothing.
    pub(crate) fn ship(&self, asked: &[u8]) -> Result<Vec<u8>, PlatformError> {
        let shipped = match bincode::deserialize::<Held>(asked) {
            Err(error) => Shipped::Refused(format!("the question cannot be read: {error}")),
            Ok(held) => match self.refusal(&held) {
                Some(why) => Shipped::Refused(why),
                None => {
                    self.note(&held);
                    self.wait_for_news(&held);
                    let shipment = self.shipment(&held);
                    Shipped::Log(Box::new(shipment.map_err(|error| PlatformError::Unavailable(error.to_string()))?))
                }
            },
        };
        encode(&shipped)
    }

    fn refusal(&self, held: &Held) -> Option<String> {
        let Held { version, epoch, events, progress, catalogue, .. } = held;
        let (own, newest) = (self.options.fence.epoch(), self.committed());
        if version != VERSION {
            return Some(format!("the standby is of version {version}, the primary of {VERSION}; run the same"));
        }
        if catalogue.is_some() != self.options.ships_catalogue {
            return Some("one of both has the segments in PostgreSQL, and the other does not".to_owned());
        }
        if epoch.is_some_and(|epoch| epoch != own) || *events > self.stores.events.end() || progress.tick > newest.tick
        {
            return Some(format!(
                "the standby has the log of another epoch than {own}; start it on an empty data directory"
            ));
        }
        None
    }

    fn committed(&self) -> Progress {
        self.stores.changes.progress().ok().flatten().unwrap_or_default()
    }

    /// Notes what the standby has, and lets out what waited for it.
    fn note(&self, held: &Held) {
        let mut state = self.state.lock();
        state.last_seen = Some(Instant::now());
        state.held_events = held.events;
        while state.appended.front().is_some_and(|appended| appended.end <= held.events) {
            state.held_bytes = state.appended.pop_front().map_or(state.held_bytes, |appended| appended.bytes);
        }
        let is_near = held.epoch.is_some() && self.stores.events.end().saturating_sub(held.events) < NEAR;
        if state.paired.is_none() && is_near {
            // Whatever is given out from here on waits. What was before is reached below.
            let tick = self.emitted.hold_back().tick;
            state.paired = Some((self.stores.events.end(), tick));
            tracing::info!("The standby has nearly everything; what is given out waits for it from here on");
        }
        if let Some((events, tick)) = state.paired
            && held.is_whole
        {
            self.emitted.release(held.progress);
            if held.events >= events && held.progress.tick >= tick {
                self.options.fence.wish_followed(true);
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits until something is there that the standby lacks; nobody waits for these looks.
    fn wait_for_news(&self, held: &Held) {
        let until = Instant::now() + LONG_POLL;
        while Instant::now() < until {
            let appends = self.state.lock().appends;
            let stores = &self.stores;
            let has_notes = stores.notes.changed_since(held.notes).is_ok_and(|notes| Some(notes.mark) != held.notes);
            if stores.events.end() > held.events || self.committed().tick > held.progress.tick || has_notes {
                return;
            }
            let mut state = self.state.lock();
            if state.appends == appends {
                self.changed.wait_for(&mut state, LOOK / 4);
            }
        }
    }

    /// Reads what comes next: first what was given out, then what that follows from, so that nothing is missing of it.
    fn shipment(&self, held: &Held) -> Result<Shipment, StoreError> {
        let stores = &self.stores;
        let (progress, floor) = (stores.changes.progress()?.unwrap_or_default(), stores.changes.floor()?);
        let (ticks, has_all_ticks) = self.ticks(held.progress.tick, progress.tick)?;
        let catalogue = held.catalogue.map(|version| self.catalogue(version)).transpose()?;
        let notes = Some(stores.notes.changed_since(held.notes)?);
        let (end, positions) = stores.events.reach()?;
        let (records, has_all_records) = self.records(held.events, end)?;
        let is_whole = has_all_ticks && has_all_records;
        Ok(Shipment {
            epoch: self.options.fence.epoch(),
            is_whole,
            records,
            positions: if is_whole { positions } else { Vec::new() },
            end,
            catalogue,
            notes,
            floor,
            ticks,
            progress: is_whole.then_some(progress),
        })
    }

    fn ticks(&self, after: u64, up_to: u64) -> Result<(ShippedTicks, bool), StoreError> {
        let (mut ticks, mut bytes, mut has_all) = (Vec::new(), 0, true);
        self.stores.changes.read(after.saturating_add(1), &mut |tick, changes| {
            if tick > up_to {
                return ControlFlow::Break(());
            }
            if bytes >= CHANGE_BYTES {
                has_all = false;
                return ControlFlow::Break(());
            }
            bytes += changes.len();
            ticks.push((tick, changes.to_vec()));
            ControlFlow::Continue(())
        })?;
        Ok((ticks, has_all))
    }

    fn records(&self, from: u64, end: u64) -> Result<(Vec<u8>, bool), StoreError> {
        let (mut shipped, mut next, begun) = (Vec::new(), from, Instant::now());
        self.stores.events.scan(from..end, &mut |run| {
            // A place whose record was erased is shipped, too: it has a number.
            for record in records_of(run, |_| true).filter(|record| (from..end).contains(&record.sequence())) {
                shipped.extend_from_slice(record.bytes());
                next = record.sequence() + 1;
            }
            let is_full = shipped.len() >= RECORD_BYTES || begun.elapsed() >= READING;
            if is_full && next > from { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok((shipped, next >= end))
    }

    fn catalogue(&self, after: u64) -> Result<ShippedCatalogue, StoreError> {
        let catalogue = &*self.stores.catalogue;
        let version = catalogue.version()?;
        let first_silent = catalogue.take_unannounced(1, Duration::ZERO)?;
        let newest = catalogue.audit(&AuditFilter { limit: 1, ..AuditFilter::default() })?;
        let announced = match (first_silent.first(), newest.first()) {
            (Some(silent), _) => silent.sequence.saturating_sub(1),
            (None, newest) => newest.map_or(0, |row| row.sequence),
        };
        let mut shipped = ShippedCatalogue { version, documents: Vec::new(), audit: Vec::new(), announced };
        if version > after {
            shipped.documents = catalogue.changed_after(after)?;
            shipped.documents.retain(|document| document.catalogue_version <= version);
            let mut limit = 64;
            loop {
                let rows = catalogue.audit(&AuditFilter { limit, ..AuditFilter::default() })?;
                let reaches = rows.len() < limit || rows.last().is_some_and(|row| row.catalogue_version <= after);
                if reaches {
                    shipped.audit = rows.into_iter().rev().collect();
                    break;
                }
                limit = limit.saturating_mul(4);
            }
            shipped.audit.retain(|row| row.catalogue_version > after && row.catalogue_version <= version);
        }
        Ok(shipped)
    }

    /// The lag of the standby.
    pub(crate) fn lag(&self) -> StandbyLag {
        let state = self.state.lock();
        let Some(seen) = state.last_seen else { return StandbyLag::default() };
        let events = self.stores.events.end().saturating_sub(state.held_events);
        let oldest = state.appended.front().filter(|_| events > 0).map(|appended| appended.at.elapsed());
        StandbyLag {
            is_connected: seen.elapsed() <= self.options.patience,
            is_followed: state.paired.is_some() && self.options.fence.says_followed(),
            events,
            bytes: if events > 0 { state.bytes - state.held_bytes } else { 0 },
            seconds: oldest.unwrap_or_default().as_secs_f64(),
        }
    }
}

/// Answers a standby that asks a process without a lease.
pub(crate) fn refuse_without_lease() -> Result<Vec<u8>, PlatformError> {
    encode(&Shipped::Refused("it has no lease, and ships nothing".to_owned()))
}

fn encode(shipped: &Shipped) -> Result<Vec<u8>, PlatformError> {
    bincode::serialize(shipped).map_err(|error| PlatformError::Unavailable(error.to_string()))
}

impl Reports for Shipping {
    fn report(&self, report: &mut ReportedParts) {
        let lag = self.lag();
        let is_known = self.state.lock().last_seen.is_some();
        let text = match (is_known, lag.is_connected, lag.is_followed) {
            (false, ..) => "no standby has asked yet".to_owned(),
            (_, false, _) => "the standby is away; this process goes on alone".to_owned(),
            (_, true, false) => format!("the standby catches up: it lacks {} events", lag.events),
            (_, true, true) => format!("the standby has everything that was given out; it lacks {} events", lag.events),
        };
        if lag.is_followed { report.tells("standby", text) } else { report.notes("standby", Some(text)) }
    }

    fn observe(&self, metrics: &Metrics) {
        metrics.standby.set(self.lag(), self.options.fence.epoch());
    }
}
