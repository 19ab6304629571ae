//! A document's body ⇄ the columns of its row.
//!
//! A member that has a column, and is of the kind that the column takes, goes there; all else stays as JSON, in the body's own
//! shape. So nothing gets lost, and a body that comes back says what it said. Values are cut out and put together as
//! text: no digit of a number is looked at.

use std::collections::BTreeMap;

use audience_rules::json::members_of;
use audience_rules::time::{format_time, parse_rfc3339};

/// Members of a JSON object, each with the text of its value.
type BodyFields = BTreeMap<String, String>;

/// A body is not of the shape that the contract asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadBody(pub String);

/// The columns of a segment, but for its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentColumns {
    pub name: Option<String>,
    pub description: Option<String>,
    pub kind: Option<String>,
    pub status: Option<String>,
    pub rules: Option<String>,
    pub tags: Option<Vec<String>>,
    pub owner: Option<String>,
    pub version: Option<i64>,
    pub created_at: Option<String>,
    pub updated_at: Option<String>,
    pub author: Option<String>,
    pub note: Option<String>,
    pub extra: Option<String>,
}

/// The columns of a trait or a setting, but for its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NamedColumns {
    /// A trait's `definition`, a setting's `value`.
    pub content: Option<String>,
    pub version: Option<i64>,
    pub updated_at: Option<String>,
    pub author: Option<String>,
    pub note: Option<String>,
    pub extra: Option<String>,
}

impl SegmentColumns {
    /// Reads a body.
    pub(crate) fn of(id: &str, body: &str) -> Result<SegmentColumns, BadBody> {
        let (mut outer, mut document) = split(body, "id", id)?;
        Ok(SegmentColumns {
            name: take_text(&mut document, "name"),
            description: take_text(&mut document, "description"),
            kind: take_word(&mut document, "type", &["DYNAMIC", "STATIC"]),
            status: take_word(&mut document, "status", &["DRAFT", "ACTIVE", "INACTIVE", "ARCHIVED"]),
            rules: document.remove("rules"),
            tags: take(&mut document, "tags", |text| serde_json::from_str(text).ok()),
            owner: take_text(&mut document, "owner"),
            version: take_whole(&mut document, "version"),
            created_at: take_time(&mut document, "createdAt"),
            updated_at: take_time(&mut document, "updatedAt"),
            author: take_text(&mut outer, "author"),
            note: take_text(&mut document, "note"),
            extra: rest(outer, document),
        })
    }

    /// Writes the body.
    pub(crate) fn body(self, id: &str) -> Result<String, BadBody> {
        let tags = self.tags.map(|tags| list(&tags));
        let document = [
            ("id", Some(quoted(id))),
            ("name", self.name.as_deref().map(quoted)),
            ("description", self.description.as_deref().map(quoted)),
            ("type", self.kind.as_deref().map(quoted)),
            ("status", self.status.as_deref().map(quoted)),
            ("rules", self.rules),
            ("tags", tags),
            ("owner", self.owner.as_deref().map(quoted)),
            ("version", self.version.map(|version| version.to_string())),
            ("createdAt", self.created_at.as_deref().map(quoted)),
            ("updatedAt", self.updated_at.as_deref().map(quoted)),
            ("note", self.note.as_deref().map(quoted)),
        ];
        join(document, self.author.as_deref(), self.extra.as_deref())
    }
}

impl NamedColumns {
    /// Reads a body whose content is that member.
    pub(crate) fn of(content: &str, name: &str, body: &str) -> Result<NamedColumns, BadBody> {
        let (mut outer, mut document) = split(body, "name", name)?;
        Ok(NamedColumns {
            content: document.remove(content),
            version: take_whole(&mut document, "version"),
            updated_at: take_time(&mut document, "updatedAt"),
            author: take_text(&mut outer, "author"),
            note: take_text(&mut document, "note"),
            extra: rest(outer, document),
        })
    }

