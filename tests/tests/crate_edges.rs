//! Which crate may depend on what: a crate of this workspace exists to keep a dependency out, and this says which.
//!
//! The declared dependencies of every member are read from `cargo metadata` and held against [`LAYERS`]. Development
//! dependencies are free. A new member has to be added here, or the test fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The crates of the workspace that one crate may use, and those from outside that it may not.
struct Layer {
    name: &'static str,
    internal: Internal,
    forbidden: &'static [&'static [&'static str]],
}

enum Internal {
    /// These members and no other.
    Only(&'static [&'static str]),
    /// Every member but these.
    AllBut(&'static [&'static str]),
}

/// The dataflow libraries. A `*` takes in all crates of the family: `timely*` is also `timely-communication`.
const DATAFLOW: &[&str] = &["timely*", "differential*"];
/// Runtimes for asynchronous code.
const ASYNC: &[&str] = &["tokio*", "async-std", "smol", "mio"];
/// HTTP, on either side.
const HTTP: &[&str] = &["warp", "hyper*", "axum*", "reqwest", "ureq"];
/// Stores, brokers and their clients.
const STORES: &[&str] = &[
    "fjall",
    "redb",
    "rusqlite",
    "sled",
    "rdkafka*",
    "postgres*",
    "tokio-postgres*",
    "deadpool*",
    "sqlx*",
    "aerospike*",
    "redis",
    "object_store",
    "parquet*",
];

