//! Commands as the protocol has them, one behind the other.

use redis::{Parser, Value};

/// Commands to send at once.
#[derive(Default)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    commands: usize,
}

impl Request {
    /// Begins a command that has so many parts, its name among them.
    pub(crate) fn command(&mut self, parts: usize) -> &mut Self {
        self.commands += 1;
        self.line(b'*', parts)
    }

    /// The next part of a command.
    pub(crate) fn part(&mut self, part: impl AsRef<[u8]>) -> &mut Self {
        let part = part.as_ref();
        self.line(b'$', part.len());
        self.bytes.extend_from_slice(part);
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// The next parts.
    pub(crate) fn parts(&mut self, parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> &mut Self {
        for part in parts {
            self.part(part);
        }
        self
    }

    /// A whole command.
    pub(crate) fn whole(&mut self, parts: &[&str]) -> &mut Self {
        self.command(parts.len()).parts(parts)
    }

    /// Another request's commands behind these.
    pub(crate) fn append(&mut self, other: &Request) -> &mut Self {
        self.bytes.extend_from_slice(&other.bytes);
        self.commands += other.commands;
        self
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Each has an answer.
    pub(crate) fn commands(&self) -> usize {
        self.commands
    }

    /// The key of the command at that place, if it names one.
    pub(crate) fn key(&self, command: usize) -> Option<String> {
        let (mut parser, mut bytes) = (Parser::new(), self.bytes());
        let mut parts = None;
        for _ in 0..=command {
            parts = parser.parse_value(&mut bytes).ok();
        }
        let Some(Value::Array(parts)) = parts else { return None };
        match parts.get(1) {
            Some(Value::BulkString(key)) => Some(String::from_utf8_lossy(key).into_owned()),
            _ => None,
        }
    }

    fn line(&mut self, kind: u8, number: usize) -> &mut Self {
        self.bytes.push(kind);
        self.number(number);
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    fn number(&mut self, number: usize) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.bytes.push(b'0' + (number % 10) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_as_the_protocol_has_them() {
        let mut request = Request::default();
        request.whole(&["GET", "a key of 16 ch.."]).command(1).part("PING");
        let mut more = Request::default();
        more.append(&request).whole(&["ECHO", ""]);
        let text = "*2\r\n$3\r\nGET\r\n$16\r\na key of 16 ch..\r\n*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(more.bytes()), text);
        assert_eq!(more.commands(), 3);
        let keys = [0, 1, 2, 3].map(|command| more.key(command));
        assert_eq!(keys, [Some("a key of 16 ch..".to_owned()), None, Some(String::new()), None]);
    }
}
