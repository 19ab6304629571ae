//! From a content and a person to a mail.

use audience_contract::{Mail, Mailbox};
use audience_protocol::{ContentDocument, ContentPurpose, RenderedMail, Result as PlatformResult};
use audience_rules::fault::code;
use audience_sends::Millis;
use audience_sends::email::{POSTAL_ADDRESS, UNSUBSCRIBE_URL, plain_text};
use audience_sends::template::{Escape, LiquidTemplate, RenderError, RenderLimits, TemplateFault};
use serde_json::{Map, Value};

use crate::documents::invalid;

/// The sender of the mails.
#[derive(Clone, Debug)]
pub struct SenderIdentity {
    /// The sender.
    pub from: Mailbox,
    /// The postal address that marketing mails show.
    pub postal_address: String,
    /// The address at which people reach this server, without a slash at its end.
    pub public_url: String,
}

/// A content that was parsed.
pub(crate) struct Composer {
    purpose: ContentPurpose,
    subject: LiquidTemplate,
    body: LiquidTemplate,
}

/// A fault of one of a content's templates.
pub(crate) struct ContentFault {
    /// The place in the request.
    pub(crate) pointer: &'static str,
    pub(crate) fault: TemplateFault,
}

impl Composer {
    /// Parses the templates of a content. The preheader goes before the body, where only mail programs' lists show it.
    pub(crate) fn of(content: &ContentDocument) -> Result<Composer, ContentFault> {
        let parse =
            |pointer, source: &str| LiquidTemplate::parse(source).map_err(|fault| ContentFault { pointer, fault });
        parse("/preheader", &content.preheader)?;
        parse("/body", &content.body)?;
        let hidden = "<div style=\"display:none;max-height:0;overflow:hidden\">";
        let body = match content.preheader.as_str() {
            "" => content.body.clone(),
            preheader => format!("{hidden}{preheader}</div>{}", content.body),
        };
        let subject = parse("/subject", &content.subject)?;
        Ok(Composer { purpose: content.purpose, subject, body: parse("/body", &body)? })
    }

    /// The purpose of the content.
    pub(crate) fn purpose(&self) -> ContentPurpose {
        self.purpose
    }

    /// The variables that the templates name.
    pub(crate) fn names(&self) -> std::collections::BTreeSet<String> {
        self.subject.names().union(self.body.names()).cloned().collect()
    }

    /// The variables of the body: those of duties count there alone.
    pub(crate) fn body_names(&self) -> &std::collections::BTreeSet<String> {
        self.body.names()
    }

    /// The traits of users that the templates name.
    pub(crate) fn traits(&self) -> Vec<String> {
        let names = self.names();
        let named = names.iter().filter_map(|name| name.strip_prefix("user.")?.split('.').next().map(str::to_owned));
        named.filter(|name| name != "id").collect()
    }

    /// Renders the content for a user.
    pub(crate) fn render(
        &self,
        identity: &SenderIdentity,
        user: &str,
        values: &Map<String, Value>,
        unsubscribe_url: &str,
    ) -> Result<RenderedMail, RenderError> {
        let mut person = values.clone();
        person.insert("id".to_owned(), user.into());
        let mut variables = Map::new();
        variables.insert("user".to_owned(), Value::Object(person));
        variables.insert(UNSUBSCRIBE_URL.to_owned(), unsubscribe_url.into());
        if !identity.postal_address.is_empty() {
            variables.insert(POSTAL_ADDRESS.to_owned(), identity.postal_address.clone().into());
        }
        let limits = RenderLimits::default();
        let html = self.body.render(&variables, Escape::Html, limits)?;
        let subject = self.subject.render(&variables, Escape::Header, limits)?;
        let text = plain_text(&html);
        Ok(RenderedMail { subject, html, text })
    }

    /// The mail for a user. A marketing mail can be unsubscribed from by one click (RFC 8058).
    pub(crate) fn mail(
        &self,
        identity: &SenderIdentity,
        (id, to): (String, &str),
        rendered: RenderedMail,
        unsubscribe_url: &str,
        at: Millis,
    ) -> Mail {
        let RenderedMail { subject, html, text } = rendered;
        let headers = match self.purpose {
            ContentPurpose::Marketing => vec![
                ("List-Unsubscribe".to_owned(), format!("<{unsubscribe_url}>")),
                ("List-Unsubscribe-Post".to_owned(), "List-Unsubscribe=One-Click".to_owned()),
            ],
            ContentPurpose::Transactional => Vec::new(),
        };
        Mail { id, from: identity.from.clone(), to: to.to_owned(), subject, html, text, headers, at }
    }
}

/// The parsed templates of a content; a fault has the place of its template.
pub(crate) fn composer(content: &ContentDocument) -> PlatformResult<Composer> {
    Composer::of(content).map_err(|fault| invalid(fault.pointer, code::DOES_NOT_FIT, fault.fault.to_string()))
}