    /// Writes the body, with the content as that member.
    pub(crate) fn body(self, content: &str, name: &str) -> Result<String, BadBody> {
        let document = [
            ("name", Some(quoted(name))),
            (content, self.content),
            ("version", self.version.map(|version| version.to_string())),
            ("updatedAt", self.updated_at.as_deref().map(quoted)),
            ("note", self.note.as_deref().map(quoted)),
        ];
        join(document, self.author.as_deref(), self.extra.as_deref())
    }
}

/// Reads a list of members.
pub(crate) fn members(body: &str) -> Result<Vec<String>, BadBody> {
    serde_json::from_str(body).map_err(|error| BadBody(format!("it is no list of texts: {error}")))
}

/// A list of texts.
pub(crate) fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(","))
}

/// The body and the document in it, without the id.
fn split(body: &str, key: &str, id: &str) -> Result<(BodyFields, BodyFields), BadBody> {
    let mut outer = read(body)?;
    let document = outer.remove("document").ok_or_else(|| BadBody("it has no `document`".to_owned()))?;
    let mut document = read(&document)?;
    match take_text(&mut document, key) {
        Some(found) if found == id => Ok((outer, document)),
        _ => Err(BadBody(format!("its `{key}` is not {id:?}"))),
    }
}

fn read(text: &str) -> Result<BodyFields, BadBody> {
    let members = members_of(text.as_bytes()).map_err(|fault| BadBody(format!("it is no JSON object: {fault}")))?;
    Ok(members.into_iter().map(|(key, value)| (key, String::from_utf8_lossy(value).into_owned())).collect())
}

/// Takes a member out, if it can be read like that.
fn take<T>(members: &mut BodyFields, key: &str, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    let value = read(members.get(key)?)?;
    members.remove(key);
    Some(value)
}

fn take_text(members: &mut BodyFields, key: &str) -> Option<String> {
    take(members, key, |text| serde_json::from_str(text).ok())
}

fn take_word(members: &mut BodyFields, key: &str, words: &[&str]) -> Option<String> {
    take(members, key, |text| serde_json::from_str(text).ok().filter(|word: &String| words.contains(&word.as_str())))
}

fn take_whole(members: &mut BodyFields, key: &str) -> Option<i64> {
    take(members, key, |text| text.parse().ok().filter(|number: &i64| number.to_string() == text))
}

/// Only a time that is written as it will be written again.
fn take_time(members: &mut BodyFields, key: &str) -> Option<String> {
    take(members, key, |text| {
        let time: String = serde_json::from_str(text).ok()?;
        (format_time(parse_rfc3339(&time)?) == time).then_some(time)
    })
}

/// The members without a column, in the body's shape.
fn rest(mut outer: BodyFields, document: BodyFields) -> Option<String> {
    if !document.is_empty() {
        outer.insert("document".to_owned(), object(&document));
    }
    (!outer.is_empty()).then(|| object(&outer))
}

/// The body of columns and what has none. A column that was filled by hand counts more than a member of that name.
fn join<const N: usize>(
    columns: [(&str, Option<String>); N],
    author: Option<&str>,
    extra: Option<&str>,
) -> Result<String, BadBody> {
    let mut outer = extra.map(read).transpose()?.unwrap_or_default();
    let document = outer.remove("document").map(|document| read(&document)).transpose()?.unwrap_or_default();
    let mut text = String::from("{\"document\":{");
    let given = columns.iter().filter_map(|(key, value)| Some((*key, value.as_deref()?)));
    let is_column = |key: &str| columns.iter().any(|(column, value)| *column == key && value.is_some());
    let others = document.iter().filter(|(key, _)| !is_column(key)).map(|(key, value)| (key.as_str(), value.as_str()));
    push_members(&mut text, given.chain(others));
    text.push_str("},");
    let author = author.map(quoted);
    let others = outer.iter().filter(|(key, _)| author.is_none() || *key != "author");
    let others = others.map(|(key, value)| (key.as_str(), value.as_str()));
    push_members(&mut text, author.as_deref().map(|author| ("author", author)).into_iter().chain(others));
    if text.ends_with(',') {
        text.pop();
    }
    text.push('}');
    Ok(text)
}

