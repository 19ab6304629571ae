//! The users of a worker as an operator: ticks, edits, scans, and the flips of ranks, in their order.

use std::collections::BTreeMap;

use differential_dataflow::AsCollection;
use timely::container::CapacityContainerBuilder;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Capability;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::frontier::MutableAntichain;

use audience_rules::ast::{Millis, SegmentId};

use super::memberships::{MembershipCollections, MembershipKey, MembershipUpdate};
use super::route::Directed;
use super::{MembershipPiece, Outward, STRIDE, TickOutput, WorkerParts, failed};
use crate::membership::{Membership, UserIds, shard_of};
use crate::message::{Cause, Control, LeadersRequest, PreviewRequest, RankChange, RankInput, Routed, TickClock};
use crate::registry::BitmapId;
use crate::worker::{OperatorError, TickInput};

/// Users that are given out at once.
const USERS_A_PIECE: usize = 1 << 16;

#[derive(Default)]
struct Arrived {
    routed: Vec<Routed>,
    directed: Vec<Directed>,
}

/// A tick under way: its places are done one by one.
struct Current {
    output: TickOutput,
    place: u64,
    cause: Cause,
}

struct UsersLogic {
    parts: WorkerParts,
    arrived: BTreeMap<u64, Arrived>,
    flips: BTreeMap<u64, Vec<RankChange>>,
    tick: u64,
    current: Option<Current>,
    has_failed: bool,
    /// Cleared by a slice of a scan, so that ticks come between.
    may_scan: bool,
    /// In the tick that ends the silence of a start, nothing is given out: not what the ranks answer either.
    is_muted: bool,
    /// The counts that are due at the end of this tick.
    preview: Option<PreviewRequest>,
    /// The members that are to be found at the end of this tick.
    leaders: Option<LeadersRequest>,
    /// The membership changes of the tick just done.
    changed: Vec<MembershipUpdate>,
    /// The members restored by a recovery that the tick just done ended, by segment number.
    base: Vec<(u32, u64, isize)>,
    /// The number of users given out, if the reader of the memberships is in another process. None before the end of the
    /// silence of a start.
    given_users: Option<u32>,
}

/// The streams that the users of a worker give.
pub struct UsersOutput<'scope> {
    /// Ticks, and all else that leaves the dataflow.
    pub outward: StreamVec<'scope, u64, Outward>,
    /// The users' places in ranks.
    pub places: StreamVec<'scope, u64, RankInput>,
    /// The memberships.
    pub memberships: MembershipCollections<'scope>,
}

