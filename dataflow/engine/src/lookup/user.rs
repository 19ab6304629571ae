//! A user's view and export, by the naive evaluator over their history.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use audience_emit::trait_values::{computed_traits, traits};
use audience_kernel::aliases::IdSince;
use audience_protocol::{RefusedMessageView, UserView};
use audience_rules::ast::Millis;
use audience_rules::catalogue::ComputedTrait;
use audience_rules::event::event_to_json;
use audience_rules::oracle::EventHistory;
use audience_rules::record::{EventRef, records};

/// The records of the user who goes by these ids, each id from its place in the order of acceptance on: whatever
/// was accepted before that is erased, also while it still stands in the log. An `identify` of somebody else that names one
/// of the ids is theirs.
pub(super) fn of_user<'r>(run: &'r [u8], ids: &[IdSince]) -> impl Iterator<Item = EventRef<'r>> {
    records(run).filter(|record| ids.iter().any(|(id, since)| record.sequence() >= *since && record.user() == id))
}

/// Those of the records that are events of this user; each also from its place on.
pub(super) fn history<'r>(run: &'r [u8], ids: &[IdSince]) -> EventHistory<'r> {
    let mut history = EventHistory::default();
    of_user(run, ids).for_each(|record| history.push(record));
    history
}

/// The view of a user at an instant; `None` if no event of theirs was accepted. The first of the ids is the one that the
/// user goes by.
pub(super) fn view(
    ids: &[IdSince],
    run: &[u8],
    computed: &BTreeMap<Arc<str>, ComputedTrait>,
    now: Millis,
) -> Option<UserView> {
    let history = history(run, ids);
    let ((root, _), merged) = ids.split_first()?;
    (!history.events().is_empty()).then(|| UserView {
        user_id: root.clone(),
        aliases: merged.iter().map(|(id, _)| id.clone()).collect(),
        traits: traits(&history, now),
        computed_traits: computed_traits(&history, computed, now),
        event_count: history.events().len() as u64,
        segments: Vec::new(),
    })
}

/// Pieces of an export are given away once they are this large.
const PIECE_BYTES: usize = 64 << 10;

/// Everything held of a user, as one JSON document in pieces.
pub(super) struct Export<'a> {
    take: &'a mut dyn FnMut(Vec<u8>) -> bool,
    piece: Vec<u8>,
    has_events: bool,
    is_wanted: bool,
}

impl<'a> Export<'a> {
    /// Begins the document with what is known of the user.
    pub(super) fn new(view: &UserView, take: &'a mut dyn FnMut(Vec<u8>) -> bool) -> Self {
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
    pub(super) fn add<'r>(&mut self, records: impl Iterator<Item = EventRef<'r>>) -> ControlFlow<()> {
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

    /// Ends the document, where it is still wanted, with the messages of the user that were refused.
    pub(super) fn finish(mut self, refused: &[RefusedMessageView]) {
        if !self.is_wanted {
            return;
        }
        self.piece.extend_from_slice(b"\n]");
        if !refused.is_empty() {
            self.piece.extend_from_slice(b",\"refusedMessages\":");
            self.piece.extend(serde_json::to_vec(refused).unwrap_or_else(|_| b"[]".to_vec()));
        }
        self.piece.extend_from_slice(b"}\n");
        (self.take)(self.piece);
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
        let view = view(&[("a".into(), 0)], &history, &BTreeMap::new(), 0);
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
        export.finish(&[]);
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
