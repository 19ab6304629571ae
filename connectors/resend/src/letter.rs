//! A mail as the provider's API takes it.

use std::collections::BTreeMap;

use audience_contract::Mail;
use serde::Serialize;

/// The body of a request. No text in it has a line break that could begin a header.
#[derive(Serialize)]
pub(crate) struct Letter<'a> {
    from: String,
    to: [&'a str; 1],
    subject: String,
    html: &'a str,
    text: &'a str,
    headers: BTreeMap<String, String>,
    /// The provider's webhooks name the send by it.
    tags: [Tag<'a>; 1],
}

#[derive(Serialize)]
struct Tag<'a> {
    name: &'static str,
    value: &'a str,
}

impl<'a> Letter<'a> {
    pub(crate) fn of(mail: &'a Mail) -> Letter<'a> {
        let name: String = one_line(&mail.from.name).chars().filter(|one| !"\"<>\\".contains(*one)).collect();
        let from = match name.is_empty() {
            true => mail.from.address.clone(),
            false => format!("\"{name}\" <{}>", mail.from.address),
        };
        Letter {
            from,
            to: [&mail.to],
            subject: one_line(&mail.subject),
            html: &mail.html,
            text: &mail.text,
            headers: mail.headers.iter().map(|(name, value)| (one_line(name), one_line(value))).collect(),
            tags: [Tag { name: "send_id", value: &mail.id }],
        }
    }
}

/// A text whose controls are spaces.
fn one_line(text: &str) -> String {
    text.chars().map(|one| if one.is_control() { ' ' } else { one }).collect()
}

/// Returns whether a text is one address: neither spaces, nor controls, nor what separates addresses.
pub(crate) fn is_safe(address: &str) -> bool {
    address.is_ascii()
        && address.split('@').count() == 2
        && !address.bytes().any(|byte| byte <= b' ' || matches!(byte, b'<' | b'>' | b',' | b';' | b'"' | 127))
}
