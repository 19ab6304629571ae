//! The platform's words: what people call events, properties and traits, and the currency of amounts.

use serde::{Deserialize, Serialize};

use crate::Word;
use crate::error::{Result, needs_engine};

/// The words of the platform. A platform implements what it can answer; the rest is refused with
/// [`PlatformError::NeedsEngine`](crate::PlatformError::NeedsEngine).
pub trait VocabularyResource: Send + Sync + 'static {
    /// Returns all words.
    fn vocabulary(&self) -> Result<Vocabulary> {
        needs_engine("names of events and traits", ())
    }

    /// Names a subject, or names it anew.
    fn put_label(&self, subject: LabelSubject, input: LabelInput, author: &str) -> Result<Label> {
        needs_engine("names of events and traits", (subject, input, author))
    }

    /// Takes the name of a subject away; one without a name stays so.
    fn delete_label(&self, subject: LabelSubject, author: &str) -> Result<()> {
        needs_engine("names of events and traits", (subject, author))
    }

    /// Sets the currency of amounts, or takes it away.
    fn set_currency(&self, input: Option<CurrencyInput>, author: &str) -> Result<Vocabulary> {
        needs_engine("the currency of amounts", (input, author))
    }
}

/// The kind of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LabelKind {
    /// An event type.
    Event,
    /// A property of events, by its path, in whatever event it stands.
    Property,
    /// A trait of users, told or computed.
    Trait,
}

impl Word for LabelKind {
    const WORDS: &'static [(&'static str, Self)] =
        &[("event", LabelKind::Event), ("property", LabelKind::Property), ("trait", LabelKind::Trait)];
}

/// The subject of a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LabelSubject {
    /// The kind.
    pub kind: LabelKind,
    /// The name that events and rules use.
    pub name: String,
}

/// The words that people have for an event, a property or a trait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Label {
    /// The subject.
    #[serde(flatten)]
    pub subject: LabelSubject,
    /// The name for people; may be empty where there is a description.
    pub display_name: String,
    /// The meaning.
    pub description: String,
    /// RFC 3339: the last change.
    pub updated_at: String,
    /// The author of the last change.
    pub updated_by: String,
}

/// A client's request to name a subject.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct LabelInput {
    /// The name for people.
    pub display_name: String,
    /// The meaning.
    pub description: String,
}

/// A client's request to set the currency of amounts.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CurrencyInput {
    /// Three capital letters, as ISO 4217 has them.
    pub code: String,
    /// The properties that are amounts; the usual ones if absent.
    #[serde(default)]
    pub amounts: Option<Vec<String>>,
}

/// The currency of the platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Currency {
    /// Three capital letters, as ISO 4217 has them.
    pub code: String,
    /// The properties that are amounts in it.
    pub amounts: Vec<String>,
    /// The computed traits that are amounts in it: those that add, average or pick one of these properties.
    #[serde(default)]
    pub traits: Vec<String>,
}

/// All words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Vocabulary {
    /// Labels by kind and name.
    pub labels: Vec<Label>,
    /// The currency, if one is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
}
