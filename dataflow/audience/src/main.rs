//! `audience`: everything of Audience Manager in one program, one command a file.
#![forbid(unsafe_code)]

mod check;
mod checkpoint;
mod connectors;
mod demo;
mod files;
mod ingest_api;
mod migrate;
mod offsite;
mod outside;
mod replay;
mod segment_api;
mod serve;
mod serving;
mod settings;
mod telemetry;
mod updates;
mod worker;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Faster than the system's with many threads, and gives memory back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Real-time audience segmentation.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 120)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Validate rules and print every fault with its JSON pointer; exit 1 on any.
    Check(check::CheckArgs),
    /// The event ingestion API as a process of its own: events go to Kafka, for engines to read.
    IngestApi(ingest_api::IngestApiFlags),
    /// List checkpoints, or read every byte of them.
    #[command(subcommand)]
    Checkpoint(checkpoint::CheckpointCommand),
    /// Make or change the tables in PostgreSQL, and say what was done.
    Migrate(migrate::MigrateArgs),
    /// Run timelines, or files of events, against the engine under a logical clock.
    Replay(replay::ReplayArgs),
    /// Segments, traits and users' segments as a process of their own: on PostgreSQL and a store of memberships.
    SegmentApi(segment_api::SegmentApiFlags),
    /// Everything in one process on embedded stores: APIs and engine. Needs no other server, and may be joined to Kafka,
    /// PostgreSQL and Redis or Aerospike.
    Serve(settings::ServeFlags),
    /// One of several processes that compute together; the first has the stores and the APIs. Started again by itself
    /// where it fails.
    Worker(worker::WorkerArgs),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Check(args) => check::run(&args),
        Command::IngestApi(flags) => ingest_api::run(flags),
        Command::SegmentApi(flags) => segment_api::run(flags),
        Command::Checkpoint(command) => checkpoint::run(&command),
        Command::Migrate(args) => migrate::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Serve(flags) => serve::run(flags),
        Command::Worker(args) => worker::run(args),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
