//! No two modules of a crate import each other in a circle, directly or through others.
//!
//! A module here is a file. Each path in its code that begins with `crate`, `self`, `super` or the name of a child
//! module imports the module that the path leads to. Code under `#[cfg(test)]` is free, and so is `mod name;`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

/// The crates that are held to it.
const CRATES: &[&str] = &[
    "api/http",
    "dataflow/audience",
    "dataflow/background",
    "dataflow/catalogue",
    "dataflow/emit",
    "dataflow/engine",
    "dataflow/sender",
];

/// A module by its names from the root of its crate.
type CrateModule = Vec<String>;

#[test]
fn modules_do_not_import_each_other_in_a_circle() {
    let mut faults = Vec::new();
    for name in CRATES {
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name).join("src");
        let circles = circles(&imports(&sources(&root)));
        faults.extend(circles.iter().map(|circle| format!("- {name}: {circle}")));
    }
    assert!(faults.is_empty(), "modules import each other in a circle:\n{}", faults.join("\n"));
}

#[test]
fn circle_check_finds_a_circle_through_nested_braces_and_inline_paths() {
    let made_up = [
        ("", "mod a; mod b; mod c; fn f() { a::run() }"),
        ("a", "use crate::{b::{self, deep::{One, Two}}, b as other};"),
        ("b", "mod deep;\nfn g() { super::c::go(\"}\") }"),
        ("b::deep", "pub struct One; // use crate::a;"),
        ("c", "use std::fmt; fn h<'a>(x: &'a str) -> crate::a::T { '{'; todo(x) }"),
    ];
    assert_eq!(circles(&imports(&modules(&made_up))), ["a -> b -> c -> a"]);
}

#[test]
fn circle_check_finds_a_parent_and_its_child() {
    let made_up = [("", "mod a;"), ("a", "mod b;\npub use self::b::B;"), ("a::b", "use super::A;\npub struct B(A);")];
    assert_eq!(circles(&imports(&modules(&made_up))), ["a -> a::b -> a"]);
}

#[test]
fn circle_check_finds_imports_of_a_child_without_a_prefix_and_by_glob() {
    let made_up = [("", "mod a; use a::*;"), ("a", "mod inner { use super::super::*; }")];
    assert_eq!(circles(&imports(&modules(&made_up))), ["crate -> a -> crate"]);
}

#[test]
fn circle_check_accepts_what_is_no_circle() {
    let made_up = [
        ("", "mod a; mod b; pub use self::a::A;"),
        ("a", "use crate::b::B;\n/* use super::X; */ const T: &str = r#\"crate::a::b\"#; mod own { use super::A; }"),
        ("b", "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nuse crate::a::{A, C};\npub struct B { super_: u8 }\n"),
        ("b::tests", "use super::*; use crate::a::A;"),
        ("b::other", "#[cfg(test)] mod tests { use crate::a::{self}; } fn f() { other_crate::a::g(); x.crate_(); }"),
    ];
    assert_eq!(circles(&imports(&modules(&made_up))), Vec::<String>::new());
}

/// The source of every module of a crate.
fn sources(root: &Path) -> BTreeMap<CrateModule, String> {
    let mut found = BTreeMap::new();
    let mut directories = vec![(root.to_owned(), CrateModule::new())];
    while let Some((directory, parent)) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory of sources") {
            let path = entry.expect("an entry").path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
            let child = [&parent[..], std::slice::from_ref(&stem)].concat();
            if path.is_dir() {
                directories.push((path, child));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let is_parent = stem == "mod" || (parent.is_empty() && ["lib", "main"].contains(&&*stem));
                // A program beside a library has no modules of its own.
                if stem == "main" && root.join("lib.rs").exists() {
                    continue;
                }
                let module = if is_parent { parent.clone() } else { child };
                found.insert(module, fs::read_to_string(&path).expect("a source"));
            }
        }
    }
    found
}

