//! Decodes lines, keeps records on their worker, and tells every worker of the aliases and clocks among them.

use audience_rules::ast::Millis;
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::record::{EventRef, RecordKind, records, set_accepted_at, set_sequence, set_timestamp};
use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::OutputBuilder;
use timely::dataflow::operators::generic::builder_rc::OperatorBuilder;
use timely::progress::operate::FrontierInterest;

use super::Inward;

/// An id to be merged into another, or a user to be erased.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AliasNote {
    /// The place in the order of acceptance.
    pub sequence: u64,
    /// The clock then.
    pub at: Millis,
    /// Who is merged into the user; `None`: the user is erased.
    pub previous: Option<String>,
    /// The user.
    pub user: String,
}

/// What every worker is told of one input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Announcement {
    /// The worker that it is for.
    pub worker: u64,
    /// For lines: the number of the slice and its greatest timestamp.
    pub slice: Option<(u32, Millis)>,
    /// The aliases in it.
    pub aliases: Vec<AliasNote>,
}

/// An input, decoded.
#[derive(Clone, Debug)]
pub enum Local {
    /// Records; of lines with the number of the slice.
    Records {
        /// The number of the slice, for lines: the records' clocks are yet to be raised to that before the slice.
        slice: Option<u32>,
        /// Flat records.
        bytes: Vec<u8>,
    },
    /// Lines that were refused, with the first fault.
    Refused(u64, String),
    /// As it came.
    Other(Inward),
}

/// Stands for the clock before the slice, until that is known.
pub const UNKNOWN_CLOCK: Millis = Millis::MIN;

/// The operator.
pub fn announce<'scope>(
    input: StreamVec<'scope, u64, Inward>,
) -> (StreamVec<'scope, u64, Local>, StreamVec<'scope, u64, Announcement>) {
    let scope = input.scope();
    let peers = scope.peers() as u64;
    let mut builder = OperatorBuilder::new("Announce".to_owned(), scope);
    let mut input = builder.new_input(input, Pipeline);
    builder.set_notify_for(0, FrontierInterest::Never);
    let (local, local_stream) = builder.new_output();
    let (told, told_stream) = builder.new_output();
    let mut local = OutputBuilder::from(local);
    let mut told = OutputBuilder::from(told);
    let mut decoder = EventDecoder::new();
    builder.build(move |_| {
        move |_| {
            let mut local = local.activate();
            let mut told = told.activate();
            input.for_each_time(|time, data| {
                let mut local = local.session(&time);
                let mut told = told.session(&time);
                for inward in data.flat_map(|batch| batch.drain(..)) {
                    let (items, slice) = decode(&mut decoder, inward);
                    for item in items {
                        let aliases = aliases_of(&item);
                        if slice.is_some() || !aliases.is_empty() {
                            told.give_iterator((0..peers).map(|worker| Announcement {
                                worker,
                                slice,
                                aliases: aliases.clone(),
                            }));
                        }
                        local.give(item);
                    }
                }
            });
        }
    });
    (local_stream, told_stream)
}

/// Decodes lines; the slice's number and greatest timestamp go to every worker.
fn decode(decoder: &mut EventDecoder, inward: Inward) -> (Vec<Local>, Option<(u32, Millis)>) {
    match inward {
        Inward::Records(bytes) => (vec![Local::Records { slice: None, bytes }], None),
        Inward::Lines { slice, first_sequence, bytes } => {
            let (records, refused, greatest) = decode_lines(decoder, first_sequence, &bytes);
            let mut items = vec![Local::Records { slice: Some(slice), bytes: records }];
            if let Some((count, fault)) = refused {
                // Behind the records, so that the slice is told once, with them.
                items.push(Local::Refused(count, fault));
            }
            (items, Some((slice, greatest)))
        }
        other => (vec![Local::Other(other)], None),
    }
}

type Refused = Option<(u64, String)>;

fn decode_lines(decoder: &mut EventDecoder, first_sequence: u64, lines: &[u8]) -> (Vec<u8>, Refused, Millis) {
    let mut out = Vec::with_capacity(lines.len() + lines.len() / 4);
    let mut refused: Refused = None;
    let mut greatest = UNKNOWN_CLOCK;
    let defaults = EventDefaults { accepted_at: UNKNOWN_CLOCK };
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let start = out.len();
        let sequence = first_sequence + index as u64;
        if let Err(fault) = decoder.decode(line, &defaults, &mut out) {
            let first = || format!("line {}: {}: {}", sequence + 1, fault.pointer, fault.message);
            refused = Some(refused.map_or_else(|| (1, first()), |(count, first)| (count + 1, first)));
            continue;
        }
        let record = &mut out[start..];
        set_sequence(record, sequence);
        let timestamp = EventRef::read(record).map_or(UNKNOWN_CLOCK, |(event, _)| event.timestamp());
        greatest = greatest.max(timestamp);
        set_accepted_at(record, greatest);
        if timestamp == UNKNOWN_CLOCK {
            set_timestamp(record, greatest);
        }
    }
    (out, refused, greatest)
}

fn aliases_of(item: &Local) -> Vec<AliasNote> {
    let Local::Records { bytes, .. } = item else { return Vec::new() };
    records(bytes)
        .filter(|record| record.kind() != RecordKind::Event)
        .filter_map(|record| {
            let previous = match record.kind() {
                RecordKind::Erasure => None,
                _ => Some(record.other()?.to_owned()),
            };
            let (sequence, at) = (record.sequence(), record.accepted_at());
            Some(AliasNote { sequence, at, previous, user: record.user().to_owned() })
        })
        .collect()
}
