//! The audit log as a chain of digests, whose head stands in each checkpoint.
//!
//! **Law.** The digest of a row covers the row and the digest of the row before. A checkpoint has the head, and marks on the way to it: so
//! a row that was changed, taken out or put in afterwards is found, the first of them, by whoever has the checkpoint. Each start holds the log
//! against the newest checkpoint; what it finds stands in every later one.
//!
//! Up to [`MOST`] rows each row has its mark; a longer log has one at every second row, fourth, and so on.

use audience_background::clock;
use audience_contract::{AuditFilter, AuditRecord, CatalogueStore, CheckpointStore, StoreError};
use audience_rules::ast::Millis;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::manifest::AUDIT_SHARD;
use crate::engine::EngineError;

/// Marks at most: 16 bytes each in a checkpoint.
const MOST: usize = 1 << 16;
/// Rows that are read at a time.
const PAGE: usize = 50_000;
/// Findings that are kept at most; the first of them stay.
const FINDINGS: usize = 100;

type RowDigest = [u8; 32];

/// A row of the log: its number, and the digest of all that it says.
type DigestedRow = (u64, RowDigest);

/// The first place at which an audit log is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditFault {
    /// The last row that is as it was; none where the first is not.
    pub after: Option<u64>,
    /// The row that is missing or other, or before which one is.
    pub row: u64,
    /// True where that row is not there any more.
    pub is_missing: bool,
    /// True where the log is so long that rows between the two have no mark.
    pub is_between: bool,
}

/// The chain of an audit log up to one of its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditTrail {
    rows: u64,
    /// Rows from one mark to the next.
    step: u64,
    /// The numbers of rows, and the first bytes of the chain's digest there.
    marks: Vec<(u64, u64)>,
    sequence: u64,
    head: RowDigest,
    findings: Vec<(i64, AuditFault)>,
}

impl Default for AuditTrail {
    fn default() -> AuditTrail {
        AuditTrail {
            rows: 0,
            step: 1,
            marks: Vec::new(),
            sequence: 0,
            head: RowDigest::default(),
            findings: Vec::new(),
        }
    }
}

fn mark(head: &RowDigest) -> u64 {
    head.first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
}

fn next(head: &RowDigest, row: &RowDigest) -> RowDigest {
    Sha256::new().chain_update(head).chain_update(row).finalize().into()
}

fn digested(record: &AuditRecord) -> DigestedRow {
    // Texts and numbers alone: this cannot fail.
    (record.sequence, Sha256::digest(serde_json::to_vec(record).unwrap_or_default()).into())
}

/// The rows after one, oldest first. Costs 40 bytes a row.
fn rows(store: &dyn CatalogueStore, after: u64) -> Result<Vec<DigestedRow>, StoreError> {
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let page = store.audit(&AuditFilter { before, limit: PAGE, ..AuditFilter::default() })?;
        before = page.last().map(|record| record.sequence);
        let is_last = page.len() < PAGE || before.is_none_or(|oldest| oldest <= after);
        found.extend(page.iter().filter(|record| record.sequence > after).map(digested));
        if is_last {
            found.reverse();
            return Ok(found);
        }
    }
}

impl AuditTrail {
    /// The trail in a checkpoint; `None` in one of before there were any.
    pub fn of_checkpoint(store: &dyn CheckpointStore, number: u64) -> Result<Option<AuditTrail>, StoreError> {
        let Some(bytes) = store.shard(number, AUDIT_SHARD)? else { return Ok(None) };
        let place = format!("the audit trail of checkpoint {number}");
        let damaged = |error: bincode::Error| StoreError::Corrupt { place, detail: error.to_string() };
        bincode::deserialize(&bytes).map(Some).map_err(damaged)
    }

