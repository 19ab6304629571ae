//! Differences of two versions of a document, node by node.
//!
//! Conditions have no order, so each is matched with the one that it is most like wherever that stands: a condition that
//! is put first changes nothing after it. Steps of a sequence have one, and are matched in it. Rules are held against
//! each other as they are understood: another spelling of the same is no difference.

use std::collections::{BTreeSet, HashMap, VecDeque};

use audience_rules::unparse::value_to_json;
use audience_rules::value::Value;
use serde::Serialize;
use serde_json::value::RawValue;

/// One difference.
#[derive(Debug, Serialize)]
pub(crate) struct FieldDifference {
    /// The place in the newer document, or in the older one if it was removed.
    pub(crate) pointer: String,
    /// added, removed or changed
    pub(crate) change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<Box<RawValue>>,
}

/// The words of which each kind of node has one.
const KINDS: [&str; 7] = ["conditions", "sequence", "segment", "rank", "sample", "event", "field"];

/// A member of a document that people write, by its name; `None` where the document has none.
pub(crate) type DocumentField = (&'static str, Option<Value>);

/// All differences of two versions of a document, each given by the same members.
pub(crate) fn fields(old: &[DocumentField], new: &[DocumentField]) -> Vec<FieldDifference> {
    let mut changes = Vec::new();
    for (key, old) in old {
        let new = new.iter().find(|(other, _)| other == key).and_then(|(_, value)| value.as_ref());
        let at = format!("/{key}");
        match (old, new) {
            (Some(old), Some(new)) => compare(&Places { old: &at, new: &at }, key, old, new, &mut changes),
            (old, new) => changes.extend(one_sided(&at, old.as_ref(), new)),
        }
    }
    changes
}

/// The places of two values.
struct Places<'a> {
    old: &'a str,
    new: &'a str,
}

fn change(pointer: &str, change: &'static str, before: Option<&Value>, after: Option<&Value>) -> FieldDifference {
    let raw = |value: &Value| RawValue::from_string(value_to_json(value)).ok();
    FieldDifference { pointer: pointer.to_owned(), change, before: before.and_then(raw), after: after.and_then(raw) }
}

fn one_sided(pointer: &str, old: Option<&Value>, new: Option<&Value>) -> Option<FieldDifference> {
    match (old, new) {
        (Some(old), None) => Some(change(pointer, "removed", Some(old), None)),
        (None, Some(new)) => Some(change(pointer, "added", None, Some(new))),
        _ => None,
    }
}

fn compare(at: &Places, key: &str, old: &Value, new: &Value, out: &mut Vec<FieldDifference>) {
    if old == new {
        return;
    }
    match (old, new) {
        (Value::Object(old_members), Value::Object(new_members)) if kind(old) == kind(new) => {
            let keys: BTreeSet<&str> = old_members.iter().chain(new_members).map(|(key, _)| &**key).collect();
            for key in keys {
                let token = key.replace('~', "~0").replace('/', "~1");
                let below = (format!("{}/{token}", at.old), format!("{}/{token}", at.new));
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => compare(&Places { old: &below.0, new: &below.1 }, key, old, new, out),
                    (None, new) => out.extend(one_sided(&below.1, None, new)),
                    (old, None) => out.extend(one_sided(&below.0, old, None)),
                }
            }
        }
        (Value::Array(old), Value::Array(new)) if is_list_of_parts(key) => {
            let pairs = if key == "sequence" { in_order(old, new) } else { in_any_order(old, new) };
            parts(at, old, new, &pairs, out);
        }
        _ => out.push(change(at.new, "changed", Some(old), Some(new))),
    }
}

/// Lists whose items are compared one by one; values of an operator are one value.
fn is_list_of_parts(key: &str) -> bool {
    matches!(key, "conditions" | "sequence" | "where" | "tags")
}

fn parts(at: &Places, old: &[Value], new: &[Value], pairs: &[(usize, usize)], out: &mut Vec<FieldDifference>) {
    let (paired_old, paired_new): (BTreeSet<usize>, BTreeSet<usize>) = pairs.iter().copied().unzip();
    for (index, value) in old.iter().enumerate().filter(|(index, _)| !paired_old.contains(index)) {
        out.push(change(&format!("{}/{index}", at.old), "removed", Some(value), None));
    }
    let partner = |index: usize| pairs.iter().find(|(_, new)| *new == index).map(|(old, _)| *old);
    for (index, value) in new.iter().enumerate() {
        let new_at = format!("{}/{index}", at.new);
        match partner(index).filter(|_| paired_new.contains(&index)) {
            // An item that has only moved is no difference.
            Some(before) if old[before] == *value => {}
            Some(before) => {
                let old_at = format!("{}/{before}", at.old);
                compare(&Places { old: &old_at, new: &new_at }, "", &old[before], value, out);
            }
            None => out.push(change(&new_at, "added", None, Some(value))),
        }
    }
}

