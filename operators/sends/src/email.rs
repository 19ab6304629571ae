//! The duties of a marketing mail, and the plain text of an HTML mail.

use std::collections::BTreeSet;

/// The variable of the link that unsubscribes.
pub const UNSUBSCRIBE_URL: &str = "unsubscribe_url";
/// The variable of the sender's postal address.
pub const POSTAL_ADDRESS: &str = "postal_address";

/// The variables that a marketing mail lacks and must have, as the laws of most places ask: a link that unsubscribes, and a
/// postal address.
pub fn missing_duties(names: &BTreeSet<String>) -> Vec<&'static str> {
    [UNSUBSCRIBE_URL, POSTAL_ADDRESS].into_iter().filter(|duty| !names.contains(*duty)).collect()
}

/// Returns whether a text is an address of a mailbox, as far as can be seen: one `@`, a domain with a dot or `localhost`, and
/// no letter that would end the address in a command or header. At most 254 bytes.
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_local = |letter: char| letter.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(letter);
    let is_domain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
    let is_dotted = |text: &str| !text.starts_with('.') && !text.ends_with('.') && !text.contains("..");
    text.len() <= 254
        && (1..=64).contains(&local.len())
        && local.chars().all(is_local)
        && is_dotted(local)
        && domain.chars().all(is_domain)
        && is_dotted(domain)
        && (domain.contains('.') || domain == "localhost")
}

/// An address as it is compared: without spaces around it, in lower case. Mailboxes of which the case matters do not occur.
pub fn normalised(address: &str) -> Option<String> {
    let address = address.trim().to_lowercase();
    is_address(&address).then_some(address)
}

/// The plain text of an HTML mail: blocks as lines, links with their targets, no styles and no scripts.
pub fn plain_text(html: &str) -> String {
    let mut text = String::new();
    let (mut rest, mut link) = (html, None);
    while let Some(begin) = rest.find('<') {
        push_words(&mut text, &rest[..begin]);
        let Some(end) = rest[begin..].find('>').map(|end| end + begin) else { break };
        let tag = &rest[begin + 1..end];
        let name: String = tag.chars().take_while(|letter| !letter.is_whitespace()).collect::<String>().to_lowercase();
        rest = &rest[end + 1..];
        match name.trim_end_matches('/') {
            "style" | "script" | "head" | "title" => rest = after_end(rest, &name),
            "a" => link = attribute(tag, "href"),
            "/a" => {
                if let Some(target) = link.take().filter(|target| !text.ends_with(target.as_str())) {
                    text.push_str(&format!(" <{target}>"));
                }
            }
            "li" => text.push_str("\n- "),
            "br" | "/p" | "/div" | "/tr" | "/table" | "/ul" | "/ol" | "/h1" | "/h2" | "/h3" | "/h4" | "hr" => {
                text.push('\n');
            }
            _ => {}
        }
    }
    if !rest.contains('<') {
        push_words(&mut text, rest);
    }
    tidied(&text)
}

/// The rest after the end of an element.
fn after_end<'a>(html: &'a str, name: &str) -> &'a str {
    let lower = html.to_ascii_lowercase();
    let end = lower.find(&format!("</{name}")).and_then(|begin| Some(begin + lower[begin..].find('>')? + 1));
    end.map_or("", |end| &html[end..])
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let begin = tag.to_ascii_lowercase().find(&format!("{name}="))? + name.len() + 1;
    let value = &tag[begin..];
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let inside = &value[1..];
    Some(decoded(&inside[..inside.find(quote)?]))
}

/// Adds words with single spaces between them.
fn push_words(text: &mut String, html: &str) {
    let begins_with_space = html.starts_with(char::is_whitespace);
    let words: Vec<&str> = html.split_whitespace().collect();
    if begins_with_space && !text.is_empty() && !text.ends_with(char::is_whitespace) {
        text.push(' ');
    }
    text.push_str(&decoded(&words.join(" ")));
    if !words.is_empty() && html.ends_with(char::is_whitespace) {
        text.push(' ');
    }
}

fn decoded(text: &str) -> String {
    const ENTITIES: [(&str, &str); 7] = [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&copy;", "©"),
        // Last, so that `&amp;lt;` is `&lt;`.
        ("&amp;", "&"),
    ];
    ENTITIES.iter().fold(text.to_owned(), |text, (entity, letter)| text.replace(entity, letter))
}

/// Lines without spaces at their ends, and at most one empty line in a row.
fn tidied(text: &str) -> String {
    let mut tidy = String::new();
    for line in text.lines().map(str::trim) {
        if !line.is_empty() || !(tidy.is_empty() || tidy.ends_with("\n\n")) {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy.truncate(tidy.trim_end().len());
    tidy.push('\n');
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["a@example.org", "a.b+c@sub.example.org", "x@localhost"] {
            assert!(is_address(good), "{good}");
        }
        for wrong in [
            "",
            "a",
            "@b.c",
            "a@",
            "a@b",
            "a b@c.d",
            "a@b..c",
            ".a@b.c",
            "a@b.c>",
            "a@b.c\r\nRCPT TO:<x@y.z>",
            "a@@b.c",
            "a@b,c.d",
        ] {
            assert!(!is_address(wrong), "{wrong:?}");
        }
        assert_eq!(normalised(" Ann@Example.ORG ").as_deref(), Some("ann@example.org"));
    }

    #[test]
    fn a_marketing_mail_has_an_address_and_a_way_out() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(missing_duties(&names(&["user.name"])), ["unsubscribe_url", "postal_address"]);
        assert_eq!(missing_duties(&names(&["unsubscribe_url", "postal_address"])), Vec::<&str>::new());
    }

    #[test]
    fn html_becomes_text() {
        let html = "<html><head><style>p{}</style><title>x</title></head><body>\n<h1>Hello&nbsp;Ann</h1><p>Two \n words &amp; \
                    a <a href=\"https://x.org/?a=1&amp;b=2\">link</a>.</p><ul><li>one</li><li>two</li></ul>end<br>of it</body>";
        let text = "Hello Ann\nTwo words & a link <https://x.org/?a=1&b=2>.\n\n- one\n- two\nend\nof it\n";
        assert_eq!(plain_text(html), text);
        assert_eq!(plain_text("a < b"), "a\n");
        assert_eq!(plain_text(""), "\n");
    }
}