const LAYERS: &[Layer] = &[
    Layer {
        name: "audience-rules",
        internal: Internal::Only(&[]),
        forbidden: &[DATAFLOW, ASYNC, HTTP, STORES, &["memmap2", "socket2"]],
    },
    Layer {
        name: "audience-sends",
        internal: Internal::Only(&[]),
        forbidden: &[DATAFLOW, ASYNC, HTTP, STORES, &["socket2"]],
    },
    Layer {
        name: "audience-kernel",
        internal: Internal::Only(&["audience-rules", "audience-contract"]),
        forbidden: &[ASYNC, HTTP, STORES],
    },
    Layer { name: "audience-contract", internal: Internal::Only(&["audience-rules"]), forbidden: &[] },
    Layer {
        name: "audience-embedded",
        internal: Internal::Only(&["audience-contract", "audience-rules"]),
        forbidden: &[],
    },
    Layer {
        name: "audience-postgres",
        internal: Internal::Only(&["audience-contract", "audience-rules"]),
        forbidden: &[DATAFLOW, HTTP],
    },
    Layer {
        name: "audience-kafka",
        internal: Internal::Only(&["audience-contract", "audience-rules", "audience-trace"]),
        forbidden: &[DATAFLOW, ASYNC, HTTP],
    },
    Layer {
        name: "audience-objects",
        internal: Internal::Only(&["audience-contract", "audience-rules"]),
        forbidden: &[DATAFLOW],
    },
    Layer {
        name: "audience-redis",
        internal: Internal::Only(&["audience-contract"]),
        forbidden: &[DATAFLOW, ASYNC, HTTP],
    },
    Layer {
        name: "audience-aerospike",
        internal: Internal::Only(&["audience-contract"]),
        forbidden: &[DATAFLOW, HTTP],
    },
    Layer { name: "audience-oidc", internal: Internal::Only(&["audience-contract"]), forbidden: &[DATAFLOW, STORES] },
    Layer {
        name: "audience-webhooks",
        internal: Internal::Only(&["audience-contract", "audience-trace"]),
        forbidden: &[DATAFLOW, STORES],
    },
    Layer { name: "audience-resend", internal: Internal::Only(&["audience-contract"]), forbidden: &[DATAFLOW, STORES] },
    Layer {
        name: "audience-smtp",
        internal: Internal::Only(&["audience-contract"]),
        forbidden: &[DATAFLOW, ASYNC, HTTP, STORES],
    },
    Layer {
        name: "audience-catalogue",
        internal: Internal::Only(&["audience-background", "audience-contract", "audience-protocol", "audience-rules"]),
        forbidden: &[DATAFLOW, ASYNC, HTTP, STORES],
    },
    Layer { name: "audience-background", internal: Internal::Only(&[]), forbidden: &[DATAFLOW, ASYNC, HTTP, STORES] },
    Layer {
        name: "audience-trace",
        internal: Internal::Only(&[]),
        forbidden: &[DATAFLOW, ASYNC, HTTP, STORES, &["opentelemetry*", "tracing-opentelemetry"]],
    },
    Layer {
        name: "audience-emit",
        internal: Internal::Only(&[
            "audience-background",
            "audience-catalogue",
            "audience-contract",
            "audience-protocol",
            "audience-rules",
            "audience-trace",
        ]),
        forbidden: &[DATAFLOW, ASYNC, HTTP, STORES],
    },
    Layer {
        name: "audience-engine",
        internal: Internal::Only(&[
            "audience-background",
            "audience-catalogue",
            "audience-emit",
            "audience-kernel",
            "audience-contract",
            "audience-rules",
            "audience-protocol",
            "audience-trace",
        ]),
        forbidden: &[ASYNC, HTTP, STORES],
    },
    Layer {
        name: "audience-sender",
        internal: Internal::Only(&[
            "audience-background",
            "audience-contract",
            "audience-protocol",
            "audience-rules",
            "audience-sends",
        ]),
        forbidden: &[DATAFLOW, ASYNC, HTTP, STORES],
    },
    Layer { name: "audience-protocol", internal: Internal::Only(&["audience-rules"]), forbidden: &[] },
    Layer {
        name: "audience-auth",
        internal: Internal::Only(&["audience-contract", "audience-protocol"]),
        forbidden: &[DATAFLOW, ASYNC, HTTP, STORES],
    },
    Layer {
        name: "audience-api",
        internal: Internal::Only(&[
            "audience-auth",
            "audience-console",
            "audience-protocol",
            "audience-rules",
            "audience-trace",
        ]),
        forbidden: &[DATAFLOW, STORES],
    },
    Layer { name: "audience-console", internal: Internal::Only(&[]), forbidden: &[DATAFLOW, ASYNC, HTTP, STORES] },
    Layer {
        name: "audience-reference",
        internal: Internal::Only(&["audience-rules"]),
        forbidden: &[ASYNC, HTTP, STORES],
    },
    Layer {
        name: "audience",
        // The reference is the program's, not only a test's: `audience replay --kernel standard` runs on it.
        internal: Internal::AllBut(&["audience-tests", "audience-bench"]),
        forbidden: &[],
    },
    Layer { name: "audience-tests", internal: Internal::AllBut(&[]), forbidden: &[] },
    Layer { name: "audience-bench", internal: Internal::AllBut(&[]), forbidden: &[] },
];

/// A member of the workspace: what `cargo metadata` says of it, as far as it matters here.
#[derive(Debug)]
struct WorkspaceCrate {
    name: String,
    dependencies: Vec<Dependency>,
    /// The root file of its library, if it has one.
    library: Option<String>,
}

/// A declared dependency that is no development dependency.
#[derive(Debug)]
struct Dependency {
    name: String,
    /// True if it is a directory on this disk, as opposed to a published crate.
    local: bool,
}

#[test]
fn dependencies_stay_within_their_layers() {
    let faults = edge_faults(&members());
    assert!(faults.is_empty(), "the crates depend on what they may not:\n{}", faults.join("\n"));
}

#[test]
fn libraries_forbid_unsafe_code_and_ask_for_docs() {
    let mut faults = Vec::new();
    for member in members() {
        let Some(path) = member.library else { continue };
        let source = fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {path}: {e}"));
        faults.extend(attribute_faults(&source).into_iter().map(|fault| format!("- {}: {path} {fault}", member.name)));
    }
    assert!(faults.is_empty(), "libraries lack attributes:\n{}", faults.join("\n"));
}

