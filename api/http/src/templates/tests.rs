use audience_rules::time::format_time;
use audience_rules::timeline::{OracleSubject, TimelineOutcome, parse_timeline, run};
use serde_json::json;

use super::*;

const NOW: i64 = 1_780_000_000_000;
const DAY: i64 = 24 * 60 * 60 * 1_000;

fn template(id: &str) -> &'static Template {
    TEMPLATES.iter().find(|template| template.id == id).unwrap()
}

fn given(parameters: &serde_json::Value) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_str(&parameters.to_string()).unwrap()
}

/// A shop, of which every template has somebody: user, event, days ago, amount or category.
fn events() -> Vec<serde_json::Value> {
    let mut events = Vec::new();
    let mut add = |user: &str, event: &str, days: &[i64], properties: serde_json::Value| {
        for days in days {
            let timestamp = format_time(NOW - days * DAY);
            let event = json!({"userId": user, "eventType": event, "timestamp": timestamp, "properties": properties});
            events.push(json!({ "event": event }));
        }
    };
    add("champion", "purchase", &[5, 20, 40, 60, 80, 100], json!({"amount": 200}));
    add("risk", "purchase", &[100, 120, 140], json!({"amount": 200}));
    add("lost", "purchase", &[400], json!({"amount": 50}));
    add("once", "purchase", &[20], json!({"amount": 30}));
    add("fresh", "page_view", &[2], json!({"category": "books"}));
    add("fresh", "add_to_cart", &[1], json!({}));
    add("looker", "page_view", &[3, 4, 5, 40], json!({"category": "electronics"}));
    add("looker", "Order Completed", &[20], json!({"products": [{"name": "Cable"}, {"name": "Headphones"}]}));
    add("returner", "purchase", &[10, 20], json!({"amount": 20, "orderId": 7}));
    add("returner", "refund", &[8, 9, 10], json!({"orderId": 7}));
    let born = json!({"userId": "lost", "eventType": "identify", "timestamp": format_time(NOW - 400 * DAY),
        "traits": {"birthday": "1990-05-30"}});
    events.push(json!({ "event": born }));
    events
}

/// Holds the members of what a template makes against these, by the oracle.
#[track_caller]
fn has(id: &str, parameters: &serde_json::Value, members: &[&str]) {
    let rendered = template(id).render(&given(parameters)).unwrap();
    let rules: serde_json::Value = serde_json::from_str(rendered.rules.get()).unwrap();
    let mut lines = vec![json!({"at": format_time(NOW)})];
    lines.extend(events());
    lines.push(json!({"segment": {"id": id, "rules": rules}}));
    lines.push(json!({"expect": {id: members}}));
    let text: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let lines = parse_timeline(&text.join("\n")).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(run(&lines, &mut OracleSubject::default()), TimelineOutcome::default(), "{id}: {}", rendered.rules);
    assert!(!rendered.name.contains(['{', '}']) && !rendered.description.contains(['{', '}']), "{rendered:?}");
}

#[test]
fn every_file_is_a_template() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/templates/gallery");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!((TEMPLATES.len(), files.len()), (FILES.len(), FILES.len()));
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let read: Template = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file:?}: {error}"));
        assert_eq!(file.file_stem().unwrap().to_str(), Some(read.id.as_str()));
        let rules = read.rules.to_string();
        for Parameter { name, .. } in &template(&read.id).parameters {
            assert!(rules.contains(&format!("{{\"{PLACE}\":\"{name}\"}}")), "{}: {name} is not used", read.id);
        }
    }
}

#[test]
fn defaults() {
    let none = json!({});
    for (id, members) in [
        ("high-value", &["champion"][..]),
        ("top-spenders", &["champion"]),
        ("frequent-buyers", &["champion"]),
        ("rfm-champions", &["champion"]),
        ("rfm-at-risk", &["risk"]),
        ("rfm-promising", &["returner"]),
        ("lapsing", &["risk"]),
        ("lost", &["lost"]),
        ("new-users", &["fresh"]),
        ("new-customers", &["once", "returner"]),
        ("one-time-buyers", &["lost", "once"]),
        ("never-bought", &["fresh", "looker"]),
        ("cart-abandoners", &["fresh"]),
        ("interested-in", &["looker"]),
        ("frequent-returners", &["returner"]),
        ("spends-more", &["champion", "once", "returner"]),
        ("kept-orders", &["champion", "once"]),
        ("birthday", &["lost"]),
        ("bought-product", &["looker"]),
    ] {
        has(id, &none, members);
    }
}

