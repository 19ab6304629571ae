//! `audience backup verify`: every byte of a backup is read.

use std::process::ExitCode;
use std::sync::Arc;

use audience_engine::durability::backup::{self, BackupDocuments, BackupPlace};
use audience_objects::Objects;
use clap::Args;

use super::place::{self, BackupsFlag, DOCUMENTS};

/// The backup to read.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    place: BackupsFlag,
    /// The name of the backup, as `audience backup list` prints it.
    #[arg(value_name = "NAME")]
    name: String,
}

/// Exit status 0: the backup is whole; 1: it has faults; 2: it cannot be read.
pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let backups = args.place.open()?;
    let objects = place::find(&backups, &args.name)?;
    let mut faults = faults(&objects);
    for id in place::facts(&objects).map(|facts| facts.tenants).unwrap_or_default() {
        let of_tenant = self::faults(&place::of_tenant(&backups, &args.name, &id)?);
        faults.extend(of_tenant.into_iter().map(|fault| format!("tenant {id}: {fault}")));
    }
    for fault in &faults {
        println!("{}: {fault}", args.name);
    }
    if faults.is_empty() {
        println!("{} is whole", args.name);
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

fn faults(objects: &Arc<Objects>) -> Vec<String> {
    let facts = match place::facts(objects) {
        Ok(facts) => facts,
        Err(error) => return vec![format!("{error:#}")],
    };
    let from = BackupPlace { history: objects.history(), checkpoints: objects.checkpoints() };
    let mut faults = backup::faults(&from, &facts.state);
    for file in &facts.files {
        match file.read(objects) {
            Err(error) => faults.push(format!("{error:#}")),
            Ok(bytes) if file.name == DOCUMENTS => {
                let read = serde_json::from_slice::<BackupDocuments>(&bytes);
                faults.extend(read.err().map(|error| format!("{DOCUMENTS} cannot be read: {error}")));
            }
            Ok(_) => {}
        }
    }
    faults
}
