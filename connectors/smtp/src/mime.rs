//! The bytes of a mail: headers, a text part and an HTML part, signed, and with dots doubled for the conversation.

use audience_contract::{Mail, Mailbox};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;

use crate::dkim::{DkimKey, SIGNED};

/// The longest line of an encoded body.
const LINE: usize = 76;
/// Bytes of text in one encoded word of a header.
const WORD: usize = 42;

/// The bytes of a mail, up to the line that has the final dot.
pub(crate) fn bytes(mail: &Mail, keys: &[DkimKey]) -> Vec<u8> {
    let headers = headers(mail);
    let boundary = format!("=_{}", mail.id);
    let mut body = String::new();
    for (media, text) in [("text/plain", &mail.text), ("text/html", &mail.html)] {
        body.push_str(&format!(
            "--{boundary}\r\nContent-Type: {media}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        ));
        quoted(text, &mut body);
        body.push_str("\r\n");
    }
    body.push_str(&format!("--{boundary}--\r\n"));
    let mut whole = String::new();
    for key in keys {
        if let Ok(signature) = key.sign(&headers, body.as_bytes(), mail.at / 1_000) {
            whole.push_str(&format!("DKIM-Signature: {signature}\r\n"));
        }
    }
    for (name, value) in &headers {
        whole.push_str(&format!("{name}: {value}\r\n"));
    }
    whole.push_str("\r\n");
    whole.push_str(&body);
    doubled(&whole)
}

/// The headers of a mail. Values have line breaks only where they are folded.
fn headers(mail: &Mail) -> Vec<(String, String)> {
    let domain = mail.from.address.rsplit('@').next().unwrap_or("localhost");
    let date = Timestamp::from_millisecond(mail.at).ok().map(|at| at.to_zoned(TimeZone::UTC));
    let date = date.and_then(|date| rfc2822::to_string(&date).ok()).unwrap_or_default();
    let mut headers = vec![
        ("From".to_owned(), mailbox(&mail.from)),
        ("To".to_owned(), format!("<{}>", single_line(&mail.to))),
        ("Subject".to_owned(), words(&mail.subject)),
        ("Date".to_owned(), date),
        ("Message-ID".to_owned(), format!("<{}@{}>", mail.id, single_line(domain))),
    ];
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let others = mail.headers.iter().filter(|(name, _)| is_name(name));
    headers.extend(others.map(|(name, value)| (name.clone(), single_line(value))));
    headers.push(("MIME-Version".to_owned(), "1.0".to_owned()));
    headers.push(("Content-Type".to_owned(), format!("multipart/alternative; boundary=\"=_{}\"", mail.id)));
    headers
}

fn single_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn mailbox(mailbox: &Mailbox) -> String {
    let (name, address) = (single_line(&mailbox.name), single_line(&mailbox.address));
    match name.trim() {
        "" => format!("<{address}>"),
        name if name.is_ascii() => format!("\"{}\" <{address}>", name.replace('\\', "\\\\").replace('"', "\\\"")),
        name => format!("{} <{address}>", words(name)),
    }
}

/// A text for a header: as it is where it is plain ASCII that fits a line, else in encoded words (RFC 2047).
fn words(text: &str) -> String {
    let text = single_line(text);
    if text.is_ascii() && text.len() <= 70 && !text.contains("=?") {
        return text;
    }
    let (mut words, mut word) = (Vec::new(), String::new());
    for letter in text.chars() {
        if word.len() + letter.len_utf8() > WORD {
            words.push(std::mem::take(&mut word));
        }
        word.push(letter);
    }
    words.push(word);
    let encoded: Vec<String> = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    encoded.join("\r\n ")
}

/// Adds a text as quoted-printable. Line breaks of any kind become CRLF; spaces at the ends of lines are encoded.
fn quoted(text: &str, out: &mut String) {
    for line in text.replace("\r\n", "\n").replace('\r', "\n").split('\n') {
        let bytes = line.as_bytes();
        let mut length = 0;
        for (index, byte) in bytes.iter().enumerate() {
            let is_last = index + 1 == bytes.len();
            let is_plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && !is_last);
            let width = if is_plain { 1 } else { 3 };
            if length + width > LINE - 1 {
                out.push_str("=\r\n");
                length = 0;
            }
            match is_plain {
                true => out.push(char::from(*byte)),
                false => out.push_str(&format!("={byte:02X}")),
            }
            length += width;
        }
        out.push_str("\r\n");
    }
}

/// The bytes with a second dot in lines that begin with one.
fn doubled(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 16);
    for line in text.split_inclusive("\r\n") {
        if line.starts_with('.') {
            bytes.push(b'.');
        }
        bytes.extend_from_slice(line.as_bytes());
    }
    bytes
}

/// Returns whether a header is signed.
pub(crate) fn is_signed(name: &str) -> bool {
    SIGNED.iter().any(|signed| signed.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Mail {
        audience_contract::suite::mail(7)
    }

    #[test]
    fn a_mail_has_its_parts() {
        let text = String::from_utf8(bytes(&mail(), &[])).unwrap();
        assert!(text.contains("Message-ID: <00000000000000000000000000000007@example.org>\r\n"), "{text}");
        assert!(text.contains("Date: Mon, 21 Sep 2026 14:13:20 +0000\r\n"), "{text}");
        assert!(text.contains("Subject: =?utf-8?B?R3LDvMOfZSA3?=\r\n"), "{text}");
        assert!(text.contains("\r\n..\r\n") && text.contains("<p>=C3=A4</p>") && text.ends_with("--\r\n"), "{text}");
    }

    #[test]
    fn lines_are_short_and_spaces_at_their_ends_are_encoded() {
        let mut out = String::new();
        quoted(&format!("{}\r\na \n=é", "x".repeat(200)), &mut out);
        assert!(out.lines().all(|line| line.len() <= LINE), "{out}");
        assert!(out.ends_with("\r\na=20\r\n=3D=C3=A9\r\n"), "{out}");
    }

    #[test]
    fn long_subjects_are_folded_between_letters() {
        let subject = words(&"ä".repeat(60));
        assert!(subject.split("\r\n ").all(|word| word.len() <= 75 && word.ends_with("?=")), "{subject}");
        assert_eq!(words("a\r\nBcc: b"), "a  Bcc: b");
        assert_eq!(
            mailbox(&Mailbox { name: "A \"B\"".to_owned(), address: "a@b.c".to_owned() }),
            "\"A \\\"B\\\"\" <a@b.c>"
        );
    }
}
