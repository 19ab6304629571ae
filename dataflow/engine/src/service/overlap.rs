//! Who is in a segment, all of them, and how many are in two.

use audience_protocol::{Overlap, Overlaps, PlatformError};
use roaring::RoaringBitmap;

use super::Service;

/// Members that are given away at a time.
const PIECE: usize = 4_096;

impl Service {
    /// Everybody is counted as of one instant of theirs, worker by worker.
    pub(super) fn overlap(&self, id: &str, others: &[String]) -> Result<Overlaps, PlatformError> {
        self.editor.segment(id)?;
        others.iter().try_for_each(|other| self.editor.segment(other).map(drop))?;
        let mut size = 0;
        let mut counts = vec![(0_u64, 0_u64); others.len()];
        for membership in self.engine.memberships() {
            let membership = membership.read();
            let bitmap = |id: &str| membership.segments.get(id).map(|bitmap| membership.bitmap(*bitmap));
            let this = bitmap(id);
            size += this.map_or(0, RoaringBitmap::len);
            for (other, (of_other, both)) in others.iter().zip(&mut counts) {
                let Some(other) = bitmap(other) else { continue };
                *of_other += other.len();
                *both += this.map_or(0, |this| this.intersection_len(other));
            }
        }
        let with = others.iter().zip(counts).map(|(other, (of_other, both))| {
            let either = size + of_other - both;
            Overlap {
                segment_id: other.clone(),
                size: of_other,
                both,
                either,
                only_this: size - both,
                only_other: of_other - both,
                jaccard: if either == 0 { 0.0 } else { both as f64 / either as f64 },
            }
        });
        Ok(Overlaps { segment_id: id.to_owned(), size, with: with.collect() })
    }

    /// The bitmaps are copied at once, which is cheap; ids never change, and are looked up as they are given away.
    pub(super) fn each_member(&self, id: &str, take: &mut dyn FnMut(Vec<String>) -> bool) -> Result<(), PlatformError> {
        self.editor.segment(id)?;
        let copied: Vec<_> = self
            .engine
            .memberships()
            .iter()
            .map(|membership| {
                let held = membership.read();
                let bitmap = held.segments.get(id).map(|bitmap| held.bitmap(*bitmap).clone());
                (membership, bitmap.unwrap_or_default())
            })
            .collect();
        for (membership, bitmap) in copied {
            let mut slots = bitmap.into_iter();
            loop {
                let piece: Vec<String> = {
                    let held = membership.read();
                    slots.by_ref().take(PIECE).map(|slot| held.users.id(slot).to_owned()).collect()
                };
                if piece.is_empty() {
                    break;
                }
                if !take(piece) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
