//! The values of traits for many users: the columns of a table of people.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use audience_background::clock;
use audience_catalogue::unavailable;
use audience_emit::trait_values::computed_traits;
use audience_kernel::aliases::IdSince;
use audience_protocol::{Result, UserValues};
use audience_rules::ast::Millis;
use audience_rules::catalogue::Catalogue;
use audience_rules::record::records;
use audience_rules::unparse::value_to_json;
use hashbrown::HashMap;
use serde_json::value::RawValue;

use super::{Lookup, user};

/// Users whose histories are in memory at a time.
const USERS_AT_A_TIME: usize = 256;

impl Lookup {
    /// The values of traits, told or computed, of each of the users now: exactly what rules see. Cost: the history of
    /// each user, and those of 256 users in memory.
    pub(crate) fn values_of(&self, users: &[String], columns: &[String]) -> Result<Vec<UserValues>> {
        if columns.is_empty() {
            return Ok(vec![UserValues::new(); users.len()]);
        }
        let documents = self.editor.documents();
        let mut values = Vec::with_capacity(users.len());
        for some in users.chunks(USERS_AT_A_TIME) {
            let histories = self.histories_of(some)?;
            let now = clock::now();
            values.extend(histories.iter().map(|history| history.values(columns, &documents.catalogue, now)));
        }
        Ok(values)
    }

    /// Every record of each of the users, with one look into the log for all.
    fn histories_of(&self, users: &[String]) -> Result<Vec<AcceptedHistory>> {
        let mut histories: Vec<AcceptedHistory> = {
            let aliases = self.engine.aliases().read();
            let root = |id: &String| aliases.root(id).map_or_else(|| id.clone(), |root| root.to_string());
            users.iter().map(|id| AcceptedHistory { ids: aliases.ids_since(&root(id)), records: Vec::new() }).collect()
        };
        let mut owners: HashMap<String, Vec<usize>> = HashMap::new();
        for (owner, history) in histories.iter().enumerate() {
            history.ids.iter().for_each(|(id, _)| owners.entry(id.clone()).or_default().push(owner));
        }
        let names: Vec<&str> = owners.keys().map(String::as_str).collect();
        self.events
            .visit_users(&names, self.events.end(), &mut |run| {
                for record in records(run) {
                    for owner in owners.get(record.user()).into_iter().flatten() {
                        histories[*owner].records.extend_from_slice(record.bytes());
                    }
                }
                ControlFlow::Continue(())
            })
            .map_err(unavailable)?;
        Ok(histories)
    }
}

/// The events of a user that were accepted.
struct AcceptedHistory {
    ids: Vec<IdSince>,
    records: Vec<u8>,
}

impl AcceptedHistory {
    fn values(&self, columns: &[String], catalogue: &Catalogue, now: Millis) -> UserValues {
        let history = user::history(&self.records, &self.ids);
        let asked = catalogue.traits.iter().filter(|(name, _)| columns.iter().any(|column| **column == ***name));
        let computed: BTreeMap<_, _> = asked.map(|(name, definition)| (name.clone(), definition.clone())).collect();
        let mut values = computed_traits(&history, &computed, now);
        // A computed trait hides one that was told, as it does in rules.
        for column in columns.iter().filter(|column| !computed.contains_key(column.as_str())) {
            let told = history.trait_value(column, now).filter(|value| !value.is_null());
            let told = told.and_then(|value| RawValue::from_string(value_to_json(&value.to_value())).ok());
            values.extend(told.map(|told| (column.clone(), told)));
        }
        values
    }
}
