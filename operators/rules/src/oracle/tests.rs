//! Sentences of the rule language that the conformance timelines leave open, each as a timeline.

use crate::timeline::{OracleSubject, TimelineOutcome, parse_timeline, run};

fn passes(text: &str) {
    let lines = parse_timeline(text).unwrap_or_else(|fault| panic!("{fault}"));
    assert_eq!(run(&lines, &mut OracleSubject::default()), TimelineOutcome::default());
}

#[test]
fn oracle_counts_one_event_a_message_of_a_merged_user() {
    passes(
        r#"{"at": "2026-01-01T00:00:00Z"}
        {"segment": {"id": "two", "rules": {"event": "p", "operator": "gte", "value": 2}}}
        {"segment": {"id": "first", "rules": {"event": "p", "measure": {"fn": "sum", "of": "v"}, "operator": "eq", "value": 1}}}
        {"event": {"userId": "a", "eventType": "p", "messageId": "m", "properties": {"v": 1}}}
        {"event": {"userId": "b", "eventType": "p", "messageId": "m", "timestamp": "2025-01-01T00:00:00Z", "properties": {"v": 2}}}
        {"expect": {"two": [], "first": ["a"]}}
        {"event": {"userId": "b", "previousId": "a", "eventType": "alias"}}
        {"expect": {"two": [], "first": ["b"]}}
        {"event": {"userId": "a", "eventType": "p", "messageId": "n"}}
        {"expect": {"two": ["b"]}}"#,
    );
}

#[test]
fn oracle_resolves_aliases_before_it_takes_them() {
    passes(
        r#"{"at": "2026-01-01T00:00:00Z"}
        {"segment": {"id": "all", "rules": {"logic": "not", "conditions": [{"event": "none"}]}}}
        {"segment": {"id": "list", "type": "STATIC", "members": ["a", "b", "c", "d"]}}
        {"event": {"userId": "a", "eventType": "p"}}
        {"event": {"userId": "b", "previousId": "a", "eventType": "alias", "timestamp": "2199-01-01T00:00:00Z"}}
        {"event": {"userId": "c", "previousId": "a", "eventType": "alias"}}
        {"expect": {"all": ["c"], "list": ["c", "d"]}}
        {"event": {"userId": "a", "previousId": "c", "eventType": "alias"}}
        {"event": {"userId": "a", "previousId": "a", "eventType": "alias"}}
        {"event": {"userId": "a", "anonymousId": "d", "eventType": "identify"}}
        {"event": {"userId": "e", "anonymousId": "f", "eventType": "p"}}
        {"event": {"anonymousId": "f", "eventType": "p"}}
        {"expect": {"all": ["c", "e", "f"], "list": ["c"]}}"#,
    );
}

#[test]
fn oracle_takes_the_latest_identify_trait() {
    passes(
        r#"{"at": "2026-01-01T00:00:00Z"}
        {"segment": {"id": "deep", "rules": {"field": "a.b", "operator": "eq", "value": 1}}}
        {"segment": {"id": "gone", "rules": {"field": "a.c", "operator": "not_exists"}}}
        {"event": {"userId": "u", "eventType": "identify", "traits": {"a": {"b": 1, "c": 2}, "a.b": 5}}}
        {"event": {"userId": "v", "eventType": "identify", "traits": {"a.b": 1, "a": [{"b": 1}]}}}
        {"event": {"userId": "w", "eventType": "p", "traits": {"a": {"b": 1}}}}
        {"expect": {"deep": ["v"], "gone": ["v", "w"]}}
        {"event": {"userId": "u", "eventType": "identify", "traits": {"a": {"b": 1}}}}
        {"expect": {"deep": ["v"], "gone": ["u", "v", "w"]}}
        {"event": {"userId": "u", "eventType": "identify", "traits": {"a.b": 1e400}}}
        {"expect": {"deep": ["u", "v"]}}
        {"event": {"userId": "u", "eventType": "identify", "traits": {"a": 1e400}}}
        {"expect": {"deep": ["v"]}}
        {"trait": {"name": "a", "event": "p"}}
        {"segment": {"id": "computed", "rules": {"field": "a", "operator": "eq", "value": 1}}}
        {"expect": {"computed": ["w"], "deep": ["v"]}}"#,
    );
}

