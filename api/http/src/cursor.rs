//! Cursors of lists: `nextCursor` and `cursor`.
//!
//! A cursor is the place with a checksum over it and the list's name, in letters that a URL has. A text that no page of that
//! list gave is refused, instead of being answered with a page from somewhere. A cursor keeps no secret.

use audience_protocol::Page;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;
use crate::query::Query;

/// Bytes of the digest; enough to tell mistakes, since it keeps no secret.
const CHECK_BYTES: usize = 6;

/// A list that is given in pages.
#[derive(Clone, Copy)]
pub(crate) struct List(&'static str);

impl List {
    /// A list under a name of its own.
    pub(crate) const fn named(name: &'static str) -> List {
        List(name)
    }

    /// A page as it is given.
    pub(crate) fn give<T>(self, page: Page<T>) -> Page<T> {
        Page { next_cursor: page.next_cursor.map(|place| self.seal(&place)), ..page }
    }

    /// The place after which a page is asked for.
    pub(crate) fn asked(self, query: &Query) -> Result<Option<String>, Problem> {
        let Some(text) = query.one("cursor")? else { return Ok(None) };
        self.open(text).map(Some).ok_or_else(|| self.not_given())
    }

    /// The problem of a cursor that no page of this list gave.
    pub(crate) fn not_given(self) -> Problem {
        let detail =
            "cursor is not one that a page of this list gave; give the nextCursor of the page before, or leave it out";
        Problem::bad_request("invalid_parameter", detail)
    }

    fn seal(self, place: &str) -> String {
        let sealed = [&self.check(place)[..], place.as_bytes()].concat();
        URL_SAFE_NO_PAD.encode(sealed)
    }

    fn open(self, text: &str) -> Option<String> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (check, place) = sealed.split_first_chunk::<CHECK_BYTES>()?;
        let place = str::from_utf8(place).ok()?;
        (self.check(place) == *check).then(|| place.to_owned())
    }

    fn check(self, place: &str) -> [u8; CHECK_BYTES] {
        let digest = Sha256::new().chain_update(self.0).chain_update([0]).chain_update(place).finalize();
        std::array::from_fn(|at| digest[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: List = List::named("members");
    const USERS: List = List::named("users");

    #[test]
    fn a_list_knows_what_it_gave() {
        for place in ["", "b", "u/2 é", "1704067200000-7"] {
            let sealed = MEMBERS.seal(place);
            assert!(sealed.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{sealed}");
            assert_eq!(MEMBERS.open(&sealed).as_deref(), Some(place));
            assert_eq!(USERS.open(&sealed), None, "of another list");
            let mut other = sealed.into_bytes();
            other[0] = if other[0] == b'A' { b'B' } else { b'A' };
            assert_eq!(MEMBERS.open(&String::from_utf8(other).expect("letters")), None);
        }
        for made_up in ["", "b", "zzzz", "MTIzNDU2", "MTIzNDU2Nzg5", "=", "é", "AAAAAAAA\u{0}"] {
            assert_eq!(MEMBERS.open(made_up), None, "{made_up}");
        }
    }
}