/// The operator.
pub fn users<'scope>(
    routed: StreamVec<'scope, u64, Routed>,
    directed: StreamVec<'scope, u64, Directed>,
    flips: StreamVec<'scope, u64, RankChange>,
    parts: WorkerParts,
) -> UsersOutput<'scope> {
    let scope = routed.scope();
    let mut builder = OperatorBuilder::new("Users".to_owned(), scope);
    let activator = scope.activator_for(builder.operator_info().address);
    let mut routed = builder.new_input(routed, Exchange::new(|part: &Routed| part.worker));
    let mut directed = builder.new_input(directed, Pipeline);
    let mut flips = builder.new_input(flips, Exchange::new(|flip: &RankChange| shard_of(flip.user.as_bytes())));
    let (outward, outward_stream) = builder.new_output();
    let (told, told_stream) = builder.new_output();
    let (changes, changes_stream) = builder.new_output();
    let (base, base_stream) = builder.new_output();
    let mut outward = OutputBuilder::from(outward);
    let mut told = OutputBuilder::from(told);
    let mut changes = OutputBuilder::<u64, CapacityContainerBuilder<Vec<MembershipUpdate>>>::from(changes);
    let mut base = OutputBuilder::from(base);
    builder.build(move |capabilities| {
        let mut capabilities: Option<[Capability<u64>; 4]> = capabilities.try_into().ok();
        let mut logic = UsersLogic::new(parts);
        move |frontiers| {
            routed.for_each_time(|time, data| {
                let arrived = logic.arrived.entry(*time.time()).or_default();
                data.for_each(|batch| arrived.routed.append(batch));
            });
            directed.for_each_time(|time, data| {
                let arrived = logic.arrived.entry(*time.time()).or_default();
                data.for_each(|batch| arrived.directed.append(batch));
            });
            flips.for_each_time(|time, data| {
                let arrived = logic.flips.entry(*time.time()).or_default();
                data.for_each(|batch| arrived.append(batch));
            });
            logic.may_scan = true;
            let Some([outward_at, told_at, changes_at, base_at]) = &mut capabilities else { return };
            let mut outward = outward.activate();
            let mut told = told.activate();
            let mut changes = changes.activate();
            let mut base = base.activate();
            while let Some(step) = logic.step(frontiers) {
                told.session(&*told_at).give_iterator(step.told.into_iter());
                outward.session(&*outward_at).give_iterator(step.outward.into_iter());
                if !logic.changed.is_empty() {
                    changes.session(&*changes_at).give_container(&mut logic.changed);
                    logic.changed.clear();
                }
                base.session(&*base_at).give_iterator(logic.base.drain(..));
                told_at.downgrade(&logic.time());
                for capability in [&mut *outward_at, &mut *changes_at, &mut *base_at] {
                    capability.downgrade(&(logic.tick * STRIDE));
                }
            }
            if logic.parts.state.is_scanning() {
                activator.activate();
            }
            if logic.is_at_end(frontiers) {
                capabilities = None;
            }
        }
    });
    let (changes, base) = (changes_stream.as_collection(), base_stream.as_collection());
    UsersOutput { outward: outward_stream, places: told_stream, memberships: MembershipCollections { changes, base } }
}

/// The output of a step.
struct StepOutput {
    outward: Vec<Outward>,
    told: Vec<RankInput>,
}

impl UsersLogic {
    fn new(parts: WorkerParts) -> Self {
        UsersLogic {
            parts,
            arrived: BTreeMap::new(),
            flips: BTreeMap::new(),
            tick: 0,
            current: None,
            has_failed: false,
            may_scan: true,
            is_muted: false,
            preview: None,
            leaders: None,
            changed: Vec::new(),
            base: Vec::new(),
            given_users: None,
        }
    }

    /// The place at which the next step gives what it gives.
    fn time(&self) -> u64 {
        self.tick * STRIDE + self.current.as_ref().map_or(0, |current| current.place)
    }

    fn is_at_end(&self, frontiers: &[MutableAntichain<u64>]) -> bool {
        let no_more = frontiers.iter().take(2).all(MutableAntichain::is_empty);
        self.has_failed || (no_more && self.current.is_none() && self.arrived.is_empty())
    }

    /// Does the next step, if all that it needs is there.
    fn step(&mut self, frontiers: &[MutableAntichain<u64>]) -> Option<StepOutput> {
        if self.has_failed {
            return None;
        }
        let result = match self.current.take() {
            Some(current) => self.continue_tick(current, frontiers),
            None if self.may_scan && self.parts.state.is_scanning() => Ok(Some(self.scan())),
            None => self.begin_tick(frontiers),
        };
        result.unwrap_or_else(|error| {
            self.has_failed = true;
            Some(StepOutput { outward: vec![failed(&error)], told: Vec::new() })
        })
    }

    /// Looks at a slice of users for a scan; the next comes behind a tick, or a round of the whole dataflow.
    fn scan(&mut self) -> StepOutput {
        self.may_scan = false;
        let done = self.parts.state.scan_slice(self.parts.scan_slice_users);
        let told = self.parts.state.take_rank_inputs(u32::MAX);
        StepOutput { outward: if done { vec![Outward::Scanned] } else { Vec::new() }, told }
    }

