//! The provider against Postfix's `smtp-sink` and against servers that end conversations at the worst moments.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use audience_contract::{HandOver, Mail, MailProvider as _, suite};
use audience_smtp::{DkimKey, Security, SmtpProvider, SmtpSettings};
use common::{MailSink, verify};

fn provider(port: u16) -> SmtpProvider {
    let mut settings = SmtpSettings::new("127.0.0.1", port, Security::Plain);
    settings.patience = Duration::from_secs(10);
    settings.last_patience = Duration::from_secs(10);
    SmtpProvider::new(settings).unwrap()
}

fn mails(count: usize) -> Vec<Mail> {
    (0..count).map(suite::mail).collect()
}

#[test]
fn it_is_a_provider() {
    let sink = MailSink::start(&[]);
    suite::mail_provider(&provider(sink.port), &mut || sink.taken());
}

#[test]
fn a_server_that_does_not_pipeline_is_given_one_command_at_a_time() {
    let sink = MailSink::start(&["-p"]);
    suite::mail_provider(&provider(sink.port), &mut || sink.taken());
}

/// The server takes the mail and ends the conversation without a word.
#[test]
fn a_mail_without_an_answer_is_in_doubt_and_the_next_is_handed_over() {
    let sink = MailSink::start(&["-q", "."]);
    let outcomes = provider(sink.port).hand_over(&mails(3));
    assert!(outcomes.iter().all(|one| matches!(one, HandOver::Unknown(_))), "{outcomes:?}");
}

#[test]
fn answers_are_told_apart() {
    let deferred = MailSink::start(&["-r", "."]);
    let outcomes = provider(deferred.port).hand_over(&mails(2));
    assert!(outcomes.iter().all(|one| matches!(one, HandOver::Deferred(reply) if reply.code == 450)), "{outcomes:?}");
    for command in [".", "RCPT", "MAIL", "DATA"] {
        let refused = MailSink::start(&["-f", command]);
        let outcomes = provider(refused.port).hand_over(&mails(2));
        let is_refused =
            |one: &HandOver| matches!(one, HandOver::Rejected { reply, .. } if reply.code == 500 || reply.code == 503);
        assert!(outcomes.iter().all(is_refused), "{command}: {outcomes:?}");
    }
}

#[test]
fn what_breaks_off_before_the_mail_was_not_handed_over() {
    for command in ["MAIL", "RCPT", "DATA", "CONNECT", "EHLO"] {
        let broken = MailSink::start(&["-q", command]);
        let outcomes = provider(broken.port).hand_over(&mails(2));
        assert!(outcomes.iter().all(|one| matches!(one, HandOver::NotHanded(_))), "{command}: {outcomes:?}");
    }
    let outcomes = provider(1).hand_over(&mails(2));
    assert!(outcomes.iter().all(|one| matches!(one, HandOver::NotHanded(_))), "{outcomes:?}");
}

/// Each of several threads has a conversation of its own, and all are kept for the next mails.
#[test]
fn threads_share_the_pool() {
    let sink = MailSink::start(&[]);
    let provider = provider(sink.port);
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let provider = &provider;
            scope.spawn(move || {
                for round in 0..5 {
                    let from = lane * 1_000 + round * 100;
                    let mails: Vec<Mail> = (from..from + 20).map(suite::mail).collect();
                    let outcomes = provider.hand_over(&mails);
                    assert!(outcomes.iter().all(|one| matches!(one, HandOver::Accepted(_))), "{outcomes:?}");
                }
            });
        }
    });
    let ids: Vec<String> = sink.taken().into_iter().map(|mail| mail.id).collect();
    assert_eq!((ids.len(), ids.iter().collect::<BTreeSet<_>>().len()), (400, 400));
}

/// dkimpy is not ours: it says what receivers say.
#[test]
fn signatures_hold() {
    let rsa = common::openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let old = common::openssl(&["genrsa", "-traditional", "2048"]);
    let ed25519 = common::openssl(&["genpkey", "-algorithm", "ED25519"]);
    let sink = MailSink::start(&[]);
    let mut settings = SmtpSettings::new("127.0.0.1", sink.port, Security::Plain);
    let key = |selector: &str, pem: &str| DkimKey::from_pem("example.org", selector, pem).unwrap();
    settings.dkim = vec![key("rsa", &rsa), key("old", &old), key("ed", &ed25519)];
    let mut hard = suite::mail(1);
    hard.subject = "a   b  ".repeat(30);
    hard.text = "x  \n\n\n".to_owned();
    let outcomes = SmtpProvider::new(settings).unwrap().hand_over(&[suite::mail(0), hard]);
    assert!(outcomes.iter().all(|one| matches!(one, HandOver::Accepted(_))), "{outcomes:?}");
    let keys = [("rsa", &*rsa), ("old", &*old), ("ed", &*ed25519)];
    assert_eq!(sink.raw().len(), 2);
    for mail in sink.raw() {
        assert_eq!(verify(&mail, &keys), "True True True", "{mail}");
        let changed = mail.replace("Hello", "Hallo");
        if changed != mail {
            assert_eq!(verify(&changed, &keys), "False False False");
        }
        let added = mail.replacen("From: ", "From: <other@example.org>\r\nFrom: ", 1);
        assert_eq!(verify(&added, &keys), "False False False", "a second sender is not covered");
    }
}
