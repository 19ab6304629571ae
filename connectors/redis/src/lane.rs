//! A connection on which transactions are void once a later writer has taken over.

use std::cmp::Ordering;

use redis::{Connection, Value};

use crate::Error;
use crate::request::Request;

/// A connection of one opening of a writer.
///
/// It watches the number of openings. Between transactions that number is known to be its own, so that the next one needs one
/// round trip: it is void where the number has changed since.
pub(crate) struct Lane {
    connection: Connection,
    writer_key: String,
    epoch: i64,
}

impl Lane {
    /// For the opening of that number.
    pub(crate) fn new(mut connection: Connection, writer_key: String, epoch: i64) -> Result<Self, Error> {
        let mut request = Request::default();
        watch(&mut request, &writer_key);
        let answers = send(&mut connection, &request)?;
        let mut lane = Lane { connection, writer_key, epoch };
        lane.check(answers.last())?;
        Ok(lane)
    }

    /// Carries out a piece: all of it or, where another process or the connection comes in between, nothing. Where a command is
    /// refused ([`Error::Refused`]), Redis has carried out the others.
    pub(crate) fn commit(&mut self, piece: &Request) -> Result<(), Error> {
        let mut request = Request::default();
        request.whole(&["MULTI"]).append(piece).whole(&["EXEC"]);
        watch(&mut request, &self.writer_key);
        let executed = 1 + piece.commands();
        loop {
            let mut answers = send(&mut self.connection, &request)?;
            self.check(answers.last())?;
            match answers.swap_remove(executed) {
                // The number was written since, and is the same.
                Value::Nil => {}
                Value::Array(answers) => return look_for_refused(piece, answers),
                answer => return answer.extract_error().map(drop).map_err(Error::from),
            }
        }
    }

    /// Asks something that changes nothing; gives an answer to each command.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<Vec<Value>, Error> {
        send(&mut self.connection, request)
    }

    /// The number of openings is that of this one. Checked behind a transaction too: the number has not gone back since. One
    /// that is less, or none, is of a server that has lost what it held.
    fn check(&mut self, number: Option<&Value>) -> Result<(), Error> {
        let number: i64 = match number {
            Some(Value::BulkString(number)) => {
                let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
                number.ok_or(Error::Answer("the number of openings"))?
            }
            Some(Value::Nil) => 0,
            _ => return Err(Error::Answer("the number of openings")),
        };
        match number.cmp(&self.epoch) {
            Ordering::Less => Err(Error::Lost),
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(Error::Fenced),
        }
    }
}

fn look_for_refused(piece: &Request, answers: Vec<Value>) -> Result<(), Error> {
    let mut faults = answers.into_iter().map(|answer| answer.extract_error().err()).enumerate();
    match faults.find_map(|(at, fault)| Some((at, fault?))) {
        Some((at, fault)) => Err(Error::Refused { key: piece.key(at).unwrap_or_default(), fault }),
        None => Ok(()),
    }
}

fn watch(request: &mut Request, writer_key: &str) {
    request.whole(&["WATCH", writer_key]).whole(&["GET", writer_key]);
}

/// Sends commands and reads the answer of each, whatever the first fault among them is.
fn send(connection: &mut Connection, request: &Request) -> Result<Vec<Value>, Error> {
    connection.send_packed_command(request.bytes())?;
    let mut answers = Vec::with_capacity(request.commands());
    for _ in 0..request.commands() {
        answers.push(connection.recv_response()?);
    }
    // Those of commands within a transaction are with its end.
    match answers.iter().position(|answer| matches!(answer, Value::ServerError(_))) {
        Some(at) => {
            Err(answers.swap_remove(at).extract_error().map_or_else(Error::from, |_| Error::Answer("a command")))
        }
        None => Ok(answers),
    }
}
