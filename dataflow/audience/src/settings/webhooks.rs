//! Settings of webhooks.

use std::path::PathBuf;

use clap::Args;

use super::positive::positive;

/// The targets of webhooks.
#[derive(Clone, Debug, Args)]
pub(crate) struct WebhookSettings {
    /// Lets webhooks go to addresses of this machine and its network. Whoever may name a target then reaches what this machine
    /// reaches.
    #[arg(long, env = "AUDIENCE_WEBHOOK_PRIVATE_TARGETS", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", default_value = "false", value_parser = clap::value_parser!(bool))]
    pub webhook_private_targets: bool,
    /// A PEM file of certificate authorities for webhooks' targets, beside those that this machine trusts. [default: none]
    #[arg(long, env = "AUDIENCE_WEBHOOK_CA_FILE", value_name = "FILE")]
    pub webhook_ca_file: Option<PathBuf>,
    /// Hours for which every attempt to post to a webhook's target may fail before the webhook is paused.
    #[arg(long, env = "AUDIENCE_WEBHOOK_GIVE_UP_HOURS", value_name = "HOURS", default_value = "72", value_parser = positive::<u32>)]
    pub webhook_give_up_hours: u32,
}
