//! Campaigns in `audience serve`: the provider by the settings, and the sender on the stores of the data directory.

use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use audience_background::{Runner, Stop};
use audience_contract::{MailProvider, Mailbox, Notes};
use audience_engine::service::Service;
use audience_resend::ResendProvider;
use audience_sender::{CampaignSender, Sandbox, SenderContext, SenderIdentity};
use audience_sends::email::is_address;
use audience_smtp::{DkimKey, Login, Security, SmtpProvider, SmtpSettings};
use url::Url;

use crate::settings::{MailSettings, ServeSettings, named};

/// Campaigns that run.
pub(crate) struct Campaigns {
    pub sender: Arc<CampaignSender>,
    runner: Runner,
}

impl Campaigns {
    /// Opens the campaigns of a store, and begins to send.
    pub(crate) fn start(
        service: &Service,
        notes: Arc<dyn Notes>,
        settings: &ServeSettings,
    ) -> anyhow::Result<Campaigns> {
        let (mail, platform) = (&settings.flags.mail, service.platform());
        ensure!(is_address(&mail.mail_from), "{}: {:?} is no address", named("mail_from"), mail.mail_from);
        let provider: Arc<dyn MailProvider> = match (&mail.mail_smtp, &mail.mail_resend_key_file) {
            (Some(_), Some(_)) => {
                bail!(
                    "{} and {} exclude each other: mails go one way",
                    named("mail_smtp"),
                    named("mail_resend_key_file")
                )
            }
            (Some(url), None) => Arc::new(SmtpProvider::new(smtp(url, mail)?).with_context(|| named("mail_smtp"))?),
            (None, Some(file)) => {
                let name = || format!("{}: {}", named("mail_resend_key_file"), file.display());
                let key = std::fs::read_to_string(file).with_context(name)?;
                Arc::new(ResendProvider::new(&mail.mail_resend_url, &key).with_context(name)?)
            }
            (None, None) => Arc::new(Sandbox::open(notes.clone())?),
        };
        let own = || format!("http://{}", settings.flags.listen.0);
        let public_url = settings.flags.access.public_url.clone().unwrap_or_else(own);
        let identity = SenderIdentity {
            from: Mailbox { name: mail.mail_from_name.clone().unwrap_or_default(), address: mail.mail_from.clone() },
            postal_address: mail.mail_postal_address.clone().unwrap_or_default(),
            public_url: public_url.trim_end_matches('/').to_owned(),
        };
        let (segments, users, audit) = (platform.segments.clone(), platform.users.clone(), platform.catalogue.clone());
        let per_second = mail.mail_per_second;
        let changes = platform.changes.clone();
        let context = SenderContext { notes, segments, users, changes, audit, provider, identity, per_second };
        let sender = CampaignSender::open(context)?;
        let runner = sender.start(Stop::new())?;
        Ok(Campaigns { sender, runner })
    }

    /// Ends after the windows that are under way.
    pub(crate) fn stop(&self) {
        self.runner.stop().request();
        self.runner.wait_ended(None);
    }
}

/// The settings of the server that a URL names.
fn smtp(url: &str, mail: &MailSettings) -> anyhow::Result<SmtpSettings> {
    let wrong =
        || format!("{} is smtps://, smtp+starttls:// or smtp://, then [user:password@]host[:port]", named("mail_smtp"));
    let url = Url::parse(url).with_context(wrong)?;
    let (security, port) = match url.scheme() {
        "smtps" => (Security::Tls, 465),
        "smtp+starttls" => (Security::StartTls, 587),
        "smtp" => (Security::Plain, 25),
        _ => bail!(wrong()),
    };
    let host = url.host_str().with_context(wrong)?;
    let mut settings = SmtpSettings::new(host, url.port().unwrap_or(port), security);
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    if let Some(password) = url.password() {
        settings.login = Some(Login { user: decoded(url.username()), password: decoded(password) });
    }
    if let Some(file) = &mail.mail_dkim_key_file {
        let name = || format!("{}: {}", named("mail_dkim_key_file"), file.display());
        let pem = std::fs::read_to_string(file).with_context(name)?;
        let domain = mail.mail_from.rsplit('@').next().unwrap_or_default();
        settings.dkim = vec![DkimKey::from_pem(domain, &mail.mail_dkim_selector, &pem).with_context(name)?];
    }
    Ok(settings)
}
