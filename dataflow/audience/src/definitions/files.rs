//! The directory: one JSON file a definition, in a form that makes small differences in git.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use audience_protocol::CampaignInput;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::documents::{ContentFile, DefinedSettings, SegmentFile};
use super::kind::DefinitionKind;

/// The file of settings.
pub(super) const SETTINGS: &str = "settings.json";

/// The name that a trait's file says.
#[derive(Deserialize)]
struct TraitName {
    name: String,
}

/// Definitions by id or name, and the settings.
#[derive(Clone, Debug, Default)]
pub(super) struct Definitions {
    pub segments: BTreeMap<String, SegmentFile>,
    /// The whole definition of each.
    pub traits: BTreeMap<String, Box<RawValue>>,
    pub contents: BTreeMap<String, ContentFile>,
    pub campaigns: BTreeMap<String, CampaignInput>,
    pub settings: DefinedSettings,
    /// The file of each; none of what a server says.
    pub places: BTreeMap<(DefinitionKind, String), PathBuf>,
}

/// Definitions in the reading, and every fault so far.
#[derive(Default)]
struct FileReading {
    places: BTreeMap<(DefinitionKind, String), PathBuf>,
    faults: Vec<String>,
}

impl Definitions {
    /// Reads a directory, or gives the faults of all files. Files that do not end with `.json` are passed over.
    pub(super) fn read(directory: &Path) -> anyhow::Result<Result<Definitions, Vec<String>>> {
        ensure!(directory.is_dir(), "{} is no directory", directory.display());
        let mut reading = FileReading::default();
        let folder = |kind: DefinitionKind| texts(&directory.join(kind.folder()));
        let segments = reading.all(DefinitionKind::Segment, folder(DefinitionKind::Segment)?, |text| {
            let segment: SegmentFile = serde_json::from_str(text)?;
            Ok((segment.id.clone(), segment))
        });
        let traits = reading.all(DefinitionKind::Trait, folder(DefinitionKind::Trait)?, |text| {
            let name = serde_json::from_str::<TraitName>(text)?.name;
            Ok((name, serde_json::from_str(text)?))
        });
        let contents = reading.all(DefinitionKind::Content, folder(DefinitionKind::Content)?, |text| {
            let content: ContentFile = serde_json::from_str(text)?;
            Ok((content.id.clone(), content))
        });
        let campaigns = reading.all(DefinitionKind::Campaign, folder(DefinitionKind::Campaign)?, |text| {
            let mut campaign: CampaignInput = serde_json::from_str(text)?;
            let id = campaign.id.take().context("`id` is missing")?;
            Ok((id, campaign))
        });
        let settings = reading.settings(&directory.join(SETTINGS))?;
        let FileReading { places, faults } = reading;
        if faults.is_empty() {
            return Ok(Ok(Definitions { segments, traits, contents, campaigns, settings, places }));
        }
        Ok(Err(faults))
    }

    /// The file of a definition.
    pub(super) fn place(&self, kind: DefinitionKind, id: &str) -> Option<&Path> {
        self.places.get(&(kind, id.to_owned())).map(PathBuf::as_path)
    }

    /// Writes a directory, and deletes files of what is not here; gives how many files there are. A file that says the same is
    /// left as it is.
    pub(super) fn write(&self, directory: &Path) -> anyhow::Result<usize> {
        let named = |id: &str, input: &CampaignInput| CampaignInput { id: Some(id.to_owned()), ..input.clone() };
        let campaigns = self.campaigns.iter().map(|(id, input)| (id.clone(), named(id, input))).collect();
        let written = [
            write_all(&directory.join(DefinitionKind::Segment.folder()), &self.segments)?,
            write_all(&directory.join(DefinitionKind::Trait.folder()), &self.traits)?,
            write_all(&directory.join(DefinitionKind::Content.folder()), &self.contents)?,
            write_all(&directory.join(DefinitionKind::Campaign.folder()), &campaigns)?,
        ];
        write(&directory.join(SETTINGS), pretty(&serde_json::to_string(&self.settings)?))?;
        Ok(written.iter().sum::<usize>() + 1)
    }
}

