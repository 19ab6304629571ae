//! The delta join as differential collections, from events, rules and clock to the members of every segment.
//!
//! ```text
//! events ─► merged ids ─► history by user ─┐
//! clock ───────────────────────────────────┼─► values (leaf, user) ─► holds (node, user) ─► (segment, user)
//! rules ─► rows ─► leaves, edges, roots ───┘                             ▲ groups, segments, ranks │
//!                                                                        └───────── iterate ───────┘
//! ```

use audience_rules::ast::Millis;
use audience_rules::decimal::UNITS_PER_ONE;
use audience_rules::record::{EventRef, RecordKind};
use differential_dataflow::VecCollection;
use differential_dataflow::lattice::Lattice;
use differential_dataflow::operators::Iterate;
use serde::{Deserialize, Serialize};
use timely::progress::Timestamp;

use crate::measure::{Measured, Number, concerns, measured};
use crate::plan::{NodeName, Operation, PlanRow, read_leaf};

type Rows<'s, T, D> = VecCollection<'s, T, D, isize>;
/// A user's id.
type User = String;
/// An event: its place in the order of acceptance, and its record.
type OrderedEvent = (u64, Vec<u8>);

/// (segment, user): who is in what.
pub fn members<'s>(
    records: Rows<'s, u64, OrderedEvent>,
    rows: Rows<'s, u64, PlanRow>,
    clock: Rows<'s, u64, Millis>,
) -> Rows<'s, u64, (String, User)> {
    let roots = merged(records.clone());
    let history = history(records, roots.clone());
    let known = history.clone().map(|(user, _)| user).distinct();
    let listed = rows.clone().flat_map(|row| match row {
        PlanRow::Listed(segment, id) => Some((id, segment)),
        _ => None,
    });
    let listed = resolved(listed, roots).map(|(user, segment)| (segment, user)).distinct();
    let values = values(rows.clone(), history, known.clone(), clock);
    let holds = holds(rows.clone(), values, known, listed.clone());
    let by_rule = segment_roots(rows).join_map(holds, |_, segment, user| (segment.clone(), user.clone()));
    by_rule.concat(listed)
}

fn segment_roots<'s, T: Timestamp>(rows: Rows<'s, T, PlanRow>) -> Rows<'s, T, (NodeName, String)> {
    rows.flat_map(|row| match row {
        PlanRow::Root(segment, node) => Some((node, segment)),
        _ => None,
    })
}

fn read<T>(event: &OrderedEvent, of: impl FnOnce(&EventRef<'_>) -> T) -> T {
    let (event, _) = EventRef::read(&event.1).unwrap_or_else(|| panic!("a record is whole"));
    of(&event)
}

/// A record's effect on who a user is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum IdentityNote {
    /// The id stood as `userId`.
    Named(User),
    /// The first is merged into the second: whoever it is, or only where nobody is named by it.
    Merged(User, User, bool),
}

/// The notes that decide who is who: every merge, and of each id the first event that it is named by.
fn identity_notes<'s>(records: Rows<'s, u64, OrderedEvent>) -> Rows<'s, u64, ((), (u64, IdentityNote))> {
    let named = records.clone().flat_map(|record| {
        let user = read(&record, |event| event.is_naming().then(|| event.user().to_owned()));
        user.map(|user| (user, record.0))
    });
    let first = named
        .reduce(|_, places, out| out.push((*places[0].0, 1)))
        .map(|(user, place)| ((), (place, IdentityNote::Named(user))));
    let merged = records.flat_map(|record| {
        let note = read(&record, |event| {
            let other = event.other()?.to_owned();
            Some(IdentityNote::Merged(other, event.user().to_owned(), event.merges_named()))
        });
        note.map(|note| ((), (record.0, note)))
    });
    first.concat(merged)
}

/// (id, user): the ids that were merged, each with the user that it is now.
fn merged<'s>(records: Rows<'s, u64, OrderedEvent>) -> Rows<'s, u64, (User, User)> {
    identity_notes(records)
        .reduce(|(), notes, out| {
            // In the order of acceptance: each pair resolved through those before.
            let mut roots: Vec<(User, User)> = Vec::new();
            let mut named: Vec<&User> = Vec::new();
            let root = |roots: &[(User, User)], id: &User| {
                roots.iter().find(|(merged, _)| merged == id).map_or_else(|| id.clone(), |(_, root)| root.clone())
            };
            for ((_, note), _) in notes {
                let (other, into, merges_named) = match note {
                    IdentityNote::Named(user) => {
                        named.push(user);
                        continue;
                    }
                    IdentityNote::Merged(other, into, merges_named) => (other, into, *merges_named),
                };
                let (from, into) = (root(&roots, other), root(&roots, into));
                let is_named = || named.iter().any(|id| root(&roots, id) == from);
                if from != into && (merges_named || !is_named()) {
                    roots.iter_mut().filter(|(_, root)| *root == from).for_each(|(_, root)| *root = into.clone());
                    roots.push((from, into));
                }
            }
            roots.sort_unstable();
            out.extend(roots.into_iter().map(|pair| (pair, 1)));
        })
        .map(|((), pair)| pair)
}