#[test]
fn other_values() {
    has("high-value", &json!({"amount": 599.5, "window": "150d"}), &["champion", "risk"]);
    has("top-spenders", &json!({"percent": 50}), &["champion", "risk"]);
    has("frequent-buyers", &json!({"count": 1, "event": "refund", "window": "9d"}), &["returner"]);
    has("rfm-champions", &json!({"recent": "11d", "count": 2, "amount": 40}), &["champion", "returner"]);
    has("rfm-at-risk", &json!({"quiet": "110d"}), &[]);
    has("rfm-promising", &json!({"window": "15d"}), &[]);
    has("lapsing", &json!({"quiet": "15d", "before": "30d"}), &["once"]);
    has("lost", &json!({"quiet": "101d"}), &["lost"]);
    has("new-users", &json!({"window": "40d"}), &["fresh", "looker", "once", "returner"]);
    has("new-customers", &json!({"event": "refund"}), &["returner"]);
    has("one-time-buyers", &json!({"quiet": "30d"}), &["lost"]);
    has("never-bought", &json!({"window": "2d", "activity": "page_view"}), &[]);
    has("cart-abandoners", &json!({"quiet": "2d"}), &[]);
    has("interested-in", &json!({"value": "books", "count": 1}), &["fresh"]);
    has("frequent-returners", &json!({"count": 4}), &[]);
    has("spends-more", &json!({"property": "orderId"}), &["returner"]);
    has("kept-orders", &json!({"window": "150d", "undo": "chargeback"}), &["champion", "once", "returner", "risk"]);
    has("birthday", &json!({"days": 1}), &[]);
    has("bought-product", &json!({"product": "Cable", "window": "19d"}), &[]);
}

#[test]
fn faulty_values() {
    for (id, parameters, pointers) in [
        (
            "high-value",
            json!({"amount": "1000", "window": 30, "x/y": 1}),
            &["/parameters/x~1y", "/parameters/amount", "/parameters/window"][..],
        ),
        ("high-value", json!({"amount": -1}), &["/parameters/amount"]),
        ("top-spenders", json!({"percent": 100.5}), &["/parameters/percent"]),
        ("frequent-buyers", json!({"count": 1.5}), &["/parameters/count"]),
        ("frequent-buyers", json!({"count": 0}), &["/parameters/count"]),
        ("new-users", json!({"window": "7 days"}), &["/parameters/window"]),
        ("lost", json!({"event": ""}), &["/parameters/event"]),
        ("lost", json!({"event": ["a"]}), &["/parameters/event"]),
        // From longer ago to less long ago.
        ("lapsing", json!({"quiet": "30d", "before": "30d"}), &["/parameters"]),
    ] {
        let problem = template(id).render(&given(&parameters)).unwrap_err();
        let found: Vec<_> = problem.errors.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!((problem.status, found), (StatusCode::BAD_REQUEST, pointers.to_vec()), "{id} {parameters}");
    }
}

#[test]
fn values_are_put_in_as_they_were_given() {
    let parameters = serde_json::from_str(r#"{"amount": 999999999999999999.123456789}"#).unwrap();
    let rendered = template("high-value").render(&parameters).unwrap();
    assert!(rendered.rules.get().contains("999999999999999999.123456789"));
    let odd = given(&json!({"value": "{count} \" {x", "property": "a{b"}));
    let rendered = template("interested-in").render(&odd).unwrap();
    assert!(rendered.name.contains("{count} \" {x"), "{}", rendered.name);
    assert!(rendered.rules.get().contains(r#""value":"{count} \" {x""#), "{}", rendered.rules);
}

#[test]
fn names_say_durations_in_words() {
    let name = |parameters: serde_json::Value| template("high-value").render(&given(&parameters)).unwrap().name;
    assert_eq!(name(json!({"amount": 500.5, "window": "1w"})), "High value: 500.5 or more in 1 week");
    assert_eq!(name(json!({})), "High value: 1000 or more in 365 days");
    let lapsing = template("lapsing").render(&given(&json!({"quiet": "1d"}))).unwrap();
    assert!(lapsing.description.contains("1 day") && !lapsing.description.contains("1 days"), "{lapsing:?}");
}

#[test]
fn a_number_that_no_rule_may_have_is_told_from_what_is_none() {
    for (id, parameters, code, words) in [
        ("high-value", r#"{"amount": 1e19}"#, "out_of_range", "amount is a number beyond ±10^18"),
        ("frequent-buyers", r#"{"count": -99999999999999999999}"#, "out_of_range", "count is a number beyond ±10^18"),
        ("high-value", r#"{"amount": null}"#, "wrong_type", "amount takes a number"),
    ] {
        let problem = template(id).render(&serde_json::from_str(parameters).unwrap()).unwrap_err();
        let [only] = problem.errors.as_slice() else { panic!("{parameters}: {:?}", problem.errors) };
        assert_eq!((only.code, only.message.as_str()), (code, words), "{parameters}");
    }
}
