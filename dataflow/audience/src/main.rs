//! `audience`: all of Audience Manager in one program, one command a file.
#![forbid(unsafe_code)]

mod access;
mod admin;
mod asking;
mod backup;
mod catalogue_file;
mod check;
mod checkpoint;
mod completions;
mod connectors;
mod control;
mod debug;
mod definitions;
mod demo;
mod demo_loader;
mod doctor;
mod files;
mod free_space;
mod health;
mod ingest_api;
mod last_backup;
mod mail;
mod man;
mod migrate;
mod offsite;
mod open_files;
mod opening;
mod outside;
mod pairing;
mod patient_catalogue;
mod primary;
mod process_metrics;
mod promote;
mod repair;
mod replay;
mod segment_api;
mod serve;
mod serving;
mod settings;
mod sink;
mod telemetry;
mod tenant_directories;
mod tenants;
mod time_back;
mod updates;
mod verify_audit;
mod version;
mod worker;

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::settings::ConfigFlag;
use crate::version::VERSION;

/// Faster than the system's with many threads, and gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Keeps segments of users up to date while events stream in, and serves them: real-time audience segmentation.
///
/// `audience serve` is the whole platform. The other commands check rules, replay events without a server, look after what a
/// server keeps, or run its parts as processes of their own.
#[derive(Debug, Parser)]
#[command(name = "audience", version = VERSION, max_term_width = 120)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Acts for the owner of the host: makes a link for a member at any time, or takes time back.
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Makes the definitions of a running server those of a directory of files: segments, computed traits, contents and campaigns.
    /// Says who enters and leaves. The exit status is 1 on an error, and 2 where `--dry-run` finds a difference.
    Apply(definitions::ApplyArgs),
    /// Makes, lists and verifies backups, and makes a data directory from one.
    #[command(subcommand)]
    Backup(backup::BackupCommand),
    /// Validates rules and prints every fault with its JSON pointer. The exit status is 1 where there is one.
    Check(check::CheckArgs),
    /// Lists checkpoints, or reads every byte of them.
    #[command(subcommand)]
    Checkpoint(checkpoint::CheckpointCommand),
    /// Prints completions for a shell.
    Completions(completions::CompletionsArgs),
    /// Gathers what a report of a fault needs.
    #[command(subcommand)]
    Debug(debug::DebugCommand),
    /// Looks at everything that a start with these settings needs, and says the fix of each fault. It changes nothing. The exit
    /// status is 1 where a start would fail.
    Doctor(doctor::DoctorArgs),
    /// Writes the definitions of a running server into a directory of files, for `audience apply` and git.
    Export(definitions::ExportArgs),
    /// Asks a running process for its health. The exit status is 0 where it takes work.
    Health(health::HealthArgs),
    /// Runs the event ingestion API as a process of its own: events go to Kafka, where engines read them.
    IngestApi(ingest_api::IngestApiFlags),
    /// Prints the manual page of the program, or of one of its commands.
    Man(man::ManArgs),
    /// Creates or upgrades the tables in PostgreSQL, and prints what was done.
    Migrate(migrate::MigrateArgs),
    /// Has the standby of a data directory on this host take over from its primary, once that one holds its lease no more.
    Promote(promote::PromoteArgs),
    /// Reads every byte of the data directory of a server that is stopped. Makes anew what follows from the events, and names what
    /// is lost. The exit status is 1 where something is.
    Repair(repair::RepairArgs),
    /// Runs timelines, or files of events, through the engine under a logical clock.
    Replay(replay::ReplayArgs),
    /// Runs the segment API as a process of its own, on PostgreSQL and a store of memberships: segments, traits and users'
    /// segments.
    SegmentApi(segment_api::SegmentApiFlags),
    /// Runs the whole platform in one process: engine, APIs and console, on stores of its own. Needs no other server. Kafka,
    /// PostgreSQL, Redis and Aerospike can be joined.
    Serve(settings::ServeFlags),
    /// Lists the sinks of a running engine, compares and repairs one, or rebuilds it.
    #[command(subcommand)]
    Sink(sink::SinkCommand),
    /// Runs one of several processes that compute together, and restarts it when it fails. The first process has the stores
    /// and the APIs.
    Worker(worker::WorkerArgs),
}

fn main() -> ExitCode {
    let matches = match Cli::command().try_get_matches() {
        Ok(matches) => matches,
        // A script would take the usual 2 for a difference.
        Err(error) if error.use_stderr() && std::env::args_os().nth(1).is_some_and(|command| command == "apply") => {
            eprint!("{}", error.render());
            return ExitCode::FAILURE;
        }
        Err(error) => error.exit(),
    };
    run(&matches).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

fn run(matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    let given = |name: &str, id: &str| {
        let source = matches.subcommand_matches(name).and_then(|matches| matches.value_source(id));
        source.is_some_and(|source| source != ValueSource::DefaultValue)
    };
    match with_file(matches)?.command {
        Command::Admin(command) => admin::run(&command),
        Command::Apply(args) => Ok(definitions::apply(&args)),
        Command::Backup(command) => backup::run(&command),
        Command::Check(args) => check::run(&args),
        Command::Checkpoint(command) => checkpoint::run(&command),
        Command::Completions(args) => completions::run(&args, Cli::command()),
        Command::Debug(command) => debug::run(&command, deepest(matches).1),
        Command::Doctor(args) => doctor::run(args),
        Command::Export(args) => Ok(definitions::export(&args)),
        Command::Health(args) => health::run(&args),
        Command::IngestApi(flags) => ingest_api::run(flags),
        Command::Man(args) => man::run(&args, Cli::command()),
        Command::Migrate(args) => migrate::run(&args),
        Command::Promote(args) => promote::run(&args),
        Command::Repair(args) => repair::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::SegmentApi(flags) => segment_api::run(flags),
        Command::Serve(flags) => serve::run(flags),
        Command::Sink(command) => sink::run(&command),
        Command::Worker(args) => worker::run(args, given("worker", "listen")),
    }
}

/// The command line, completed by the file of settings that it names.
fn with_file(matches: &ArgMatches) -> anyhow::Result<Cli> {
    let (names, given) = deepest(matches);
    let file = ConfigFlag::of(given).map(|config| config.read()).transpose()?.flatten();
    let Some(file) = file else { return Ok(Cli::from_arg_matches(matches)?) };
    let mut cli = Cli::command();
    cli.build();
    let command = names.iter().try_fold(&cli, |command, name| command.find_subcommand(name));
    let command = command.expect("it was found before");
    let line = std::env::args_os().chain(file.arguments(command, given)?);
    Ok(Cli::try_parse_from(line.collect::<Vec<_>>())?)
}

/// The names of the command and of those inside it, and what was given to the last.
fn deepest(matches: &ArgMatches) -> (Vec<&str>, &ArgMatches) {
    let (mut names, mut given) = (Vec::new(), matches);
    while let Some((name, inner)) = given.subcommand() {
        names.push(name);
        given = inner;
    }
    (names, given)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
