//! References between segments and computed traits, and edits of them.

use super::*;
use crate::testing::json;
use crate::unparse::node_to_json_with;

fn with(segments: &[(&str, &str)]) -> Catalogue {
    let mut catalogue = Catalogue::with_shipped_traits();
    for (id, rules) in segments {
        put(&mut catalogue, id, rules);
    }
    catalogue
}

fn put(catalogue: &mut Catalogue, id: &str, rules: &str) {
    let rules = catalogue.check_rules(id, &json(rules)).expect("valid");
    let definition = Definition::Dynamic(rules.into());
    catalogue.put_segment(Segment { id: id.into(), version: 1, status: SegmentStatus::Active, definition });
}

fn refers_to(segment: &str) -> String {
    format!(r#"{{"logic": "NOT", "conditions": [{{"segment": "{segment}"}}]}}"#)
}

fn define(catalogue: &mut Catalogue, computed: &str) {
    let computed = catalogue.check_trait(&json(computed)).expect("valid");
    catalogue.put_trait(computed);
}

#[test]
fn catalogue_refuses_cycles_and_unknown_segments() {
    let catalogue = with(&[("a", r#"{"event": "p"}"#), ("b", &refers_to("a")), ("c", &refers_to("b"))]);
    let faults = |id: &str, rules: &str| -> Vec<(String, &'static str)> {
        let faults = catalogue.check_rules(id, &json(rules)).expect_err("refused");
        faults.into_iter().map(|fault| (fault.pointer, fault.code)).collect()
    };
    assert_eq!(faults("a", &refers_to("c")), [("/conditions/0/segment".into(), code::CYCLIC_SEGMENT)]);
    assert_eq!(faults("new", r#"{"segment": "new"}"#), [("/segment".into(), code::CYCLIC_SEGMENT)]);
    let nested = r#"{"rank": {"by": "x"}, "top": 0, "among": {"conditions": [{"segment": "z"}, {"segment": "b"}]}}"#;
    let expected = [("/among/conditions/0/segment".into(), code::UNKNOWN_SEGMENT), ("/top".into(), code::OUT_OF_RANGE)];
    assert_eq!(faults("new", nested), expected);
    assert!(catalogue.check_rules("c", &json(&refers_to("a"))).is_ok());
}

#[test]
fn catalogue_keeps_what_rules_refer_to() {
    let among = r#"{"rank": {"by": "totalSpent"}, "top": 1, "among": {"segment": "a"}}"#;
    let mut catalogue = with(&[("a", r#"{"field": "pageViews", "operator": "gt", "value": 1}"#), ("b", among)]);
    let refused = catalogue.check_delete_segment("a").expect_err("refused");
    assert_eq!(refused.code, code::REFERENCED);
    assert!(refused.message.ends_with(": b"), "{}", refused.message);
    assert!(catalogue.check_delete_trait("totalSpent").is_err() && catalogue.check_delete_trait("pageViews").is_err());
    assert!(catalogue.check_delete_trait("firstSeen").is_ok() && catalogue.check_delete_segment("b").is_ok());
    assert!(catalogue.delete_segment("b").is_some());
    assert!(catalogue.check_delete_segment("a").is_ok() && catalogue.check_delete_trait("totalSpent").is_ok());
    assert!(catalogue.delete_trait("totalSpent").is_some() && catalogue.delete_trait("totalSpent").is_none());
}

#[test]
fn catalogue_names_the_rules_that_an_edit_would_break() {
    let mut catalogue = with(&[
        ("number", r#"{"conditions": [{"field": "totalSpent", "operator": "gt", "value": 5}]}"#),
        ("text", r#"{"field": "plan", "operator": "contains", "value": "x"}"#),
        ("exists", r#"{"field": "totalSpent", "operator": "exists"}"#),
    ]);
    let since = r#"{"name": "totalSpent", "event": "p", "measure": {"fn": "since_last"}}"#;
    let faults = catalogue.check_trait(&json(since)).expect_err("refused");
    assert_eq!(faults.len(), 1);
    assert_eq!((faults[0].code, faults[0].pointer.as_str()), (code::BREAKS_RULE, ""));
    assert!(
        faults[0].message.contains("`number`") && faults[0].message.contains("/conditions/0/value"),
        "{}",
        faults[0]
    );
    let shadows = catalogue.check_trait(&json(r#"{"name": "plan", "event": "p"}"#)).expect_err("refused");
    assert!(shadows[0].message.contains("`text`"), "{}", shadows[0]);
    define(&mut catalogue, r#"{"name": "totalSpent", "event": "p", "measure": {"fn": "avg", "of": "v"}}"#);
    define(&mut catalogue, r#"{"name": "plan", "event": "p", "measure": {"fn": "last", "of": "plan"}}"#);
}

#[test]
fn catalogue_reads_literals_again_when_a_measure_changes_its_kind() {
    let rule = r#"{"field":"lapse","operator":"gt","value":"30d"}"#;
    let mut catalogue = with(&[("s", rule)]);
    for measure in ["since_last", "last", "since_first"] {
        let of = if measure == "last" { r#", "of": "x""# } else { "" };
        define(&mut catalogue, &format!(r#"{{"name": "lapse", "event": "p", "measure": {{"fn": "{measure}"{of}}}}}"#));
        let node = catalogue.segments["s"].rules().expect("dynamic");
        assert_eq!(node_to_json_with(node, &catalogue), rule);
        assert_eq!(catalogue.check_rules("s", &json(rule)).as_ref(), Ok(node));
    }
}

#[test]
fn catalogue_puts_dependencies_first() {
    let mut catalogue =
        with(&[("z", r#"{"event": "p"}"#), ("m", &refers_to("z")), ("a", &refers_to("m")), ("b", r#"{"event": "q"}"#)]);
    let order = |catalogue: &Catalogue| catalogue.in_dependency_order().join(" ");
    assert_eq!(order(&catalogue), "b z m a");
    // Not checked, as by hand: still every segment, once.
    let cyclic = Definition::Dynamic(Node::Segment("a".into()).into());
    catalogue.put_segment(Segment { id: "z".into(), version: 2, status: SegmentStatus::Active, definition: cyclic });
    assert_eq!(order(&catalogue), "b a m z");
}

#[test]
fn catalogue_follows_long_chains_without_a_stack() {
    let mut catalogue = with(&[("s00000", r#"{"event": "p"}"#)]);
    for n in 1..20_000 {
        let definition = Definition::Dynamic(Node::Segment(format!("s{:05}", n - 1).into()).into());
        catalogue.put_segment(Segment {
            id: format!("s{n:05}").into(),
            version: 1,
            status: SegmentStatus::Active,
            definition,
        });
    }
    assert_eq!(catalogue.in_dependency_order().len(), 20_000);
    assert!(catalogue.check_rules("s00000", &json(r#"{"segment": "s19999"}"#)).is_err());
}
