//! Words of people, in a map.

use audience_protocol::{
    Currency, CurrencyInput, Label, LabelInput, LabelSubject, Result, Vocabulary, VocabularyResource,
};

use super::FakePlatform;

impl VocabularyResource for FakePlatform {
    fn vocabulary(&self) -> Result<Vocabulary> {
        Ok(self.words.lock().unwrap().clone())
    }

    fn put_label(&self, subject: LabelSubject, input: LabelInput, author: &str) -> Result<Label> {
        let LabelInput { display_name, description } = input;
        let (updated_at, updated_by) = ("2024-01-01T00:00:00Z".to_owned(), author.to_owned());
        let label = Label { subject, display_name, description, updated_at, updated_by };
        self.words.lock().unwrap().labels.push(label.clone());
        Ok(label)
    }

    fn delete_label(&self, subject: LabelSubject, _: &str) -> Result<()> {
        self.words.lock().unwrap().labels.retain(|label| label.subject != subject);
        Ok(())
    }

    fn set_currency(&self, input: Option<CurrencyInput>, _: &str) -> Result<Vocabulary> {
        let currency = |input: CurrencyInput| Currency {
            code: input.code,
            amounts: input.amounts.unwrap_or_default(),
            traits: Vec::new(),
        };
        self.words.lock().unwrap().currency = input.map(currency);
        self.vocabulary()
    }
}
