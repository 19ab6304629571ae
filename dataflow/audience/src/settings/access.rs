//! Settings of access: whether callers must sign in, and how the first admin comes about.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use audience_auth::{AuthOptions, MetricsKey, Mode};
use clap::{Args, ValueEnum};

use super::names::named;
use super::oidc::OidcSettings;

/// The setting that says if callers must sign in.
#[derive(Clone, Debug, Args)]
pub(crate) struct AccessSettings {
    /// The duty of callers to sign in: `auto`, `required` or `off`. `auto` asks nobody while every listener is on this machine
    /// and there is no member, and everybody from the first member on; with another listener and without members the program
    /// does not start. `off` is for networks where everybody may do everything.
    #[arg(
        long,
        env = "AUDIENCE_AUTH",
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub auth: When,
    /// The address under which browsers reach the program, such as `https://audience.example.com`. Links begin with it, and
    /// with `https` the cookie of a session is sent over TLS alone. [default: none]
    #[arg(long, env = "AUDIENCE_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// The e-mail address of the first admin, who is made at a start without members. [default: none]
    #[arg(long, env = "AUDIENCE_ADMIN_EMAIL", value_name = "EMAIL")]
    pub admin_email: Option<String>,
    /// The file with the password of the first admin. [default: none]
    #[arg(long, env = "AUDIENCE_ADMIN_PASSWORD_FILE", value_name = "FILE")]
    pub admin_password_file: Option<PathBuf>,
    /// The file with a key for whoever scrapes figures, 24 characters or more: it opens what a server key with `system:read` opens,
    /// and processes without PostgreSQL know it, too. [default: none]
    #[arg(long, env = "AUDIENCE_METRICS_KEY_FILE", value_name = "FILE")]
    pub metrics_key_file: Option<PathBuf>,
    /// Addresses and ranges of proxies, separated by commas, whose header `X-Forwarded-For` names the caller's address.
    /// [default: none]
    #[arg(long, env = "AUDIENCE_TRUSTED_PROXIES", value_name = "RANGES")]
    pub trusted_proxies: Option<String>,
    #[command(flatten)]
    pub oidc: OidcSettings,
}

/// A way to ask callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// As the listeners and the members say.
    Auto,
    /// Always.
    Required,
    /// Never.
    Off,
}

/// The first admin, by settings.
#[derive(Clone, Debug)]
pub(crate) struct FirstAdmin {
    pub email: String,
    pub password_file: PathBuf,
}

impl AccessSettings {
    /// The options of the door of a process with these listeners.
    pub(crate) fn options(&self, listeners: &[SocketAddr]) -> anyhow::Result<AuthOptions> {
        if let Some(url) = &self.public_url {
            let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            let is_url = host.is_some_and(|host| !host.is_empty() && !host.contains(['?', '#', ' ']));
            ensure!(
                is_url,
                "{} is {url:?}: write an address such as https://audience.example.com",
                named("public_url")
            );
        }
        let mode = match self.auth {
            When::Auto => Mode::Auto,
            When::Required => Mode::Required,
            When::Off => Mode::Off,
        };
        let is_local = listeners.iter().all(|address| address.ip().is_loopback());
        let (public_url, metrics_key) = (self.public_url.clone(), self.metrics_key()?);
        Ok(AuthOptions { mode, is_local, public_url, metrics_key })
    }

    /// The key with which figures are scraped, if the settings name its file.
    fn metrics_key(&self) -> anyhow::Result<Option<MetricsKey>> {
        let Some(file) = &self.metrics_key_file else { return Ok(None) };
        let name = || named("metrics_key_file");
        let text = std::fs::read_to_string(file).with_context(|| format!("{}: {}", name(), file.display()))?;
        let key = MetricsKey::new(&text);
        let least = MetricsKey::LEAST;
        ensure!(key.is_some(), "{}: {} needs {least} characters or more, on one line", name(), file.display());
        Ok(key)
    }

    /// The first admin, if the settings name one.
    pub(crate) fn first_admin(&self) -> anyhow::Result<Option<FirstAdmin>> {
        match (&self.admin_email, &self.admin_password_file) {
            (None, None) => Ok(None),
            (Some(email), Some(password_file)) => {
                Ok(Some(FirstAdmin { email: email.clone(), password_file: password_file.clone() }))
            }
            _ => anyhow::bail!("{} and {} go together", named("admin_email"), named("admin_password_file")),
        }
    }

    /// The ranges of trusted proxies.
    pub(crate) fn proxies(&self) -> anyhow::Result<Vec<ipnet::IpNet>> {
        let texts = self.trusted_proxies.iter().flat_map(|texts| texts.split(',')).map(str::trim);
        let range = |text: &str| {
            let range = text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(Into::into));
            range.with_context(|| {
                format!("{} has {text:?}: write addresses and ranges such as 10.0.0.0/8", named("trusted_proxies"))
            })
        };
        texts.filter(|text| !text.is_empty()).map(range).collect()
    }
}
