//! The platform's words, kept in the store of the platform's own documents.

use std::collections::BTreeSet;
use std::sync::Arc;

use audience_contract::{AccessChange, AccessDocument, AccessStore, StoreError};
use audience_protocol::{
    AuditNote, CatalogueResource, Currency, CurrencyInput, Label, LabelInput, LabelSubject, PlatformError, Result,
    TraitResource, Vocabulary, VocabularyResource, Word,
};
use audience_rules::fault::code;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::checks::{invalid, unavailable};
use crate::documents::timestamp;

/// The kind of a label among the documents.
const LABEL: &str = "label";
/// The kind, and the id, of the currency among the documents.
const CURRENCY: &str = "currency";
/// The properties that are amounts if nobody says which.
const AMOUNTS: [&str; 8] = ["amount", "price", "total", "subtotal", "revenue", "tax", "shipping", "discount"];
/// Measures whose value is an amount where their property is one.
const OF_AMOUNTS: [&str; 6] = ["sum", "avg", "min", "max", "first", "last"];

const MOST_LABELS: usize = 5_000;
const MOST_AMOUNTS: usize = 100;
const MOST_NAME_BYTES: usize = 256;
const MOST_DISPLAY_NAME: usize = 100;
const MOST_DESCRIPTION: usize = 1_000;
/// Writes of others that a change may meet before it gives up.
const ATTEMPTS: usize = 8;

/// The words of a platform. Every process that shares the store has the same ones.
pub struct StoredVocabulary {
    store: Arc<dyn AccessStore>,
    traits: Arc<dyn TraitResource>,
    catalogue: Arc<dyn CatalogueResource>,
    /// The words as of a revision of the store.
    read: Mutex<Option<(u64, Arc<Words>)>>,
}

/// The words as they are stored.
#[derive(Debug, Default)]
struct Words {
    labels: Vec<Label>,
    currency: Option<Currency>,
}

impl Words {
    /// Reads the words among documents; others, and those of a later version, are passed over.
    fn read(documents: &[AccessDocument]) -> Words {
        let of = |kind: &'static str| documents.iter().filter(move |document| document.kind == kind);
        let mut labels: Vec<Label> = of(LABEL).filter_map(|one| serde_json::from_str(&one.body).ok()).collect();
        labels.sort_by(|one, other| one.subject.cmp(&other.subject));
        let currency = of(CURRENCY).find_map(|one| serde_json::from_str(&one.body).ok());
        Words { labels, currency }
    }
}

/// The measure of a computed trait's definition.
#[derive(Deserialize)]
struct MeasuredTrait {
    #[serde(default)]
    measure: Option<MeasureOf>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MeasureOf {
    Property {
        #[serde(rename = "fn")]
        function: String,
        #[serde(default)]
        of: String,
    },
    Choice {
        #[serde(rename = "fn")]
        function: String,
        of: PropertyChoice,
    },
    Word(#[expect(dead_code, reason = "a measure without a property is told apart by its form")] String),
}

/// The properties of which the first counts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PropertyChoice {
    first_of: Vec<String>,
}

impl StoredVocabulary {
    /// The words in a store; `traits` says which computed traits are amounts, and `catalogue` has the audit log.
    pub fn new(
        store: Arc<dyn AccessStore>,
        traits: Arc<dyn TraitResource>,
        catalogue: Arc<dyn CatalogueResource>,
    ) -> StoredVocabulary {
        StoredVocabulary { store, traits, catalogue, read: Mutex::new(None) }
    }

    fn words(&self) -> Result<Arc<Words>> {
        let revision = self.store.revision().map_err(unavailable)?;
        if let Some((known, words)) = &*self.read.lock()
            && *known == revision
        {
            return Ok(words.clone());
        }
        let (revision, documents) = self.store.all().map_err(unavailable)?;
        let words = Arc::new(Words::read(&documents));
        *self.read.lock() = Some((revision, words.clone()));
        Ok(words)
    }

