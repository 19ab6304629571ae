//! Which ids are one user. Every worker holds the whole table and applies the same aliases in the same order.

use std::sync::Arc;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

/// Ids merged into others.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Aliases {
    /// Every merged id, with the id that the user goes by.
    roots: HashMap<String, Arc<str>>,
    /// For an id that others were merged into: those.
    merged: HashMap<Arc<str>, Vec<String>>,
}

/// A merge that came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// Who is no longer a user.
    pub from: Arc<str>,
    /// Who has their history now.
    pub into: Arc<str>,
    /// All ids that are this user now.
    pub ids: Vec<String>,
}

impl Aliases {
    /// The id that the user goes by, where it is another.
    pub fn root(&self, id: &str) -> Option<&Arc<str>> {
        self.roots.get(id)
    }

    /// All ids that are this user: itself, and those merged into it.
    pub fn ids(&self, root: &str) -> Vec<String> {
        let merged = self.merged.get(root).into_iter().flatten().cloned();
        std::iter::once(root.to_owned()).chain(merged).collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// Merges `previous` into `user`, both resolved first; `None` where they are one already.
    pub fn merge(&mut self, previous: &str, user: &str) -> Option<Merged> {
        let from = self.root(previous).cloned().unwrap_or_else(|| Arc::from(previous));
        let into = self.root(user).cloned().unwrap_or_else(|| Arc::from(user));
        if from == into {
            return None;
        }
        let mut moved = self.merged.remove(&from).unwrap_or_default();
        moved.push(from.to_string());
        for id in &moved {
            self.roots.insert(id.clone(), into.clone());
        }
        self.merged.entry(into.clone()).or_default().extend(moved);
        let ids = self.ids(&into);
        Some(Merged { from, into, ids })
    }
}
