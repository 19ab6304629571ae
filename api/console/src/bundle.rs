//! The modules of `web/` as one script, and its style sheets as one: a page asks for two files instead of ninety.
//!
//! The modules stay as they are written. Each becomes a function that runs once, after those that it imports; its imports
//! become constants, its exports the answer of the function. This takes the forms that the console uses: static imports at
//! the start of a line, declarations that are exported, one list of names at the end. Anything else is refused by name.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::{fs, io};

/// The module with which the console starts.
const ENTRY: &str = "app.js";
/// The sheets, in the order in which they apply.
const SHEETS: [&str; 11] =
    ["tokens", "base", "controls", "shell", "cards", "charts", "changes", "members", "builder", "pills", "preview"];

/// A file that cannot be taken into the bundle, and why.
#[derive(Debug)]
pub(crate) struct BundleRefusal {
    file: String,
    reason: String,
}

impl fmt::Display for BundleRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.file, self.reason)
    }
}

impl std::error::Error for BundleRefusal {}

fn refused(file: &str, reason: impl fmt::Display) -> BundleRefusal {
    BundleRefusal { file: file.to_owned(), reason: reason.to_string() }
}

fn read(web: &Path, file: &str) -> Result<String, BundleRefusal> {
    fs::read_to_string(web.join(file)).map_err(|error: io::Error| refused(file, error))
}

/// The style sheets below `web`, one after the other.
pub(crate) fn styles(web: &Path) -> Result<String, BundleRefusal> {
    SHEETS.iter().map(|sheet| read(web, &format!("styles/{sheet}.css"))).collect()
}

/// The modules below `web` that the entry needs, as one module.
pub(crate) fn script(web: &Path) -> Result<String, BundleRefusal> {
    let mut bundle = Bundle { web, names: BTreeMap::new(), added: 0, text: String::new() };
    bundle.add(ENTRY)?;
    Ok(bundle.text)
}

struct Bundle<'a> {
    web: &'a Path,
    /// The constants that hold what modules export, by path; empty while a module's imports are added.
    names: BTreeMap<String, String>,
    added: usize,
    text: String,
}

impl Bundle<'_> {
    /// Adds a module after those that it imports; returns the constant that holds what it exports.
    fn add(&mut self, file: &str) -> Result<String, BundleRefusal> {
        match self.names.get(file) {
            Some(name) if name.is_empty() => return Err(refused(file, "it imports itself through others")),
            Some(name) => return Ok(name.clone()),
            None => self.names.insert(file.to_owned(), String::new()),
        };
        let module = Module::parse(file, &read(self.web, file)?)?;
        let mut body = String::new();
        for import in &module.imports {
            let from = self.add(&beside(file, &import.from))?;
            let _ =
                writeln!(body, "const {} = {from}{};", import.into, if import.is_default { ".default" } else { "" });
        }
        self.added += 1;
        let name = format!("m{}", self.added);
        let _ = write!(
            self.text,
            "// {file}\nconst {name} = (() => {{\n{body}{}\nreturn {{ {} }};\n}})();\n",
            module.body,
            module.exports.join(", ")
        );
        self.names.insert(file.to_owned(), name.clone());
        Ok(name)
    }
}

/// An import: what it brings, as the left side of a constant.
struct BundledImport {
    into: String,
    from: String,
    is_default: bool,
}

/// A module without its imports and exports.
struct Module {
    imports: Vec<BundledImport>,
    /// Members of what it exports: `name`, or `outside: inside`.
    exports: Vec<String>,
    body: String,
}

impl Module {
    fn parse(file: &str, text: &str) -> Result<Self, BundleRefusal> {
        let mut module = Module { imports: Vec::new(), exports: Vec::new(), body: String::new() };
        let mut rest = text;
        while !rest.is_empty() {
            let is_statement =
                rest.starts_with("import ") || rest.starts_with("import{") || rest.starts_with("export {");
            let end = if is_statement { rest.find(';') } else { rest.find('\n') }.map_or(rest.len(), |at| at + 1);
            let (line, after) = rest.split_at(end);
            rest = after;
            if line.starts_with("import") && is_statement {
                module.import(file, line)?;
            } else if let Some(names) = line.strip_prefix("export {") {
                module.export_list(file, names)?;
            } else if let Some(declared) = line.strip_prefix("export ") {
                module.exports.push(declared_name(declared).ok_or_else(|| refused(file, line.trim()))?.to_owned());
                module.body.push_str(declared);
            } else {
                module.body_line(file, line)?;
            }
        }
        Ok(module)
    }

    /// `import { a, b as c } from './x.js';`, `import * as a from …`, `import a from …`.
    fn import(&mut self, file: &str, statement: &str) -> Result<(), BundleRefusal> {
        let fault = || refused(file, statement.trim());
        let statement = statement.trim_start_matches("import").trim().trim_end_matches(';');
        let (what, from) = statement.rsplit_once("from").ok_or_else(fault)?;
        let from = from.trim().trim_matches(['\'', '"']).to_owned();
        let what = what.trim();
        let (into, is_default) = match (what.strip_prefix("* as "), what.strip_prefix('{')) {
            (Some(name), _) => (name.to_owned(), false),
            (None, Some(names)) => {
                let names: Vec<String> =
                    listed(names.trim_end_matches('}')).map(|(name, local)| member(name, local)).collect();
                (format!("{{ {} }}", names.join(", ")), false)
            }
            (None, None) => (what.to_owned(), true),
        };
        self.imports.push(BundledImport { into, from, is_default });
        Ok(())
    }

    /// `export { a, b as c };` with what stands behind the brace, or `export { a } from './x.js';`.
    fn export_list(&mut self, file: &str, names: &str) -> Result<(), BundleRefusal> {
        let (names, from) = names.split_once('}').ok_or_else(|| refused(file, names.trim()))?;
        if from.trim_start().starts_with("from") {
            self.import(file, &format!("import {{{names}}} {from}"))?;
        }
        self.exports.extend(listed(names).map(|(local, name)| member(name, local)));
        Ok(())
    }

    /// A line as it is; those of minified modules may export in the middle.
    fn body_line(&mut self, file: &str, line: &str) -> Result<(), BundleRefusal> {
        if !file.ends_with(".mjs") {
            self.body.push_str(line);
            return Ok(());
        }
        if let Some((before, names)) = line.rsplit_once("export{") {
            self.body.push_str(before);
            self.body.push_str(";\n");
            return self.export_list(file, names);
        }
        if let Some((before, value)) = line.split_once("export default ") {
            self.body.push_str(before);
            self.body.push_str("const exported=");
            self.body.push_str(value);
            self.exports.push("default: exported".to_owned());
            return Ok(());
        }
        self.body.push_str(line);
        Ok(())
    }
}

/// The name of a declaration: `const a = …`, `function a(…`, `async function a(…`, `class A …`.
fn declared_name(declared: &str) -> Option<&str> {
    let named =
        ["const ", "function ", "async function ", "class "].iter().find_map(|word| declared.strip_prefix(word))?;
    let end = named.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')?;
    (end > 0).then(|| &named[..end])
}

/// The names of a list with what follows `as`, or the name itself.
fn listed(names: &str) -> impl Iterator<Item = (&str, &str)> {
    names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(|name| {
        let (first, second) = name.split_once(" as ").unwrap_or((name, name));
        (first.trim(), second.trim())
    })
}

fn member(name: &str, value: &str) -> String {
    if name == value { name.to_owned() } else { format!("{name}: {value}") }
}

/// The path below `web` of what a file names relative to itself.
fn beside(file: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = file.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}
