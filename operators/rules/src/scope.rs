//! The zones that a rule depends on, and whether it says anything that the second page of the language is needed for.

use std::sync::Arc;

use crate::ast::{
    Behaviour, Compare, Condition, EventPath, Filter, Function, Measurable, Measure, Millis, Moment, Node, Sequence,
    Test, Window, Zone,
};
use crate::catalogue::Catalogue;
use crate::time::Duration;
use crate::zone::{CalendarUnit, ZoneId};

/// An instant, with the zones that calendars and times are read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalNow {
    /// The instant.
    pub now: Millis,
    /// The platform's zone.
    pub platform: ZoneId,
    /// The user's zone, or the platform's.
    pub user: ZoneId,
}

/// In UTC.
impl From<Millis> for LocalNow {
    fn from(now: Millis) -> Self {
        LocalNow { now, platform: ZoneId::UTC, user: ZoneId::UTC }
    }
}

impl LocalNow {
    /// The zone that is meant.
    pub fn zone(&self, zone: Zone) -> ZoneId {
        match zone {
            Zone::Platform => self.platform,
            Zone::User => self.user,
            Zone::Named(zone) => zone,
        }
    }
}

/// The zones that something depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ZoneUse {
    /// The platform's.
    pub platform: bool,
    /// The user's, and so the platform's.
    pub user: bool,
}

impl ZoneUse {
    fn add(&mut self, zone: Zone) {
        self.user |= zone == Zone::User;
        self.platform |= matches!(zone, Zone::User | Zone::Platform);
    }

    /// Adds those of a test. Values without an offset are read in the platform's zone if no other is named.
    pub fn add_test(&mut self, test: &Test) {
        match &test.condition {
            Condition::Before(moment) | Condition::After(moment) => match moment {
                Moment::At(_) | Moment::Ago(_) => self.add(Zone::Platform),
                Moment::Written(_, zone) | Moment::Moved(_, zone) => self.add(*zone),
            },
            Condition::Anniversary { zone, .. } => self.add(*zone),
            _ => {}
        }
    }

    fn add_filter(&mut self, filter: &Filter) {
        match filter {
            Filter::Group(_, filters) => filters.iter().for_each(|filter| self.add_filter(filter)),
            Filter::Test(_, test) => self.add_test(test),
        }
    }

    /// Adds that of a window.
    pub fn add_window(&mut self, window: Window) {
        match window {
            Window::Last(_) | Window::Ago { .. } | Window::Fixed { .. } => {}
            Window::Span { zone, .. } | Window::Calendar { zone, .. } | Window::Written { zone, .. } => self.add(zone),
        }
    }

    /// Adds those of a measure over events.
    pub fn add_behaviour(&mut self, behaviour: &Behaviour) {
        behaviour.filter.iter().for_each(|filter| self.add_filter(filter));
        behaviour.window.into_iter().for_each(|window| self.add_window(window));
        behaviour.unless.iter().filter_map(|unless| unless.filter.as_ref()).for_each(|filter| self.add_filter(filter));
        match &behaviour.measure {
            Measure::Days => self.add(Zone::Platform),
            Measure::Units(_, zone) => self.add(*zone),
            _ => {}
        }
    }

    fn add_measurable(&mut self, measurable: &Measurable) {
        match measurable {
            Measurable::Field(_) => {}
            Measurable::Behaviour(behaviour) => self.add_behaviour(behaviour),
        }
    }

    /// Adds those of a sequence.
    pub fn add_sequence(&mut self, sequence: &Sequence) {
        sequence.window.into_iter().for_each(|window| self.add_window(window));
        sequence.steps.iter().filter_map(|step| step.filter.as_ref()).for_each(|filter| self.add_filter(filter));
    }

    fn add_leaf(&mut self, node: &Node) {
        match node {
            Node::Trait { test, .. } => self.add_test(test),
            Node::Behaviour { behaviour, test } => {
                self.add_behaviour(behaviour);
                self.add_test(test);
            }
            Node::Sequence(sequence) => self.add_sequence(sequence),
            Node::Compare(compare) => {
                self.add(Zone::Platform);
                self.add_measurable(&compare.left);
                self.add_measurable(&compare.right);
            }
            Node::Rank(rank) => self.add_measurable(&rank.by),
            Node::Group { .. } | Node::Segment(_) | Node::Sample(_) => {}
        }
    }
}

