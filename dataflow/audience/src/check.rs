//! `audience check`: validates rules without running anything.

use std::path::PathBuf;
use std::process::ExitCode;

use audience_engine::replay::bulk::definitions::{add_segments, add_traits};
use audience_rules::catalogue::Catalogue;
use audience_rules::value::Value;
use clap::Args;

use crate::files::{listed, read_json};

#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Files of a rules object, or of a list of {id, name, rules} that may refer to each other in any order.
    #[arg(value_name = "RULES.json", required = true)]
    rules: Vec<PathBuf>,
    /// Computed traits, added to the shipped ones: a list of {name, event, where?, measure?, within?}. [default: none]
    #[arg(long, value_name = "T.json")]
    traits: Option<PathBuf>,
}

/// Exit status 0: all are valid; 1: faults are on the standard output; 2: a file cannot be read.
pub fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let mut catalogue = Catalogue::with_shipped_traits();
    let mut found = String::new();
    if let Some(path) = &args.traits
        && let Err(faults) = add_traits(&mut catalogue, &read_json(path)?)
    {
        found.push_str(&listed(path, &faults));
    }
    for path in &args.rules {
        let json = read_json(path)?;
        let checked = match &json {
            Value::Array(_) => add_segments(&mut catalogue.clone(), &json),
            rules => catalogue.check_rules("", rules).map(drop),
        };
        if let Err(faults) = checked {
            found.push_str(&listed(path, &faults));
        }
    }
    print!("{found}");
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