    /// Writes a document, or deletes it, once the audit log has what is about to be done. `check` sees the words before.
    fn write(&self, written: WrittenWords<'_>, author: &str, check: &dyn Fn(&Words) -> Result<()>) -> Result<()> {
        let WrittenWords { kind, id, body, said } = written;
        let mut noted = None;
        for _ in 0..ATTEMPTS {
            let (revision, documents) = self.store.all().map_err(unavailable)?;
            check(&Words::read(&documents))?;
            let known = documents.iter().find(|document| document.kind == kind && document.id == id);
            let (before, after) = (known.map(|known| told(&known.body)), body.map(told));
            if before.is_none() && after.is_none() {
                return Ok(());
            }
            if before != after && noted.as_ref() != Some(&before) {
                let action = match (&before, &after) {
                    (None, _) => "created",
                    (_, None) => "deleted",
                    _ => "updated",
                };
                let note = AuditNote { before: before.clone(), after, ..AuditNote::of(action, kind, said) };
                self.catalogue.record(author, note)?;
                noted = Some(before);
            }
            let change = AccessChange { kind: kind.into(), id: id.to_owned(), body: body.map(str::to_owned) };
            if self.store.put(revision, &[change]).map_err(unavailable)? {
                return Ok(());
            }
        }
        Err(PlatformError::Busy { retry_after_seconds: 1 })
    }

    /// The computed traits that are amounts, by name.
    fn amount_traits(&self, amounts: &[String]) -> Result<Vec<String>> {
        let adds = |function: &str, of: &str| {
            let of = of.strip_prefix("properties.").unwrap_or(of);
            OF_AMOUNTS.contains(&function) && amounts.iter().any(|amount| amount == of)
        };
        let is_amount = |definition: &RawValue| match serde_json::from_str(definition.get()) {
            Ok(MeasuredTrait { measure: Some(MeasureOf::Property { function, of }) }) => adds(&function, &of),
            Ok(MeasuredTrait { measure: Some(MeasureOf::Choice { function, of }) }) => {
                of.first_of.iter().any(|of| adds(&function, of))
            }
            _ => false,
        };
        let traits = self.traits.computed_traits()?.into_iter();
        Ok(traits.filter(|one| is_amount(&one.definition)).map(|one| one.name).collect())
    }
}

impl VocabularyResource for StoredVocabulary {
    fn vocabulary(&self) -> Result<Vocabulary> {
        let words = self.words()?;
        let currency = words.currency.clone().map(|currency| {
            let traits = self.amount_traits(&currency.amounts)?;
            Ok::<_, PlatformError>(Currency { traits, ..currency })
        });
        Ok(Vocabulary { labels: words.labels.clone(), currency: currency.transpose()? })
    }

    fn put_label(&self, subject: LabelSubject, input: LabelInput, author: &str) -> Result<Label> {
        check_name(&subject.name, "")?;
        let [display_name, description] = [input.display_name, input.description].map(|text| text.trim().to_owned());
        check_text(&display_name, "/displayName", MOST_DISPLAY_NAME)?;
        check_text(&description, "/description", MOST_DESCRIPTION)?;
        if display_name.is_empty() && description.is_empty() {
            return Err(invalid("", code::EMPTY, "give a display name or a description, or delete the label"));
        }
        let (id, said) = (id_of(&subject), said(&subject));
        let label =
            Label { subject, display_name, description, updated_at: timestamp(), updated_by: author.to_owned() };
        let body = serde_json::to_string(&label).map_err(unwritable)?;
        let written = WrittenWords { kind: LABEL, id: &id, body: Some(&body), said: &said };
        self.write(written, author, &|words| {
            let is_there = words.labels.iter().any(|one| one.subject == label.subject);
            if is_there || words.labels.len() < MOST_LABELS {
                return Ok(());
            }
            Err(invalid("", code::OUT_OF_RANGE, format!("there are {MOST_LABELS} labels, and no room for another")))
        })?;
        Ok(label)
    }

    fn delete_label(&self, subject: LabelSubject, author: &str) -> Result<()> {
        let written = WrittenWords { kind: LABEL, id: &id_of(&subject), body: None, said: &said(&subject) };
        self.write(written, author, &|_| Ok(()))
    }

    fn set_currency(&self, input: Option<CurrencyInput>, author: &str) -> Result<Vocabulary> {
        let body = input.map(currency).transpose()?;
        let body = body.map(|currency| serde_json::to_string(&currency).map_err(unwritable)).transpose()?;
        let written = WrittenWords { kind: CURRENCY, id: CURRENCY, body: body.as_deref(), said: CURRENCY };
        self.write(written, author, &|_| Ok(()))?;
        self.vocabulary()
    }
}

/// A document to write, and its id as the audit log says it.
struct WrittenWords<'a> {
    kind: &'static str,
    id: &'a str,
    body: Option<&'a str>,
    said: &'a str,
}