#[test]
fn oracle_ranks_numbers_and_texts_of_one() {
    passes(
        r#"{"at": "2026-01-01T00:00:00Z"}
        {"segment": {"id": "last", "rules": {"rank": {"by": {"event": "p", "measure": {"fn": "last", "of": "v"}}}, "top": 2}}}
        {"segment": {"id": "avg", "rules": {"rank": {"by": {"event": "p", "measure": {"fn": "avg", "of": "v"}}, "order": "ASC"}, "percent": 0.000000001}}}
        {"segment": {"id": "oldest", "rules": {"rank": {"by": {"event": "*", "measure": {"fn": "since_first"}}}, "top": 1}}}
        {"segment": {"id": "age", "rules": {"rank": {"by": "age"}, "percent": 100}}}
        {"event": {"userId": "a", "eventType": "p", "properties": {"v": "99"}}}
        {"event": {"userId": "b", "eventType": "p", "properties": {"v": 3.5}, "timestamp": "2025-01-01T00:00:00Z"}}
        {"event": {"userId": "c", "eventType": "p", "properties": {"v": 3}}}
        {"event": {"userId": "c", "eventType": "p", "properties": {"v": 4}}}
        {"event": {"userId": "c", "eventType": "p", "properties": {"v": 3}}}
        {"event": {"userId": "d", "eventType": "identify", "traits": {"age": 30}}}
        {"event": {"userId": "e", "eventType": "identify", "traits": {"age": "31"}}}
        {"expect": {"last": ["a", "b"], "avg": ["c"], "oldest": ["b"], "age": ["d", "e"]}}"#,
    );
}

#[test]
fn oracle_ranks_averages_unrounded() {
    // 10/3 and 3.333333333 differ only beyond the ninth digit.
    passes(
        r#"{"at": "2026-01-01T00:00:00Z"}
        {"segment": {"id": "top", "rules": {"rank": {"by": {"event": "p", "measure": {"fn": "avg", "of": "v"}}}, "top": 1}}}
        {"segment": {"id": "bottom", "rules": {"rank": {"by": {"event": "q", "measure": {"fn": "avg", "of": "v"}}}, "top": 1}}}
        {"event": {"userId": "a", "eventType": "p", "properties": {"v": 3.333333333}}}
        {"event": {"userId": "b", "eventType": "p", "properties": {"v": 10}}}
        {"event": {"userId": "b", "eventType": "p", "properties": {"v": 0}}}
        {"event": {"userId": "b", "eventType": "p", "properties": {"v": 0}}}
        {"event": {"userId": "a", "eventType": "q", "properties": {"v": -3.333333333}}}
        {"event": {"userId": "b", "eventType": "q", "properties": {"v": -10}}}
        {"event": {"userId": "b", "eventType": "q", "properties": {"v": 0}}}
        {"event": {"userId": "b", "eventType": "q", "properties": {"v": 0}}}
        {"expect": {"top": ["b"], "bottom": ["a"]}}"#,
    );
}

#[test]
fn oracle_measures_gaps_between_the_chosen_events_of_a_sequence() {
    passes(
        r#"{"at": "2026-01-10T00:00:00Z"}
        {"segment": {"id": "gap", "rules": {"sequence": [{"event": "a"}, {"event": "b", "maxGap": "1d"}, {"event": "a", "maxGap": "1d"}]}}}
        {"segment": {"id": "same", "rules": {"sequence": [{"event": "x"}, {"event": "x"}], "within": "2d"}}}
        {"event": {"userId": "u", "eventType": "a", "timestamp": "2026-01-01T00:00:00Z"}}
        {"event": {"userId": "u", "eventType": "b", "timestamp": "2026-01-02T00:00:00Z"}}
        {"event": {"userId": "u", "eventType": "b", "timestamp": "2026-01-02T00:00:01Z"}}
        {"event": {"userId": "u", "eventType": "a", "timestamp": "2026-01-03T00:00:01Z"}}
        {"expect": {"gap": []}}
        {"event": {"userId": "u", "eventType": "a", "timestamp": "2026-01-01T00:00:01Z"}}
        {"expect": {"gap": ["u"]}}
        {"event": {"userId": "v", "eventType": "x", "timestamp": "2026-01-09T00:00:00Z"}}
        {"event": {"userId": "v", "eventType": "x", "timestamp": "2026-01-09T00:00:00Z"}}
        {"event": {"userId": "w", "eventType": "x", "timestamp": "2026-01-08T00:00:00Z"}}
        {"event": {"userId": "w", "eventType": "x", "timestamp": "2026-01-09T00:00:00Z"}}
        {"event": {"userId": "z", "eventType": "x", "timestamp": "2026-01-08T00:00:00.001Z"}}
        {"event": {"userId": "z", "eventType": "x", "timestamp": "2026-01-09T00:00:00Z"}}
        {"event": {"userId": "z", "eventType": "x", "timestamp": "2026-01-11T00:00:00Z"}}
        {"expect": {"same": ["z"]}}"#,
    );
}

