//! A file of settings: which keys it may have, and how they become arguments.

use std::any::TypeId;
use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command};
use toml::{Table, Value};

/// The tables that a file may have.
pub(crate) const TABLES: [&str; 5] = ["kafka", "redis", "aerospike", "checkpoints", "history"];
/// Settings that are flags and variables only: a file does not name itself, and does not make itself a demo's.
pub(crate) const NOT_IN_FILES: [&str; 2] = ["config", "demo"];
/// The types of settings that are numbers.
const NUMBERS: [fn() -> TypeId; 5] =
    [TypeId::of::<u16>, TypeId::of::<u32>, TypeId::of::<u64>, TypeId::of::<NonZeroU32>, TypeId::of::<NonZeroUsize>];
/// How similar an unknown key must be to a known one to be taken for a misspelling, from 0 to 1.
const SIMILAR: f64 = 0.7;

/// A file of settings whose keys outside of tables are known and valid.
pub(crate) struct SettingsFile {
    path: PathBuf,
    content: Table,
}

impl SettingsFile {
    /// Reads a file. Its keys outside of tables are arguments of `command`.
    ///
    /// # Errors
    /// If it cannot be read, is not TOML, or has a key that is unknown or has a value that is not valid.
    pub(crate) fn read(path: &Path, command: &Command) -> anyhow::Result<SettingsFile> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("--config (AUDIENCE_CONFIG): {} cannot be read", path.display()))?;
        let content = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
        let file = SettingsFile { path: path.to_owned(), content };
        file.check(command).with_context(|| format!("{} is not a file of settings", path.display()))?;
        Ok(file)
    }

    fn check(&self, command: &Command) -> anyhow::Result<()> {
        check_keys(&self.content, arguments_in_files(command).map(key).chain(TABLES))?;
        for (key, text) in self.values()? {
            let argument = arguments_in_files(command).find(|argument| argument.get_id() == key);
            let argument = argument.with_context(|| format!("`{key}` is a table: write [{key}]"))?;
            check_type(argument, &self.content[key])?;
            let line = ["serve".to_owned(), as_argument(argument, &text)];
            command.clone().try_get_matches_from(line).map_err(|error| anyhow!("`{key}`: {}", reason(&error)))?;
        }
        Ok(())
    }

    /// The values outside of tables, as text.
    fn values(&self) -> anyhow::Result<Vec<(&str, String)>> {
        let values = self.content.iter().filter(|(key, value)| !(value.is_table() && TABLES.contains(&key.as_str())));
        values.map(|(key, value)| Ok((key.as_str(), text(key, value)?))).collect()
    }

    /// Arguments for those settings of a command that the file says, and neither a flag nor a variable.
    pub(crate) fn arguments(&self, command: &Command, matches: &ArgMatches) -> anyhow::Result<Vec<OsString>> {
        let mut arguments = Vec::new();
        for (key, text) in self.values()? {
            let argument = arguments_in_files(command).find(|argument| argument.get_id() == key);
            let is_said = matches!(
                argument.and_then(|_| matches.value_source(key)),
                Some(ValueSource::CommandLine | ValueSource::EnvVariable)
            );
            arguments.extend(argument.filter(|_| !is_said).map(|argument| as_argument(argument, &text).into()));
        }
        Ok(arguments)
    }

    /// All of it.
    pub(crate) fn content(&self) -> &Table {
        &self.content
    }

    /// A table, `[outer]` or `[outer.inner]`. Its keys are read as arguments of the same names; keys in `beside` are not.
    pub(crate) fn table<T: Args>(&self, path: &[&'static str], beside: &[&str]) -> anyhow::Result<Option<T>> {
        let mut table = &self.content;
        for name in path {
            table = match table.get(*name) {
                None => return Ok(None),
                Some(Value::Table(inner)) => inner,
                Some(_) => bail!("{}: `{name}` is a table: write [{}]", self.path.display(), path.join(".")),
            };
        }
        let read = || {
            let command = T::augment_args(Command::new("table").no_binary_name(true));
            check_keys(table, command.get_arguments().map(key).chain(beside.iter().copied()))?;
            let mut line = Vec::new();
            for (name, value) in table.iter().filter(|(name, _)| !beside.contains(&name.as_str())) {
                command
                    .get_arguments()
                    .filter(|argument| key(argument) == name)
                    .try_for_each(|one| check_type(one, value))?;
                line.push(format!("--{}={}", name.replace('_', "-"), text(name, value)?));
            }
            let matches = command.try_get_matches_from(line).map_err(|error| anyhow!("{}", reason(&error)))?;
            Ok(T::from_arg_matches(&matches)?)
        };
        let table: anyhow::Result<T> = read();
        table.map(Some).with_context(|| format!("{}: the table [{}]", self.path.display(), path.join(".")))
    }

    /// A table of texts under names of its own.
    pub(crate) fn texts(&self, path: [&str; 2]) -> anyhow::Result<Vec<(String, String)>> {
        let Some(value) = self.content.get(path[0]).and_then(|outer| outer.get(path[1])) else { return Ok(Vec::new()) };
        let table = value.as_table().map(|table| table.iter().map(|(key, value)| Some((key.clone(), value.as_str()?))));
        let texts = table.and_then(|texts| texts.map(|text| text.map(|(key, text)| (key, text.to_owned()))).collect());
        texts.with_context(|| {
            format!("{}: `{}` in the table [{}] is a table of texts", self.path.display(), path[1], path[0])
        })
    }
}

