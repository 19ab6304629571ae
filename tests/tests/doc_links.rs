//! The documents of this repository: every relative link leads somewhere, and the first page stays short.

use std::fs;
use std::path::{Path, PathBuf};

/// ARCHITECTURE.md is read in ten minutes: it has fewer words than this.
const ARCHITECTURE_WORDS: usize = 1_500;
/// A page of `docs/` that explains fits on two screens: it has at most so many lines.
const PAGE_LINES: usize = 115;
/// Folders that hold nothing of this repository.
const FOREIGN: &[&str] = &["target", "node_modules", ".git"];

#[test]
fn documents_have_no_dead_link() {
    let documents = documents();
    assert!(documents.len() > 10, "only {} documents", documents.len());
    let mut faults = Vec::new();
    for path in documents {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let folder = path.parent().expect("a file is in a folder");
        let dead = links(&text).into_iter().filter(|(_, link)| !folder.join(link).exists());
        faults.extend(dead.map(|(line, link)| format!("{}:{line}: {link}", path.display())));
    }
    assert!(faults.is_empty(), "these links lead nowhere:\n{}", faults.join("\n"));
}

#[test]
fn architecture_is_short() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md can be read");
    let words = text.split_whitespace().count();
    assert!(words < ARCHITECTURE_WORDS, "ARCHITECTURE.md has {words} words; move some to a page of docs/");
}

#[test]
fn pages_that_explain_are_short() {
    let pages =
        ["dataflow", "recovery", "emit", "catalogue", "cluster", "guarantees", "add-a-connector", "add-a-node-kind"];
    for page in pages {
        let text = fs::read_to_string(root().join(format!("docs/{page}.md"))).expect("the page can be read");
        let lines = text.lines().count();
        assert!(lines <= PAGE_LINES, "docs/{page}.md has {lines} lines");
        assert!(
            text.contains("**Law.**") && text.contains("## To change this, touch …"),
            "docs/{page}.md lacks a part"
        );
    }
}

#[test]
fn link_check_finds_links_and_leaves_out_code_and_addresses() {
    let text =
        "[a](one.md), ![b](two.png#x) `[c](no.md)`\n```text\n[d](no.md)\n```\n[e](https://no) [f](#here) [g](../three)";
    let found = links(text);
    assert_eq!(found, [(1, "one.md".to_owned()), (1, "two.png".to_owned()), (5, "../three".to_owned())]);
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

/// The relative links outside of code, without their anchors, each with its line.
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

fn targets(text: &str) -> impl Iterator<Item = String> {
    let ends = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let paths = ends.filter_map(|(link, _)| link.split('#').next());
    paths.filter(|path| !path.is_empty() && !path.contains("://") && !path.starts_with("mailto:")).map(str::to_owned)
}