impl FileReading {
    /// The definitions of a folder, by id.
    fn all<T>(
        &mut self,
        kind: DefinitionKind,
        texts: Vec<(PathBuf, String)>,
        read: impl Fn(&str) -> anyhow::Result<(String, T)>,
    ) -> BTreeMap<String, T> {
        let mut found = BTreeMap::new();
        for (place, text) in texts {
            match read(&text) {
                Err(error) => self.faults.push(format!("{}: {error:#}", place.display())),
                Ok((id, one)) => {
                    if let Some(before) = self.places.insert((kind, id.clone()), place.clone()) {
                        let (place, before, kind) = (place.display(), before.display(), kind.word());
                        self.faults.push(format!("{place}: {before} has the {kind} {id} too; keep one of them"));
                    }
                    found.insert(id, one);
                }
            }
        }
        found
    }

    fn settings(&mut self, place: &Path) -> anyhow::Result<DefinedSettings> {
        let text = match fs::read_to_string(place) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(DefinedSettings::default()),
            Err(error) => bail!("{}: {error}", place.display()),
        };
        Ok(serde_json::from_str(&text).unwrap_or_else(|error| {
            self.faults.push(format!("{}: {error}", place.display()));
            DefinedSettings::default()
        }))
    }
}

/// The files of a folder with their places, which messages name.
fn texts(folder: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => bail!("{}: {error}", folder.display()),
    };
    let mut texts = Vec::new();
    for entry in entries {
        let place = entry?.path();
        if place.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&place).with_context(|| place.display().to_string())?;
            texts.push((place, text));
        }
    }
    texts.sort_unstable();
    Ok(texts)
}

fn write_all<T: Serialize>(folder: &Path, definitions: &BTreeMap<String, T>) -> anyhow::Result<usize> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let written = |(id, one): (&String, &T)| Ok((file_name(id), pretty(&serde_json::to_string(one)?)));
    let named = definitions.iter().map(written).collect::<anyhow::Result<BTreeMap<String, String>>>()?;
    for (place, _) in texts(folder)? {
        let name = place.file_name().and_then(|name| name.to_str());
        if name.is_none_or(|name| !named.contains_key(name)) {
            fs::remove_file(&place).with_context(|| place.display().to_string())?;
        }
    }
    for (name, text) in named {
        write(&folder.join(name), text)?;
    }
    Ok(definitions.len())
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
            ..Definitions::default()
        };
        fs::create_dir(directory.path().join("segments")).unwrap();
        fs::write(directory.path().join("segments/gone.json"), "{}").unwrap();
        fs::write(directory.path().join("segments/README.md"), "").unwrap();
        assert_eq!(definitions.write(directory.path()).unwrap(), 3);
        let read = Definitions::read(directory.path()).unwrap().unwrap();
        assert_eq!(read.segments["a/b"].name, "A");
        assert!(read.traits["t"].get().contains("buy"));
        assert_eq!(read.segments.len() + read.traits.len(), 2);
        assert_eq!(read.settings, definitions.settings);
        assert!(directory.path().join("segments/README.md").exists());
    }

    #[test]
    fn the_faults_of_all_files_are_told_with_their_places() {
        let directory = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("segments/b.json", r#"{"id":"b"}"#);
        put("segments/c.json", "{\n  \"id\"");
        put("traits/t.json", r#"{"name":"t"}"#);
        put("traits/u.json", r#"{"name":"t"}"#);
        put("contents/m.json", r#"{"id":"m","name":"M","subject":"S","body":"B","status":"sent"}"#);
        put("campaigns/k.json", r#"{"name":"K","segmentId":"s","contentId":"m"}"#);
        put(SETTINGS, r#"{"zone":"UTC"}"#);
        let faults = Definitions::read(directory.path()).unwrap().unwrap_err();
        let expected = [
            ("b.json", "name"),
            ("c.json", "line 2"),
            ("u.json", "t.json has the trait t too"),
            ("m.json", "sent"),
            ("k.json", "`id` is missing"),
            (SETTINGS, "zone"),
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        for ((file, word), fault) in expected.iter().zip(&faults) {
            assert!(fault.contains(file) && fault.contains(word), "{fault}");
        }
    }
}
