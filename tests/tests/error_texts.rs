//! An error says its cause once. One whose text has the cause in it names no source beside it, since whoever prints the
//! chain of causes would print that cause twice; `#[error(transparent)]` hands both on.

mod sources;

use std::fs;
use std::path::Path;

use sources::collect;

const ROOMS: [&str; 5] = ["api", "bench", "connectors", "dataflow", "operators"];

#[test]
fn an_error_does_not_say_its_cause_twice() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut files = Vec::new();
    ROOMS.iter().for_each(|room| collect(&root.join(room), &mut files));
    let mut faults = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source file");
        let place = file.strip_prefix(root).expect("below the root").display().to_string();
        faults.extend(told_twice(&text).into_iter().map(|variant| format!("- {place}: {variant}")));
    }
    assert!(faults.is_empty(), "these have their cause in the text and as source:\n{}", faults.join("\n"));
}

#[test]
fn error_check_finds_a_cause_that_is_said_twice() {
    let source = r#"
        #[error("it cannot be read: {0}")]
        Read(#[from] io::Error),
        #[error("{what}: {cause}")]
        Failed { what: String, #[source] cause: Cause },
        #[error("it cannot be read")]
        Fine(#[from] io::Error),
        #[error(transparent)]
        Store(#[from] StoreError),
        #[error("{0}")]
        Text(String),
    "#;
    assert_eq!(told_twice(source), ["Read", "Failed"]);
}

/// The variants whose `#[error]` writes a field that is their source too.
fn told_twice(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for part in source.split("#[error(").skip(1) {
        let Some((attribute, after)) = part.split_once(")]\n") else { continue };
        let writes_a_field = attribute.contains('{') || attribute.contains(".0");
        let after = after.trim_start();
        let body = body_of(after);
        if writes_a_field && (body.contains("#[from]") || body.contains("#[source]") || body.contains(" source:")) {
            found.push(after.split(['(', '{', ' ', ',']).next().unwrap_or_default());
        }
    }
    found
}

/// A variant up to the end of its fields.
fn body_of(variant: &str) -> &str {
    let mut depth = 0_usize;
    for (at, letter) in variant.char_indices() {
        match letter {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' if depth <= 1 => return &variant[..at],
            ')' | '}' | ']' => depth -= 1,
            ',' if depth == 0 => return &variant[..at],
            _ => {}
        }
    }
    variant
}