/// Rows by id → rows by the user that the id is.
fn resolved<'s, D: differential_dataflow::ExchangeData>(
    by_id: Rows<'s, u64, (User, D)>,
    roots: Rows<'s, u64, (User, User)>,
) -> Rows<'s, u64, (User, D)> {
    let own = by_id.clone().antijoin(roots.clone().map(|(id, _)| id));
    by_id.join_map(roots, |_, row, root| (root.clone(), row.clone())).concat(own)
}

/// The events of each user, those of one message once.
fn history<'s>(
    records: Rows<'s, u64, OrderedEvent>,
    roots: Rows<'s, u64, (User, User)>,
) -> Rows<'s, u64, (User, OrderedEvent)> {
    let events = records.filter(|record| read(record, |event| event.kind() != RecordKind::Alias));
    let events = resolved(events.map(|event| (read(&event, |event| event.user().to_owned()), event)), roots);
    let message = |event: &OrderedEvent| read(event, |event| event.message().map(str::to_owned));
    let single = events.clone().filter(move |(_, event)| message(event).is_none());
    let first = events
        .flat_map(move |(user, event)| message(&event).map(|message| ((user, message), event)))
        // The least is the first accepted.
        .reduce(|_, events, out| out.push((events[0].0.clone(), 1)))
        .map(|((user, _), event)| (user, event));
    single.concat(first)
}

/// A leaf, or what orders a rank: as JSON, with the instant; and the user.
type AskedLeaf = (String, Millis, User);

/// The value of every leaf, and of every measure of a rank, for every known user now.
fn values<'s>(
    rows: Rows<'s, u64, PlanRow>,
    history: Rows<'s, u64, (User, OrderedEvent)>,
    known: Rows<'s, u64, User>,
    clock: Rows<'s, u64, Millis>,
) -> Rows<'s, u64, ((String, User), Measured)> {
    let leaves = rows.flat_map(|row| match row {
        PlanRow::Node(_, Operation::Leaf(leaf) | Operation::Rank { by: leaf, .. }) => Some(leaf),
        _ => None,
    });
    let asked = leaves
        .distinct()
        .map(|leaf| ((), leaf))
        .join_map(clock.map(|now| ((), now)), |(), leaf, now| ((), (leaf.clone(), *now)));
    let of_all = asked
        .clone()
        .join_map(known.map(|user| ((), user)), |(), (leaf, now), user| ((leaf.clone(), *now, user.clone()), None));
    let with_events = asked
        .join_map(history.map(|(user, event)| ((), (user, event))), |(), (leaf, now), (user, event)| {
            ((leaf.clone(), *now, user.clone()), event.clone())
        })
        .filter(|((leaf, now, _), event)| read(event, |event| concerns(&read_leaf(leaf), event, *now)))
        .map(|(asked, event)| (asked, Some(event)));
    of_all
        .concat(with_events)
        .reduce(|(leaf, now, user): &AskedLeaf, events, out| {
            let events: Vec<&OrderedEvent> = events.iter().filter_map(|(event, _)| event.as_ref()).collect();
            out.push((measured(&read_leaf(leaf), user, &events, *now), 1));
        })
        .map(|((leaf, _, user), value)| ((leaf, user), value))
}

/// A child's vote, or the question put to a group's children.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Vote {
    Question(Operation),
    Yes,
}

/// (node, user): for whom each node holds. Nodes depend on others, also through segments, but never in a circle: so the
/// iteration comes to rest.
fn holds<'s>(
    rows: Rows<'s, u64, PlanRow>,
    values: Rows<'s, u64, ((String, User), Measured)>,
    known: Rows<'s, u64, User>,
    listed: Rows<'s, u64, (String, User)>,
) -> Rows<'s, u64, (NodeName, User)> {
    let by_leaf = values.map(|((leaf, user), value)| (leaf, (user, value)));
    let leaves = rows.clone().flat_map(|row| match row {
        PlanRow::Node(node, Operation::Leaf(leaf)) => Some((leaf, node)),
        _ => None,
    });
    let leaves = leaves
        .join_map(by_leaf.clone(), |_, node, (user, value)| (node.clone(), user.clone(), value.holds))
        .flat_map(|(node, user, holds)| holds.then_some((node, user)));
    leaves.clone().iterate(|scope, holds| {
        let (rows, known) = (rows.enter(scope), known.enter(scope));
        groups(rows.clone(), known.clone(), holds.clone())
            .concat(segments(rows.clone(), known, listed.enter(scope), holds.clone()))
            .concat(ranks(rows, by_leaf.enter(scope), holds))
            .concat(leaves.enter(scope))
            .distinct()
    })
}

