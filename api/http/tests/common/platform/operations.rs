//! Health as a test sets it.

use std::collections::BTreeMap;

use audience_protocol::{ComponentHealth, ComponentStatus, Health, OperationsResource};

use super::FakePlatform;

impl OperationsResource for FakePlatform {
    fn health(&self) -> Health {
        let down = *self.down.lock().unwrap();
        let component = ComponentHealth {
            status: if down { ComponentStatus::Down } else { ComponentStatus::Up },
            detail: None,
            has_fault: down,
        };
        Health { ready: !down, components: BTreeMap::from([("engine".to_owned(), component)]) }
    }

    fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap().clone()
    }

    fn metrics(&self) -> String {
        "# TYPE audience_fake gauge\naudience_fake 1\n".into()
    }
}