    /// Rows that it covers.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The head, in hexadecimal.
    pub fn head(&self) -> String {
        self.head.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn add(&mut self, (sequence, row): DigestedRow) {
        self.head = next(&self.head, &row);
        (self.sequence, self.rows) = (sequence, self.rows + 1);
        if self.rows.is_multiple_of(self.step) {
            self.marks.push((sequence, mark(&self.head)));
        }
        if self.marks.len() > MOST {
            self.step *= 2;
            self.marks = self.marks.iter().copied().skip(1).step_by(2).collect();
        }
    }

    /// This trail, on to the newest row.
    fn followed(&self, store: &dyn CatalogueStore) -> Result<AuditTrail, StoreError> {
        let mut trail = self.clone();
        rows(store, self.sequence)?.into_iter().for_each(|row| trail.add(row));
        Ok(trail)
    }

    /// The trail of the log as it is now, with what is found where that is not what this one says. Reads the whole log.
    fn continued(&self, store: &dyn CatalogueStore) -> Result<AuditTrail, StoreError> {
        let rows = rows(store, 0)?;
        let mut trail = AuditTrail { findings: self.findings.clone(), ..AuditTrail::default() };
        if let Some(fault) = self.fault_of(&rows) {
            tracing::error!(row = fault.row, "The audit log is not what it was; run audience admin verify-audit");
            trail.findings.truncate(FINDINGS - 1);
            trail.findings.push((clock::now(), fault));
        }
        rows.into_iter().for_each(|row| trail.add(row));
        Ok(trail)
    }

    /// Every time at which the log was found not to be what it was, in epoch milliseconds, with the place.
    pub fn findings(&self) -> &[(i64, AuditFault)] {
        &self.findings
    }

    /// Looks for the first row that is not what it was. Reads the whole log.
    pub fn fault_in(&self, store: &dyn CatalogueStore) -> Result<Option<AuditFault>, StoreError> {
        Ok(self.fault_of(&rows(store, 0)?))
    }

    fn fault_of(&self, rows: &[DigestedRow]) -> Option<AuditFault> {
        let last =
            Some((self.sequence, mark(&self.head))).filter(|last| self.marks.last() != Some(last) && self.rows > 0);
        let mut marks = self.marks.iter().copied().chain(last).peekable();
        let (mut head, mut after) = (RowDigest::default(), None);
        let is_between = self.step > 1;
        for (sequence, row) in rows {
            let &(marked, wanted) = marks.peek()?;
            if marked < *sequence {
                return Some(AuditFault { after, row: marked, is_missing: true, is_between });
            }
            head = next(&head, row);
            if marked == *sequence {
                if mark(&head) != wanted {
                    return Some(AuditFault { after, row: marked, is_missing: false, is_between });
                }
                after = Some(marked);
                marks.next();
            }
        }
        marks.next().map(|(row, _)| AuditFault { after, row, is_missing: true, is_between })
    }
}

/// The trail of a run, from checkpoint to checkpoint; nothing until the first.
#[derive(Default)]
pub(super) struct FollowedTrail(Mutex<Option<AuditTrail>>);

impl FollowedTrail {
    /// Puts the trail of now into a checkpoint. A log that cannot be read keeps no checkpoint from being taken: it has the trail of
    /// before then, and the next one is tried again. Gives the newest time at which the log was found to be another.
    pub(super) fn put(
        &self,
        catalogue: &dyn CatalogueStore,
        store: &dyn CheckpointStore,
        number: u64,
    ) -> Result<Option<Millis>, EngineError> {
        let mut kept = self.0.lock();
        let followed = match &*kept {
            Some(trail) => trail.followed(catalogue).map_err(|error| (error, trail.clone())),
            // The first of a run holds the log against what the run before has left.
            None => {
                let before = newest(store)?.unwrap_or_default();
                before.continued(catalogue).map_err(|error| (error, before))
            }
        };
        let trail = match followed {
            Ok(trail) => kept.insert(trail).clone(),
            Err((error, before)) => {
                tracing::warn!(%error, "The audit log cannot be read; a later checkpoint has its newest rows");
                before
            }
        };
        let bytes = bincode::serialize(&trail).map_err(|error| EngineError::write("the audit trail", error))?;
        store.put_shard(number, AUDIT_SHARD, &bytes)?;
        Ok(trail.findings.last().map(|(at, _)| *at))
    }
}

/// The trail of the newest checkpoint that has one.
fn newest(store: &dyn CheckpointStore) -> Result<Option<AuditTrail>, EngineError> {
    for number in store.found()? {
        if let Ok(Some(trail)) = AuditTrail::of_checkpoint(store, number) {
            return Ok(Some(trail));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(sequence: u64, author: &str) -> DigestedRow {
        let record = AuditRecord {
            sequence,
            at: 7,
            author: author.to_owned(),
            catalogue_version: sequence,
            entry: audience_contract::AuditEntry::default(),
        };
        digested(&record)
    }

    /// The odd numbers: sequences may have gaps.
    fn log(rows: u64) -> Vec<DigestedRow> {
        (0..rows).map(|number| row(2 * number + 1, "ann")).collect()
    }

    fn trail(log: &[DigestedRow]) -> AuditTrail {
        let mut trail = AuditTrail::default();
        log.iter().for_each(|row| trail.add(*row));
        trail
    }

    #[test]
    fn the_first_row_that_is_other_is_found_wherever_it_is() {
        let log = log(20);
        let trail = trail(&log);
        assert_eq!((trail.fault_of(&log), AuditTrail::default().fault_of(&log)), (None, None));
        for place in 0..log.len() {
            let number = log[place].0;
            let after = place.checked_sub(1).map(|before| log[before].0);
            let found = |log: &[DigestedRow]| trail.fault_of(log);
            let fault = |row, is_missing| Some(AuditFault { after, row, is_missing, is_between: false });
            let mut changed = log.clone();
            changed[place] = row(number, "eve");
            assert_eq!(found(&changed), fault(number, false), "{place} is changed");
            let mut shorter = log.clone();
            shorter.remove(place);
            assert_eq!(found(&shorter), fault(number, true), "{place} is taken out");
            assert_eq!(found(&log[..place]), fault(number, true), "the log ends before {place}");
            let mut longer = log.clone();
            longer.insert(place, row(number - 1, "eve"));
            assert_eq!(found(&longer), fault(number, false), "one is put in before {place}");
            let mut two = changed.clone();
            two[log.len() - 1] = row(log[log.len() - 1].0, "eve");
            assert_eq!(found(&two), fault(number, false), "the first of two");
        }
        let mut newer = log.clone();
        newer.push(row(99, "bob"));
        assert_eq!(trail.fault_of(&newer), None, "rows after the checkpoint are new");
    }

    #[test]
    fn a_long_log_has_fewer_marks_and_still_finds_everything() {
        let log = log(MOST as u64 * 2 + 3);
        let trail = trail(&log);
        assert!(trail.marks.len() <= MOST && trail.step == 4, "{}", trail.step);
        assert_eq!(trail.fault_of(&log), None);
        for place in [0, 1, 5, MOST, log.len() - 2, log.len() - 1] {
            let mut changed = log.clone();
            changed[place] = row(log[place].0, "eve");
            let fault = trail.fault_of(&changed).unwrap_or_else(|| panic!("{place} is not found"));
            let is_within = fault.after.is_none_or(|after| after < log[place].0) && log[place].0 <= fault.row;
            assert!(is_within && fault.is_between, "{place}: {fault:?}");
        }
    }
}
