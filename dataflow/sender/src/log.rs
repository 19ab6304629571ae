//! The log of sends: one row for each, a queue by due instant, the rows that are open, and the instants that caps count.
//!
//! | Key below `mail/` | Value |
//! |---|---|
//! | `send/CAMPAIGN/ID` | the row |
//! | `due/CAMPAIGN/INSTANT/ID` | nothing: the send is planned or deferred |
//! | `open/CAMPAIGN/ID` | nothing: the send is claimed or handing |
//! | `user/HASH/INSTANT/ID` | nothing: caps count the send to that user |
//! | `place/CAMPAIGN` | the place up to which a triggered campaign has followed the changes of memberships |

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use audience_contract::{Note, Notes, Result, StoreError};
use audience_protocol::ChangePlace;
use audience_sends::Millis;
use audience_sends::gates::Reason;
use audience_sends::id::SendId;
use audience_sends::state::SendState;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A send, as it is stored. There is no address in it: that of the user counts at the instant of the hand-over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) user: String,
    /// The occurrence of a campaign that recurs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) occurrence: Option<Millis>,
    pub(crate) state: SendState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Reason>,
    /// The instant at which it is due.
    pub(crate) due: Millis,
    /// The instant of the state.
    pub(crate) at: Millis,
    /// The instant that caps count, once it was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) claimed: Option<Millis>,
    /// The instant of the first hand-over of which nobody knows the outcome, until the provider takes the send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) doubt: Option<Millis>,
    #[serde(default)]
    pub(crate) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reply: Option<String>,
}

impl Row {
    /// The row of a send that is due.
    pub(crate) fn planned(user: &str, now: Millis) -> Row {
        Row {
            user: user.to_owned(),
            occurrence: None,
            state: SendState::Planned,
            reason: None,
            due: now,
            at: now,
            claimed: None,
            doubt: None,
            attempts: 0,
            reply: None,
        }
    }
}

/// A send with its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LoggedSend {
    pub(crate) id: SendId,
    pub(crate) row: Row,
}

/// The counts of a campaign's sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SendCounts {
    pub(crate) states: BTreeMap<SendState, u64>,
    pub(crate) reasons: BTreeMap<Reason, u64>,
}

impl SendCounts {
    fn move_row(&mut self, old: Option<&Row>, new: &Row) {
        if let Some(old) = old {
            take(&mut self.states, old.state);
            old.reason.iter().for_each(|reason| take(&mut self.reasons, *reason));
        }
        *self.states.entry(new.state).or_default() += 1;
        new.reason.iter().for_each(|reason| *self.reasons.entry(*reason).or_default() += 1);
    }

    pub(crate) fn of(&self, state: SendState) -> u64 {
        self.states.get(&state).copied().unwrap_or_default()
    }

    /// Sends that are yet to be settled.
    pub(crate) fn unsettled(&self) -> u64 {
        self.states.iter().filter(|(state, _)| !state.is_settled()).map(|(_, count)| count).sum()
    }

    /// Sends that budgets count.
    pub(crate) fn counted(&self) -> u64 {
        self.states.iter().filter(|(state, _)| state.counts()).map(|(_, count)| count).sum()
    }
}