/// The kind of a node; of what is none, nothing.
fn kind(value: &Value) -> Option<&'static str> {
    KINDS.into_iter().find(|key| value.get(key).is_some())
}

/// Pairs of items: first those that are equal, then of the others the most alike.
fn in_any_order(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    let mut places: HashMap<&Value, VecDeque<usize>> = HashMap::new();
    for (index, value) in old.iter().enumerate() {
        places.entry(value).or_default().push_back(index);
    }
    let mut pairs = Vec::new();
    let mut rest = Vec::new();
    for (index, value) in new.iter().enumerate() {
        match places.get_mut(value).and_then(VecDeque::pop_front) {
            Some(before) => pairs.push((before, index)),
            None => rest.push((index, leaves(value))),
        }
    }
    let mut left: Vec<usize> = places.into_values().flatten().collect();
    left.sort_unstable();
    let left: Vec<_> = left.into_iter().map(|index| (index, leaves(&old[index]))).collect();
    let mut likely: Vec<(f64, usize, usize)> = Vec::new();
    for (before, old_leaves) in left.iter().filter(|(before, _)| matches!(old[*before], Value::Object(_))) {
        for (after, new_leaves) in rest.iter().filter(|(after, _)| kind(&new[*after]) == kind(&old[*before])) {
            likely.push((likeness(old_leaves, new_leaves), *before, *after));
        }
    }
    likely.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.abs_diff(a.2).cmp(&b.1.abs_diff(b.2))));
    let (mut taken_old, mut taken_new) = (BTreeSet::new(), BTreeSet::new());
    for (likeness, before, after) in likely {
        if likeness > 0.0 && !taken_old.contains(&before) && !taken_new.contains(&after) {
            taken_old.insert(before);
            taken_new.insert(after);
            pairs.push((before, after));
        }
    }
    pairs
}

/// The pairs, in order on both sides, that are most alike together. A sequence has at most ten steps.
fn in_order(old: &[Value], new: &[Value]) -> Vec<(usize, usize)> {
    let (old_leaves, new_leaves): (Vec<_>, Vec<_>) =
        (old.iter().map(leaves).collect(), new.iter().map(leaves).collect());
    // The best that the items from there on can reach.
    let mut best = vec![vec![0.0_f64; new.len() + 1]; old.len() + 1];
    let pair = |before: usize, after: usize, best: &[Vec<f64>]| {
        likeness(&old_leaves[before], &new_leaves[after]) + best[before + 1][after + 1]
    };
    for before in (0..old.len()).rev() {
        for after in (0..new.len()).rev() {
            let apart = best[before + 1][after].max(best[before][after + 1]);
            best[before][after] = pair(before, after, &best).max(apart);
        }
    }
    let (mut pairs, mut before, mut after) = (Vec::new(), 0, 0);
    while before < old.len() && after < new.len() {
        if best[before + 1][after] >= best[before][after] {
            before += 1;
        } else if best[before][after + 1] >= best[before][after] {
            after += 1;
        } else {
            pairs.push((before, after));
            (before, after) = (before + 1, after + 1);
        }
    }
    pairs
}

/// Everything that a node says, each with the way to it; places in lists do not count.
fn leaves(value: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(value, String::new(), &mut found);
    found
}

fn walk(value: &Value, at: String, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(key, value)| walk(value, format!("{at}/{key}"), found)),
        Value::Array(items) => items.iter().for_each(|item| walk(item, format!("{at}/*"), found)),
        leaf => drop(found.insert(format!("{at}={}", value_to_json(leaf)))),
    }
}

/// The share of what both say in what either says.
fn likeness(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let both = a.intersection(b).count();
    let either = a.len() + b.len() - both;
    if either == 0 { 1.0 } else { both as f64 / either as f64 }
}

#[cfg(test)]
mod tests {
    use audience_rules::json::parse_json;
    use serde_json::json;

    use super::*;

