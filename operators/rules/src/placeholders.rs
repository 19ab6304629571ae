//! Words that senders write where they know no id.

/// The words that stand for no id unless others are set, separated by commas; and the empty text.
pub const SHIPPED: &str = "undefined,null,nil,none,nan,0,-1,true,false,anonymous,guest,unknown,[object Object],\
                           00000000-0000-0000-0000-000000000000";

/// Words that are no ids, in any case; the empty text always is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholders {
    /// In lower case.
    words: Vec<String>,
    /// A bit for each length of a word, in bytes; those of 63 and more share the last.
    lengths: u64,
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
        let lengths = words.iter().fold(0, |lengths, word| lengths | length_bit(word));
        Placeholders { words, lengths }
    }

    /// Returns whether a text, or a number as text, is no id. Costs a look at the words of its length.
    pub fn contains(&self, id: &str) -> bool {
        if id.is_ascii() {
            let is_candidate = self.lengths & length_bit(id) != 0;
            return id.is_empty() || is_candidate && self.words.iter().any(|word| word.eq_ignore_ascii_case(id));
        }
        self.words.iter().any(|word| !word.is_ascii()) && self.words.contains(&id.to_lowercase())
    }
}

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
