//! JSON files that commands read.

use std::path::Path;

use anyhow::Context;
use audience_rules::fault::Fault;
use audience_rules::json::parse_json;
use audience_rules::value::Value;

/// Reads a file of JSON.
pub(crate) fn read_json(path: &Path) -> anyhow::Result<Value> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse_json(&bytes).with_context(|| format!("{} is not JSON", path.display()))
}

/// Every fault on a line of its own, after the name of its file.
pub(crate) fn listed(path: &Path, faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("{}: {fault}\n", path.display())).collect()
}