    /// Does the events, merges and edits of the next tick, once all of it is there.
    fn begin_tick(&mut self, frontiers: &[MutableAntichain<u64>]) -> Result<Option<StepOutput>, OperatorError> {
        let is_open = |tick: u64| frontiers.iter().take(2).any(|frontier| frontier.less_equal(&(tick * STRIDE)));
        let Some(first) = self.arrived.keys().next().copied() else {
            // Nothing has come: let time pass up to the first tick that may still bring something.
            let open = frontiers.iter().take(2).filter_map(|frontier| frontier.frontier().first().copied()).min();
            let next = open.map_or(self.tick, |time| time / STRIDE);
            let has_moved = next > self.tick;
            self.tick = self.tick.max(next);
            return Ok(has_moved.then(|| StepOutput { outward: Vec::new(), told: Vec::new() }));
        };
        if is_open(first / STRIDE) {
            return Ok(None);
        }
        self.tick = first / STRIDE;
        let arrived = self.arrived.remove(&first).unwrap_or_default();
        let mut output = TickOutput { tick: self.tick, ..TickOutput::default() };
        let cause = self.do_tick(arrived, &mut output)?;
        self.may_scan = true;
        let told = self.parts.state.take_rank_inputs(1);
        let current = Current { output, place: 1, cause };
        if self.parts.state.deepest_rank() == 0 {
            return Ok(Some(StepOutput { outward: self.finish(current), told }));
        }
        self.current = Some(current);
        Ok(Some(StepOutput { outward: Vec::new(), told }))
    }

    fn do_tick(&mut self, arrived: Arrived, output: &mut TickOutput) -> Result<Cause, OperatorError> {
        let mut clock = TickClock { now: Millis::MIN, limit: Millis::MAX };
        let mut controls = Vec::new();
        let mut routed = arrived.routed;
        for directed in arrived.directed {
            match directed {
                Directed::Clock(given) => clock = given,
                Directed::Merges(merges) => routed.push(Routed { merges, ..Routed::default() }),
                Directed::Control(control, lists) => controls.push((control, lists)),
                Directed::Aliases(aliases) => output.aliases = Some(aliases),
                // A start does again what was counted.
                Directed::Refused(_) if self.parts.state.is_silent() => {}
                Directed::Refused(refused) => output.refused_identifies = refused,
                Directed::Failed(reason) => return Err(OperatorError::Identity(reason)),
            }
        }
        let history: Vec<Vec<u8>> = routed.iter_mut().map(|part| std::mem::take(&mut part.backfill)).collect();
        let state = &mut self.parts.state;
        output.events = state.tick(TickInput { clock, routed })?;
        for bytes in history.iter().filter(|bytes| !bytes.is_empty()) {
            state.backfill(bytes)?;
        }
        let mut cause = if output.events > 0 { Cause::Event } else { Cause::Time };
        for (control, lists) in controls {
            let at = state.clock();
            match &*control {
                // Done where records are routed.
                Control::Clock(_) | Control::ForgetErased(_) => {}
                Control::Label(label) => output.label = *label,
                Control::Install { rules, boundary } => state.install(rules, *boundary),
                Control::BackfillDone => state.backfill_done(),
                Control::Scan { rank_depth } => state.begin_scan(*rank_depth),
                Control::Publish(publications) => {
                    cause = Cause::Rule;
                    // A small scan stands in the same tick as what it is for.
                    while !state.scan_slice(self.parts.scan_slice_users) {}
                    state.publish(publications, &lists, at);
                }
                Control::Uninstall(rules) => state.uninstall(rules),
                Control::Preview(of) => {
                    while !state.scan_slice(self.parts.scan_slice_users) {}
                    self.preview = Some(of.clone());
                }
                Control::Leaders(of) => self.leaders = Some(of.clone()),
                Control::Capture { shards, boundary } => {
                    output.shards.extend(state.capture(shards.clone(), *boundary)?);
                    output.sources = state.measures();
                }
                Control::Activate => {
                    self.is_muted = true;
                    state.activate();
                }
            }
        }
        Ok(cause)
    }

