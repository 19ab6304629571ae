//! Timelines against the engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use audience_rules::ast::Millis;
use audience_rules::catalogue::{Definition, Segment};
use audience_rules::event::{EventDecoder, EventDefaults};
use audience_rules::fault::Fault;
use audience_rules::record::erasure;
use audience_rules::timeline::{SegmentDefinition, SegmentLine, Subject};
use audience_rules::value::Value;
use audience_rules::zone::ZoneId;

use super::logical::LogicalEngine;
use crate::engine::EngineError;

/// The engine as the subject of a timeline.
pub struct EngineSubject {
    /// The engine.
    pub engine: LogicalEngine,
    /// Why the engine stopped, if it did.
    pub failure: Option<EngineError>,
    decoder: EventDecoder,
}

impl EngineSubject {
    /// A subject.
    pub fn new(engine: LogicalEngine) -> Self {
        EngineSubject { engine, failure: None, decoder: EventDecoder::new() }
    }

    fn noted<T: Default>(&mut self, result: Result<T, EngineError>) -> T {
        result.unwrap_or_else(|error| {
            self.failure.get_or_insert(error);
            T::default()
        })
    }
}

fn all(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ")
}

impl Subject for EngineSubject {
    fn at(&mut self, now: Millis) {
        let result = self.engine.advance(now);
        self.noted(result);
    }

    fn event(&mut self, json: &[u8]) -> Result<(), String> {
        let mut record = Vec::new();
        let defaults = EventDefaults { accepted_at: self.engine.clock() };
        self.decoder.decode(json, &defaults, &mut record).map_err(|fault| fault.to_string())?;
        self.engine.accept(&record).map_err(|error| error.to_string())
    }

    fn erase_user(&mut self, id: &str) -> Result<(), String> {
        let mut record = Vec::new();
        erasure(id, self.engine.clock(), &mut record);
        self.engine.accept(&record).map_err(|error| error.to_string())
    }

    fn set_timezone(&mut self, name: &str) -> Result<(), String> {
        let zone = ZoneId::named(name).ok_or_else(|| format!("`{name}` is no time zone"))?;
        self.decoder.set_zone(zone);
        self.engine.edit(|catalogue| catalogue.timezone = zone).map_err(|error| error.to_string())
    }

    fn put_trait(&mut self, json: &Value) -> Result<(), String> {
        let computed = self.engine.catalogue().check_trait(json).map_err(|faults| all(&faults))?;
        self.engine.edit(|catalogue| catalogue.put_trait(computed)).map_err(|error| error.to_string())
    }

    fn put_segment(&mut self, line: &SegmentLine) -> Result<(), String> {
        let catalogue = self.engine.catalogue();
        let definition = match &line.definition {
            SegmentDefinition::Dynamic(rules) => {
                Definition::Dynamic(catalogue.check_rules(&line.id, rules).map_err(|faults| all(&faults))?.into())
            }
            SegmentDefinition::Static(users) => {
                let users: BTreeSet<Arc<str>> = users.iter().map(|user| user.as_str().into()).collect();
                Definition::Static(users.into())
            }
        };
        let id: Arc<str> = line.id.as_str().into();
        let version = catalogue.segments.get(&id).map_or(0, |old| old.version) + 1;
        let segment = Segment { id, version, status: line.status, definition };
        self.engine.edit(|catalogue| catalogue.put_segment(segment)).map_err(|error| error.to_string())
    }

    fn delete_segment(&mut self, id: &str) -> Result<(), String> {
        self.engine.catalogue().check_delete_segment(id).map_err(|fault| fault.to_string())?;
        if !self.engine.catalogue().segments.contains_key(id) {
            return Err(format!("there is no segment `{id}`"));
        }
        let edit = self.engine.edit(|catalogue| drop(catalogue.delete_segment(id)));
        edit.map_err(|error| error.to_string())
    }

    fn members(&mut self, segment: &str) -> Vec<String> {
        let result = self.engine.members(segment);
        self.noted(result)
    }

    fn refuse(&mut self, id: &str, rules: &Value) -> Vec<String> {
        let faults = self.engine.catalogue().check_rules(id, rules).err().unwrap_or_default();
        faults.into_iter().map(|fault| fault.pointer).collect()
    }
}
