//! The memberships of all users as differential collections: the output of the kernel.
//!
//! Law: accumulated up to a tick, the collections hold who is in what at that tick. `changes` has one update per
//! membership change. `base` stands for the memberships that a recovery restored, with one update per segment: their
//! single users are in the bitmaps of [`Membership`](crate::membership::Membership), and would cost a start seconds.
//!
//! Segment sizes are counted from here ([`sizes`](super::sizes)). Whatever else follows memberships hangs on `changes` as
//! a differential operator.

use differential_dataflow::{AsCollection, VecCollection};
use serde::{Deserialize, Serialize};
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

/// One user in one segment.
///
/// Both are numbers of the worker that owns the user. A record that leaves its worker needs the ids instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MembershipKey {
    /// The segment's number.
    pub segment: u32,
    /// The user's number.
    pub user: u32,
}

/// An update of the collection of memberships.
pub type MembershipUpdate = (MembershipKey, u64, isize);

/// The collections. Their times are ticks, each multiplied by [`STRIDE`](super::STRIDE).
pub struct MembershipCollections<'scope> {
    /// ((segment, user), tick, ±1).
    pub changes: VecCollection<'scope, u64, MembershipKey, isize>,
    /// (segment, tick, members restored by a recovery).
    pub base: VecCollection<'scope, u64, u32, isize>,
}

impl<'scope> MembershipCollections<'scope> {
    /// (segment, tick, growth): the members by segment, consolidated per tick before anything arranges them.
    pub fn by_segment(self) -> VecCollection<'scope, u64, u32, isize> {
        let sums = self.changes.inner.unary(Pipeline, "BySegment", |_, _| {
            let mut sums = Sums::default();
            move |input, output| {
                input.for_each_time(|time, batches| {
                    let mut session = output.session(&time);
                    // Plain loops: at many rules this is done for each of several changes an event.
                    for batch in batches {
                        for (member, at, by) in batch.drain(..) {
                            if at != sums.at {
                                session.give_iterator(sums.take());
                                sums.at = at;
                            }
                            sums.add(member.segment, by);
                        }
                    }
                    session.give_iterator(sums.take());
                });
            }
        });
        sums.as_collection().concat(self.base)
    }
}

/// The growth of segments in one tick.
#[derive(Default)]
struct Sums {
    at: u64,
    /// By segment number.
    by_segment: Vec<isize>,
    /// The segments that were added to, some more than once.
    touched: Vec<u32>,
}

impl Sums {
    #[inline]
    fn add(&mut self, segment: u32, by: isize) {
        match self.by_segment.get_mut(segment as usize) {
            Some(sum) if *sum != 0 => *sum += by,
            _ => self.begin(segment, by),
        }
    }

    fn begin(&mut self, segment: u32, by: isize) {
        let index = segment as usize;
        if index >= self.by_segment.len() {
            self.by_segment.resize(index + 1, 0);
        }
        self.by_segment[index] = by;
        self.touched.push(segment);
    }

    fn take(&mut self) -> impl Iterator<Item = (u32, u64, isize)> {
        let Sums { at, by_segment, touched } = self;
        let sums = touched.drain(..).map(|segment| (segment, *at, std::mem::take(&mut by_segment[segment as usize])));
        sums.filter(|(_, _, by)| *by != 0)
    }
}