impl Behaviour {
    /// The zones that it depends on.
    pub fn zones(&self) -> ZoneUse {
        let mut zones = ZoneUse::default();
        zones.add_behaviour(self);
        zones
    }

    /// Returns whether the first page of the language says it, where the platform's zone is UTC.
    pub fn is_plain(&self) -> bool {
        let measure = match &self.measure {
            Measure::Count | Measure::Days | Measure::SinceFirst | Measure::SinceLast => true,
            Measure::Of(function, _) => !matches!(function, Function::Median | Function::Mode),
            Measure::Units(..) | Measure::Sessions(_) | Measure::OfProduct(..) | Measure::Nth(..) => false,
        };
        measure
            && self.each.is_none()
            && self.unless.is_none()
            && self.window.is_none_or(Window::is_plain)
            && self.filter.as_ref().is_none_or(Filter::is_plain)
    }
}

impl Window {
    fn is_plain(self) -> bool {
        matches!(self, Window::Last(_) | Window::Ago { .. } | Window::Fixed { .. })
    }
}

impl Test {
    /// The zones that it depends on.
    pub fn zones(&self) -> ZoneUse {
        let mut zones = ZoneUse::default();
        zones.add_test(self);
        zones
    }

    /// Returns whether it needs no calendar and no zone but UTC.
    pub fn is_plain(&self) -> bool {
        match &self.condition {
            Condition::Before(moment) | Condition::After(moment) => matches!(moment, Moment::At(_) | Moment::Ago(_)),
            Condition::Anniversary { .. } => false,
            _ => true,
        }
    }
}

impl Filter {
    fn is_plain(&self) -> bool {
        match self {
            Filter::Group(_, filters) => filters.iter().all(Filter::is_plain),
            Filter::Test(path, test) => !matches!(path, EventPath::Item(_)) && test.is_plain(),
        }
    }

    /// Returns whether its answer for an event is the same at any instant and in any zone.
    pub fn is_fixed(&self) -> bool {
        match self {
            Filter::Group(_, filters) => filters.iter().all(Filter::is_fixed),
            Filter::Test(_, test) => {
                !matches!(test.condition, Condition::Before(_) | Condition::After(_) | Condition::Anniversary { .. })
            }
        }
    }
}

impl Sequence {
    fn is_plain(&self) -> bool {
        self.same.is_empty()
            && self.lasting.is_none()
            && self.window.is_none_or(Window::is_plain)
            && self.steps.iter().all(|step| !step.absent && step.filter.as_ref().is_none_or(Filter::is_plain))
    }
}

impl Measurable {
    /// Its own measure: of a computed trait, that of the trait.
    pub fn resolved(&self, catalogue: &Catalogue) -> Measurable {
        match self {
            Measurable::Field(field) => catalogue.traits.get(field).map_or_else(
                || self.clone(),
                |computed| Measurable::Behaviour(computed.behaviour.simplified(catalogue.timezone)),
            ),
            Measurable::Behaviour(behaviour) => Measurable::Behaviour(behaviour.simplified(catalogue.timezone)),
        }
    }

    /// Returns whether the first page of the language says it, where the platform's zone is UTC.
    pub fn is_plain(&self) -> bool {
        match self {
            Measurable::Field(_) => true,
            Measurable::Behaviour(behaviour) => behaviour.is_plain(),
        }
    }
}

impl Node {
    /// The zones that this node depends on, without the nodes below.
    pub fn zones(&self) -> ZoneUse {
        let mut zones = ZoneUse::default();
        zones.add_leaf(self);
        zones
    }

    /// Returns whether the first page of the language says this node itself, where the platform's zone is UTC.
    pub fn is_plain(&self) -> bool {
        match self {
            Node::Trait { test, .. } => test.is_plain(),
            Node::Behaviour { behaviour, test } => behaviour.is_plain() && test.is_plain(),
            Node::Sequence(sequence) => sequence.is_plain(),
            Node::Compare(_) => false,
            Node::Rank(rank) => rank.by.is_plain(),
            Node::Group { .. } | Node::Segment(_) | Node::Sample(_) => true,
        }
    }

