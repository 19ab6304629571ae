//! All members of a segment as one stream, as CSV or NDJSON.

use std::sync::Arc;
use std::task::Poll;

use audience_protocol::{PlatformError, UserValues};
use audience_rules::ast::Millis;
use audience_rules::time::format_time;
use bytes::Bytes;
use futures_util::stream;
use hyper::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use warp::Reply as _;

use crate::api::Api;
use crate::problem::{HandlerResult, Problem};
use crate::query::Query;

/// Pieces that wait for the client.
const PIECES: usize = 2;
/// The length of a time's day.
const DAY: usize = "2026-01-01".len();
/// Bytes that are encoded in a name in UTF-8.
const NOT_IN_NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');
/// Members of a piece at most: with columns, each is looked up.
const TABLE_PIECE: usize = 1_024;

/// The form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Csv,
    Ndjson,
}

impl Form {
    /// The form that `format` names, else the first accepted one; `None` for a page of JSON.
    pub(crate) fn asked(query: &Query, headers: &HeaderMap) -> Result<Option<Form>, Problem> {
        let words = [("csv", Some(Form::Csv)), ("ndjson", Some(Form::Ndjson)), ("json", None)];
        if let Some(form) = query.word("format", &words)? {
            return Ok(form);
        }
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|header| header.to_str().ok());
        for media in accepted.flat_map(|header| header.split(',')) {
            match media.split(';').next().unwrap_or_default().trim() {
                "text/csv" => return Ok(Some(Form::Csv)),
                "application/x-ndjson" => return Ok(Some(Form::Ndjson)),
                "application/json" | "application/*" | "*/*" => return Ok(None),
                _ => {}
            }
        }
        Ok(None)
    }

    fn media(self) -> &'static str {
        match self {
            Form::Csv => "text/csv; charset=utf-8",
            Form::Ndjson => "application/x-ndjson",
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Form::Csv => "csv",
            Form::Ndjson => "ndjson",
        }
    }

    /// `Content-Disposition`: a file is named after its segment and the day, in UTC. Programs that do not read the name in
    /// UTF-8 (RFC 6266) take the one in ASCII.
    fn disposition(self, id: &str, now: Millis) -> String {
        let name = format!("{id}-{}.{}", &format_time(now)[..DAY], self.extension());
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        let plain: String = name.chars().map(|letter| if is_plain(letter) { letter } else { '_' }).collect();
        match plain == name {
            true => format!("attachment; filename=\"{plain}\""),
            false => {
                let encoded = utf8_percent_encode(&name, NOT_IN_NAMES);
                format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
            }
        }
    }

    fn head(self, columns: &[String]) -> Vec<u8> {
        let mut out = Vec::new();
        if self == Form::Csv {
            out.extend_from_slice(b"userId");
            columns.iter().for_each(|column| write_field(column, &mut out));
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    /// Writes members with the values of the columns; without columns there are none.
    fn write(self, members: &[String], columns: &[String], values: &[UserValues]) -> Bytes {
        let mut out = Vec::with_capacity(members.iter().map(|member| member.len() + 16).sum());
        let nothing = UserValues::new();
        for (at, member) in members.iter().enumerate() {
            let values = values.get(at).unwrap_or(&nothing);
            match self {
                Form::Csv => {
                    write_text(member, &mut out);
                    for column in columns {
                        write_field(&values.get(column).map_or_else(String::new, |value| plain(value)), &mut out);
                    }
                    out.extend_from_slice(b"\r\n");
                }
                Form::Ndjson => {
                    out.extend_from_slice(b"{\"userId\":");
                    // A text always serializes.
                    out.extend_from_slice(&serde_json::to_vec(member).unwrap_or_default());
                    if !columns.is_empty() {
                        out.extend_from_slice(b",\"values\":");
                        out.extend_from_slice(&serde_json::to_vec(values).unwrap_or_default());
                    }
                    out.extend_from_slice(b"}\n");
                }
            }
        }
        out.into()
    }
}

/// Writes a field after another.
fn write_field(text: &str, out: &mut Vec<u8>) {
    out.push(b',');
    write_text(text, out);
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    let is_plain = !text.contains(['"', ',', '\t', '\r', '\n']) && text.trim() == text;
    match is_plain {
        true => out.extend_from_slice(text.as_bytes()),
        false => out.extend_from_slice(format!("\"{}\"", text.replace('"', "\"\"")).as_bytes()),
    }
}

/// A value as a field has it: text without quotation marks, anything else as JSON.
fn plain(value: &RawValue) -> String {
    serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
}

/// Sends all members as they are read. A client that takes nothing for as long as a request may take is given up.
pub(crate) async fn export(api: Arc<Api>, id: String, form: Form, columns: Vec<String>) -> HandlerResult {
    let Ok(place) = Arc::clone(&api.exports).try_acquire_owned() else { return Err(Problem::busy(1)) };
    let patience = api.options.request_timeout;
    let (sender, mut pieces) = mpsc::channel::<Result<Bytes, Problem>>(PIECES);
    let runtime = Handle::current();
    let disposition = form.disposition(&id, (api.options.clock)());
    let head = form.head(&columns);
    tokio::task::spawn_blocking(move || {
        let _place = place;
        let send = |piece| runtime.block_on(sender.send_timeout(piece, patience)).is_ok();
        let mut failed = None;
        let visited = api.platform.segments.visit_members(&id, &mut |members| {
            members.chunks(TABLE_PIECE).all(|members| match values(&api, members, &columns) {
                Ok(values) => send(Ok(form.write(members, &columns, &values))),
                Err(error) => {
                    failed = Some(error);
                    false
                }
            })
        });
        match failed.map_or(visited, Err) {
            // An empty piece, so that the answer begins where nobody is in it.
            Ok(()) => send(Ok(Bytes::new())),
            Err(error) => send(Err(error.into())),
        };
    });
    let late = || Problem::unavailable("timeout", "no answer within the time limit");
    let first = tokio::time::timeout(patience, pieces.recv()).await.map_err(|_| late())?;
    let first = first.ok_or_else(Problem::internal)??;
    let mut begin = Some(Bytes::from([head.as_slice(), &first].concat()));
    let document = stream::poll_fn(move |context| match begin.take() {
        Some(begin) => Poll::Ready(Some(Ok(begin))),
        None => pieces
            .poll_recv(context)
            .map(|piece| piece.map(|piece| piece.map_err(|problem| std::io::Error::other(problem.detail.clone())))),
    });
    let mut response = warp::reply::stream(document).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form.media()));
    let disposition = HeaderValue::from_str(&disposition).map_err(|_| Problem::internal())?;
    response.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    Ok(response)
}

