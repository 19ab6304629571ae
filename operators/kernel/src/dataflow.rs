//! The dataflow of one worker, put together.
//!
//! ```text
//!  input ─► Announce ─┬─ records ────────────────► Route ─┬─ records, by user ─► Users ─┬─ outward ───────────► output
//!                     └─ aliases, to all workers ─►       └─ clock, edits ─────►   ▲    │                        ▲
//!                                                                                  │    ├─ memberships ─► Sizes ─┘
//!                                                              changes of ranks ───┘    └─ places ─► Ranks ─┐
//!                                                                      ▲                                    │
//!                                                                      └────────────────────────────────────┘
//! ```
//!
//! Users is the delta join: d(rows) ⋈ rules(< t) + rows(≤ t) ⋈ d(rules). It owns the users' rows and the rules. The
//! memberships that it gives are a differential collection, ((segment, user), tick, ±1).
//!
//! Time: a tick has [`STRIDE`](crate::operator::STRIDE) places. The first holds events and edits. Each further one holds
//! the changes of the ranks of one depth, and passes at once where no rank is that deep.

use timely::dataflow::operators::{Concat, ConnectLoop, Feedback};
use timely::dataflow::{Scope, StreamVec};

use crate::operator::announce::announce;
use crate::operator::ranks::ranks;
use crate::operator::route::route;
use crate::operator::sizes::sizes;
use crate::operator::users::{UsersOutput, users};
use crate::operator::{Inward, Outward, WorkerParts};

/// Builds the dataflow of one worker.
pub fn build<'scope>(
    scope: Scope<'scope, u64>,
    input: StreamVec<'scope, u64, Inward>,
    parts: WorkerParts,
) -> StreamVec<'scope, u64, Outward> {
    let segment_names = parts.state.segments().names();
    let (known, history) = (parts.aliases.clone(), parts.state.history());
    let (records, aliases) = announce(input, known.clone(), history.clone());
    let (by_user, directed) = route(records, aliases, known, parts.mirror.clone(), history);
    let (rank_loop, rank_changes) = scope.feedback(1);
    let UsersOutput { outward, places, memberships } = users(by_user, directed, rank_changes, parts);
    ranks(places).connect_loop(rank_loop);
    outward.concat(sizes(memberships, segment_names))
}