    /// Returns whether it and the computed trait that it tests are said as the first page says them, where the platform's zone
    /// is UTC.
    pub fn is_written_plainly(&self, catalogue: &Catalogue) -> bool {
        let is_plain_trait =
            |field: &str| catalogue.traits.get(field).is_none_or(|computed| computed.behaviour.is_plain());
        let has_plain_trait = match self {
            Node::Trait { field, .. } => is_plain_trait(field),
            Node::Rank(rank) => rank.by.field().is_none_or(|field| is_plain_trait(field)),
            _ => true,
        };
        catalogue.timezone == ZoneId::UTC && self.is_plain() && has_plain_trait
    }

    /// This node with the computed traits that it names itself replaced by what they measure, and said as the first page does
    /// where the platform's zone allows it.
    pub fn resolved(&self, catalogue: &Catalogue) -> Node {
        let platform = catalogue.timezone;
        match self {
            Node::Trait { field, test } => match catalogue.traits.get(field) {
                Some(computed) => Node::Behaviour {
                    behaviour: computed.behaviour.simplified(platform),
                    test: test.simplified(platform),
                },
                None => Node::Trait { field: field.clone(), test: test.simplified(platform) },
            },
            Node::Behaviour { behaviour, test } => {
                Node::Behaviour { behaviour: behaviour.simplified(platform), test: test.simplified(platform) }
            }
            Node::Compare(compare) => Node::Compare(Arc::new(Compare {
                left: compare.left.resolved(catalogue),
                right: compare.right.resolved(catalogue),
                ..(**compare).clone()
            })),
            node => node.clone(),
        }
    }
}

/// A zone that is the same for all users.
fn fixed_zone(zone: Zone, platform: ZoneId) -> Option<ZoneId> {
    match zone {
        Zone::Platform => Some(platform),
        Zone::User => None,
        Zone::Named(zone) => Some(zone),
    }
}

impl Behaviour {
    /// The same, with windows of dates as windows of instants and times in UTC without their zone.
    fn simplified(self: &Arc<Self>, platform: ZoneId) -> Arc<Behaviour> {
        let window = self.window.map(|window| window.simplified(platform));
        let filter = self.filter.as_ref().map(|filter| filter.simplified(platform));
        let measure = match &self.measure {
            Measure::Units(CalendarUnit::Day, zone) if fixed_zone(*zone, platform) == Some(ZoneId::UTC) => {
                // Read in the platform's zone, which must be UTC, too.
                if platform == ZoneId::UTC { Measure::Days } else { self.measure.clone() }
            }
            measure => measure.clone(),
        };
        if window == self.window && filter == self.filter && measure == self.measure {
            return self.clone();
        }
        Arc::new(Behaviour { window, filter, measure, ..(**self).clone() })
    }
}

impl Window {
    fn simplified(self, platform: ZoneId) -> Window {
        match self {
            Window::Written { from, to, zone } => match fixed_zone(zone, platform) {
                Some(zone) => {
                    let (from, to) =
                        (from.and_then(|from| from.instant(zone)), to.and_then(|to| to.last_instant(zone)));
                    // Beyond the range in that zone, it bounds nothing, which no window of instants says.
                    if from.is_none() && to.is_none() { self } else { Window::Fixed { from, to } }
                }
                None => self,
            },
            window => window,
        }
    }
}

impl Filter {
    fn simplified(&self, platform: ZoneId) -> Filter {
        match self {
            Filter::Group(logic, filters) => {
                Filter::Group(*logic, filters.iter().map(|filter| filter.simplified(platform)).collect())
            }
            Filter::Test(path, test) => Filter::Test(path.clone(), test.simplified(platform)),
        }
    }
}

impl Test {
    fn simplified(&self, platform: ZoneId) -> Test {
        let moment = |moment: Moment| {
            let is_utc = |zone| platform == ZoneId::UTC && fixed_zone(zone, platform) == Some(ZoneId::UTC);
            match moment {
                Moment::Written(time, zone) if is_utc(zone) => time.instant(ZoneId::UTC).map_or(moment, Moment::At),
                Moment::Moved(Duration::Millis(millis), zone) if is_utc(zone) => Moment::Ago(millis),
                moment => moment,
            }
        };
        let condition = match &self.condition {
            Condition::Before(before) => Condition::Before(moment(*before)),
            Condition::After(after) => Condition::After(moment(*after)),
            condition => return Test { negated: self.negated, condition: condition.clone() },
        };
        Test { negated: self.negated, condition }
    }
}
