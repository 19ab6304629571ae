//! The computed traits in profiles, and the instants at which one of them changes by itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use audience_rules::ast::{Behaviour, Measurable, Measure, Millis, Window};
use audience_rules::catalogue::{Catalogue, ComputedTrait};
use audience_rules::oracle::EventHistory;
use audience_rules::test::filter_is_relative;
use audience_rules::unparse::behaviour_to_json;
use sha2::{Digest, Sha256};

use crate::catalogue::TraitDefinitions;

/// The computed traits of a version of the catalogue.
#[derive(Default)]
pub(super) struct ProfileTraits {
    /// The version.
    version: u64,
    by_name: BTreeMap<Arc<str>, ComputedTrait>,
    /// A digest of the definitions.
    pub digest: u64,
    /// The times after an event at which a value may change.
    delays: Vec<Millis>,
    /// True if some value changes at every instant.
    is_moving: bool,
    /// Those of calendars and zones, whose changes the history tells.
    asked: Vec<Measurable>,
}

impl ProfileTraits {
    /// The traits that are defined now.
    pub(super) fn of(definitions: &dyn TraitDefinitions) -> Self {
        let (version, by_name) = definitions.computed_traits();
        ProfileTraits::new(version, by_name)
    }

    fn new(version: u64, by_name: BTreeMap<Arc<str>, ComputedTrait>) -> Self {
        let (digest, delays) = (digest(&by_name), by_name.values().flat_map(|one| delays(&one.behaviour)).collect());
        let is_moving = by_name.values().any(|one| is_moving(&one.behaviour));
        let asked = by_name.values().map(|one| &one.behaviour).filter(|behaviour| !behaviour.is_plain());
        let asked = asked.cloned().map(Measurable::Behaviour).collect();
        ProfileTraits { version, by_name, digest, delays, asked, is_moving }
    }

    /// The catalogue's version.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The traits by name.
    pub(super) fn by_name(&self) -> &BTreeMap<Arc<str>, ComputedTrait> {
        &self.by_name
    }

    /// Returns the first instant from `now` on at which a user's profile may change although nothing is accepted. It may be the
    /// same then, but does not change before.
    pub(super) fn due(&self, history: &EventHistory<'_>, now: Millis) -> Option<Millis> {
        let events = history.events();
        if self.is_moving && !events.is_empty() {
            return Some(now);
        }
        let passes = |at: Millis| {
            let windows = self.delays.iter().map(move |delay| at.saturating_add(*delay));
            std::iter::once(at).chain(windows)
        };
        let plain = events.iter().flat_map(|event| passes(event.timestamp())).filter(|at| *at > now);
        let nothing = Catalogue::default();
        let asked = self.asked.iter().filter_map(|measurable| history.next_value(measurable, &nothing, now));
        plain.chain(asked).min()
    }
}

fn digest(traits: &BTreeMap<Arc<str>, ComputedTrait>) -> u64 {
    let mut digest = Sha256::new();
    for one in traits.values() {
        digest.update(behaviour_to_json(&one.name, &one.behaviour));
    }
    let digest: [u8; 32] = digest.finalize().into();
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn delays(behaviour: &Behaviour) -> Vec<Millis> {
    match behaviour.window {
        Some(Window::Last(duration)) => vec![duration],
        Some(Window::Ago { from, to }) => vec![from, to],
        // Windows of the calendar are asked for by themselves.
        Some(_) | None => Vec::new(),
    }
}

fn is_moving(behaviour: &Behaviour) -> bool {
    let is_since = matches!(behaviour.measure, Measure::SinceFirst | Measure::SinceLast);
    is_since || behaviour.filter.as_ref().is_some_and(filter_is_relative)
}

#[cfg(test)]
mod tests {
    use audience_rules::event::{EventDefaults, decode_event};
    use audience_rules::json::parse_json;
    use audience_rules::record::records;

    use super::*;

    const DAY: Millis = 86_400_000;
    const NOW: Millis = 20_000 * DAY;

    fn traits(definitions: &[&str]) -> ProfileTraits {
        let mut catalogue = Catalogue::default();
        for definition in definitions {
            let json = parse_json(definition.as_bytes()).expect("JSON");
            let one = catalogue.check_trait(&json).expect("a trait");
            catalogue.put_trait(one);
        }
        ProfileTraits::new(0, catalogue.traits.clone())
    }

    fn due(traits: &ProfileTraits, timestamps: &[Millis]) -> Option<Millis> {
        let mut bytes = Vec::new();
        for at in timestamps {
            let json = format!(r#"{{"userId":"a","eventType":"p","timestamp":{at}}}"#);
            decode_event(json.as_bytes(), &EventDefaults { accepted_at: NOW }, &mut bytes).expect("an event");
        }
        let mut history = EventHistory::default();
        records(&bytes).for_each(|record| history.push(record));
        traits.due(&history, NOW)
    }

    #[test]
    fn a_profile_is_due_when_an_event_passes_an_end_of_a_window() {
        let plain = traits(&[r#"{"name":"n","event":"p"}"#, r#"{"name":"f","event":"p","within":{"from":0,"to":9}}"#]);
        assert_eq!(due(&plain, &[NOW - DAY, NOW]), None, "nothing depends on time");
        assert_eq!(due(&plain, &[NOW + 7, NOW + 9, NOW]), Some(NOW + 7), "but an event that is yet to come");
        let windows = traits(&[
            r#"{"name":"w","event":"p","within":"7d"}"#,
            r#"{"name":"v","event":"p","within":{"ago":["30d","14d"]}}"#,
        ]);
        assert_eq!(due(&windows, &[NOW - 3 * DAY]), Some(NOW + 4 * DAY));
        assert_eq!(
            due(&windows, &[NOW - 7 * DAY]),
            Some(NOW + 7 * DAY),
            "it has just left the one, and comes into the other"
        );
        assert_eq!(due(&windows, &[NOW - 29 * DAY, NOW - 3 * DAY]), Some(NOW + DAY));
        assert_eq!(due(&windows, &[NOW - 30 * DAY]), None);
    }

    #[test]
    fn what_is_held_against_now_is_always_due() {
        for moving in [
            r#"{"name":"s","event":"p","measure":{"fn":"since_last"}}"#,
            r#"{"name":"r","event":"p","where":{"conditions":[{"field":"t","operator":"before","value":"3d"}]}}"#,
        ] {
            let moving = traits(&[moving]);
            assert_eq!((due(&moving, &[NOW - DAY]), due(&moving, &[])), (Some(NOW), None));
        }
        let fixed =
            r#"{"name":"r","event":"p","where":{"field":"t","operator":"before","value":"2020-01-01T00:00:00Z"}}"#;
        assert_eq!(due(&traits(&[fixed]), &[NOW - DAY]), None);
    }

    #[test]
    fn other_traits_have_another_digest() {
        let [one, other] = [r#"{"name":"n","event":"p"}"#, r#"{"name":"n","event":"q"}"#];
        let digests = [traits(&[]), traits(&[one]), traits(&[other]), traits(&[one, r#"{"name":"o","event":"p"}"#])];
        let different: std::collections::BTreeSet<u64> = digests.iter().map(|traits| traits.digest).collect();
        assert_eq!(different.len(), 4);
        assert_eq!(traits(&[one]).digest, digests[1].digest);
    }
}
