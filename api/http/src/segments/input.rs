//! Requests to create, replace and change segments.

use audience_protocol::{CheckedUserId, SegmentDocument, SegmentInput, Word};
use audience_rules::catalogue::SegmentStatus;
use audience_rules::fault::{Fault, code};
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, Visitor};
use serde_json::value::RawValue;

use crate::body::Media;
use crate::json;
use crate::merge_patch::{given, merge};
use crate::problem::Problem;
use crate::versions::checked_note;

/// A segment as sent. Members that only the platform sets may stand in it and are ignored, so that a document that was read
/// can be sent back.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SegmentBody {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    rules: Option<Box<RawValue>>,
    #[serde(default)]
    members: Option<Vec<IdText>>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    note: Option<String>,
    #[serde(default, rename = "version")]
    _version: IgnoredAny,
    #[serde(default, rename = "createdAt")]
    _created_at: IgnoredAny,
    #[serde(default, rename = "updatedAt")]
    _updated_at: IgnoredAny,
    #[serde(default, rename = "size")]
    _size: IgnoredAny,
    #[serde(default, rename = "effective")]
    _effective: IgnoredAny,
    #[serde(default, rename = "updatedBy")]
    _updated_by: IgnoredAny,
    #[serde(default, rename = "faults")]
    _faults: IgnoredAny,
    #[serde(default, rename = "usedBy")]
    _used_by: IgnoredAny,
    #[serde(default, rename = "warnings")]
    _warnings: IgnoredAny,
}

/// Reads a whole segment.
pub(crate) fn read(body: &[u8]) -> Result<SegmentInput, Problem> {
    let body: SegmentBody = json::parse_object(body)?;
    let members = body.members.map(texts);
    if let Some(members) = &members {
        check_members(members, "/members")?;
    }
    Ok(SegmentInput {
        id: body.id,
        name: body.name,
        description: body.description.unwrap_or_default(),
        kind: word(body.kind.as_deref(), "/type", "a type")?,
        status: word(body.status.as_deref(), "/status", "a status")?,
        rules: body.rules,
        members,
        tags: body.tags.unwrap_or_default(),
        owner: body.owner,
        note: checked_note(body.note, "/note")?,
    })
}

/// Reads a member that is a word; `subject` begins the sentence that lists the possible ones.
fn word<W: Word>(text: Option<&str>, pointer: &str, subject: &str) -> Result<Option<W>, Problem> {
    let unknown = || Problem::fault(pointer, code::UNKNOWN_WORD, format!("{subject} is {}", W::choices()));
    text.map(|text| W::parse(text).ok_or_else(unknown)).transpose()
}

/// A change: a member that is absent stays, one that is `null` is taken out.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SegmentPatch {
    #[serde(default, deserialize_with = "given")]
    name: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    description: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    tags: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "given")]
    owner: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    rules: Option<Option<Box<RawValue>>>,
    #[serde(default, deserialize_with = "given")]
    status: Option<Option<String>>,
    #[serde(default)]
    note: Option<String>,
}

/// A change that was read.
pub(crate) struct Patch {
    patch: SegmentPatch,
    status: Option<SegmentStatus>,
    media: Media,
}

impl Patch {
    /// Reads a change.
    pub(crate) fn read(body: &[u8], media: Media) -> Result<Self, Problem> {
        let mut patch: SegmentPatch = json::parse_object(body)?;
        patch.note = checked_note(patch.note, "/note")?;
        let required = [
            ("/name", matches!(patch.name, Some(None))),
            ("/rules", matches!(patch.rules, Some(None))),
            ("/status", matches!(patch.status, Some(None))),
        ];
        let message = "this member cannot be taken out";
        let fault = |pointer: &str| Fault { pointer: pointer.into(), code: code::WRONG_TYPE, message: message.into() };
        let faults: Vec<_> = required.iter().filter(|(_, bad)| *bad).map(|(pointer, _)| fault(pointer)).collect();
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        let status = word(patch.status.as_ref().and_then(Option::as_deref), "/status", "a status")?;
        Ok(Patch { patch, status, media })
    }

    /// The status that it says, if it says one.
    pub(crate) fn status(&self) -> Option<SegmentStatus> {
        self.status
    }

    /// The segment as it is to be. Rules are replaced as a whole, but merged (RFC 7396) where the media type says so.
    pub(crate) fn apply(&self, current: SegmentDocument) -> SegmentInput {
        let patch = &self.patch;
        let rules = match (patch.rules.as_ref().and_then(Option::as_ref), current.rules) {
            (None, current) => current,
            (Some(new), Some(old)) if self.media == Media::MergePatch => merge(&old, new),
            (Some(new), _) => Some(new.clone()),
        };
        SegmentInput {
            id: Some(current.id),
            name: patch.name.clone().flatten().unwrap_or(current.name),
            description: patch.description.clone().map_or(current.description, Option::unwrap_or_default),
            kind: Some(current.kind),
            status: self.status,
            rules,
            members: None,
            tags: patch.tags.clone().map_or(current.tags, Option::unwrap_or_default),
            owner: patch.owner.clone().unwrap_or(current.owner),
            note: patch.note.clone(),
        }
    }
}

/// A user id in JSON: text, or a whole number taken as its text.
struct IdText(String);

impl<'de> Deserialize<'de> for IdText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdVisitor;
        impl Visitor<'_> for IdVisitor {
            type Value = IdText;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a user id")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<IdText, E> {
                Ok(IdText(text.to_owned()))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<IdText, E> {
                Ok(IdText(text))
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<IdText, E> {
                Ok(IdText(number.to_string()))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<IdText, E> {
                Ok(IdText(number.to_string()))
            }
        }
        deserializer.deserialize_any(IdVisitor)
    }
}

/// The texts of ids.
fn texts(ids: Vec<IdText>) -> Vec<String> {
    ids.into_iter().map(|id| id.0).collect()
}

/// The faults of all texts that are no ids, below `pointer`.
fn check_members(members: &[String], pointer: &str) -> Result<(), Problem> {
    let fault = |(index, id): (usize, &String)| {
        let fault = CheckedUserId::parse(id).err()?;
        Some(Fault { pointer: format!("{pointer}/{index}"), code: fault.code, message: fault.message })
    };
    let faults: Vec<_> = members.iter().enumerate().filter_map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
}
