//! Explanations in full, to be read by eye.

use crate::ast::Millis;
use crate::oracle::WorldAt;
use crate::time::{format_time, parse_rfc3339};
use crate::timeline::{OracleSubject, parse_timeline, run};
use crate::unparse::value_to_json;

use super::*;

const NOW: &str = "2026-02-01T00:00:00Z";

const SHOP: &str = r#"{"at": "2026-01-01T00:00:00Z"}
    {"trait": {"name": "spent", "event": "purchase", "measure": {"fn": "sum", "of": "amount"}}}
    {"segment": {"id": "list", "members": ["a", "z"]}}
    {"segment": {"id": "off", "rules": {"event": "*"}, "status": "INACTIVE"}}
    {"segment": {"id": "buyers", "rules": {"event": "purchase", "where": [{"field": "amount", "operator": "gt", "value": 10}], "operator": ">", "value": 1, "within": "30d"}}}
    {"segment": {"id": "all", "rules": {"conditions": [{"segment": "buyers"}, {"logic": "NOT", "conditions": [{"segment": "off"}, {"field": "plan", "operator": "ne", "value": "gold"}]}, {"field": "spent", "operator": "gte", "value": 60}]}}}
    {"segment": {"id": "path", "rules": {"sequence": [{"event": "visit"}, {"event": "purchase", "maxGap": "1d"}], "within": {"ago": ["60d", "1d"]}}}}
    {"segment": {"id": "best", "rules": {"rank": {"by": "spent"}, "top": 1, "among": {"event": "purchase"}}}}
    {"segment": {"id": "gone", "rules": {"event": "visit", "measure": {"fn": "since_last"}, "operator": "gt", "value": "29d"}}}
    {"segment": {"id": "left", "rules": {"sequence": [{"event": "visit"}, {"not": {"event": "refund"}}, {"not": {"event": "purchase", "where": {"field": "amount", "operator": "gt", "value": 30}}, "for": "40d"}]}}}
    {"event": {"userId": "a", "eventType": "visit", "timestamp": "2026-01-05T00:00:00Z"}}
    {"event": {"userId": "a", "eventType": "purchase", "timestamp": "2026-01-05T12:00:00Z", "messageId": "m", "properties": {"amount": 20}}}
    {"event": {"userId": "a", "eventType": "purchase", "timestamp": "2026-01-10T00:00:00Z", "properties": {"amount": 40}}}
    {"event": {"userId": "a", "eventType": "purchase", "timestamp": "2026-01-11T00:00:00Z", "properties": {"amount": 5}}}
    {"event": {"userId": "b", "eventType": "purchase", "timestamp": "2026-01-11T00:00:00Z", "properties": {"amount": 100}}}"#;

fn shop() -> OracleSubject {
    let mut subject = OracleSubject::default();
    let outcome = run(&parse_timeline(SHOP).expect("a timeline"), &mut subject);
    assert_eq!(outcome.refusals, []);
    subject
}

fn now() -> Millis {
    parse_rfc3339(NOW).expect("a time")
}

/// The explanation as lines: pointer, whether it holds, text, value, events of all, when it changes.
fn lines(moment: &WorldAt<'_>, user: &str, segment: &str, knows_all: bool) -> Vec<String> {
    let mut explainer = Explainer::new(moment, user, knows_all).expect("a known user");
    let explained = explainer.explain(&moment.catalogue().segments[segment]);
    let mut lines = Vec::new();
    let mut open = vec![&explained];
    while let Some(node) = open.pop() {
        let held = node.held.map_or("?", |held| if held { "+" } else { "-" });
        let value = node.value.as_ref().map_or("", |_| " is ").to_owned()
            + &node.value.as_ref().map_or(String::new(), value_to_json);
        let events = node.evidence.as_ref().map_or(String::new(), |found| format!(" of {}", found.total));
        let missing = if node.missing { " missing" } else { "" };
        let change = node.change.map_or(String::new(), |change| {
            let at = change.at.map_or("any time".into(), format_time);
            format!(" until {at}{}", if change.is_certain { "" } else { "?" })
        });
        lines.push(format!("{} {held} {}{value}{missing}{events}{change}", node.pointer, node.text));
        open.extend(node.children.iter().rev());
    }
    lines
}