#[test]
fn oracle_gives_segments_that_are_not_active_no_members() {
    passes(
        r#"{"at": "2026-01-01T00:00:00Z"}
        {"event": {"userId": "u", "eventType": "p"}}
        {"segment": {"id": "draft", "rules": {"event": "p"}, "status": "DRAFT"}}
        {"segment": {"id": "list", "type": "STATIC", "members": ["u"], "status": "inactive"}}
        {"segment": {"id": "of", "rules": {"logic": "OR", "conditions": [{"segment": "draft"}, {"segment": "list"}]}}}
        {"expect": {"draft": [], "list": [], "of": []}}"#,
    );
}

#[test]
fn oracle_counts_no_event_of_the_future() {
    passes(
        r#"{"at": "2026-01-01T12:00:00Z"}
        {"segment": {"id": "fixed", "rules": {"event": "*", "within": {"to": "2026-02-01T00:00:00Z"}}}}
        {"segment": {"id": "days", "rules": {"event": "*", "measure": {"fn": "days"}, "operator": "eq", "value": 2}}}
        {"event": {"userId": "u", "eventType": "p", "timestamp": "2026-01-02T00:00:00Z"}}
        {"event": {"userId": "u", "eventType": "p", "timestamp": "2026-01-03T23:59:59.999Z"}}
        {"expect": {"fixed": [], "days": []}}
        {"at": "2026-01-02T00:00:00Z"}
        {"expect": {"fixed": ["u"], "days": []}}
        {"at": "2026-01-04T00:00:00Z"}
        {"expect": {"fixed": ["u"], "days": ["u"]}}"#,
    );
}

#[test]
fn oracle_forgets_an_erased_user_until_a_later_event() {
    passes(
        r#"{"at": "2026-01-01T12:00:00Z"}
        {"segment": {"id": "one", "rules": {"event": "p", "operator": "eq", "value": 1}}}
        {"segment": {"id": "two", "rules": {"event": "p", "operator": "gte", "value": 2}}}
        {"segment": {"id": "named", "rules": {"field": "name", "operator": "exists"}}}
        {"segment": {"id": "not", "rules": {"logic": "NOT", "conditions": [{"event": "p"}]}}}
        {"segment": {"id": "list", "members": ["b"]}}
        {"event": {"userId": "a", "eventType": "p", "messageId": "m"}}
        {"event": {"userId": "b", "eventType": "p", "timestamp": "2026-01-02T00:00:00Z"}}
        {"event": {"userId": "b", "eventType": "identify", "traits": {"name": "x"}}}
        {"event": {"userId": "a", "previousId": "b", "eventType": "alias"}}
        {"event": {"userId": "c", "eventType": "p"}}
        {"expect": {"one": ["a", "c"], "named": ["a"], "list": ["a"]}}
        {"eraseUser": "b"}
        {"expect": {"one": ["c"], "two": [], "named": [], "not": [], "list": ["b"]}}
        {"at": "2026-01-02T00:00:00Z"}
        {"expect": {"one": ["c"], "two": []}}
        {"event": {"userId": "a", "eventType": "p", "messageId": "m"}}
        {"event": {"userId": "b", "eventType": "q"}}
        {"expect": {"one": ["a", "c"], "two": [], "named": [], "not": ["b"], "list": ["b"]}}
        {"event": {"userId": "a", "previousId": "b", "eventType": "alias"}}
        {"expect": {"one": ["a", "c"], "two": [], "named": [], "not": [], "list": ["a"]}}
        {"eraseUser": "nobody"}
        {"expect": {"one": ["a", "c"]}}"#,
    );
}