fn object(members: &BodyFields) -> String {
    let mut text = String::from("{");
    push_members(&mut text, members.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    text.push('}');
    text
}

fn push_members<'a>(text: &mut String, members: impl Iterator<Item = (&'a str, &'a str)>) {
    for (index, (key, value)) in members.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&quoted(key));
        text.push(':');
        text.push_str(value);
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use audience_rules::json::parse_json;

    use super::*;

    fn segment(body: &str) -> SegmentColumns {
        let columns = SegmentColumns::of("a", body).unwrap();
        let back = columns.clone().body("a").unwrap();
        assert_eq!(parse_json(back.as_bytes()).unwrap(), parse_json(body.as_bytes()).unwrap(), "{back}");
        columns
    }

    #[test]
    fn what_fits_a_column_goes_there() {
        let found = segment(
            r#"{"author":"me","document":{"id":"a","name":"A \"1\"","type":"STATIC","status":"DRAFT","rules":{"x":[1.50]},
            "tags":["t"],"owner":"o","version":7,"createdAt":"2026-11-21T10:37:16.900Z","description":"",
            "note":"why","updatedAt":"2026-11-21T10:37:16.901Z"}}"#,
        );
        let text = |text: &str| Some(text.to_owned());
        let expected = SegmentColumns {
            name: text("A \"1\""),
            description: text(""),
            kind: text("STATIC"),
            status: text("DRAFT"),
            rules: text(r#"{"x":[1.50]}"#),
            tags: Some(vec!["t".to_owned()]),
            owner: text("o"),
            version: Some(7),
            created_at: text("2026-11-21T10:37:16.900Z"),
            updated_at: text("2026-11-21T10:37:16.901Z"),
            author: text("me"),
            note: text("why"),
            extra: None,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn what_fits_none_is_kept() {
        let odd = r#"{"n":[1e3],"author":null,"document":{"id":"a","name":5,"type":"static","tags":["a",1],"version":1.0,
            "createdAt":"2026-11-21T10:37:16.000Z","updatedAt":"2026-02-30T10:37:16Z","status":"","owner":null,"note":7,"n":{"id":"b"}}}"#;
        let found = segment(odd);
        assert_eq!(found, SegmentColumns { extra: found.extra.clone(), ..SegmentColumns::default() });
        segment(r#"{"document":{"id":"a"}}"#);
        segment(r#"{"document":{"id":"a","document":{"document":1},"rules":null},"x":{}}"#);
    }

    #[test]
    fn a_column_filled_by_hand_counts() {
        let columns =
            SegmentColumns { name: Some("hand".to_owned()), ..segment(r#"{"document":{"id":"a","name":5}}"#) };
        assert_eq!(columns.body("a").unwrap(), r#"{"document":{"id":"a","name":"hand"}}"#);
    }

    #[test]
    fn bodies_of_another_shape_are_refused() {
        for bad in ["", "1", "[]", "{}", r#"{"document":1}"#, r#"{"document":{}}"#, r#"{"document":{"id":"b"}}"#] {
            assert!(SegmentColumns::of("a", bad).is_err(), "{bad}");
            assert!(NamedColumns::of("definition", "a", bad).is_err(), "{bad}");
        }
        for bad in ["", "{}", r#"["a", 1]"#, r#"["a"] x"#] {
            assert!(members(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn traits_come_back() {
        let body = r#"{"author":"me","document":{"name":"t","definition":{"name":"t","v":1.000000001},"version":2,"k":[],
            "updatedAt":"2026-11-21T10:37:16.901Z"},"z":1}"#;
        let columns = NamedColumns::of("definition", "t", body).unwrap();
        assert_eq!(columns.version, Some(2));
        let back = columns.body("definition", "t").unwrap();
        assert_eq!(parse_json(back.as_bytes()).unwrap(), parse_json(body.as_bytes()).unwrap());
    }
}
