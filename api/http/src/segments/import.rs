//! Lists of members as people have them: JSON or CSV, with what becomes of each row.

use std::collections::HashSet;

use audience_protocol::CheckedUserId;
use audience_rules::fault::{Fault, code};
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::body::Media;
use crate::json;
use crate::problem::Problem;

/// Rows named as rejected; a longer list helps nobody.
const MAX_REJECTED: usize = 1_000;
/// Characters of a value that is shown of such a row.
const MAX_SHOWN: usize = 100;
/// Names of the column of ids in exports of many products, in lower case and without what parts words. Of several columns the
/// one counts whose name stands first here.
const HEADERS: [&str; 16] = [
    "userid",
    "customerid",
    "distinctid",
    "externalid",
    "clientid",
    "profileid",
    "contactid",
    "memberid",
    "subscriberid",
    "personid",
    "visitorid",
    "uid",
    "user",
    "customer",
    "users",
    "id",
];
/// Delimiters of CSV: spreadsheets take the one of the machine's language.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// A row that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct RejectedRow {
    /// The place in the list, or the line of the CSV, from 1.
    pub(crate) row: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) value: Option<String>,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// The rows that were sent.
#[derive(Debug, Default)]
pub(crate) struct Import {
    /// Rows, without the header.
    pub(crate) received: u64,
    /// Ids, each once.
    pub(crate) members: Vec<String>,
    /// Rows whose id an earlier one has.
    pub(crate) duplicates: u64,
    pub(crate) rejected_count: u64,
    /// The first of those that were rejected.
    pub(crate) rejected: Vec<RejectedRow>,
    seen: HashSet<String>,
}

impl Import {
    /// Reads a body.
    pub(crate) fn read(body: &[u8], media: Media) -> Result<Self, Problem> {
        let mut import = if media == Media::Csv { from_csv(body)? } else { from_json(body)? };
        import.seen = HashSet::new();
        Ok(import)
    }

    /// Refuses as a whole where nothing can be taken, or where something cannot and all must be.
    pub(crate) fn check(&self, is_strict: bool) -> Result<(), Problem> {
        let is_taken = self.rejected_count == 0 || !(is_strict || self.members.is_empty());
        if is_taken {
            return Ok(());
        }
        let fault = |row: &RejectedRow| Fault {
            pointer: format!("/{}", row.row.saturating_sub(1)),
            code: row.code,
            message: format!("row {}: {}", row.row, row.message),
        };
        Err(Problem::invalid(self.rejected.iter().map(fault).collect()))
    }

    fn take(&mut self, row: u64, id: String) {
        self.received += 1;
        let fault = CheckedUserId::parse(&id).err();
        if let Some(fault) = fault {
            self.reject(row, Some(id), fault.code, fault.message);
        } else if self.seen.insert(id.clone()) {
            self.members.push(id);
        } else {
            self.duplicates += 1;
        }
    }

    fn reject(&mut self, row: u64, value: Option<String>, code: &'static str, message: String) {
        self.rejected_count += 1;
        if self.rejected.len() < MAX_REJECTED {
            let value = value.map(|value| value.chars().take(MAX_SHOWN).collect());
            self.rejected.push(RejectedRow { row, value, code, message });
        }
    }
}

