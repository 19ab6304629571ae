//! The directory: one JSON file a segment or trait, and one of settings, in a form that makes small differences in git.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A segment as its file has it. The members of a list are data, and in no file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SegmentFile {
    pub id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// `STATIC` for a list; rules otherwise.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `ACTIVE` where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Box<RawValue>>,
}

impl SegmentFile {
    /// Returns whether it is a list, whose members are no rules.
    pub(super) fn is_list(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("static"))
    }

    pub(super) fn status(&self) -> &str {
        self.status.as_deref().unwrap_or("ACTIVE")
    }
}

/// The file of settings.
const SETTINGS: &str = "settings.json";

/// The settings of the platform, as their file has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DefinedSettings {
    /// A name of the tz database. A file without it leaves the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
}

/// The name that a trait's file says.
#[derive(Deserialize)]
struct TraitName {
    name: String,
}

/// Segments and traits, by id and name, and the settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Definitions {
    pub segments: BTreeMap<String, SegmentFile>,
    /// The whole definition of each.
    pub traits: BTreeMap<String, Box<RawValue>>,
    pub settings: DefinedSettings,
}

impl Definitions {
    /// Reads a directory. Files that do not end with `.json` are passed over.
    pub(super) fn read(directory: &Path) -> anyhow::Result<Definitions> {
        ensure!(directory.is_dir(), "{} is no directory", directory.display());
        let mut definitions = Definitions::default();
        for (place, text) in texts(&directory.join("segments"))? {
            let segment: SegmentFile = serde_json::from_str(&text).with_context(|| place.clone())?;
            let id = segment.id.clone();
            ensure!(
                definitions.segments.insert(id.clone(), segment).is_none(),
                "{place}: two files have the segment {id}"
            );
        }
        for (place, text) in texts(&directory.join("traits"))? {
            let name = serde_json::from_str::<TraitName>(&text).with_context(|| place.clone())?.name;
            let definition = RawValue::from_string(text)?;
            ensure!(
                definitions.traits.insert(name.clone(), definition).is_none(),
                "{place}: two files have the trait {name}"
            );
        }
        let place = directory.join(SETTINGS);
        if place.exists() {
            let place = place.display().to_string();
            let text = fs::read_to_string(&place).with_context(|| place.clone())?;
            definitions.settings = serde_json::from_str(&text).context(place)?;
        }
        Ok(definitions)
    }

    /// Writes a directory, and deletes files of what is not here; gives how many files there are. A file that says the same is
    /// left as it is.
    pub(super) fn write(&self, directory: &Path) -> anyhow::Result<usize> {
        let segments = self.segments.iter().map(|(id, segment)| Ok((id, serde_json::to_string(segment)?)));
        let segments = segments.collect::<anyhow::Result<BTreeMap<_, _>>>()?;
        write_all(&directory.join("segments"), &segments)?;
        let traits = self.traits.iter().map(|(name, definition)| (name, definition.get().to_owned())).collect();
        write_all(&directory.join("traits"), &traits)?;
        write(&directory.join(SETTINGS), pretty(&serde_json::to_string(&self.settings)?))?;
        Ok(self.segments.len() + self.traits.len() + 1)
    }
}

/// The files of a folder with their places, which messages name.
fn texts(folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => bail!("{}: {error}", folder.display()),
    };
    let mut texts = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let place = path.display().to_string();
            texts.push((place.clone(), fs::read_to_string(&path).context(place)?));
        }
    }
    texts.sort_unstable();
    Ok(texts)
}

fn write_all(folder: &Path, texts: &BTreeMap<&String, String>) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let named: BTreeMap<String, String> = texts.iter().map(|(id, text)| (file_name(id), pretty(text))).collect();
    for (place, _) in self::texts(folder)? {
        let name = Path::new(&place).file_name().and_then(|name| name.to_str());
        if name.is_none_or(|name| !named.contains_key(name)) {
            fs::remove_file(&place).with_context(|| place.clone())?;
        }
    }
    for (name, text) in named {
        write(&folder.join(name), text)?;
    }
    Ok(())
}

