//! The examples of the reference pages hold: each block of docs/ that says what it is (```json rules, trait or event) is taken by the parser that production uses.

use std::fs;

use audience_rules::catalogue::{Catalogue, Definition, Segment, SegmentStatus};
use audience_rules::event::{EventDefaults, decode_event};
use audience_rules::json::parse_json;

/// A fenced block of a page: the line at which it begins, what it says it is, and its text.
#[derive(Debug, PartialEq)]
struct Example {
    line: usize,
    kind: String,
    text: String,
}

fn examples(page: &str) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut is_open = false;
    for (line, text) in (1..).zip(page.lines()) {
        match text.strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(info) => {
                is_open = true;
                found.push(Example { line, kind: info.trim().to_owned(), text: String::new() });
            }
            None if is_open => {
                if let Some(example) = found.last_mut() {
                    example.text.push_str(text);
                    example.text.push('\n');
                }
            }
            None => {}
        }
    }
    found
}

fn read(page: &str) -> Vec<Example> {
    let path = format!("{}/../../docs/{page}", env!("CARGO_MANIFEST_DIR"));
    examples(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")))
}

/// A catalogue with the segments that the pages refer to.
fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::with_shipped_traits();
    for id in ["high-value", "staff"] {
        let definition =
            Definition::Static(std::iter::once("user123".into()).collect::<std::collections::BTreeSet<_>>().into());
        catalogue.put_segment(Segment { id: id.into(), version: 1, status: SegmentStatus::Active, definition });
    }
    catalogue
}

/// The fault of an example; `None` for a right one, and for a block that shows something else.
fn fault(example: &Example) -> Option<String> {
    let json = |text: &str| parse_json(text.as_bytes()).map_err(|fault| format!("{fault:?}"));
    let result = match example.kind.as_str() {
        "json rules" => json(&example.text)
            .and_then(|rules| catalogue().check_rules("docs", &rules).map_err(|faults| format!("{faults:?}")))
            .map(drop),
        "json trait" => json(&example.text)
            .and_then(|definition| catalogue().check_trait(&definition).map_err(|faults| format!("{faults:?}")))
            .map(drop),
        "json event" => decode_event(example.text.as_bytes(), &EventDefaults { accepted_at: 0 }, &mut Vec::new())
            .map_err(|fault| fault.to_string()),
        _ => return None,
    };
    result.err().map(|fault| format!("line {}: {fault}", example.line))
}

#[test]
fn examples_of_the_reference_pages_are_taken() {
    let pages = [
        ("rules.md", 7),
        ("rules-sequences.md", 8),
        ("rules-measures.md", 8),
        ("rules-orders.md", 3),
        ("rules-times.md", 9),
        ("rules-values.md", 5),
        ("computed-traits.md", 1),
        ("events.md", 4),
    ];
    for (page, least) in pages {
        let examples = read(page);
        let named = examples.iter().filter(|example| example.kind.starts_with("json ")).count();
        assert!(named >= least, "{page} has {named} examples, {least} at least are expected");
        let faults: Vec<String> = examples.iter().filter_map(fault).collect();
        assert!(faults.is_empty(), "{page}:\n{}", faults.join("\n"));
    }
}

#[test]
fn a_faulty_example_is_found() {
    let page = "```json rules\n{\"field\": \"a\"}\n```\ntext\n```json event\n{\"userId\": 1}\n```\n```sh\nls\n```\n";
    let faults: Vec<Option<String>> = examples(page).iter().map(fault).collect();
    assert!(faults[0].as_ref().is_some_and(|fault| fault.starts_with("line 1:")), "{faults:?}");
    assert!(faults[1].as_ref().is_some_and(|fault| fault.starts_with("line 5:")), "{faults:?}");
    assert_eq!(faults[2], None);
}