fn groups<'s, T: Timestamp + Lattice>(
    rows: Rows<'s, T, PlanRow>,
    known: Rows<'s, T, User>,
    holds: Rows<'s, T, (NodeName, User)>,
) -> Rows<'s, T, (NodeName, User)> {
    let edges = rows.clone().flat_map(|row| match row {
        PlanRow::Edge(child, parent) => Some((child, parent)),
        _ => None,
    });
    let questions = rows.flat_map(|row| match row {
        PlanRow::Node(node, operation @ (Operation::All(_) | Operation::Any | Operation::None)) => {
            Some(((), (node, operation)))
        }
        _ => None,
    });
    let questions = questions.join_map(known.map(|user| ((), user)), |(), (node, operation), user| {
        ((node.clone(), user.clone()), Vote::Question(operation.clone()))
    });
    edges
        .join_map(holds, |_, parent, user| ((parent.clone(), user.clone()), Vote::Yes))
        .concat(questions)
        .reduce(|_, votes, out| {
            let yes = votes.iter().find(|(vote, _)| **vote == Vote::Yes).map_or(0, |(_, count)| *count);
            let holds = votes.iter().any(|(vote, _)| match vote {
                Vote::Question(Operation::All(children)) => yes == *children,
                Vote::Question(Operation::Any) => yes > 0,
                Vote::Question(_) => yes == 0,
                Vote::Yes => false,
            });
            if holds {
                out.push(((), 1));
            }
        })
        .map(|(member, ())| member)
}

fn segments<'s, T: Timestamp + Lattice>(
    rows: Rows<'s, T, PlanRow>,
    known: Rows<'s, T, User>,
    listed: Rows<'s, T, (String, User)>,
    holds: Rows<'s, T, (NodeName, User)>,
) -> Rows<'s, T, (NodeName, User)> {
    let references = rows.clone().flat_map(|row| match row {
        PlanRow::Node(node, Operation::Segment(segment)) => Some((segment, node)),
        _ => None,
    });
    let members = segment_roots(rows).join_map(holds, |_, segment, user| (segment.clone(), user.clone()));
    references
        .join_map(members.concat(listed), |_, node, user| (user.clone(), node.clone()))
        .semijoin(known)
        .map(|(user, node)| (node, user))
}

fn ranks<'s, T: Timestamp + Lattice>(
    rows: Rows<'s, T, PlanRow>,
    by_leaf: Rows<'s, T, (String, (User, Measured))>,
    holds: Rows<'s, T, (NodeName, User)>,
) -> Rows<'s, T, (NodeName, User)> {
    let ranks = rows.flat_map(|row| match row {
        PlanRow::Node(node, operation @ Operation::Rank { .. }) => Some((node, operation)),
        _ => None,
    });
    let places = ranks
        .clone()
        .flat_map(|(node, operation)| match operation {
            Operation::Rank { by, among, .. } => Some((by, (node, among))),
            _ => None,
        })
        .join_map(by_leaf, |_, (node, among), (user, value)| (node.clone(), *among, user.clone(), value.number.clone()))
        .flat_map(|(node, among, user, number)| {
            number.map(|number| ((format!("{node}/0"), user), (node, among, number)))
        });
    let all = places.clone().filter(|(_, (_, among, _))| !among);
    let some = places.filter(|(_, (_, among, _))| *among).semijoin(holds);
    let ranked = all.concat(some).map(|((_, user), (node, _, number))| (node, (user, number)));
    ranks
        .join_map(ranked, |node, operation, place| ((node.clone(), operation.clone()), place.clone()))
        .reduce(|(_, operation), places, out| {
            let places: Vec<&(User, Number)> = places.iter().map(|(place, _)| *place).collect();
            out.extend(first(operation, places).into_iter().map(|user| (user, 1)));
        })
        .map(|((node, _), user)| (node, user))
}

/// The first users of a rank, by id.
fn first(operation: &Operation, mut places: Vec<&(User, Number)>) -> Vec<User> {
    let Operation::Rank { descending, top, percent, .. } = operation else { return Vec::new() };
    places.sort_by(|(left_user, left), (right_user, right)| {
        let by_number = if *descending { right.compare(left) } else { left.compare(right) };
        by_number.then_with(|| left_user.cmp(right_user))
    });
    let hundred = 100 * UNITS_PER_ONE;
    let share = |units: i128| ((places.len() as i128 * units + hundred - 1) / hundred) as usize;
    let count = top.map(|top| top as usize).or(percent.map(share)).unwrap_or(0);
    let mut users: Vec<User> = places.into_iter().take(count).map(|(user, _)| user.clone()).collect();
    users.sort_unstable();
    users
}
