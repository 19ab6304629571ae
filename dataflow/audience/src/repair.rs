//! `audience repair`: what of a data directory follows from the events is made anew, and what is lost is named.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use audience_contract::{MessageIndex, StoreError};
use audience_embedded::{DirectoryRepair, Options, PartState, RepairedPart};
use audience_engine::durability::{note_messages, verify};
use clap::Args;
use serde::Serialize;

use crate::settings::named;

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// The data directory, which no process uses.
    #[arg(long, env = "AUDIENCE_DATA", value_name = "DIR", default_value = "./audience-data")]
    data: PathBuf,
    /// Prints one JSON list instead of a table.
    #[arg(long)]
    json: bool,
}

/// A part as it is printed.
#[derive(Serialize)]
struct PartRow<'a> {
    part: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'a str,
}

impl<'a> PartRow<'a> {
    fn of(part: &'a RepairedPart) -> PartRow<'a> {
        let (state, detail) = match &part.state {
            PartState::Whole => ("whole", ""),
            PartState::Rebuilt(detail) => ("rebuilt", detail.as_str()),
            PartState::Lost(detail) => ("lost", detail.as_str()),
        };
        PartRow { part: part.part, state, detail }
    }
}

/// Exit status 0: all is whole now; 1: something is lost; 2: the directory is in use, or cannot be read or written.
pub(crate) fn run(args: &RepairArgs) -> anyhow::Result<ExitCode> {
    let mut repair = DirectoryRepair::open(&args.data, &Options::default()).with_context(|| named("data"))?;
    see_to_all(&mut repair)?;
    let rows: Vec<PartRow<'_>> = repair.parts().iter().map(PartRow::of).collect();
    let mut out = std::io::stdout().lock();
    if args.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
    } else {
        for PartRow { part, state, detail } in &rows {
            writeln!(out, "{state:<8} {part}{}{detail}", if detail.is_empty() { "" } else { ": " })?;
        }
    }
    if !is_lost(&repair) {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "What is lost follows from nothing in this directory. Put back a copy of the whole directory, or start on an empty one \
         with the --checkpoints of before."
    );
    Ok(ExitCode::FAILURE)
}

fn see_to_all(repair: &mut DirectoryRepair) -> Result<(), StoreError> {
    let log = repair.events()?;
    let fill = |index: &dyn MessageIndex| log.as_ref().map_or(Ok(()), |log| note_messages(&**log, index, log.end()));
    repair.messages(log.is_some().then_some(&fill))?;
    repair.ledger()?;
    let state = checkpoints(repair)?;
    repair.note("the checkpoints", state);
    Ok(())
}

/// A damaged checkpoint goes, since a start makes its state of the events; unless something is lost that it may still have.
fn checkpoints(repair: &DirectoryRepair) -> Result<PartState, StoreError> {
    let store = repair.checkpoints()?;
    let may_go = !is_lost(repair);
    let mut faults = Vec::new();
    for number in store.found()? {
        let found = verify(&*store, number).1;
        if !found.is_empty() && may_go {
            store.remove(number)?;
        }
        faults.extend(found.into_iter().map(|fault| format!("number {number}: {fault}")));
    }
    let faults = faults.join("; ");
    Ok(match (faults.is_empty(), may_go) {
        (true, _) => PartState::Whole,
        (false, true) => PartState::Rebuilt(format!("{faults}; removed, and the next start replays events instead")),
        (false, false) => PartState::Lost(format!("{faults}; it is kept, since other parts are lost")),
    })
}

fn is_lost(repair: &DirectoryRepair) -> bool {
    repair.parts().iter().any(|part| matches!(part.state, PartState::Lost(_)))
}
