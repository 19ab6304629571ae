//! One conversation with a server.

use std::io::{self, Write as _};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::ClientConfig;

use crate::reply::{ReplyReader, SmtpReply};
use crate::settings::{Security, SmtpError, SmtpSettings};
use crate::stream::SmtpStream;

/// An open conversation, between mails.
pub(crate) struct Conversation {
    stream: SmtpStream,
    replies: ReplyReader,
    is_pipelining: bool,
    /// Mails that were handed over.
    pub(crate) mails: usize,
}

/// The end of an envelope that the server did not take.
#[derive(Debug)]
pub(crate) struct RefusedEnvelope(pub(crate) SmtpReply);

impl Conversation {
    /// Connects, secures the connection and signs in, as the settings say.
    pub(crate) fn open(settings: &SmtpSettings, tls: Option<&Arc<ClientConfig>>) -> Result<Conversation, SmtpError> {
        let (host, port) = (settings.host.as_str(), settings.port);
        let connect = |cause| SmtpError::Connect { host: host.to_owned(), port, cause };
        let mut stream = SmtpStream::connect(host, port).map_err(connect)?;
        stream.set_patience(settings.patience)?;
        if let (Security::Tls, Some(tls)) = (settings.security, tls) {
            stream = stream.secured(host, tls)?;
        }
        let mut open = Conversation { stream, replies: ReplyReader::default(), is_pipelining: false, mails: 0 };
        let greeting = open.read()?;
        expect(&greeting, "the connection")?;
        let mut offers = open.hello(&settings.hello)?;
        if let (Security::StartTls, Some(tls)) = (settings.security, tls) {
            if !has(&offers, "STARTTLS") {
                return Err(SmtpError::NotOffered("STARTTLS"));
            }
            expect(&open.command("STARTTLS")?, "STARTTLS")?;
            if !open.replies.is_empty() {
                return Err(SmtpError::InTheClear);
            }
            open.stream = open.stream.secured(host, tls)?;
            offers = open.hello(&settings.hello)?;
        }
        open.sign_in(settings, &offers)?;
        open.is_pipelining = has(&offers, "PIPELINING");
        Ok(open)
    }

    fn hello(&mut self, name: &str) -> Result<SmtpReply, SmtpError> {
        let offers = self.command(&format!("EHLO {name}"))?;
        expect(&offers, "EHLO")?;
        Ok(offers)
    }

    fn sign_in(&mut self, settings: &SmtpSettings, offers: &SmtpReply) -> Result<(), SmtpError> {
        let Some(login) = &settings.login else { return Ok(()) };
        let is_plain =
            offers.lines.iter().any(|line| line.to_uppercase().starts_with("AUTH") && line.contains("PLAIN"));
        if !is_plain {
            return Err(SmtpError::NotOffered("AUTH PLAIN"));
        }
        let secret = STANDARD.encode(format!("\0{}\0{}", login.user, login.password));
        expect(&self.command(&format!("AUTH PLAIN {secret}"))?, "AUTH")
    }

    fn read(&mut self) -> io::Result<SmtpReply> {
        self.replies.read(&mut self.stream)
    }

    fn command(&mut self, command: &str) -> io::Result<SmtpReply> {
        self.stream.write_all(format!("{command}\r\n").as_bytes())?;
        self.stream.flush()?;
        self.read()
    }

    /// Gives sender and recipient, and everything of the mail but the final dot. Nothing of it makes the server take the mail.
    ///
    /// After a refusal of the envelope the conversation is ready for the next mail.
    pub(crate) fn prepare(&mut self, from: &str, to: &str, mail: &[u8]) -> io::Result<Result<(), RefusedEnvelope>> {
        let commands = [format!("MAIL FROM:<{from}>"), format!("RCPT TO:<{to}>"), "DATA".to_owned()];
        let replies = self.envelope(&commands)?;
        let refused = replies.iter().find(|reply| reply.code >= 400);
        let is_open = replies.len() == commands.len() && replies.last().is_some_and(|last| last.code == 354);
        match refused {
            None if is_open => {
                self.stream.write_all(mail)?;
                self.stream.flush()?;
                Ok(Ok(()))
            }
            None => Err(io::Error::new(io::ErrorKind::InvalidData, "the server does not wait for the mail")),
            Some(refused) => {
                if is_open {
                    // It waits for a mail that has no recipient: nothing is what it gets (RFC 2920).
                    self.command(".")?;
                }
                if refused.code != 421 {
                    self.command("RSET")?;
                }
                Ok(Err(RefusedEnvelope(refused.clone())))
            }
        }
    }

    fn envelope(&mut self, commands: &[String; 3]) -> io::Result<Vec<SmtpReply>> {
        let mut replies = Vec::new();
        if self.is_pipelining {
            self.stream.write_all(format!("{}\r\n", commands.join("\r\n")).as_bytes())?;
            self.stream.flush()?;
            for _ in commands {
                let reply = self.read()?;
                // A server that ends the conversation answers nothing more.
                let is_end = reply.code == 421;
                replies.push(reply);
                if is_end {
                    break;
                }
            }
            return Ok(replies);
        }
        for command in commands {
            let reply = self.command(command)?;
            let is_refused = reply.code >= 400;
            replies.push(reply);
            if is_refused {
                break;
            }
        }
        Ok(replies)
    }

    /// Gives the final dot: from here on the server may have the mail.
    pub(crate) fn commit(&mut self, settings: &SmtpSettings) -> io::Result<SmtpReply> {
        self.stream.set_patience(settings.last_patience)?;
        let reply = self.command(".")?;
        self.stream.set_patience(settings.patience)?;
        self.mails += 1;
        Ok(reply)
    }

    /// Ends the conversation.
    pub(crate) fn quit(mut self) {
        // The server may be gone, and there is nothing left to lose.
        let _ = self.stream.write_all(b"QUIT\r\n").and_then(|()| self.stream.flush());
    }
}

fn has(offers: &SmtpReply, name: &str) -> bool {
    offers.lines.iter().any(|line| line.eq_ignore_ascii_case(name))
}

fn expect(reply: &SmtpReply, command: &'static str) -> Result<(), SmtpError> {
    if reply.is_positive() { Ok(()) } else { Err(SmtpError::Refused { command, code: reply.code }) }
}