fn values(api: &Api, members: &[String], columns: &[String]) -> Result<Vec<UserValues>, PlatformError> {
    if columns.is_empty() { Ok(Vec::new()) } else { api.platform.users.user_values(members, columns) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn members_come_back_from_what_is_written() {
        let members = ["u1", "a,b", "a\"b", " c", "d\ne", "f\tg", "é"].map(String::from);
        let csv = [Form::Csv.head(&[]), Form::Csv.write(&members, &[], &[]).to_vec()].concat();
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        let read: Vec<String> = reader.records().map(|record| record.unwrap()[0].to_owned()).collect();
        assert_eq!(read, members);
        let ndjson = Form::Ndjson.write(&members, &[], &[]);
        let lines = ndjson.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let read: Vec<String> = lines
            .map(|line| {
                serde_json::from_slice::<serde_json::Value>(line).unwrap()["userId"].as_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(read, members);
    }

    #[test]
    fn a_file_is_named_after_its_segment_and_the_day() {
        let named = |id: &str| Form::Csv.disposition(id, 1_767_225_600_000);
        assert_eq!(named("high-value"), "attachment; filename=\"high-value-2026-01-01.csv\"");
        let odd = "attachment; filename=\"a__b____-2026-01-01.csv\"; \
                   filename*=UTF-8''a%22%2Fb%0D%0A%C3%A9%20-2026-01-01.csv";
        assert_eq!(named("a\"/b\r\n\u{e9} "), odd);
        assert!(Form::Ndjson.disposition("s", 0).ends_with("s-1970-01-01.ndjson\""));
    }

    #[test]
    fn columns_stand_beside_the_ids() {
        let json = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let members = ["u1", "u2"].map(String::from);
        let columns = ["e-mail", "a,b"].map(String::from);
        let values = [
            BTreeMap::from([("e-mail".to_owned(), json("\"x,\\\"y\"")), ("a,b".to_owned(), json("1.50"))]),
            BTreeMap::new(),
        ];
        let csv = [Form::Csv.head(&columns), Form::Csv.write(&members, &columns, &values).to_vec()].concat();
        assert_eq!(String::from_utf8(csv).unwrap(), "userId,e-mail,\"a,b\"\r\nu1,\"x,\"\"y\",1.50\r\nu2,,\r\n");
        let ndjson = Form::Ndjson.write(&members, &columns, &values);
        assert_eq!(
            String::from_utf8(ndjson.to_vec()).unwrap(),
            "{\"userId\":\"u1\",\"values\":{\"a,b\":1.50,\"e-mail\":\"x,\\\"y\"}}\n{\"userId\":\"u2\",\"values\":{}}\n"
        );
    }

    #[test]
    fn forms() {
        let asked = |query: &str, accept: &'static str| {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            Form::asked(&Query::read(query), &headers).map_err(|problem| problem.code)
        };
        assert_eq!(asked("format=CSV", "*/*"), Ok(Some(Form::Csv)));
        assert_eq!(asked("", "text/html, text/csv;q=0.9"), Ok(Some(Form::Csv)));
        assert_eq!(asked("", "application/x-ndjson"), Ok(Some(Form::Ndjson)));
        assert_eq!(asked("format=json", "text/csv"), Ok(None));
        assert_eq!(asked("", "application/json, text/csv"), Ok(None));
        assert_eq!(asked("format=xml", ""), Err("invalid_parameter"));
    }
}
