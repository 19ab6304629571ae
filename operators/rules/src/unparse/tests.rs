use super::*;
use crate::parse::{parse_behaviour, parse_rules};
use crate::testing::json;

fn round_trip(node: &Node) {
    let text = node_to_json(node);
    assert_eq!(parse_rules(&json(&text), &NoTraits).as_ref(), Ok(node), "{text}");
}

#[test]
fn unparsed_rule_reads_back_in_every_form() {
    for text in [
        r#"{"logic": "not", "conditions": [{"segment": "a\"\\\n\u0001é"}, {"sample": {"salt": "", "from": 0, "to": 9999}}]}"#,
        r#"{"field": "a.b", "operator": "not_between", "value": [-0.000000001, 1000000000000000000]}"#,
        r#"{"field": "a", "operator": "nin", "value": ["1", 1, true, false, 0.5]}"#,
        r#"{"field": "a", "operator": "not_contains", "value": true}"#,
        r#"{"field": "a", "operator": "matches", "value": "^\\d+\"$"}"#,
        r#"{"field": "a", "operator": "before", "value": "2026-01-01T00:00:00.007+01:00"}"#,
        r#"{"field": "a", "operator": "after", "value": "90m"}"#,
        r#"{"event": ["q", "p"], "where": {"conditions": [{"field": "context.a", "operator": "not_exists"}]}, "within": {"to": 7}}"#,
        r#"{"event": "*", "measure": {"fn": "since_first"}, "operator": "between", "value": ["1h", "10w"], "within": {"ago": ["2d", "1d"]}}"#,
        r#"{"event": "p", "measure": {"fn": "avg", "of": "timestamp"}, "operator": "ne", "value": 1.5, "within": "7d"}"#,
        r#"{"sequence": [{"event": "a"}, {"event": "*", "maxGap": "1d", "where": [{"field": "x", "operator": "ends_with", "value": "y"}, {"logic": "or", "conditions": [{"field": "timestamp", "operator": "after", "value": "1s"}]}]}], "within": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}}"#,
        r#"{"rank": {"by": {"event": "p", "measure": {"fn": "days"}}, "order": "ASC"}, "percent": 12.5, "among": {"event": "p"}}"#,
        r#"{"rank": {"by": "x"}, "top": 1000000}"#,
        r#"{"field": "a", "operator": "before", "value": "+3mo", "zone": "user"}"#,
        r#"{"field": "a", "operator": "after", "value": "now"}"#,
        r#"{"field": "a", "operator": "after", "value": "-7d", "zone": "Europe/Berlin"}"#,
        r#"{"field": "a", "operator": "before", "value": "2026-06-10"}"#,
        r#"{"field": "a", "operator": "before", "value": "2026-06-10 08:00:00.5", "zone": "UTC"}"#,
        r#"{"field": "a", "operator": "anniversary", "value": {"from": -3, "to": 7, "zone": "user"}}"#,
        r#"{"field": "a", "operator": "not_contains", "value": ["b", "a"]}"#,
        r#"{"field": "a", "operator": "in", "value": ["B", 1, true], "ignoreCase": true}"#,
        r#"{"field": "a", "operator": "matches", "value": "^a", "ignoreCase": true}"#,
        r#"{"event": "p", "within": {"calendar": "week", "from": -2, "to": -1, "weekStart": "sunday", "zone": "user"}}"#,
        r#"{"event": "p", "within": {"calendar": "quarter", "from": 0}}"#,
        r#"{"event": "p", "within": {"last": "18mo", "zone": "Asia/Tokyo"}}"#,
        r#"{"event": "p", "within": {"ago": ["1y", "30d"]}}"#,
        r#"{"event": "p", "within": {"from": "2026-06-01", "to": "2026-06-30T12:00:00", "zone": "user"}}"#,
        r#"{"event": "p", "measure": {"fn": "weeks", "weekStart": "sunday", "zone": "user"}, "operator": "gt", "value": 2}"#,
        r#"{"event": "p", "measure": {"fn": "sessions", "gap": "30m"}}"#,
        r#"{"event": "p", "measure": {"fn": "last", "of": "traits.plan", "nth": 2}, "operator": "exists"}"#,
        r#"{"event": "p", "each": "a.products", "where": {"field": "item.kind", "operator": "eq", "value": "toys"}, "measure": {"fn": "sum", "of": ["item.price", "item.quantity"]}, "unless": {"event": "return", "where": {"field": "properties.item.x", "operator": "exists"}, "same": ["item.sku", "sku"]}}"#,
        r#"{"event": "p", "where": {"field": "properties.traits.x", "operator": "exists"}, "unless": {"event": ["q", "r"], "same": "orderId"}}"#,
        r#"{"sequence": [{"event": "a"}, {"not": {"event": "b", "where": {"field": "x", "operator": "exists"}}}, {"event": "c"}, {"not": {"event": "d"}, "for": "2h"}], "same": ["sku", "context.x"], "within": "1mo"}"#,
        r#"{"left": {"event": "p", "within": "7d"}, "operator": "ne", "right": {"field": "lastPurchase"}}"#,
    ] {
        round_trip(&parse_rules(&json(text), &NoTraits).expect(text));
    }
}

#[test]
fn unparsed_rule_is_no_deeper_than_the_deepest_allowed() {
    let leaf =
        r#"{"event": "p", "where": [{"field": "a", "operator": "exists"}, {"field": "b", "operator": "exists"}]}"#;
    let text = format!("{}{leaf}{}", r#"{"conditions": ["#.repeat(14), "]}".repeat(14));
    round_trip(&parse_rules(&json(&text), &NoTraits).expect("valid"));
}

#[test]
fn unparsed_rule_is_compact_and_canonical() {
    let node = parse_rules(&json(r#"{"event": "p", "operator": ">", "value": 1.50}"#), &NoTraits).expect("valid");
    assert_eq!(node_to_json(&node), r#"{"event":"p","measure":"count","operator":"gt","value":1.5}"#);
    let (name, behaviour) = parse_behaviour(&json(r#"{"name": "t", "event": "*"}"#)).expect("valid");
    assert_eq!(behaviour_to_json(&name, &behaviour), r#"{"event":"*","measure":"count","name":"t"}"#);
}

#[test]
fn unparsed_test_without_an_operator_is_a_group() {
    let condition = Condition::StartsWith("a".into());
    let node = Node::Trait { field: "f".into(), test: Test { negated: true, condition } };
    let expected = r#"{"conditions":[{"field":"f","operator":"starts_with","value":"a"}],"logic":"NOT"}"#;
    assert_eq!(node_to_json(&node), expected);
}
