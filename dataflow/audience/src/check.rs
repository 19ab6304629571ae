//! `audience check`: validates rules without running anything.

mod schema;

use std::path::PathBuf;
use std::process::ExitCode;

use audience_engine::replay::bulk::definitions::{add_segments, add_traits};
use audience_rules::catalogue::Catalogue;
use audience_rules::fault::Fault;
use audience_rules::seen;
use audience_rules::value::Value;
use clap::Args;
use schema::ServerSchema;

use crate::asking::CaFlag;
use crate::files::{listed, read_json};

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Files of a rules object, or of a list of {id, name, rules} that may refer to each other in any order.
    #[arg(value_name = "RULES.json", required = true)]
    rules: Vec<PathBuf>,
    /// Computed traits, added to the shipped ones: a list of {name, event, where?, measure?, within?}. [default: none]
    #[arg(long, value_name = "T.json")]
    traits: Option<PathBuf>,
    /// The URL of a running server, `http://host:port` or `https://host:port`, or a file of its `/api/schema`: rules may then use its segments and
    /// computed traits, and events, fields and values that it has never seen are warned of. [default: none]
    #[arg(long, value_name = "URL|FILE")]
    against: Option<String>,
    /// A key for that server, which may read its schema. [default: none]
    #[arg(long, env = "AUDIENCE_KEY", value_name = "KEY", hide_env_values = true, requires = "against")]
    key: Option<String>,
    #[command(flatten)]
    ca: CaFlag,
}

/// Exit status 0: all are valid; 1: faults are on the standard output; 2: a file or the server cannot be read. Warnings
/// change nothing of it.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let schema =
        args.against.as_deref().map(|place| ServerSchema::read(place, args.key.as_deref(), &args.ca)).transpose()?;
    let mut catalogue = Catalogue::with_shipped_traits();
    let mut found = String::new();
    if let Some(schema) = &schema {
        schema.add_to(&mut catalogue);
    }
    if let Some(path) = &args.traits
        && let Err(faults) = add_traits(&mut catalogue, &read_json(path)?)
    {
        found.push_str(&listed(path, &faults));
    }
    let mut warned = String::new();
    for path in &args.rules {
        let json = read_json(path)?;
        let checked = match &json {
            Value::Array(_) => add_segments(&mut catalogue.clone(), &json),
            rules => catalogue.check_rules("", rules).map(drop),
        };
        match (checked, &schema) {
            (Err(faults), _) => found.push_str(&listed(path, &faults)),
            (Ok(()), Some(schema)) => {
                let warnings = listed(path, &warnings(&json, schema, &catalogue));
                warned.extend(warnings.lines().map(|line| format!("warning: {line}\n")));
            }
            (Ok(()), None) => {}
        }
    }
    print!("{found}{warned}");
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Warnings of names in a file that the server has never seen.
fn warnings(json: &Value, schema: &ServerSchema, catalogue: &Catalogue) -> Vec<Fault> {
    let data = schema.seen();
    let computed: Vec<&str> = catalogue.traits.keys().map(|name| &**name).collect();
    let Value::Array(segments) = json else { return seen::warnings(json, &data, &computed) };
    let of = |(index, segment): (usize, &Value)| {
        let rules = segment.get("rules");
        let found = rules.map(|rules| seen::warnings(rules, &data, &computed)).unwrap_or_default().into_iter();
        found.map(move |fault| Fault { pointer: format!("/{index}/rules{}", fault.pointer), ..fault })
    };
    segments.iter().enumerate().flat_map(of).collect()
}