fn take<K: Ord + Copy>(counts: &mut BTreeMap<K, u64>, key: K) {
    if let Some(count) = counts.get_mut(&key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}

/// The log.
pub(crate) struct SendLog {
    notes: Arc<dyn Notes>,
    counts: Mutex<HashMap<String, SendCounts>>,
}

impl SendLog {
    /// Opens the log. Cost: reads every row once, for the counts.
    pub(crate) fn open(notes: Arc<dyn Notes>) -> Result<SendLog> {
        let mut counts: HashMap<String, SendCounts> = HashMap::new();
        let mut fault = None;
        notes.visit(b"mail/send/", b"mail/send0", &mut |key, value| {
            let campaign = std::str::from_utf8(key).ok().and_then(|key| key.split('/').nth(2));
            match (campaign, read(value)) {
                (Some(campaign), Ok(row)) => counts.entry(campaign.to_owned()).or_default().move_row(None, &row),
                (_, Err(error)) => fault = Some(error),
                (None, _) => {}
            }
            ControlFlow::Continue(())
        })?;
        fault.map_or(Ok(SendLog { notes, counts: Mutex::new(counts) }), Err)
    }

    pub(crate) fn counts(&self, campaign: &str) -> SendCounts {
        self.counts.lock().get(campaign).cloned().unwrap_or_default()
    }

    /// The sends of all campaigns in a state.
    pub(crate) fn total(&self, state: SendState) -> u64 {
        self.counts.lock().values().map(|counts| counts.of(state)).sum()
    }

    /// Adds sends that are not there yet; others stay as they are.
    pub(crate) fn add(&self, campaign: &str, sends: &[LoggedSend]) -> Result<()> {
        self.write(campaign, &self.missing(campaign, sends)?)
    }

    /// The same, with the place up to which the changes of memberships were followed for them, all or none.
    pub(crate) fn add_up_to(&self, campaign: &str, sends: &[LoggedSend], place: ChangePlace) -> Result<()> {
        let note = (place_key(campaign), Some(place.to_string().into_bytes()));
        self.write_with(campaign, &self.missing(campaign, sends)?, vec![note])
    }

    /// The place up to which the changes of memberships were followed.
    pub(crate) fn place(&self, campaign: &str) -> Result<Option<ChangePlace>> {
        let Some(value) = self.notes.get(&place_key(campaign))? else { return Ok(None) };
        let place = std::str::from_utf8(&value).ok().and_then(ChangePlace::parse);
        let corrupt = || StoreError::Corrupt {
            place: format!("the place of the campaign {campaign}"),
            detail: "it is no place".to_owned(),
        };
        place.map(Some).ok_or_else(corrupt)
    }

    /// Moves sends to their new states, all or none. A step that sends do not have is refused.
    pub(crate) fn step(&self, campaign: &str, steps: &[(LoggedSend, Row)]) -> Result<()> {
        if let Some((old, new)) = steps.iter().find(|(old, new)| !old.row.state.may_become(new.state)) {
            let detail = format!("a send that is {} does not become {}", old.row.state.name(), new.state.name());
            return Err(StoreError::Refused { action: "writing sends", detail });
        }
        self.replace(campaign, steps)
    }

    /// Writes new rows of sends; those that stay planned may wait until later instants.
    pub(crate) fn replace(&self, campaign: &str, waits: &[(LoggedSend, Row)]) -> Result<()> {
        let moved: Vec<LoggedSend> =
            waits.iter().map(|(old, new)| LoggedSend { id: old.id, row: new.clone() }).collect();
        let pairs: Vec<_> = moved.iter().zip(waits).map(|(new, (old, _))| (new, Some(&old.row))).collect();
        self.write(campaign, &pairs)
    }

    /// Those that are not there yet.
    fn missing<'a>(&self, campaign: &str, sends: &'a [LoggedSend]) -> Result<Vec<(&'a LoggedSend, Option<&'a Row>)>> {
        let mut missing = Vec::new();
        for send in sends {
            if self.notes.get(&key_of(campaign, &send.id))?.is_none() {
                missing.push((send, None));
            }
        }
        Ok(missing)
    }

    fn write(&self, campaign: &str, pairs: &[(&LoggedSend, Option<&Row>)]) -> Result<()> {
        self.write_with(campaign, pairs, Vec::new())
    }

    /// Writes rows and other notes, all or none.
    fn write_with(&self, campaign: &str, pairs: &[(&LoggedSend, Option<&Row>)], mut notes: Vec<Note>) -> Result<()> {
        if pairs.is_empty() && notes.is_empty() {
            return Ok(());
        }
        for (new, old) in pairs {
            // A key stands in a batch once: which of two writes of it counts is not said.
            let before = old.map_or_else(Vec::new, |old| marks(campaign, &new.id, old));
            let after = marks(campaign, &new.id, &new.row);
            notes.extend(before.iter().filter(|key| !after.contains(key)).map(|key| (key.clone(), None)));
            notes.extend(after.into_iter().filter(|key| !before.contains(key)).map(|key| (key, Some(Vec::new()))));
            let value = serde_json::to_vec(&new.row).map_err(|error| refused(&error))?;
            notes.push((key_of(campaign, &new.id), Some(value)));
        }
        self.notes.write(&notes)?;
        let mut counts = self.counts.lock();
        let counts = counts.entry(campaign.to_owned()).or_default();
        pairs.iter().for_each(|(new, old)| counts.move_row(*old, &new.row));
        Ok(())
    }

    fn row(&self, campaign: &str, id: SendId) -> Result<Option<LoggedSend>> {
        let value = self.notes.get(&key_of(campaign, &id))?;
        value.map(|value| Ok(LoggedSend { id, row: read(&value)? })).transpose()
    }

    /// The sends whose keys have a prefix and are below a bound, up to `most`.
    fn marked(&self, campaign: &str, from: &str, to: &str, most: usize) -> Result<Vec<LoggedSend>> {
        let mut ids = Vec::new();
        self.notes.visit(from.as_bytes(), to.as_bytes(), &mut |key, _| {
            let id = std::str::from_utf8(key).ok().and_then(|key| key.rsplit('/').next()?.parse::<SendId>().ok());
            ids.extend(id);
            if ids.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let rows: Vec<Option<LoggedSend>> = ids.into_iter().map(|id| self.row(campaign, id)).collect::<Result<_>>()?;
        Ok(rows.into_iter().flatten().collect())
    }

    /// The next sends that are due, in the order of their instants.
    pub(crate) fn due(&self, campaign: &str, now: Millis, most: usize) -> Result<Vec<LoggedSend>> {
        let from = format!("mail/due/{campaign}/");
        let to = format!("{from}{}", instant(now.saturating_add(1)));
        self.marked(campaign, &from, &to, most)
    }

    /// The sends that are claimed or handing.
    pub(crate) fn open_sends(&self, campaign: &str) -> Result<Vec<LoggedSend>> {
        let from = format!("mail/open/{campaign}/");
        self.marked(campaign, &from, &format!("mail/open/{campaign}0"), usize::MAX)
    }

    /// The sends after an id, in the order of their ids.
    pub(crate) fn after(
        &self,
        campaign: &str,
        after: Option<&str>,
        most: usize,
        keep: &dyn Fn(&Row) -> bool,
    ) -> Result<Vec<LoggedSend>> {
        let from = format!("mail/send/{campaign}/{}", after.map_or(String::new(), |after| format!("{after}!")));
        let (mut sends, mut fault) = (Vec::new(), None);
        self.notes.visit(from.as_bytes(), format!("mail/send/{campaign}0").as_bytes(), &mut |key, value| {
            let id = std::str::from_utf8(key).ok().and_then(|key| key.rsplit('/').next()?.parse().ok());
            match (id, read(value)) {
                (Some(id), Ok(row)) if keep(&row) => sends.push(LoggedSend { id, row }),
                (_, Err(error)) => fault = Some(error),
                _ => {}
            }
            if sends.len() < most && fault.is_none() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        fault.map_or(Ok(sends), Err)
    }

    /// The instants of sends to a user that caps count, ascending, from one on.
    pub(crate) fn sent_to(&self, user: &str, from: Millis) -> Result<Vec<Millis>> {
        let prefix = format!("mail/user/{}/", hash_of(user));
        let (begin, end) = (format!("{prefix}{}", instant(from)), format!("mail/user/{}0", hash_of(user)));
        let mut instants = Vec::new();
        self.notes.visit(begin.as_bytes(), end.as_bytes(), &mut |key, _| {
            let text = std::str::from_utf8(key).ok().and_then(|key| key.split('/').nth(3));
            instants.extend(text.and_then(|text| Millis::from_str_radix(text, 16).ok()));
            ControlFlow::Continue(())
        })?;
        Ok(instants)
    }
}

fn read(value: &[u8]) -> Result<Row> {
    serde_json::from_slice(value)
        .map_err(|error| StoreError::Corrupt { place: "the log of sends".to_owned(), detail: error.to_string() })
}

fn refused(error: &serde_json::Error) -> StoreError {
    StoreError::Refused { action: "writing sends", detail: error.to_string() }
}

fn key_of(campaign: &str, id: &SendId) -> Vec<u8> {
    format!("mail/send/{campaign}/{id}").into_bytes()
}

fn place_key(campaign: &str) -> Vec<u8> {
    format!("mail/place/{campaign}").into_bytes()
}

/// An instant whose texts are in the order of time.
fn instant(at: Millis) -> String {
    format!("{:016x}", at.max(0))
}

/// 128 bits of the hash of a user, so that any id fits a key.
fn hash_of(user: &str) -> String {
    Sha256::digest(user).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// The keys beside a row.
fn marks(campaign: &str, id: &SendId, row: &Row) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    match row.state {
        SendState::Planned | SendState::Deferred => {
            keys.push(format!("mail/due/{campaign}/{}/{id}", instant(row.due)).into_bytes());
        }
        SendState::Claimed | SendState::Handing => keys.push(format!("mail/open/{campaign}/{id}").into_bytes()),
        _ => {}
    }
    if let Some(claimed) = row.claimed.filter(|_| row.state.counts()) {
        keys.push(format!("mail/user/{}/{}/{id}", hash_of(&row.user), instant(claimed)).into_bytes());
    }
    keys
}
