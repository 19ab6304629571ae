//! The numbers of segments on one worker. A number is never given twice.

use std::cell::{Ref, RefCell};
use std::rc::Rc;

use audience_rules::ast::SegmentId;
use hashbrown::HashMap;

/// The ids of segments by their numbers on one worker.
pub type SegmentNames = Rc<RefCell<Vec<SegmentId>>>;

/// Segments by number: ids and versions in force.
#[derive(Default)]
pub struct SegmentNumbers {
    names: SegmentNames,
    numbers: HashMap<SegmentId, u32>,
    versions: Vec<u64>,
}

impl SegmentNumbers {
    /// The id of a number.
    pub fn name(&self, number: u32) -> Ref<'_, SegmentId> {
        Ref::map(self.names.borrow(), |names| &names[number as usize])
    }

    /// The ids by number, for the operators after the worker's state.
    pub fn names(&self) -> SegmentNames {
        self.names.clone()
    }

    /// The version in force of a number.
    pub fn version(&self, number: u32) -> u64 {
        self.versions[number as usize]
    }

    /// The number of a segment, if it has one.
    pub(super) fn number(&self, id: &SegmentId) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    /// The number of a segment, given where it has none.
    pub(super) fn number_or_new(&mut self, id: &SegmentId) -> u32 {
        let mut names = self.names.borrow_mut();
        let next = names.len() as u32;
        let number = *self.numbers.entry(id.clone()).or_insert(next);
        if number == next {
            names.push(id.clone());
            self.versions.push(0);
        }
        number
    }

    pub(super) fn set_version(&mut self, number: u32, version: u64) {
        self.versions[number as usize] = version;
    }
}
