//! Lists in pages.

use serde::Serialize;

/// A page of a list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give it as `cursor` for the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page from the first items of the rest of a list. One item more than `limit` means that there is another page;
    /// `place` is where the page's last item stands.
    pub fn of_first(mut items: Vec<T>, limit: PageLimit, place: impl FnOnce(&T) -> String) -> Page<T> {
        let has_more = items.len() > limit.items();
        items.truncate(limit.items());
        let next_cursor = items.last().filter(|_| has_more).map(place);
        Page { items, next_cursor }
    }
}

/// The largest number of items in a page, from 1 to [`PageLimit::MOST`]; 50 where the caller says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit(usize);

impl PageLimit {
    /// The most items that a page has.
    pub const MOST: usize = 1_000;

    /// A limit, if there may be pages of that length.
    pub fn new(items: usize) -> Option<PageLimit> {
        (1..=PageLimit::MOST).contains(&items).then_some(PageLimit(items))
    }

    /// Reads a number.
    pub fn parse(text: &str) -> Option<PageLimit> {
        PageLimit::new(text.parse().ok()?)
    }

    /// The number of items.
    pub fn items(self) -> usize {
        self.0
    }

    /// One item more than the page has, which shows whether there is another page.
    pub fn and_one(self) -> usize {
        self.0 + 1
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        PageLimit(50)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_from_1_to_1000() {
        assert_eq!(
            ["1", "50", "1000"].map(|text| PageLimit::parse(text).map(PageLimit::items)),
            [1, 50, 1000].map(Some)
        );
        assert_eq!(["", "0", "1001", "-1", "1e2", "many"].map(PageLimit::parse), [None; 6]);
    }

    #[test]
    fn a_page_has_a_cursor_where_there_is_another() {
        let limit = PageLimit::new(2).unwrap();
        let page = |items: &[u8]| Page::of_first(items.to_vec(), limit, u8::to_string);
        assert_eq!((page(&[9, 8, 7]).items.len(), page(&[9, 8, 7]).next_cursor.as_deref()), (2, Some("8")));
        assert_eq!((page(&[9, 8]).items.len(), page(&[9, 8]).next_cursor), (2, None));
        assert_eq!(page(&[]).next_cursor, None);
    }
}
