//! The documents of this repository: every relative link and every path of a source file leads somewhere, and the first page stays short.

use std::fs;
use std::path::{Path, PathBuf};

/// ARCHITECTURE.md is read in ten minutes: it has fewer words than this.
const ARCHITECTURE_WORDS: usize = 1_500;
/// A page of `docs/` fits on two screens: it has at most so many lines.
const PAGE_LINES: usize = 115;
/// The pages that are made of the settings and of the metrics, and are as long as those.
const MADE: [&str; 2] = ["settings.md", "metrics.md"];
/// Folders that hold nothing of this repository.
const FOREIGN: &[&str] = &["target", "node_modules", ".git"];

/// The folders of the root that hold sources.
const SOURCES: &[&str] = &[
    "api/",
    "bench/",
    "clients/",
    "connectors/",
    "dataflow/",
    "deploy/",
    "docs/",
    "fuzz/",
    "operators/",
    "scripts/",
    "tests/",
];

#[test]
fn documents_have_no_dead_link() {
    let documents = documents();
    assert!(documents.len() > 10, "only {} documents", documents.len());
    let mut faults = Vec::new();
    for path in documents {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let folder = path.parent().expect("a file is in a folder");
        let dead = links(&text).into_iter().filter(|(_, link)| !leads_somewhere(folder, &path, link));
        faults.extend(dead.map(|(line, link)| format!("{}:{line}: {link}", path.display())));
    }
    assert!(faults.is_empty(), "these links lead nowhere:\n{}", faults.join("\n"));
}

#[test]
fn documents_name_no_source_file_that_is_gone() {
    let (mut faults, mut named) = (Vec::new(), 0);
    for page in documents() {
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        for (line, path) in source_paths(&text) {
            named += 1;
            if !root().join(&path).exists() {
                faults.push(format!("{}:{line}: {path}", page.display()));
            }
        }
    }
    assert!(named > 20, "only {named} paths");
    assert!(faults.is_empty(), "these files are gone:\n{}", faults.join("\n"));
}

#[test]
fn path_check_finds_paths_from_the_root_alone() {
    let text = "`api/x/a.rs`, [`docs/b.md`](b.md) `b/c.rs` `/api/users` `api`\n```sh\nbench/run\n```\n`tests/src/`";
    let expected = [(1, "api/x/a.rs"), (1, "docs/b.md"), (5, "tests/src/")];
    assert_eq!(source_paths(text), expected.map(|(line, path)| (line, path.to_owned())));
}

#[test]
fn architecture_is_short() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md can be read");
    let words = text.split_whitespace().count();
    assert!(words < ARCHITECTURE_WORDS, "ARCHITECTURE.md has {words} words; move some to a page of docs/");
}

#[test]
fn pages_are_short() {
    let pages: Vec<PathBuf> =
        documents().into_iter().filter(|path| path.parent() == Some(&root().join("docs"))).collect();
    assert!(pages.len() > 20, "only {} pages", pages.len());
    for page in pages.iter().filter(|page| !MADE.iter().any(|made| page.ends_with(made))) {
        let lines = fs::read_to_string(page).expect("the page can be read").lines().count();
        assert!(lines <= PAGE_LINES, "{} has {lines} lines", page.display());
    }
}

#[test]
fn pages_that_explain_have_a_law_and_say_what_to_touch() {
    let pages =
        ["dataflow", "recovery", "emit", "catalogue", "cluster", "guarantees", "add-a-connector", "add-a-node-kind"];
    for page in pages {
        let text = fs::read_to_string(root().join(format!("docs/{page}.md"))).expect("the page can be read");
        assert!(
            text.contains("**Law.**") && text.contains("## To change this, touch …"),
            "docs/{page}.md lacks a part"
        );
    }
}

#[test]
fn link_check_finds_links_and_leaves_out_code_and_addresses() {
    let text = "[a](one.md), ![b](two.png#x) `[c](no.md)`\n```text\n[d](no.md)\n```\n[e](https://no) [f](#here) [g](../three#there)";
    let found = links(text);
    let expected = [(1, "one.md"), (1, "two.png#x"), (5, "#here"), (5, "../three#there")];
    assert_eq!(found, expected.map(|(line, link)| (line, link.to_owned())));
}

#[test]
fn headings_have_the_anchors_that_links_name() {
    let text = "# `a` and B, of-c …\n```sh\n# no heading\n```\n### Ünder_score";
    assert_eq!(anchors(text), ["a-and-b-of-c-", "ünder_score"]);
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every Markdown file of the repository.
fn documents() -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![root()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder can be read").flatten() {
            let path = entry.path();
            let is_foreign = FOREIGN.iter().any(|name| entry.file_name() == *name);
            if path.is_dir() && !path.is_symlink() && !is_foreign {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// Returns whether a link leads to a file, and to a heading of it where it names one.
fn leads_somewhere(folder: &Path, page: &Path, link: &str) -> bool {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { page.to_owned() } else { folder.join(path) };
    let is_page = target.extension().is_some_and(|extension| extension == "md");
    match anchor.filter(|_| is_page) {
        Some(anchor) => fs::read_to_string(&target).is_ok_and(|text| anchors(&text).iter().any(|name| name == anchor)),
        None => target.exists(),
    }
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let mut is_code = false;
    let headings = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && line.starts_with('#')
    });
    let anchor = |heading: &str| {
        let kept = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        kept.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
    };
    headings.map(anchor).collect()
}

/// The relative links outside of code, each with its line.
fn links(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut is_code) = (Vec::new(), false);
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            // Every second piece is inline code.
            for piece in line.split('`').step_by(2) {
                found.extend(targets(piece).map(|target| (number, target)));
            }
        }
    }
    found
}

/// The paths in inline code that begin with a folder of the root, each with its line.
fn source_paths(text: &str) -> Vec<(usize, String)> {
    let (mut found, mut is_code) = (Vec::new(), false);
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            let pieces = line.split('`').skip(1).step_by(2);
            let paths = pieces.filter(|piece| SOURCES.iter().any(|folder| piece.starts_with(folder)));
            let plain = |piece: &&str| !piece.contains(['*', ' ', '{', '<', '…']);
            found.extend(paths.filter(plain).map(|path| (number, path.to_owned())));
        }
    }
    found
}

fn targets(text: &str) -> impl Iterator<Item = String> {
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let links = ends.map(|(link, _)| link);
    links.filter(|link| !link.is_empty() && !link.contains("://") && !link.starts_with("mailto:")).map(str::to_owned)
}
