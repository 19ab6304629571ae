//! The collection of memberships against the bitmaps that serve them, after every tick.
#![allow(missing_docs)]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use audience_contract::{MessageIndex, Result, UserHistory};
use audience_kernel::aliases::Aliases;
use audience_kernel::membership::Membership;
use audience_kernel::message::{Control, Publication, SegmentContent, TickClock};
use audience_kernel::operator::announce::announce;
use audience_kernel::operator::memberships::MembershipKey;
use audience_kernel::operator::ranks::ranks;
use audience_kernel::operator::route::route;
use audience_kernel::operator::users::{UsersOutput, users};
use audience_kernel::operator::{Inward, STRIDE, WorkerParts};
use audience_kernel::program::Program;
use audience_kernel::worker::{SegmentNames, WorkerState};
use audience_rules::catalogue::Catalogue;
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::json::parse_json;
use audience_rules::record::set_sequence;
use audience_rules::time::format_time;
use timely::dataflow::InputHandle;
use timely::dataflow::operators::probe::Handle;
use timely::dataflow::operators::vec::Input;
use timely::dataflow::operators::{ConnectLoop, Feedback, Probe};

const TICK: i64 = 1_000;

/// No history, and no message seen before.
struct Nothing;

impl UserHistory for Nothing {
    fn of_users(&self, _ids: &[&str], _before: u64) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

impl MessageIndex for Nothing {
    fn note(&self, messages: &[(u128, u64)]) -> Result<Vec<u64>> {
        Ok(messages.iter().map(|(_, sequence)| *sequence).collect())
    }

    fn first(&self, keys: &[u128]) -> Result<Vec<Option<u64>>> {
        Ok(vec![None; keys.len()])
    }

    fn forget(&self, _keys: &[u128], _below: u64) -> Result<()> {
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// A segment of the users with more than so many purchases within ten ticks.
fn edit(segment: &str, more_than: u64) -> Vec<Inward> {
    let json = format!(r#"{{"event": "purchase", "operator": "gt", "value": {more_than}, "within": "10s"}}"#);
    let catalogue = Catalogue::with_shipped_traits();
    let node = catalogue.check_rules(segment, &parse_json(json.as_bytes()).unwrap()).unwrap();
    let segment: Arc<str> = segment.into();
    let rules = vec![(segment.clone(), Arc::new(Program::compile(&node, &catalogue)))];
    let publication = Publication { segment, version: 1, content: SegmentContent::Rule };
    let steps = [
        Control::Install { rules, boundary: None },
        Control::Scan { rank_depth: None },
        Control::Publish(vec![publication]),
    ];
    steps.map(|step| Inward::Control(Arc::new(step))).to_vec()
}

fn deletion(segment: &str) -> Vec<Inward> {
    let publication = Publication { segment: segment.into(), version: 2, content: SegmentContent::Nothing };
    vec![Inward::Control(Arc::new(Control::Publish(vec![publication])))]
}

fn events(tick: i64) -> Inward {
    let (mut decoder, mut records) = (EventDecoder::new(), Vec::new());
    for n in 0..7 {
        let (user, start) = ((tick * n * 31 + n) % 11, records.len());
        let json =
            format!(r#"{{"userId":"u{user}","eventType":"purchase","timestamp":"{}"}}"#, format_time(tick * TICK));
        let defaults = EventDefaults { accepted_at: tick * TICK };
        decoder.decode(json.as_bytes(), &defaults, &mut records).unwrap();
        set_sequence(&mut records[start..], (tick * 7 + n) as u64);
    }
    Inward::Records(records)
}

/// (segment, user) of the bitmaps, as the collection would have them.
fn bitmaps(membership: &Membership, names: &SegmentNames) -> BTreeMap<MembershipKey, isize> {
    let mut all = BTreeMap::new();
    for (segment, bitmap) in &membership.segments {
        let number = names.borrow().iter().position(|name| name == segment).unwrap() as u32;
        all.extend(membership.bitmap(*bitmap).iter().map(|user| (MembershipKey { segment: number, user }, 1)));
    }
    all
}

#[test]
fn collection_accumulates_to_the_bitmaps_at_every_tick() {
    timely::execute_directly(|worker| {
        let state = WorkerState::new(Arc::new(Nothing), Arc::new(Nothing));
        let (membership, names) = (state.membership(), state.segments().names());
        let collected: Rc<RefCell<BTreeMap<MembershipKey, isize>>> = Rc::default();
        let (into, probe) = (collected.clone(), Handle::new());
        let mut input: InputHandle<u64, _> = InputHandle::new();
        worker.dataflow::<u64, _, _>(|scope| {
            let aliases = Rc::new(RefCell::new(Aliases::default()));
            let parts = WorkerParts {
                state,
                aliases: aliases.clone(),
                mirror: None,
                encoder: Box::new(|_, _| {}),
                scan_slice_users: 3,
                gives_members: false,
            };
            let nothing: Arc<dyn UserHistory> = Arc::new(Nothing);
            let (records, announced) = announce(scope.input_from(&mut input), aliases.clone(), nothing.clone());
            let (by_user, directed) = route(records, announced, aliases, None, nothing);
            let (rank_loop, rank_changes) = scope.feedback(1);
            let UsersOutput { outward, places, memberships } = users(by_user, directed, rank_changes, parts);
            ranks(places).connect_loop(rank_loop);
            outward.probe_with(&probe);
            let changes = memberships.changes.inspect(move |(member, tick, difference)| {
                assert_eq!(tick % STRIDE, 0, "a change's time is its tick");
                *into.borrow_mut().entry(*member).or_default() += difference;
            });
            changes.probe_with(&probe);
        });
        let mut seen = 0;
        for tick in 0..60_u64 {
            let now = tick as i64 * TICK;
            let mut items = vec![Inward::Control(Arc::new(Control::Clock(TickClock::at(now))))];
            match tick {
                2 => items.extend(edit("some", 0)),
                5 => items.extend(edit("many", 2)),
                20 => items.extend(edit("many", 1)),
                30 => items.extend(deletion("some")),
                40 => items.extend(edit("some", 3)),
                _ => {}
            }
            // Nothing comes at the end, so that everybody leaves by time alone.
            items.extend((tick < 45).then(|| events(tick as i64)));
            items.into_iter().for_each(|item| input.send(item));
            input.advance_to((tick + 1) * STRIDE);
            while probe.less_than(input.time()) {
                worker.step();
            }
            collected.borrow_mut().retain(|_, count| *count != 0);
            seen += collected.borrow().len();
            assert_eq!(*collected.borrow(), bitmaps(&membership.read(), &names), "after tick {tick}");
        }
        assert!(seen > 100, "only {seen} memberships were compared");
        assert!(collected.borrow().is_empty(), "somebody stays after everything has ended");
    });
}