    /// Changes of the rules: word, pointer, before, after.
    fn rules(old: &serde_json::Value, new: &serde_json::Value) -> Vec<String> {
        let read = |json: &serde_json::Value| parse_json(json.to_string().as_bytes()).unwrap();
        let mut changes = Vec::new();
        compare(&Places { old: "", new: "" }, "rules", &read(old), &read(new), &mut changes);
        changes.iter().map(shown).collect()
    }

    fn shown(change: &FieldDifference) -> String {
        let raw = |value: &Option<Box<RawValue>>| value.as_ref().map_or(String::new(), |raw| format!(" {}", raw.get()));
        format!("{} {}{}{}", change.change, change.pointer, raw(&change.before), raw(&change.after))
    }

    fn group(conditions: &[serde_json::Value]) -> serde_json::Value {
        json!({"conditions": conditions, "logic": "AND"})
    }

    #[test]
    fn a_condition_put_first_changes_nothing_after_it() {
        let [a, b, c] = ["a", "b", "c"].map(|field| json!({"field": field, "operator": "gt", "value": 1}));
        let new = json!({"event": "buy"});
        let found = rules(&group(&[a.clone(), b.clone()]), &group(&[new.clone(), b.clone(), a.clone()]));
        assert_eq!(found, [r#"added /conditions/0 {"event":"buy"}"#]);
        let changed = json!({"field": "a", "operator": "gt", "value": 2.50});
        let found = rules(&group(&[a.clone(), b.clone(), c.clone()]), &group(&[c.clone(), changed]));
        assert_eq!(
            found,
            [r#"removed /conditions/1 {"field":"b","operator":"gt","value":1}"#, "changed /conditions/1/value 1 2.5"]
        );
        assert_eq!(
            rules(&group(&[a.clone(), a.clone()]), &group(std::slice::from_ref(&a))).len(),
            1,
            "equal ones are counted"
        );
        assert_eq!(rules(&group(&[a.clone(), b.clone()]), &group(&[b, a])), [""; 0]);
    }

    #[test]
    fn nodes_of_another_kind_are_others() {
        let (a, b) = (json!({"field": "a", "operator": "exists"}), json!({"segment": "a"}));
        let found = rules(&group(std::slice::from_ref(&a)), &group(std::slice::from_ref(&b)));
        let (removed, added) = (r#"removed /conditions/0 {"field":"a","operator":"exists"}"#, r#"{"segment":"a"}"#);
        assert_eq!(found, [removed.to_owned(), format!("added /conditions/0 {added}")]);
        assert_eq!(rules(&a, &b), [format!(r#"changed  {{"field":"a","operator":"exists"}} {added}"#)]);
    }

    #[test]
    fn deep_in_a_tree() {
        let inner =
            |value: u32, window: &str| json!({"event": "buy", "operator": "gt", "value": value, "within": window});
        let tree =
            |inner| group(&[json!({"field": "x", "operator": "exists"}), group(&[json!({"segment": "s"}), inner])]);
        let found = rules(&tree(inner(5, "30d")), &tree(json!({"event": "buy", "operator": "gt", "value": 7})));
        assert_eq!(
            found,
            ["changed /conditions/1/conditions/1/value 5 7", r#"removed /conditions/1/conditions/1/within "30d""#]
        );
        let between = |low: u32| json!({"field": "x/~", "operator": "between", "value": [low, 9]});
        assert_eq!(rules(&between(1), &between(2)), ["changed /value [1,9] [2,9]"], "two bounds are one value");
    }

    #[test]
    fn steps_keep_their_order() {
        let step = |event: &str| json!({"event": event});
        let sequence =
            |events: &[&str]| json!({"sequence": events.iter().map(|event| step(event)).collect::<Vec<_>>()});
        let found = rules(&sequence(&["a", "b", "c"]), &sequence(&["x", "a", "c"]));
        assert_eq!(found, [r#"removed /sequence/1 {"event":"b"}"#, r#"added /sequence/0 {"event":"x"}"#]);
        let swapped = rules(&sequence(&["a", "b"]), &sequence(&["b", "a"]));
        assert_eq!(swapped.len(), 2, "another order is another sequence: {swapped:?}");
        let gap = json!({"sequence": [{"event": "a"}, {"event": "b", "maxGap": "1d"}]});
        assert_eq!(rules(&sequence(&["a", "b"]), &gap), [r#"added /sequence/1/maxGap "1d""#]);
    }
}