/// The audit log's view of a document: all but what its own row says, its subject, author and time.
fn told(body: &str) -> Value {
    let mut told: Value = serde_json::from_str(body).unwrap_or_default();
    if let Some(members) = told.as_object_mut() {
        members.retain(|name, _| ["displayName", "description", "code", "amounts"].contains(&&**name));
    }
    told
}

/// A subject as the audit log names it, such as `event/purchase`.
fn said(subject: &LabelSubject) -> String {
    format!("{}/{}", word_of(subject), subject.name)
}

fn word_of(subject: &LabelSubject) -> &'static str {
    let kind = audience_protocol::LabelKind::WORDS.iter().find(|(_, kind)| *kind == subject.kind);
    kind.map_or("", |(word, _)| word)
}

fn unwritable(error: serde_json::Error) -> PlatformError {
    unavailable(StoreError::Refused { action: "writing words", detail: error.to_string() })
}

/// Checks a currency; it names its properties once each.
fn currency(input: CurrencyInput) -> Result<Currency> {
    if input.code.len() != 3 || !input.code.bytes().all(|letter| letter.is_ascii_uppercase()) {
        let message = "a currency has three capital letters, as ISO 4217 has them, such as EUR";
        return Err(invalid("/code", code::UNKNOWN_WORD, message));
    }
    let amounts = input.amounts.unwrap_or_else(|| AMOUNTS.map(str::to_owned).to_vec());
    if amounts.len() > MOST_AMOUNTS {
        return Err(invalid("/amounts", code::OUT_OF_RANGE, format!("at most {MOST_AMOUNTS} properties are amounts")));
    }
    for (index, name) in amounts.iter().enumerate() {
        check_name(name, &format!("/amounts/{index}"))?;
    }
    let amounts: BTreeSet<String> = amounts.into_iter().collect();
    Ok(Currency { code: input.code, amounts: amounts.into_iter().collect(), traits: Vec::new() })
}

fn check_name(name: &str, pointer: &str) -> Result<()> {
    if name.is_empty() {
        return Err(invalid(pointer, code::EMPTY, "a name is needed"));
    }
    if name.len() > MOST_NAME_BYTES || name.contains('\0') {
        return Err(invalid(
            pointer,
            code::OUT_OF_RANGE,
            format!("a name has 1 to {MOST_NAME_BYTES} bytes, without NUL"),
        ));
    }
    Ok(())
}

fn check_text(text: &str, pointer: &str, most: usize) -> Result<()> {
    if text.chars().count() > most || text.contains('\0') {
        return Err(invalid(pointer, code::OUT_OF_RANGE, format!("at most {most} letters, without NUL")));
    }
    Ok(())
}

