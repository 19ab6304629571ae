//! The kinds of definitions, and their folders.

/// The kind of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DefinitionKind {
    Segment,
    Trait,
    Content,
    Campaign,
    Setting,
}

impl DefinitionKind {
    pub(super) fn word(self) -> &'static str {
        match self {
            DefinitionKind::Segment => "segment",
            DefinitionKind::Trait => "trait",
            DefinitionKind::Content => "content",
            DefinitionKind::Campaign => "campaign",
            DefinitionKind::Setting => "setting",
        }
    }

    /// The folder of its files, which is the last part of its path in the API too.
    pub(super) fn folder(self) -> &'static str {
        match self {
            DefinitionKind::Segment => "segments",
            DefinitionKind::Trait => "traits",
            DefinitionKind::Content => "contents",
            DefinitionKind::Campaign => "campaigns",
            DefinitionKind::Setting => "timezone",
        }
    }
}