#[test]
fn edge_check_finds_bad_edges() {
    let cases = [
        (member("audience-rules", &[("audience-contract", true)]), "- audience-rules may not use audience-contract"),
        (member("audience-rules", &[("timely", false)]), "- audience-rules may not use timely"),
        (member("audience-kernel", &[("rdkafka-sys", false)]), "- audience-kernel may not use rdkafka-sys"),
        (member("audience-emit", &[("audience-kernel", true)]), "- audience-emit may not use audience-kernel"),
        (member("audience-engine", &[("audience-embedded", true)]), "- audience-engine may not use audience-embedded"),
        (member("audience-engine", &[("tokio_util", false)]), "- audience-engine may not use tokio_util"),
        (member("audience-api", &[("audience-engine", true)]), "- audience-api may not use audience-engine"),
        (
            member("audience-api", &[("differential-dataflow", false)]),
            "- audience-api may not use differential-dataflow",
        ),
        (member("audience", &[("audience-tests", true)]), "- audience may not use audience-tests"),
        (member("audience-api", &[("elsewhere", true)]), "- audience-api may not use elsewhere"),
        (member("newcomer", &[]), "- newcomer is in no layer: add it to LAYERS in tests/tests/crate_edges.rs"),
    ];
    for (bad, expected) in cases {
        let found = edge_faults(&[bad]);
        assert!(found.len() == 1 && found[0].starts_with(expected), "expected `{expected}`, found {found:?}");
    }
}

#[test]
fn edge_check_accepts_good_edges() {
    let good = [
        member("audience-rules", &[("serde", false), ("timelyness", false)]),
        member("audience-kernel", &[("audience-rules", true), ("timely", false), ("differential-dataflow", false)]),
        member("audience-embedded", &[("audience-contract", true), ("fjall", false)]),
        member("audience-api", &[("audience-protocol", true), ("warp", false), ("tokio", false)]),
        member("audience", &[("audience-api", true), ("audience-engine", true), ("fjall", false)]),
    ];
    assert_eq!(edge_faults(&good), Vec::<String>::new());
}

/// Whoever makes a caller has let somebody in: only the door may.
#[test]
fn only_the_door_makes_callers() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut files = Vec::new();
    for room in ["api", "connectors", "dataflow", "operators"] {
        naming("let_in_at_the_door", &root.join(room), &mut files);
    }
    files.sort();
    assert_eq!(files, ["api/auth/src/door.rs", "api/protocol/src/caller.rs"].map(|file| root.join(file)));
}