/// Writes a file, unless it says the same.
fn write(path: &Path, text: String) -> anyhow::Result<()> {
    if fs::read_to_string(path).ok().as_deref() != Some(&text) {
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// A name that every file system takes: other bytes than these are written as `%` and two digits.
fn file_name(id: &str) -> String {
    let mut name = String::new();
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            byte => name += &format!("%{byte:02X}"),
        }
    }
    name + ".json"
}

/// JSON in lines, two spaces a level. Numbers keep every digit, which a parsed document would not.
fn pretty(json: &str) -> String {
    let (mut out, mut level) = (String::new(), 0_usize);
    let (mut is_text, mut is_escaped, mut is_opened) = (false, false, false);
    for character in json.chars() {
        if is_text {
            out.push(character);
            is_text = is_escaped || character != '"';
            is_escaped = !is_escaped && character == '\\';
            continue;
        }
        if character.is_ascii_whitespace() {
            continue;
        }
        let closes = matches!(character, '}' | ']');
        level = level.saturating_sub(usize::from(closes));
        if is_opened != closes {
            break_line(&mut out, level);
        }
        is_opened = matches!(character, '{' | '[');
        level += usize::from(is_opened);
        out.push(character);
        match character {
            '"' => is_text = true,
            ',' => break_line(&mut out, level),
            ':' => out.push(' '),
            _ => {}
        }
    }
    out.push('\n');
    out
}

fn break_line(out: &mut String, level: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", level));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_written_in_lines_and_says_the_same() {
        let json = r#"{"a":[1,2.50],"b" : {},"c":"x{\"[,: \\","d":[ ],"e":12345678901234567890.123}"#;
        let text = pretty(json);
        assert_eq!(
            text,
            "{\n  \"a\": [\n    1,\n    2.50\n  ],\n  \"b\": {},\n  \"c\": \"x{\\\"[,: \\\\\",\n  \"d\": [],\n  \"e\": 12345678901234567890.123\n}\n"
        );
        assert_eq!(pretty(&text), text, "lines stay");
    }

    #[test]
    fn any_id_has_a_file_of_its_own() {
        assert_eq!(file_name("big-spenders_2"), "big-spenders_2.json");
        assert_eq!(file_name("../é.x"), "%2E%2E%2F%C3%A9%2Ex.json");
    }

    #[test]
    fn what_is_written_is_read_and_what_is_gone_is_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let segment: SegmentFile =
            serde_json::from_str(r#"{"id":"a/b","name":"A","rules":{"field":"x","operator":"exists"}}"#).unwrap();
        let definition = RawValue::from_string(r#"{"name":"t","event":"buy"}"#.to_owned()).unwrap();
        let definitions = Definitions {
            segments: BTreeMap::from([("a/b".to_owned(), segment)]),
            traits: BTreeMap::from([("t".to_owned(), definition)]),
            settings: DefinedSettings { timezone: Some("Asia/Kolkata".to_owned()) },
        };
        fs::create_dir(directory.path().join("segments")).unwrap();
        fs::write(directory.path().join("segments/gone.json"), "{}").unwrap();
        fs::write(directory.path().join("segments/README.md"), "").unwrap();
        assert_eq!(definitions.write(directory.path()).unwrap(), 3);
        let read = Definitions::read(directory.path()).unwrap();
        assert_eq!(read.segments["a/b"].name, "A");
        assert!(read.traits["t"].get().contains("buy"));
        assert_eq!(read.segments.len() + read.traits.len(), 2);
        assert_eq!(read.settings, definitions.settings);
        assert!(directory.path().join("segments/README.md").exists());
        fs::write(directory.path().join("segments/b.json"), r#"{"id":"b"}"#).unwrap();
        let error = format!("{:#}", Definitions::read(directory.path()).unwrap_err());
        assert!(error.contains("b.json") && error.contains("name"), "{error}");
    }
}
