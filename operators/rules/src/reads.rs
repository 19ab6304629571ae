//! The data that a rule reads: types and fields of events, traits of users, spans of time.

use std::collections::BTreeSet;

use crate::ast::{Behaviour, EventPath, EventTypes, Filter, Measurable, Measure, Node, Sequence, Window};
use crate::oracle::TIMEZONE_TRAIT;
use crate::unparse::{behaviour_members, object, path_text, value_to_json, window_value};

/// The data that a condition reads, each as rules write it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataRead {
    /// Types of events; `*` for any.
    pub events: BTreeSet<String>,
    /// Paths into events; those into an object of a list begin with the path of the list.
    pub fields: BTreeSet<String>,
    /// Traits of users, told or computed, by their whole paths.
    pub traits: BTreeSet<String>,
    /// Windows, in JSON.
    pub windows: BTreeSet<String>,
}

impl DataRead {
    /// The data of a node and of those below; not that of segments which it names.
    pub fn of(node: &Node) -> DataRead {
        let mut read = DataRead::default();
        node.walk(&mut |node| read.add_node(node));
        read
    }

    /// The data of a measure.
    pub fn of_behaviour(behaviour: &Behaviour) -> DataRead {
        let mut read = DataRead::default();
        read.add_behaviour(behaviour);
        read
    }

    fn add_node(&mut self, node: &Node) {
        match node {
            Node::Trait { field, .. } => drop(self.traits.insert(field.to_string())),
            Node::Behaviour { behaviour, .. } => self.add_behaviour(behaviour),
            Node::Sequence(sequence) => self.add_sequence(sequence),
            Node::Rank(rank) => self.add_measurable(&rank.by),
            Node::Compare(compare) => {
                self.add_measurable(&compare.left);
                self.add_measurable(&compare.right);
            }
            Node::Group { .. } | Node::Segment(_) | Node::Sample(_) => return,
        }
        if node.zones().user {
            self.traits.insert(TIMEZONE_TRAIT.to_owned());
        }
    }

    fn add_measurable(&mut self, measurable: &Measurable) {
        match measurable {
            Measurable::Field(field) => drop(self.traits.insert(field.to_string())),
            Measurable::Behaviour(behaviour) => self.add_behaviour(behaviour),
        }
    }

    fn add_behaviour(&mut self, behaviour: &Behaviour) {
        let list = behaviour.each.as_ref().map(|keys| path_text(&EventPath::Properties(keys.clone())));
        self.fields.extend(list.clone());
        self.add_events(&behaviour.events, behaviour.filter.as_ref(), list.as_deref());
        match &behaviour.measure {
            Measure::Of(_, path) => self.add_path(path, list.as_deref()),
            Measure::OfProduct(_, paths) | Measure::Nth(_, paths, _) => {
                paths.iter().for_each(|path| self.add_path(path, list.as_deref()));
            }
            Measure::Count
            | Measure::Days
            | Measure::SinceFirst
            | Measure::SinceLast
            | Measure::Units(..)
            | Measure::Sessions(_) => {}
        }
        if let Some(unless) = &behaviour.unless {
            self.add_events(&unless.events, unless.filter.as_ref(), None);
            self.add_path(&unless.own, list.as_deref());
            self.add_path(&unless.other, None);
        }
        self.add_window(behaviour.window);
    }

    fn add_sequence(&mut self, sequence: &Sequence) {
        for step in &sequence.steps {
            self.add_events(&step.events, step.filter.as_ref(), None);
        }
        sequence.same.iter().for_each(|path| self.add_path(path, None));
        self.add_window(sequence.window);
    }

    fn add_window(&mut self, window: Option<Window>) {
        self.windows.extend(window.map(|window| value_to_json(&window_value(window))));
    }

    fn add_events(&mut self, events: &EventTypes, filter: Option<&Filter>, list: Option<&str>) {
        match events {
            EventTypes::Any => drop(self.events.insert("*".to_owned())),
            EventTypes::Named(names) => self.events.extend(names.iter().map(|name| name.to_string())),
        }
        if let Some(filter) = filter {
            self.add_filter(filter, list);
        }
    }

    fn add_filter(&mut self, filter: &Filter, list: Option<&str>) {
        match filter {
            Filter::Group(_, filters) => filters.iter().for_each(|filter| self.add_filter(filter, list)),
            Filter::Test(path, _) => self.add_path(path, list),
        }
    }

    fn add_path(&mut self, path: &EventPath, list: Option<&str>) {
        match path {
            EventPath::First(choice) => choice.paths.iter().for_each(|path| self.add_path(path, list)),
            EventPath::Item(keys) => {
                let path = std::iter::once(list.unwrap_or("item")).chain(keys.iter().map(|key| &**key));
                self.fields.insert(path.collect::<Vec<_>>().join("."));
            }
            path => drop(self.fields.insert(path_text(path))),
        }
    }
}

/// A measure as compact JSON, without a name and a test.
pub fn measure_to_json(behaviour: &Behaviour) -> String {
    value_to_json(&object(behaviour_members(behaviour)))
}

#[cfg(test)]
mod tests {
    use crate::json::parse_json;
    use crate::parse::{NoTraits, parse_rules};

    use super::*;

    #[test]
    fn all_that_a_rule_reads_is_named_once() {
        let rules = br#"{"conditions": [
            {"field": "plan.tier", "operator": "eq", "value": "pro"},
            {"event": "Order Completed", "each": "products", "where": {"field": "item.sku", "operator": "eq", "value": "a"},
             "measure": {"fn": "sum", "of": ["item.price", "item.quantity"]}, "operator": "gt", "value": 1, "within": "30d",
             "unless": {"event": "Order Refunded", "same": "order_id"}},
            {"sequence": [{"event": "a", "where": {"field": "context.page", "operator": "exists"}}, {"event": "a"}]},
            {"rank": {"by": {"event": "*"}}, "top": 3, "among": {"field": "vip", "operator": "exists"}},
            {"segment": "other"}]}"#;
        let read = DataRead::of(&parse_rules(&parse_json(rules).unwrap(), &NoTraits).unwrap());
        let texts = |texts: &BTreeSet<String>| texts.iter().cloned().collect::<Vec<_>>();
        assert_eq!(texts(&read.events), ["*", "Order Completed", "Order Refunded", "a"]);
        let fields = ["context.page", "order_id", "products", "products.price", "products.quantity", "products.sku"];
        assert_eq!(texts(&read.fields), fields);
        assert_eq!(texts(&read.traits), ["plan.tier", "vip"]);
        assert_eq!(texts(&read.windows), ["\"30d\""]);
    }
}