/// Adds the Rust files below a directory that have a word in them.
fn naming(word: &str, directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("a directory").map_while(Result::ok) {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("node_modules") {
            naming(word, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && fs::read_to_string(&path).is_ok_and(|text| text.contains(word))
        {
            files.push(path);
        }
    }
}

#[test]
fn development_dependencies_are_free() {
    let package = serde_json::json!({
        "name": "audience-rules",
        "dependencies": [
            {"name": "tokio", "kind": "dev"},
            {"name": "cc", "kind": "build"},
            {"name": "serde", "kind": null},
        ],
        "targets": [],
    });
    let names: Vec<_> = read_member(&package).dependencies.into_iter().map(|dependency| dependency.name).collect();
    assert_eq!(names, ["cc", "serde"]);
}

#[test]
fn attribute_check_finds_what_is_missing() {
    assert_eq!(attribute_faults("//! Doc.\n#![forbid(unsafe_code)]\n#![warn(missing_docs)]\n"), Vec::<String>::new());
    assert_eq!(attribute_faults("#![forbid(unsafe_code, missing_docs)]\n"), Vec::<String>::new());
    assert_eq!(attribute_faults("#![deny(unsafe_code)]\n// #![warn(missing_docs)]\n").len(), 2);
}

/// Every edge that should not be, one message each.
fn edge_faults(members: &[WorkspaceCrate]) -> Vec<String> {
    let mut faults = Vec::new();
    for member in members {
        match LAYERS.iter().find(|layer| layer.name == member.name) {
            Some(layer) => {
                faults.extend(member.dependencies.iter().filter_map(|dependency| edge_fault(layer, dependency)));
            }
            None => {
                faults.push(format!("- {} is in no layer: add it to LAYERS in tests/tests/crate_edges.rs", member.name))
            }
        }
    }
    faults
}

fn edge_fault(layer: &Layer, dependency: &Dependency) -> Option<String> {
    let (from, to) = (layer.name, dependency.name.as_str());
    let is_member = LAYERS.iter().any(|layer| layer.name == to);
    if is_member || dependency.local {
        return match layer.internal {
            Internal::Only(allowed) if !allowed.contains(&to) => {
                Some(format!("- {from} may not use {to}; of the workspace it may use {allowed:?}"))
            }
            Internal::AllBut(excluded) if excluded.contains(&to) => {
                Some(format!("- {from} may not use {to}, which is there to test and measure it"))
            }
            _ => None,
        };
    }
    let pattern = layer.forbidden.iter().copied().flatten().find(|pattern| matches(pattern, to))?;
    Some(format!("- {from} may not use {to}: `{pattern}` is kept out of this crate"))
}

/// Returns whether a crate is meant by a pattern: its own name, or `name*` for the name and all that begin with `name-`.
fn matches(pattern: &str, name: &str) -> bool {
    let name = name.replace('_', "-");
    match pattern.strip_suffix('*') {
        Some(family) => name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')),
        None => name == pattern,
    }
}

/// The attributes that the root file of a library lacks.
fn attribute_faults(source: &str) -> Vec<String> {
    let set: BTreeSet<(&str, &str)> = source.lines().filter_map(inner_attribute).flatten().collect();
    let mut faults = Vec::new();
    if !set.contains(&("forbid", "unsafe_code")) {
        faults.push("has no #![forbid(unsafe_code)]".to_owned());
    }
    if !["warn", "deny", "forbid"].iter().any(|level| set.contains(&(level, "missing_docs"))) {
        faults.push("has neither #![warn(missing_docs)] nor #![deny(missing_docs)]".to_owned());
    }
    faults
}

/// `#![level(a, b)]` as `(level, a)` and `(level, b)`.
fn inner_attribute(line: &str) -> Option<impl Iterator<Item = (&str, &str)>> {
    let (level, lints) = line.trim().strip_prefix("#![")?.strip_suffix(")]")?.split_once('(')?;
    Some(lints.split(',').map(move |lint| (level, lint.trim())))
}

/// The members of this workspace.
fn members() -> Vec<WorkspaceCrate> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| env!("CARGO").to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let members: Vec<_> = items(&metadata, "packages").iter().map(read_member).collect();
    assert!(!members.is_empty(), "cargo metadata shows no packages");
    members
}

fn read_member(package: &Value) -> WorkspaceCrate {
    let dependencies = items(package, "dependencies")
        .iter()
        .filter(|dependency| dependency["kind"] != "dev")
        .map(|dependency| Dependency { name: text(dependency, "name"), local: dependency["path"].is_string() })
        .collect();
    let is_library = |target: &&Value| items(target, "kind").iter().any(|kind| kind == "lib" || kind == "proc-macro");
    let library = items(package, "targets").iter().find(is_library).map(|target| text(target, "src_path"));
    WorkspaceCrate { name: text(package, "name"), dependencies, library }
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().unwrap_or_else(|| panic!("cargo metadata has no list `{key}` in {value}"))
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_else(|| panic!("cargo metadata has no text `{key}` in {value}")).to_owned()
}

/// A made-up member with dependencies, each with whether it is local.
fn member(name: &str, dependencies: &[(&str, bool)]) -> WorkspaceCrate {
    let dependencies = dependencies.iter().map(|&(name, local)| Dependency { name: name.to_owned(), local }).collect();
    WorkspaceCrate { name: name.to_owned(), dependencies, library: None }
}