    /// Does the flips of the ranks of one depth, once all of them are there.
    fn continue_tick(
        &mut self,
        mut current: Current,
        frontiers: &[MutableAntichain<u64>],
    ) -> Result<Option<StepOutput>, OperatorError> {
        let time = self.tick * STRIDE + current.place;
        if frontiers[2].less_equal(&time) {
            self.current = Some(current);
            return Ok(None);
        }
        let state = &mut self.parts.state;
        let at = state.clock();
        state.apply_rank_changes(&self.flips.remove(&time).unwrap_or_default(), at, current.cause);
        let deepest = state.deepest_rank();
        current.place += 1;
        let told = state.take_rank_inputs(u32::try_from(current.place).unwrap_or(u32::MAX));
        if current.place > u64::from(deepest) {
            return Ok(Some(StepOutput { outward: self.finish(current), told }));
        }
        self.current = Some(current);
        Ok(Some(StepOutput { outward: Vec::new(), told }))
    }

    fn finish(&mut self, current: Current) -> Vec<Outward> {
        let state = &mut self.parts.state;
        let mut output = current.output;
        let mut outward = Vec::new();
        let at = output.tick * STRIDE;
        if std::mem::take(&mut self.is_muted) {
            state.output.changes.clear();
            let members = state.segment_members().into_iter();
            self.base.extend(members.map(|(segment, members)| (segment, at, members as isize)));
            if self.parts.gives_members {
                let membership = state.membership();
                let membership = membership.read();
                outward.extend(all_held(&membership).map(Outward::Held));
                self.given_users = Some(membership.users.len() as u32);
            }
        }
        if let Some(given) = &mut self.given_users {
            // Before the changes: so they have the same numbers there, whether they enter anything or not.
            let membership = state.membership();
            let users = &membership.read().users;
            outward.extend(users_from(users, *given).map(Outward::Held));
            *given = users.len() as u32;
        }
        if state.deepest_rank() > 0 || state.output.has_merged || current.cause == Cause::Rule {
            state.output.net();
        }
        output.previewed = self.preview.take().map(|of| state.preview(&of));
        output.leaders = self.leaders.take().map(|of| state.leaders(&of));
        output.clock = state.clock();
        self.changed.extend(state.output.changes.iter().map(|change| {
            let member = MembershipKey { segment: change.segment, user: change.user };
            (member, at, if change.entered { 1 } else { -1 })
        }));
        output.change_count = state.output.changes.len() as u64;
        output.entered_count = state.output.changes.iter().filter(|change| change.entered).count() as u64;
        (self.parts.encoder)(state, &mut output.changes);
        state.output.changes.clear();
        output.users = state.membership().read().users.len() as u64;
        output.known_users = state.known_users();
        output.next_due = state.next_due();
        output.deepest_rank = state.deepest_rank();
        self.tick += 1;
        self.flips = self.flips.split_off(&(self.tick * STRIDE));
        outward.push(Outward::Tick(Box::new(output)));
        outward
    }
}

/// Every membership.
fn all_held(membership: &Membership) -> impl Iterator<Item = MembershipPiece> {
    let members = |(segment, bitmap): (&SegmentId, &BitmapId)| {
        MembershipPiece::Members(segment.clone(), membership.bitmap(*bitmap).clone())
    };
    users_from(&membership.users, 0).chain(membership.segments.iter().map(members))
}

/// The users from that number on.
fn users_from(users: &UserIds, first: u32) -> impl Iterator<Item = MembershipPiece> {
    let count = users.len() as u32;
    (first..count).step_by(USERS_A_PIECE).map(move |first| {
        let last = first.saturating_add(USERS_A_PIECE as u32).min(count);
        MembershipPiece::Users((first..last).map(|slot| users.id(slot).to_owned()).collect())
    })
}
