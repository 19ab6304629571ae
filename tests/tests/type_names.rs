//! A type's name has one meaning in the whole workspace, tests and benchmarks included, so that a reader who looks for a
//! name finds one definition. `Error` is each connector's own, as is usual.

mod sources;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use sources::collect;

const ROOMS: [&str; 6] = ["api", "bench", "connectors", "dataflow", "operators", "tests"];
const SHARED_NAMES: [&str; 1] = ["Error"];

#[test]
fn a_type_name_is_defined_once() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut files = Vec::new();
    ROOMS.iter().for_each(|room| collect(&root.join(room), &mut files));
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let place = file.strip_prefix(root).expect("below the root").display().to_string();
        for name in defined(&text) {
            places.entry(name.to_owned()).or_default().push(place.clone());
        }
    }
    assert!(places.len() > 500, "the check reads the tree");
    places.retain(|name, places| places.len() > 1 && !SHARED_NAMES.contains(&name.as_str()));
    assert!(places.is_empty(), "these names are defined more than once; rename all but one: {places:#?}");
}

#[test]
fn name_check_reads_definitions_alone() {
    let source =
        "pub(crate) struct A<T>;\n    enum B {\n        C,\n    }\npub trait D: E {}\n// struct F\nlet struct_g = 1;\n";
    assert_eq!(defined(source), ["A", "B", "D"]);
}

/// The names of the structs, enums and traits that a source file defines, in its order.
fn defined(source: &str) -> Vec<&str> {
    source.lines().filter_map(defined_in_line).collect()
}

fn defined_in_line(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    let mut word = words.next()?;
    if word.starts_with("pub") {
        word = words.next()?;
    }
    if !matches!(word, "struct" | "enum" | "trait") {
        return None;
    }
    let name = words.next()?;
    let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(name.len());
    let name = &name[..end];
    name.starts_with(|letter: char| letter.is_uppercase()).then_some(name)
}
