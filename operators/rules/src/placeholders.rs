//! Words that senders write where they know no id.

/// The words that stand for no id unless others are set, separated by commas; and the empty text.
pub const SHIPPED: &str = "undefined,null,nil,none,nan,0,-1,true,false,anonymous,guest,unknown,[object Object],\
                           00000000-0000-0000-0000-000000000000";

/// Words that are no ids, in any case; the empty text always is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholders {
    /// In lower case.
    words: Vec<String>,
    /// By the first byte of an id: a bit for each length in bytes that such a word has; those of 63 and more share the last.
    lengths: Box<[u64; 256]>,
    /// Some word has other letters than those of ASCII, so that an id may differ from it in length.
    has_other_letters: bool,
}

impl Default for Placeholders {
    fn default() -> Self {
        Placeholders::new(SHIPPED.split(','))
    }
}

impl Placeholders {
    /// These words.
    pub fn new<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Self {
        let words: Vec<String> = words.into_iter().map(|word| word.as_ref().to_lowercase()).collect();
        let mut lengths = Box::new([0; 256]);
        for word in &words {
            for first in word.bytes().next().into_iter().flat_map(|first| [first, first.to_ascii_uppercase()]) {
                lengths[usize::from(first)] |= length_bit(word);
            }
        }
        let has_other_letters = words.iter().any(|word| !word.is_ascii());
        Placeholders { words, lengths, has_other_letters }
    }

    /// Returns whether a text, or a number as text, is no id. Costs a look at a table where no word has the first letter and the
    /// length of the id, else a look at the words.
    #[inline]
    pub fn contains(&self, id: &str) -> bool {
        let Some(first) = id.as_bytes().first() else { return true };
        let is_candidate = self.lengths[usize::from(*first)] & length_bit(id) != 0;
        (is_candidate || self.has_other_letters) && self.is_word(id)
    }

    fn is_word(&self, id: &str) -> bool {
        if id.is_ascii() {
            return self.words.iter().any(|word| word.eq_ignore_ascii_case(id));
        }
        self.has_other_letters && self.words.contains(&id.to_lowercase())
    }
}

#[inline]
fn length_bit(text: &str) -> u64 {
    1 << text.len().min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_words_in_any_case() {
        let shipped = Placeholders::default();
        for word in ["", "NULL", "NaN", "0", "-1", "[object Object]", "00000000-0000-0000-0000-000000000000"] {
            assert!(shipped.contains(word), "{word}");
        }
        for id in ["00", "-0", "null ", "nobody", "[object]", "00000000-0000-0000-0000-000000000001", "né"] {
            assert!(!shipped.contains(id), "{id}");
        }
        let own = Placeholders::new(["Keine", "ÄRGER"]);
        assert!(own.contains("KEINE") && own.contains("ärger") && own.contains(""));
        assert!(!own.contains("null") && !own.contains("ärge"));
    }
}
