//! Query parameters.

use audience_protocol::PageLimit;

use crate::problem::Problem;

/// Parameters by name; an empty one counts as absent.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn read(text: &str) -> Self {
        let pairs = form_urlencoded::parse(text.as_bytes()).into_owned();
        Query(pairs.filter(|(_, value)| !value.is_empty()).collect())
    }

    /// The value of a parameter; given twice is refused.
    pub(crate) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(faulty(format!("{name} is given more than once"))),
        }
    }

    /// Every value of a parameter.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a parameter as one of a few words, in any case.
    pub(crate) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        match words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
                Err(faulty(format!("{name} is one of {}", words.join(", "))))
            }
        }
    }

    /// The value of a parameter as a whole number up to a most.
    pub(crate) fn number(&self, name: &str, most: u32) -> Result<Option<u32>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let number = text.parse().ok().filter(|number| *number <= most);
        number.map(Some).ok_or_else(|| faulty(format!("{name} is a whole number from 0 to {most}")))
    }

    /// `limit`.
    pub(crate) fn limit(&self) -> Result<PageLimit, Problem> {
        let Some(text) = self.one("limit")? else { return Ok(PageLimit::default()) };
        PageLimit::parse(text).ok_or_else(|| faulty(format!("limit is a whole number from 1 to {}", PageLimit::MOST)))
    }
}

fn faulty(detail: String) -> Problem {
    Problem::bad_request("invalid_parameter", detail)
}
