//! Checks of [`MailProvider`].

use std::collections::BTreeSet;

use crate::{HandOver, Mail, MailProvider, Mailbox};

/// A mail that a peer has taken, as far as the suite looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenMail {
    /// The id of the send.
    pub id: String,
    /// The recipient.
    pub to: String,
    /// The names of its headers, in lower case; empty where the peer has none.
    pub headers: BTreeSet<String>,
}

/// A mail to somebody.
pub fn mail(number: usize) -> Mail {
    Mail {
        id: format!("{number:032x}"),
        from: Mailbox { name: "Blum & Söhne".to_owned(), address: "shop@example.org".to_owned() },
        to: format!("user-{number}@example.net"),
        subject: format!("Grüße {number}"),
        html: format!("<p>Hello {number}</p>\r\n.\r\n<p>ä</p>"),
        text: format!("Hello {number}\n.\nä\n"),
        headers: vec![("X-Test".to_owned(), "1".to_owned())],
        at: 1_790_000_000_000,
    }
}

/// Every sentence of [`MailProvider`] that a peer which takes everything can show. `taken` reads what the peer took.
pub fn mail_provider(provider: &dyn MailProvider, taken: &mut dyn FnMut() -> Vec<TakenMail>) {
    assert!(!provider.name().is_empty());
    assert_eq!(provider.hand_over(&[]), Vec::new(), "nothing is handed over of nothing");
    let mails: Vec<Mail> = (0..30).map(mail).collect();
    let outcomes = provider.hand_over(&mails);
    assert_eq!(outcomes.len(), mails.len(), "one outcome each");
    assert!(outcomes.iter().all(|one| matches!(one, HandOver::Accepted(_))), "{outcomes:?}");
    let sent = taken();
    let expected: Vec<(String, String)> = mails.iter().map(|mail| (mail.id.clone(), mail.to.clone())).collect();
    let found: BTreeSet<(String, String)> = sent.iter().map(|mail| (mail.id.clone(), mail.to.clone())).collect();
    assert_eq!(sent.len(), mails.len(), "each is taken once");
    assert_eq!(found, expected.into_iter().collect(), "each has its id and its recipient");

    let mut hostile = mail(1_000);
    hostile.subject = "a\r\nBcc: other@example.net\r\n\r\nbody".to_owned();
    hostile.from.name = "b\nX-Injected: 1".to_owned();
    hostile.headers.push(("X-Other".to_owned(), "c\r\nX-Injected: 1".to_owned()));
    provider.hand_over(&[hostile]);
    let injected = |mail: &TakenMail| ["bcc", "x-injected"].iter().any(|name| mail.headers.contains(*name));
    assert!(!taken().iter().any(injected), "line breaks make no header");

    let mut wrong = mail(1_001);
    wrong.to = "a@example.net>\r\nRCPT TO:<b@example.net".to_owned();
    let outcome = provider.hand_over(&[wrong]);
    assert!(matches!(outcome[..], [HandOver::Rejected { .. }]), "no address, no command: {outcome:?}");
    assert!(!taken().iter().any(|mail| mail.to.contains("b@example.net")));
}
