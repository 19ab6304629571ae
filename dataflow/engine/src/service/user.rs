//! What is known of one user, by the naive evaluator over their history.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use audience_operators::aliases::IdSince;
use audience_protocol::UserView;
use audience_rules::catalogue::Catalogue;
use audience_rules::event::event_to_json;
use audience_rules::oracle::World;
use audience_rules::record::{EventRef, RecordKind, records};
use audience_rules::test::Operand;
use audience_rules::unparse::value_to_json;
use audience_rules::value::Value;
use serde_json::value::RawValue;

use super::clock;

/// Of a run of records, those of the user who goes by these ids, each from its place in the order of acceptance on: what
/// was accepted before that is erased, also while it still stands in the log.
pub fn of_user<'r>(run: &'r [u8], ids: &'r [IdSince]) -> impl Iterator<Item = EventRef<'r>> {
    records(run).filter(|record| {
        let names = |id: &str| record.user() == id || record.other() == Some(id);
        ids.iter().any(|(id, since)| record.sequence() >= *since && names(id))
    })
}

/// The user's traits and computed traits now; `None` where no event of theirs was accepted.
pub fn view(root: &str, history: &[u8], catalogue: &Catalogue) -> Option<UserView> {
    let mut world = World::new(catalogue.clone());
    records(history).for_each(|record| world.accept(record.bytes()));
    let now = clock::now();
    let moment = world.at(now);
    let events = moment.histories().get(root)?;
    let mut names: Vec<&str> = Vec::new();
    for event in events.events().iter().filter(|event| event.kind() == RecordKind::Identify) {
        names.extend(event.traits().map(|(name, _)| name));
    }
    names.sort_unstable();
    names.dedup();
    let mut traits = BTreeMap::new();
    for name in names {
        // A name with a dot is no path to itself.
        let value = events.trait_value(name, now).map(|value| value.to_value());
        if let Some(raw) = value.and_then(raw) {
            traits.insert(name.to_owned(), raw);
        }
    }
    let computed = catalogue.traits.values().filter_map(|computed| {
        let value = match events.measure(&computed.behaviour, now) {
            Operand::Missing => return None,
            Operand::Value(value) => value.to_value(),
            Operand::Number(number) => Value::Number(number),
            Operand::Ratio { sum, count } => {
                Value::Number(audience_rules::decimal::Decimal::from_units(sum.units() / i128::from(count)))
            }
        };
        Some((computed.name.to_string(), raw(value)?))
    });
    Some(UserView {
        user_id: root.to_owned(),
        aliases: Vec::new(),
        traits,
        computed_traits: computed.collect(),
        event_count: events.events().len() as u64,
        segments: Vec::new(),
    })
}

fn raw(value: Value) -> Option<Box<RawValue>> {
    RawValue::from_string(value_to_json(&value)).ok()
}

/// Pieces of an export are given away once they are this large.
const PIECE_BYTES: usize = 64 << 10;

/// Everything held of a user, as one JSON document in pieces.
pub struct Export<'a> {
    take: &'a mut dyn FnMut(Vec<u8>) -> bool,
    piece: Vec<u8>,
    has_events: bool,
    is_wanted: bool,
}

impl<'a> Export<'a> {
    /// Begins the document with what is known of the user.
    pub fn new(view: &UserView, take: &'a mut dyn FnMut(Vec<u8>) -> bool) -> Self {
        // Plain data with text for keys always serializes.
        let mut piece = serde_json::to_vec(view).unwrap_or_else(|_| b"{}".to_vec());
        piece.pop();
        if piece.len() > 1 {
            piece.push(b',');
        }
        piece.extend_from_slice(b"\"events\":[");
        Export { take, piece, has_events: false, is_wanted: true }
    }

    /// Adds records.
    pub fn add<'r>(&mut self, records: impl Iterator<Item = EventRef<'r>>) -> ControlFlow<()> {
        for record in records {
            self.piece.extend_from_slice(if self.has_events { b",\n" } else { b"\n" });
            self.has_events = true;
            self.piece.extend_from_slice(event_to_json(&record).as_bytes());
            if self.piece.len() >= PIECE_BYTES {
                self.is_wanted = (self.take)(std::mem::take(&mut self.piece));
            }
            if !self.is_wanted {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    /// Ends the document, where it is still wanted.
    pub fn finish(mut self) {
        if self.is_wanted {
            self.piece.extend_from_slice(b"\n]}\n");
            (self.take)(self.piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use audience_rules::event::{EventDefaults, decode_event};

    use super::*;

    /// Exports that many events of `a`; gives the pieces taken before `most`.
    fn export(events: usize, most: usize) -> Vec<Vec<u8>> {
        let mut history = Vec::new();
        for event in 0..events {
            let json = format!(r#"{{"userId":"a","eventType":"p","properties":{{"n":{event},"s":"\u0000\"é"}}}}"#);
            decode_event(json.as_bytes(), &EventDefaults { accepted_at: 0 }, &mut history).expect("an event");
        }
        let view = view("a", &history, &Catalogue::default());
        let view = view.unwrap_or(UserView {
            user_id: "a".into(),
            aliases: Vec::new(),
            traits: BTreeMap::new(),
            computed_traits: BTreeMap::new(),
            event_count: 0,
            segments: Vec::new(),
        });
        let mut pieces = Vec::new();
        let mut take = |piece| {
            pieces.push(piece);
            pieces.len() < most
        };
        let mut export = Export::new(&view, &mut take);
        let _ = export.add(of_user(&history, &[("a".into(), 0)]));
        export.finish();
        pieces
    }

    #[test]
    fn an_export_is_one_document_in_small_pieces() {
        for events in [0, 1, 2, 5000] {
            let pieces = export(events, usize::MAX);
            assert!(pieces.iter().all(|piece| piece.len() < 2 * PIECE_BYTES));
            let document: serde_json::Value = serde_json::from_slice(&pieces.concat()).expect("JSON");
            assert_eq!(document["userId"], "a");
            let numbers: Vec<u64> = document["events"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|e| e["properties"]["n"].as_u64())
                .collect();
            assert!(numbers.into_iter().eq(0..events as u64), "{events} events");
        }
    }

    #[test]
    fn an_export_that_nobody_wants_ends_unfinished() {
        let pieces = export(5000, 2);
        assert_eq!(pieces.len(), 2);
        assert!(serde_json::from_slice::<serde_json::Value>(&pieces.concat()).is_err());
    }
}