/// The id of a label's document: names have letters that ids of documents have not.
fn id_of(subject: &LabelSubject) -> String {
    let mut digest = Sha256::new();
    digest.update(word_of(subject));
    digest.update([0]);
    digest.update(&subject.name);
    digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use audience_embedded::{Options, Stores};
    use audience_protocol::{AuditQuery, LabelKind, PageLimit, TraitInput};
    use serde_json::json;

    use super::*;
    use crate::editor::Editor;
    use crate::testing::TestStore;

    fn vocabulary(directory: &std::path::Path) -> StoredVocabulary {
        let editor = Arc::new(Editor::open_without_engine(TestStore::open()).unwrap());
        let define = |definition: serde_json::Value| {
            let definition = serde_json::value::to_raw_value(&definition).unwrap();
            editor.put_trait(TraitInput { definition, note: None }, Some(0), "ann").unwrap();
        };
        define(json!({"name": "spent", "event": "purchase", "measure": {"fn": "sum", "of": "amount"}}));
        define(json!({"name": "kinds", "event": "purchase", "measure": {"fn": "distinct", "of": "amount"}}));
        define(json!({"name": "times", "event": "purchase"}));
        StoredVocabulary::new(Stores::open(directory, &Options::default()).unwrap().access(), editor.clone(), editor)
    }

    fn subject(kind: LabelKind, name: &str) -> LabelSubject {
        LabelSubject { kind, name: name.to_owned() }
    }

    fn input(display_name: &str) -> LabelInput {
        LabelInput { display_name: display_name.to_owned(), description: String::new() }
    }

    #[test]
    fn labels_are_kept_replaced_and_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let words = vocabulary(directory.path());
        words.put_label(subject(LabelKind::Trait, "plan"), input("Plan"), "ann").unwrap();
        words.put_label(subject(LabelKind::Event, "a/b ü"), input(" Bought "), "ann").unwrap();
        words.put_label(subject(LabelKind::Trait, "plan"), input("Tariff"), "bob").unwrap();
        let labels = words.vocabulary().unwrap().labels;
        let told: Vec<_> =
            labels.iter().map(|one| (&*one.subject.name, &*one.display_name, &*one.updated_by)).collect();
        assert_eq!(told, [("a/b ü", "Bought", "ann"), ("plan", "Tariff", "bob")]);
        words.delete_label(subject(LabelKind::Trait, "plan"), "eve").unwrap();
        words.delete_label(subject(LabelKind::Trait, "plan"), "eve").unwrap();
        assert_eq!(words.vocabulary().unwrap().labels.len(), 1);
    }

    #[test]
    fn every_edit_of_words_has_a_row_of_the_audit_log_with_before_and_after() {
        let directory = tempfile::tempdir().unwrap();
        let words = vocabulary(directory.path());
        let plan = || subject(LabelKind::Trait, "plan");
        words.put_label(plan(), input("Plan"), "ann").unwrap();
        words.put_label(plan(), input("Plan"), "ann").unwrap();
        words.put_label(plan(), input("Tariff"), "bob").unwrap();
        words.delete_label(plan(), "eve").unwrap();
        words.delete_label(plan(), "eve").unwrap();
        words.set_currency(Some(CurrencyInput { code: "EUR".to_owned(), amounts: Some(Vec::new()) }), "ann").unwrap();
        let query = AuditQuery { limit: PageLimit::default(), ..AuditQuery::default() };
        let rows = words.catalogue.audit(&query).unwrap().items;
        let rows = rows.iter().rev().filter(|row| row.kind != "trait");
        let member = |value: &Option<Value>| value.as_ref().map(|value| value["displayName"].clone());
        let told: Vec<_> =
            rows.map(|row| (&*row.action, &*row.id, &*row.author, member(&row.before), member(&row.after))).collect();
        let (plan, tariff) = (|| Some(json!("Plan")), || Some(json!("Tariff")));
        assert_eq!(
            told,
            [
                ("created", "trait/plan", "ann", None, plan()),
                ("updated", "trait/plan", "bob", plan(), tariff()),
                ("deleted", "trait/plan", "eve", tariff(), None),
                ("created", "currency", "ann", None, Some(Value::Null)),
            ]
        );
    }

    #[test]
    fn an_empty_or_a_long_label_is_refused_at_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let words = vocabulary(directory.path());
        let refused =
            |name: &str, text: &str| match words.put_label(subject(LabelKind::Event, name), input(text), "ann") {
                Err(PlatformError::Invalid(faults)) => faults[0].pointer.clone(),
                other => panic!("{other:?}"),
            };
        assert_eq!(refused("a", "  "), "");
        assert_eq!(refused("", "A"), "");
        assert_eq!(refused("a", &"x".repeat(101)), "/displayName");
    }

    #[test]
    fn a_currency_names_the_computed_traits_that_are_amounts() {
        let directory = tempfile::tempdir().unwrap();
        let words = vocabulary(directory.path());
        assert_eq!(words.vocabulary().unwrap().currency, None);
        let set = |code: &str, amounts: Option<Vec<String>>| {
            words.set_currency(Some(CurrencyInput { code: code.to_owned(), amounts }), "ann")
        };
        let currency = set("EUR", None).unwrap().currency.unwrap();
        assert!(currency.amounts.contains(&"price".to_owned()), "{currency:?}");
        assert!(currency.traits.contains(&"spent".to_owned()), "{currency:?}");
        assert!(!currency.traits.iter().any(|name| name == "kinds" || name == "times"), "{currency:?}");
        assert_eq!(set("EUR", Some(vec!["fee".to_owned()])).unwrap().currency.unwrap().traits, Vec::<String>::new());
        assert!(matches!(set("euro", None), Err(PlatformError::Invalid(_))));
        assert_eq!(words.set_currency(None, "ann").unwrap().currency, None);
    }
}