/// An item of a list: an id, or the kind of what stands there.
enum ListItem {
    Id(String),
    Other(&'static str),
}

impl<'de> Deserialize<'de> for ListItem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemVisitor;
        impl<'de> Visitor<'de> for ItemVisitor {
            type Value = ListItem;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a user id")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<ListItem, E> {
                Ok(ListItem::Id(text.to_owned()))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<ListItem, E> {
                Ok(ListItem::Id(text))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<ListItem, E> {
                Ok(ListItem::Id(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<ListItem, E> {
                Ok(ListItem::Id(number.to_string()))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<ListItem, E> {
                Ok(ListItem::Other("a number that is not whole"))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<ListItem, E> {
                Ok(ListItem::Other("true or false"))
            }

            fn visit_unit<E: Error>(self) -> Result<ListItem, E> {
                Ok(ListItem::Other("null"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<ListItem, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(ListItem::Other("a list"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<ListItem, A::Error> {
                while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(ListItem::Other("an object"))
            }
        }
        deserializer.deserialize_any(ItemVisitor)
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct MembersBody {
    members: Vec<ListItem>,
}

/// A list of ids, or one under `members`.
fn from_json(body: &[u8]) -> Result<Import, Problem> {
    let is_list = body.get(json::skip_space(body, 0)) == Some(&b'[');
    let items: Vec<ListItem> = if is_list {
        json::parse_with_nul(body)?
    } else {
        json::check_object(body)?;
        json::parse_with_nul::<MembersBody>(body)?.members
    };
    let mut import = Import::default();
    for (row, item) in (1..).zip(items) {
        match item {
            ListItem::Id(id) => import.take(row, id),
            ListItem::Other(kind) => {
                import.received += 1;
                import.reject(row, None, code::WRONG_TYPE, format!("a user id is text or a whole number, not {kind}"));
            }
        }
    }
    Ok(import)
}

fn reader(body: &[u8], delimiter: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(body)
}

fn malformed(error: &csv::Error) -> Problem {
    Problem::bad_request("malformed_csv", format!("the body is no CSV: {error}"))
}

/// The delimiter, and the column of ids if the first row names it.
fn layout(body: &[u8]) -> Result<(u8, Option<usize>), Problem> {
    for delimiter in DELIMITERS {
        let mut first = csv::ByteRecord::new();
        reader(body, delimiter).read_byte_record(&mut first).map_err(|error| malformed(&error))?;
        let ranked = first.iter().enumerate().filter_map(|(column, cell)| Some((rank_of(cell)?, column)));
        if let Some((_, column)) = ranked.min() {
            return Ok((delimiter, Some(column)));
        }
    }
    Ok((DELIMITERS[0], None))
}

/// The place of a name among those of columns of ids, if it is one.
fn rank_of(cell: &[u8]) -> Option<usize> {
    let is_letter = |byte: &&u8| !matches!(byte, b' ' | b'_' | b'-' | b'.');
    let plain: Vec<u8> = cell.trim_ascii().iter().filter(is_letter).map(u8::to_ascii_lowercase).collect();
    HEADERS.iter().position(|name| name.as_bytes() == plain)
}

/// The column that the first row names `userId`, else the first column of every row.
fn from_csv(body: &[u8]) -> Result<Import, Problem> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let (delimiter, header) = layout(body)?;
    let mut reader = reader(body, delimiter);
    let (mut import, mut record) = (Import::default(), csv::ByteRecord::new());
    let mut is_header = header.is_some();
    while reader.read_byte_record(&mut record).map_err(|error| malformed(&error))? {
        if std::mem::take(&mut is_header) {
            continue;
        }
        let line = line_of(body, &record);
        let cell = record.get(header.unwrap_or_default()).unwrap_or_default();
        match std::str::from_utf8(cell) {
            Ok(id) => import.take(line, id.to_owned()),
            Err(_) => {
                import.received += 1;
                let shown = String::from_utf8_lossy(cell).into_owned();
                import.reject(line, Some(shown), "not_utf8", "a user id is UTF-8 text".to_owned());
            }
        }
    }
    Ok(import)
}

/// The line in which a record begins: the reader's is that of the blank lines before it, if there are any.
fn line_of(body: &[u8], record: &csv::ByteRecord) -> u64 {
    let Some(position) = record.position() else { return 0 };
    let before = body.get(position.byte() as usize..).unwrap_or_default();
    let blank = before.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n').count();
    position.line() + blank as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(text: &str) -> Import {
        Import::read(text.as_bytes(), Media::Csv).unwrap()
    }

    fn rejected(import: &Import) -> Vec<(u64, &str)> {
        import.rejected.iter().map(|row| (row.row, row.code)).collect()
    }

    #[test]
    fn csv_as_people_have_it() {
        for text in [
            "userId,since\r\nu1,5\r\n\"u,\"\"2\",6\r\n\r\nu3",
            "\u{feff}since;USER_ID\n5;u1\n6;\"u,\"\"2\"\n7;u3\n",
            "customerId\tx\nu1\t\n\"u,\"\"2\"\nu3\n",
            "u1,x,y\n\"u,\"\"2\"\nu3,\n",
            "email,distinct_id\nx,u1\ny,\"u,\"\"2\"\nz,u3\n",
            "ID,User ID\n7,u1\n8,\"u,\"\"2\"\n9,u3\n",
            "\"Customer\"\nu1\n\"u,\"\"2\"\nu3\n",
        ] {
            let import = csv(text);
            assert_eq!((import.members.join(" "), import.received), ("u1 u,\"2 u3".to_owned(), 3), "{text}");
            assert!(import.check(true).is_ok());
        }
        assert_eq!(csv("u1\nuserId\n").members, ["u1", "userId"], "only the first row is a header");
        assert_eq!((csv("").received, csv("\u{feff}userId\n").received), (0, 0));
        assert!(csv("").check(true).is_ok(), "nobody is a list too");
    }

    #[test]
    fn rows_that_are_not_taken_are_named_by_their_line() {
        let long = "x".repeat(300);
        let import = csv(&format!("userId,n\r\nu1,1\r\n,2\r\n\r\n\r\n{long},3\r\nu1,4\r\nu2,5\r\n\"\",6"));
        assert_eq!((import.received, import.duplicates, import.rejected_count), (6, 1, 3));
        assert_eq!(import.members, ["u1", "u2"]);
        assert_eq!(rejected(&import), [(3, code::EMPTY), (6, code::OUT_OF_RANGE), (9, code::EMPTY)]);
        assert_eq!(import.rejected[1].value.as_deref().map(str::len), Some(100));
        assert!(import.check(false).is_ok());
        assert_eq!(import.check(true).unwrap_err().errors.len(), 3);
        let bytes = Import::read(b"u1\n\xff\n", Media::Csv).unwrap();
        assert_eq!((bytes.members.len(), rejected(&bytes)), (1, vec![(2, "not_utf8")]));
        assert!(csv(",\n,\n").check(false).is_err(), "none is taken");
        let many = csv(&"\"\"\n".repeat(5_000));
        assert_eq!((many.rejected_count, many.rejected.len()), (5_000, 1_000));
    }

    #[test]
    fn json() {
        let read = |text: &str| Import::read(text.as_bytes(), Media::Json);
        let import = read(r#"["a",7,"",null,"a",1.5,{"x":[1]},[2,{}],true,-3]"#).unwrap();
        assert_eq!((import.received, import.duplicates, import.members.join(" ")), (10, 1, "a 7 -3".to_owned()));
        let wrong = code::WRONG_TYPE;
        let rows = [(3, code::EMPTY), (4, wrong), (6, wrong), (7, wrong), (8, wrong), (9, wrong)];
        assert_eq!(rejected(&import), rows);
        assert_eq!(read(r#"{"members":["a"]}"#).unwrap().members, ["a"]);
        let pointer = |text: &str| read(text).unwrap_err().errors[0].pointer.clone();
        assert_eq!(pointer(r#"{"members":["a"],"x":1}"#), "/x");
        assert_eq!(pointer(r#"{"members":7}"#), "/members");
        let import = read(r#"["a","b\u0000","c"]"#).unwrap();
        assert_eq!((import.members.join(" "), rejected(&import)), ("a c".to_owned(), vec![(2, code::OUT_OF_RANGE)]));
        assert_eq!(rejected(&csv("a\nb\0\n")), [(2, code::OUT_OF_RANGE)]);
        assert_eq!(read(r#"["a",""]"#).unwrap().check(true).unwrap_err().errors[0].pointer, "/1");
    }
}
