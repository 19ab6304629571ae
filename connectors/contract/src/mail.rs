//! The handing over of mails to a provider.

use std::time::Duration;

/// A mail to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The id of the send: the same whenever it is handed over again. Letters, digits and `-`.
    pub id: String,
    /// The sender.
    pub from: Mailbox,
    /// The recipient's address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The plain text part.
    pub text: String,
    /// Other headers, such as `List-Unsubscribe`, with their values in ASCII.
    pub headers: Vec<(String, String)>,
    /// The instant of the hand-over, in milliseconds since 1970.
    pub at: i64,
}

/// An address with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The name; empty without one.
    pub name: String,
    /// The address.
    pub address: String,
}

/// The answer of a provider's server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailReply {
    /// The code of SMTP or HTTP.
    pub code: u16,
    /// The enhanced code (RFC 3463), such as `5.1.1`; empty without one.
    pub enhanced: String,
}

/// The outcome of a hand-over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandOver {
    /// The provider has taken the mail.
    Accepted(MailReply),
    /// The provider asks for another attempt later.
    Deferred(MailReply),
    /// The provider refuses the mail for good.
    Rejected {
        /// The answer.
        reply: MailReply,
        /// True if there is no such mailbox: nothing is to be sent to the address again.
        is_hard_bounce: bool,
    },
    /// Nothing left that could make the provider take the mail: it may be handed over again at once.
    NotHanded(String),
    /// The provider may have the mail or not.
    Unknown(String),
}

/// A provider that takes mails.
///
/// - MUST give one outcome for each mail, in the order of the mails.
/// - MUST NOT hand over a mail twice within one call.
/// - MUST say [`HandOver::NotHanded`] only where the provider cannot have the mail, and [`HandOver::Accepted`] only where it said
///   so. Where the last byte left and no answer came, MUST say [`HandOver::Unknown`].
/// - MUST keep line breaks in texts and addresses out of headers and commands.
/// - Several threads MAY call at once. A call MAY block for minutes.
pub trait MailProvider: Send + Sync {
    /// The name, for people and metrics.
    fn name(&self) -> &str;

    /// The time for which the provider takes a mail that is handed over again with the same id only once, counted from the
    /// first hand-over; zero where it has no keys.
    fn remembers(&self) -> Duration;

    /// Hands over mails.
    fn hand_over(&self, mails: &[Mail]) -> Vec<HandOver>;
}