/// Which module imports which.
fn imports(sources: &BTreeMap<CrateModule, String>) -> BTreeMap<CrateModule, BTreeSet<CrateModule>> {
    let mut all = BTreeMap::new();
    let mut tests: Vec<CrateModule> = Vec::new();
    for (module, source) in sources {
        let mut reader = ImportReader {
            tokens: tokens(source),
            at: 0,
            module,
            scope: module.clone(),
            sources,
            found: BTreeSet::new(),
            tests: Vec::new(),
        };
        reader.read_block();
        tests.append(&mut reader.tests);
        all.insert(module.clone(), reader.found);
    }
    all.retain(|module, _| !tests.iter().any(|test| module.starts_with(test)));
    all
}

/// Reads the imports of one file.
struct ImportReader<'a> {
    tokens: Vec<String>,
    at: usize,
    module: &'a CrateModule,
    /// The module that the code stands in, which may be one within the file.
    scope: CrateModule,
    sources: &'a BTreeMap<CrateModule, String>,
    found: BTreeSet<CrateModule>,
    /// Modules that are compiled for tests alone.
    tests: Vec<CrateModule>,
}

impl ImportReader<'_> {
    fn token(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", String::as_str)
    }

    fn is_next(&self, expected: &[&str]) -> bool {
        expected.iter().enumerate().all(|(ahead, expected)| self.token(ahead) == *expected)
    }

    /// Reads up to the end of the block that the reader is in.
    fn read_block(&mut self) {
        while self.at < self.tokens.len() {
            match self.token(0) {
                "}" => return self.at += 1,
                "{" => {
                    self.at += 1;
                    self.read_block();
                }
                "#" if self.is_next(&["#", "[", "cfg", "(", "test", ")", "]"]) => self.skip_item(),
                "mod" if self.token(2) == "{" => {
                    self.scope.push(self.token(1).to_owned());
                    self.at += 3;
                    self.read_block();
                    self.scope.pop();
                }
                "use" => {
                    self.at += 1;
                    self.read_path(Vec::new(), true);
                }
                "::" => self.at += 2,
                _ if self.token(1) == "::" => self.read_path(Vec::new(), false),
                _ => self.at += 1,
            }
        }
    }

    /// Skips what `#[cfg(test)]` stands before.
    fn skip_item(&mut self) {
        self.at += 7;
        let first =
            (0..).find(|ahead| ["mod", "fn", "use", "struct", "impl", "const", ""].contains(&self.token(*ahead)));
        if let Some(ahead) = first.filter(|ahead| self.token(*ahead) == "mod" && self.token(ahead + 2) == ";") {
            let child = [&self.scope[..], &[self.token(ahead + 1).to_owned()]].concat();
            self.tests.push(child);
        }
        let mut depth = 0;
        while self.at < self.tokens.len() {
            match self.token(0) {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            let is_end = depth == 0 && [";", "}"].contains(&self.token(0));
            self.at += 1;
            if is_end {
                return;
            }
        }
    }

    /// Reads a path, or in a `use` a tree of them.
    fn read_path(&mut self, mut path: Vec<String>, is_use: bool) {
        loop {
            if is_use && self.token(0) == "{" {
                self.at += 1;
                while !["}", ""].contains(&self.token(0)) {
                    self.read_path(path.clone(), true);
                    if self.token(0) == "," {
                        self.at += 1;
                    }
                }
                self.at += 1;
                return;
            }
            let name = self.token(0).to_owned();
            if !is_name(&name) && name != "*" {
                // Generic arguments of a function, or the end of the source.
                self.at += usize::from(!is_use || name.is_empty());
                return self.add(&path);
            }
            self.at += 1;
            path.push(name);
            if self.token(0) != "::" {
                break;
            }
            self.at += 1;
        }
        if is_use && self.token(0) == "as" {
            self.at += 2;
        }
        self.add(&path);
    }

    /// Adds the module that a path leads to, if it is another one of this crate.
    fn add(&mut self, path: &[String]) {
        let mut target = match path.first().map(String::as_str) {
            Some("crate") => CrateModule::new(),
            Some("self") => self.scope.clone(),
            Some("super") => self.scope[..self.scope.len().saturating_sub(1)].to_vec(),
            Some(name) if self.sources.contains_key(&[&self.scope[..], &[name.to_owned()]].concat()) => {
                [&self.scope[..], &[name.to_owned()]].concat()
            }
            _ => return,
        };
        for name in &path[1..] {
            match name.as_str() {
                "super" => drop(target.pop()),
                "self" | "*" => {}
                name => {
                    target.push(name.to_owned());
                    // An item of a module, or a module within its file.
                    if !self.sources.contains_key(&target) {
                        break;
                    }
                }
            }
        }
        while !self.sources.contains_key(&target) && !target.is_empty() {
            target.pop();
        }
        if target != *self.module {
            self.found.insert(target);
        }
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The names and marks of a source, without comments, texts and characters; `::` is one mark.
fn tokens(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest),
            'r' | 'b' if raw_text(rest).is_some() => raw_text(rest).unwrap_or(1),
            'b' if rest.starts_with("b\"") => 1 + text(&rest[1..]),
            '"' => text(rest),
            '\'' => character(rest),
            ':' if rest.starts_with("::") => {
                tokens.push("::".to_owned());
                2
            }
            _ if first.is_alphanumeric() || first == '_' => {
                let end = rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len());
                tokens.push(rest[..end].to_owned());
                end
            }
            _ => {
                if !first.is_whitespace() {
                    tokens.push(first.to_string());
                }
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    tokens
}

/// The length of a comment that may have others in it.
fn comment(source: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < source.len() {
        if source[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if source[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += source[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

/// The length of a raw text, if one stands here.
fn raw_text(source: &str) -> Option<usize> {
    let begin = source.strip_prefix("br").or_else(|| source.strip_prefix('r'))?;
    let hashes = begin.len() - begin.trim_start_matches('#').len();
    let body = begin[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = body.find(&end).map_or(body.len(), |found| found + end.len());
    Some(source.len() - body.len() + length)
}

fn text(source: &str) -> usize {
    let mut is_escaped = false;
    let mut characters = source.char_indices().skip(1);
    let end = characters.find(|(_, next)| {
        let is_end = *next == '"' && !is_escaped;
        is_escaped = *next == '\\' && !is_escaped;
        is_end
    });
    end.map_or(source.len(), |(at, _)| at + 1)
}

/// The length of a character; of a lifetime only the mark.
fn character(source: &str) -> usize {
    if let Some(escaped) = source.strip_prefix("'\\") {
        return escaped.find('\'').map_or(source.len(), |found| if found == 0 { 4 } else { found + 3 });
    }
    let Some(one) = source.chars().nth(1) else { return 1 };
    if source[1 + one.len_utf8()..].starts_with('\'') { 2 + one.len_utf8() } else { 1 }
}

/// The circles, by the names of their modules: each module that lies in a circle is in one of them.
fn circles(imports: &BTreeMap<CrateModule, BTreeSet<CrateModule>>) -> Vec<String> {
    let mut seen: BTreeSet<&CrateModule> = BTreeSet::new();
    let mut found = Vec::new();
    for module in imports.keys() {
        if seen.contains(module) {
            continue;
        }
        if let Some(circle) = way_back(imports, module) {
            seen.extend(circle.iter().copied());
            let names =
                circle.iter().map(|module| if module.is_empty() { "crate".to_owned() } else { module.join("::") });
            found.push(names.collect::<Vec<_>>().join(" -> "));
        }
    }
    found
}

/// The shortest way from a module to itself, if there is one.
fn way_back<'a>(
    imports: &'a BTreeMap<CrateModule, BTreeSet<CrateModule>>,
    start: &'a CrateModule,
) -> Option<Vec<&'a CrateModule>> {
    let mut came_from: BTreeMap<&CrateModule, &CrateModule> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(module) = waiting.pop_front() {
        for next in imports.get(module).into_iter().flatten() {
            if next == start {
                let mut way = vec![start, module];
                while let Some(before) = way.last().filter(|last| **last != start).and_then(|last| came_from.get(last))
                {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(next) {
                came_from.insert(next, module);
                waiting.push_back(next);
            }
        }
    }
    None
}

/// Made-up modules by their paths.
fn modules(made_up: &[(&str, &str)]) -> BTreeMap<CrateModule, String> {
    let module = |path: &str| path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    made_up.iter().map(|(path, source)| (module(path), (*source).to_owned())).collect()
}