#[test]
fn explanation_says_for_every_node_what_was_found() {
    let subject = shop();
    let moment = subject.world.at(now());
    assert_eq!(
        lines(&moment, "a", "all", false),
        [
            " - all 3 hold",
            "/conditions/0 + in segment buyers until 2026-02-04T12:00:00Z",
            " + purchase count where amount > 10 in the last 30 days > 1 is 2 of 2 until 2026-02-04T12:00:00Z",
            "/conditions/1 - none of 2 holds",
            "/conditions/1/conditions/0 - in segment off, which is not active",
            "/conditions/1/conditions/1 + plan ≠ \"gold\" missing of 0",
            "/conditions/2 + spent ≥ 60 is 65 of 3",
        ]
    );
    assert_eq!(
        lines(&moment, "a", "path", false),
        [" + visit, then purchase within 1 day from 60 days to 1 day ago of 2 until 2026-03-06T00:00:00Z"]
    );
    assert_eq!(lines(&moment, "a", "list", false), [" + on the list of 2 users"]);
    let list = &moment.catalogue().segments["list"];
    let held = |user| Explainer::of_stranger(&moment, user).explain(list).held;
    assert_eq!((held("z"), held("y")), (Some(true), Some(false)));
    assert_eq!(
        lines(&moment, "a", "gone", false),
        [" - time since the last visit > 29 days is \"27d\" of 1 until 2026-02-03T00:00:00.001Z"]
    );
}

#[test]
fn explanation_says_what_came_though_it_must_not() {
    let subject = shop();
    let undone = |now: &str| {
        let moment = subject.world.at(parse_rfc3339(now).expect("a time"));
        let mut explainer = Explainer::new(&moment, "a", false).expect("a known user");
        let explained = explainer.explain(&moment.catalogue().segments["left"]);
        let evidence = explained.evidence.expect("a sequence has evidence");
        let told = |event: &EventRef<'_>| format!("{} {}", event.event_type(), format_time(event.timestamp()));
        evidence.undone.iter().map(|(event, by)| [told(event), told(by)]).collect::<Vec<_>>()
    };
    assert_eq!(undone("2026-01-09T00:00:00Z"), Vec::<[String; 2]>::new(), "nothing came yet that must not");
    assert_eq!(undone(NOW), [["visit 2026-01-05T00:00:00Z", "purchase 2026-01-10T00:00:00Z"].map(str::to_owned)]);
}

#[test]
fn explanation_knows_a_rank_only_among_all_users() {
    let subject = shop();
    let moment = subject.world.at(now());
    let among = "/among + purchase count ≥ 1 is 3 of 3";
    let text = "among the 1 with the highest spent among those below";
    assert_eq!(lines(&moment, "a", "best", true), [format!(" - {text}; place 2 of 2 is 65 of 3"), among.to_owned()]);
    assert_eq!(lines(&moment, "a", "best", false), [format!(" ? {text} is 65 of 3 until any time?"), among.to_owned()]);
    let mut explainer = Explainer::new(&moment, "a", false).expect("a known user").assuming(Some(false));
    assert_eq!(explainer.explain(&moment.catalogue().segments["best"]).held, Some(false));
}

#[test]
fn explanation_of_the_past_is_as_of_then() {
    let subject = shop();
    let moment = subject.world.at(parse_rfc3339("2026-01-06T00:00:00Z").expect("a time"));
    assert_eq!(
        lines(&moment, "a", "buyers", false),
        [" - purchase count where amount > 10 in the last 30 days > 1 is 1 of 1 until 2026-01-10T00:00:00Z"]
    );
}

#[test]
fn dependencies_reach_through_references() {
    let subject = shop();
    let dependencies = |id| Dependencies::of(&subject.world.catalogue, id);
    let all = dependencies("all");
    assert_eq!(all.segments.iter().map(|id| &**id).collect::<Vec<_>>(), ["all", "buyers", "off"]);
    assert_eq!(all.traits.iter().map(|name| &**name).collect::<Vec<_>>(), ["spent"]);
    assert_eq!((all.depth, all.has_rank), (1, false));
    assert_eq!((dependencies("best").depth, dependencies("best").has_rank, dependencies("list").depth), (0, true, 0));
}
