//! Health of the platform and its parts.

use std::collections::BTreeMap;

use serde::Serialize;

/// Health of a part.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ComponentHealth {
    /// UP or DOWN.
    pub status: &'static str,
    /// What is the matter, or figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Health of all parts.
#[derive(Clone, Debug)]
pub struct Health {
    /// Whether the platform has caught up with what was accepted before its start, and can take and answer what it is asked.
    /// Parts may be down beside that, whose work is made up for later.
    pub ready: bool,
    /// By part.
    pub components: BTreeMap<String, ComponentHealth>,
}
