//! Texts and settings without secrets.

use serde_json::Value;

const HIDDEN: &str = "[hidden]";
/// Words in the name of a setting whose value is a secret.
const SECRET: [&str; 6] = ["password", "secret", "token", "jaas", "credential", "private"];

/// A text without the user and password of URLs, and without passwords of libpq's form.
pub(super) fn in_text(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out += before;
        let is_end = |character: char| character.is_whitespace() || "/\"'<>`,?#".contains(character);
        let end = after.find(is_end).unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(host) => {
                out += HIDDEN;
                &after[host..]
            }
            None => after,
        };
    }
    out += rest;
    without_passwords(&out)
}

/// Hides the word after each `password=`, as in `host=db password=x` and `?password=x`.
fn without_passwords(text: &str) -> String {
    let mut pieces = text.split("password=");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|character: char| character.is_whitespace() || "&\"'".contains(character));
        out += "password=";
        out += HIDDEN;
        out += &piece[end.unwrap_or(piece.len())..];
    }
    out
}

/// A document without values whose name says that they are secret, and without those in texts.
pub(super) fn in_json(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(in_text(&text)),
        Value::Array(items) => items.into_iter().map(in_json).collect(),
        Value::Object(members) => {
            let member = |(name, value): (String, Value)| {
                let is_secret = is_secret(&name);
                let value = if is_secret && !value.is_object() { HIDDEN.into() } else { in_json(value) };
                (name, value)
            };
            Value::Object(members.into_iter().map(member).collect())
        }
        value => value,
    }
}

/// Returns whether the name of a setting says that its value is secret. The name of a file is not.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_file = name.ends_with("_file") || name.ends_with(".location");
    name == "key" || (!is_file && SECRET.iter().any(|word| name.contains(word)))
}

/// The text for a secret.
pub(super) fn hidden() -> String {
    HIDDEN.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn passwords_in_urls_are_hidden_and_hosts_stay() {
        for (text, hidden) in [
            ("postgresql://me:p@ss@db:5432/shop", "postgresql://[hidden]@db:5432/shop"),
            ("redis://:word@cache and http://a/b@c", "redis://[hidden]@cache and http://a/b@c"),
            ("host=db password=word user=me", "host=db password=[hidden] user=me"),
            ("postgresql://db/shop?password=word&x=1", "postgresql://db/shop?password=[hidden]&x=1"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(in_text(text), hidden);
        }
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        let settings = json!({"kafka": {"properties": {"sasl.password": "x", "sasl.username": "me"}}, "admin_password_file": "/f"});
        let shown = json!({"kafka": {"properties": {"sasl.password": "[hidden]", "sasl.username": "me"}}, "admin_password_file": "/f"});
        assert_eq!(in_json(settings), shown);
    }
}
