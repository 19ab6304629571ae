//! Answers of a server.

use std::io::{self, Read};

use audience_contract::MailReply;

/// The longest answer, all its lines together.
const MOST_BYTES: usize = 16 << 10;

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SmtpReply {
    pub(crate) code: u16,
    /// The texts of its lines.
    pub(crate) lines: Vec<String>,
}

impl SmtpReply {
    pub(crate) fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    pub(crate) fn is_transient(&self) -> bool {
        (400..500).contains(&self.code)
    }

    /// The answer without its words, which may name the recipient.
    pub(crate) fn coded(&self) -> MailReply {
        MailReply { code: self.code, enhanced: self.enhanced().unwrap_or_default().to_owned() }
    }

    /// The enhanced code at the beginning of the text.
    fn enhanced(&self) -> Option<&str> {
        let word = self.lines.first()?.split(' ').next()?;
        let parts: Vec<&str> = word.split('.').collect();
        let is_code = |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|digit| digit.is_ascii_digit());
        (parts.len() == 3 && parts.iter().all(is_code)).then_some(word)
    }

    /// Returns whether the answer says that there is no such mailbox or domain (RFC 3463). An answer about policy never does.
    pub(crate) fn is_hard_bounce(&self) -> bool {
        matches!(self.enhanced(), Some("5.1.1" | "5.1.2" | "5.1.3" | "5.1.10" | "5.2.1"))
    }
}

/// Reads answers, line by line.
#[derive(Default)]
pub(crate) struct ReplyReader {
    buffer: Vec<u8>,
}

impl ReplyReader {
    /// Returns whether bytes are left of what was read.
    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Reads one answer.
    pub(crate) fn read(&mut self, stream: &mut impl Read) -> io::Result<SmtpReply> {
        let (mut reply, mut bytes) = (SmtpReply::default(), 0);
        loop {
            let line = self.line(stream)?;
            bytes += line.len();
            let malformed = || io::Error::new(io::ErrorKind::InvalidData, "the server gives no answer of SMTP");
            let code = line.get(..3).and_then(|code| code.parse::<u16>().ok()).ok_or_else(malformed)?;
            if bytes > MOST_BYTES || !(200..600).contains(&code) || (reply.code != 0 && reply.code != code) {
                return Err(malformed());
            }
            reply.code = code;
            reply.lines.push(line.get(4..).unwrap_or_default().to_owned());
            match line.as_bytes().get(3) {
                Some(b'-') => {}
                None | Some(b' ') => return Ok(reply),
                Some(_) => return Err(malformed()),
            }
        }
    }

    fn line(&mut self, stream: &mut impl Read) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if self.buffer.len() > MOST_BYTES {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the server's answer is too long"));
            }
            let mut part = [0; 4 << 10];
            match stream.read(&mut part)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => self.buffer.extend_from_slice(&part[..read]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> io::Result<SmtpReply> {
        ReplyReader::default().read(&mut text.as_bytes())
    }

    #[test]
    fn answers_of_one_and_of_several_lines() {
        let reply = read("250-mx.example.org\r\n250-PIPELINING\r\n250 8BITMIME\r\n").unwrap();
        assert_eq!((reply.code, reply.lines.len(), &*reply.lines[1]), (250, 3, "PIPELINING"));
        assert_eq!(read("354\r\n").unwrap().code, 354);
    }

    #[test]
    fn what_is_no_answer_is_a_fault() {
        for text in
            ["", "250", "HTTP/1.1 400\r\n", "25\r\n", "999 x\r\n", "250-a\r\n251 b\r\n", "250x\r\n", "é50 x\r\n"]
        {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert!(read(&"250-x\r\n".repeat(10_000)).is_err());
        assert!(read(&"2".repeat(100_000)).is_err());
    }

    #[test]
    fn enhanced_codes_tell_hard_bounces() {
        let reply = |text: &str| read(text).unwrap();
        assert_eq!(reply("550 5.1.1 no such user\r\n").coded().enhanced, "5.1.1");
        assert!(reply("550 5.1.1 no such user\r\n").is_hard_bounce());
        for text in ["550 5.7.1 policy\r\n", "552 5.2.2 full\r\n", "550 no such user\r\n", "550 5.1.1.1 x\r\n"] {
            assert!(!reply(text).is_hard_bounce(), "{text}");
        }
    }
}