/// Those arguments of a command that a file may give outside of tables.
fn arguments_in_files(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| {
        let key = key(argument);
        !NOT_IN_FILES.contains(&key) && !TABLES.contains(&key)
    })
}

fn key(argument: &Arg) -> &str {
    argument.get_id().as_str()
}

/// Refuses a key that is not among the known ones; an unknown one would silently leave its setting at the default.
fn check_keys<'k>(table: &Table, known: impl Iterator<Item = &'k str>) -> anyhow::Result<()> {
    let known: Vec<&str> = known.collect();
    let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    match nearest(key, &known) {
        Some(near) => bail!("`{key}` is not a setting; did you mean `{near}`?"),
        None => bail!("`{key}` is not a setting"),
    }
}

/// The word that is most like this one, if one is like it.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let likeness = |near: &&str| strsim::jaro(word, near);
    let nearest = known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    nearest.filter(|near| likeness(near) > SIMILAR).copied()
}

/// Refuses text where a setting is a number or a truth value: a file writes those without quotation marks.
fn check_type(argument: &Arg, value: &Value) -> anyhow::Result<()> {
    let Value::String(text) = value else { return Ok(()) };
    let (key, kind) = (key(argument), argument.get_value_parser().type_id());
    let (expected, is_fitting) = if NUMBERS.iter().any(|number| kind == number()) {
        ("a number", text.parse::<f64>().is_ok())
    } else if kind == TypeId::of::<bool>() {
        ("true or false", text.parse::<bool>().is_ok())
    } else {
        return Ok(());
    };
    match is_fitting {
        true => bail!("`{key}` is {expected}, not text; write {key} = {text}, without quotation marks"),
        false => bail!("`{key}` is {expected}, not the text {text:?}; write it without quotation marks"),
    }
}

fn as_argument(argument: &Arg, text: &str) -> String {
    format!("--{}={text}", argument.get_long().unwrap_or_default())
}

/// A value as it would stand after a flag.
fn text(key: &str, value: &Value) -> anyhow::Result<String> {
    Ok(match value {
        Value::String(text) => text.clone(),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => value.to_string(),
        Value::Array(items) if items.iter().all(Value::is_str) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
        }
        other => bail!("`{key}` takes one value, not a {}", other.type_str()),
    })
}

/// Clap's reason why a value is wrong, without its layout.
fn reason(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.lines().take_while(|line| !line.is_empty()).map(str::trim);
    lines.collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
}
