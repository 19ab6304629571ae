//! Sizes over a past before the platform, in place of those that are counted.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use audience_contract::changes::visit;
use audience_contract::{Note, StoreError};
use audience_rules::ast::Millis;

use super::counts::{BEGUN, PREFIX, PREFIX_END};
use super::{Sizes, SizesContext};

impl Sizes {
    /// Replaces all sizes by those that these changes make, which are of the time from `begun` up to `up_to`, and counts on from
    /// there with what was emitted since. Everything up to `up_to` is emitted already.
    pub fn put_past(&self, begun: Millis, up_to: Millis, past: &[Vec<u8>]) -> Result<(), StoreError> {
        let SizesContext { emitted, notes, .. } = &self.context;
        let mut counts = self.counted()?;
        let (counted, mut failed) = (counts.reached, None);
        let mut cleared: Vec<Note> = vec![(BEGUN.to_vec(), Some(begun.to_be_bytes().to_vec()))];
        notes.visit(PREFIX, PREFIX_END, &mut |key, _| {
            cleared.push((key.to_vec(), None));
            ControlFlow::Continue(())
        })?;
        notes.write(&cleared)?;
        counts.segments.clear();
        (counts.begun, counts.at, counts.unnoted) = (begun, Millis::MIN, BTreeMap::new());
        for changes in past {
            let visited = visit(changes, &mut |change| {
                failed = failed.take().or(counts.count_one(change, &**notes).err());
                ControlFlow::Continue(())
            });
            let undecoded = |error: audience_contract::changes::ChangesError| StoreError::Corrupt {
                place: "the changes of the past".to_owned(),
                detail: error.to_string(),
            };
            visited.map_err(undecoded)?;
        }
        emitted.each_change(1..=counted, &mut |_, change| {
            if change.at > up_to {
                failed = failed.take().or(counts.count_one(change, &**notes).err());
            }
        })?;
        counts.touch();
        failed.map_or(Ok(()), Err)
    }
}
