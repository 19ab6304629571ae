//! `audience admin`: what the owner of the host may do without signing in.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use audience_auth::{Auth, AuthOptions, ROLES, Role};
use audience_contract::AccessStore;
use audience_embedded::{Options, Stores};
use audience_postgres::{PostgresCatalogue, PostgresSettings};
use clap::{Args, Subcommand};

use crate::control::{self, HostInvitation};
use crate::settings::named;
use crate::{free_space, time_back, verify_audit};

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Prints a link with which somebody becomes a member, or sets a new password and takes up this role: the first admin, and
    /// whoever is locked out. It works while the server runs and while it does not, and needs nobody's password.
    Invite(InviteArgs),
    /// Takes time back to the clock of this machine, where it followed that clock into a jump and stands still since. The server
    /// must be stopped. Prints who enters and who leaves which segment; nothing is changed without --yes.
    TakeTimeBack(time_back::TimeBackArgs),
    /// Frees space on a full disk. The server must be stopped. Prints what the data directory can do without, with its bytes;
    /// nothing is changed without --yes.
    FreeSpace(free_space::FreeSpaceArgs),
    /// Holds the audit log against what each checkpoint has of it, and says the first row that was changed, taken out or put in. The
    /// server must be stopped, unless PostgreSQL has the log.
    VerifyAudit(verify_audit::VerifyAuditArgs),
}

/// Whom to invite, and where the members are kept.
#[derive(Debug, Args)]
pub(crate) struct InviteArgs {
    /// The e-mail address by which they will sign in. Nothing is mailed.
    #[arg(value_name = "EMAIL")]
    email: String,
    /// Their role: `marketing_admin`, `campaign_manager`, `content_editor`, `analyst`, `viewer` or `operator`.
    #[arg(long, value_name = "ROLE", default_value = "marketing_admin", value_parser = role)]
    role: Role,
    /// The id of their tenant.
    #[arg(long, value_name = "ID", default_value = "default")]
    tenant: String,
    /// The data directory of the server.
    #[arg(long, env = "AUDIENCE_DATA", value_name = "DIR", default_value = "./audience-data")]
    data: PathBuf,
    /// The libpq URL of the PostgreSQL that has the members instead. [default: none]
    #[arg(long, env = "AUDIENCE_POSTGRES", value_name = "URL", hide_env_values = true)]
    postgres: Option<String>,
    /// The address under which browsers reach the server. [default: none]
    #[arg(long, env = "AUDIENCE_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
}

fn role(name: &str) -> Result<Role, String> {
    let names = || ROLES.map(Role::name).join(", ");
    Role::named(name).ok_or_else(|| format!("a role is one of {}", names()))
}

/// Runs a command.
pub(crate) fn run(command: &AdminCommand) -> anyhow::Result<ExitCode> {
    match command {
        AdminCommand::Invite(args) => print_invitation(args),
        AdminCommand::TakeTimeBack(args) => time_back::run(args),
        AdminCommand::FreeSpace(args) => free_space::run(args),
        AdminCommand::VerifyAudit(args) => verify_audit::run(args),
    }
}

fn print_invitation(args: &InviteArgs) -> anyhow::Result<ExitCode> {
    let mut link = invite(args)?;
    if let Some(url) = args.public_url.as_deref().filter(|_| link.starts_with('/')) {
        link.insert_str(0, url.trim_end_matches('/'));
    }
    writeln!(std::io::stdout(), "{link}")?;
    if link.starts_with('/') {
        eprintln!("Open this path at the server's address; with --public-url the link has it.");
    }
    Ok(ExitCode::SUCCESS)
}

fn invite(args: &InviteArgs) -> anyhow::Result<String> {
    let invite = HostInvitation { email: args.email.clone(), role: args.role, tenant: args.tenant.clone() };
    let store: Arc<dyn AccessStore> = match &args.postgres {
        Some(url) => Arc::new(PostgresCatalogue::open(&PostgresSettings::new(url)).with_context(|| named("postgres"))?),
        None => {
            if let Some(link) = control::ask_for_invitation(&args.data, &invite)? {
                return Ok(link);
            }
            // A directory that is not there would be made, and the server would not find the member.
            anyhow::ensure!(args.data.is_dir(), "{}: {} is no directory", named("data"), args.data.display());
            Stores::open(&args.data, &Options::default()).with_context(|| named("data"))?.access()
        }
    };
    let options = AuthOptions { public_url: args.public_url.clone(), ..AuthOptions::default() };
    control::invite(&Auth::open(store, options)?, &invite).map_err(|why| anyhow!("{why}"))
}
