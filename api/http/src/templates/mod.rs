//! `/api/templates`: ready rules with parameters. Nothing is saved: what comes out is sent to `/api/segments`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use audience_auth::{Needs, Permission};
use audience_rules::fault::{Fault, code};
use audience_rules::json::parse_json;
use audience_rules::parse::{NoTraits, parse_rules};
use audience_rules::time::parse_duration;
use audience_rules::value::Value;
use hyper::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::api::Api;
use crate::json;
use crate::problem::{HandlerResult, Problem};
use crate::reply::{self, Items};
use crate::request::Call;
use crate::route::{Resource, Route, Side};

/// Bytes of a text that is given.
const MAX_TEXT: usize = 256;
/// The one member of an object in whose place a parameter's value comes.
const PLACE: &str = "parameter";

/// In the order of the gallery.
const FILES: [&str; 19] = [
    include_str!("gallery/high-value.json"),
    include_str!("gallery/top-spenders.json"),
    include_str!("gallery/frequent-buyers.json"),
    include_str!("gallery/spends-more.json"),
    include_str!("gallery/kept-orders.json"),
    include_str!("gallery/rfm-champions.json"),
    include_str!("gallery/rfm-at-risk.json"),
    include_str!("gallery/rfm-promising.json"),
    include_str!("gallery/lapsing.json"),
    include_str!("gallery/lost.json"),
    include_str!("gallery/new-users.json"),
    include_str!("gallery/new-customers.json"),
    include_str!("gallery/one-time-buyers.json"),
    include_str!("gallery/birthday.json"),
    include_str!("gallery/never-bought.json"),
    include_str!("gallery/cart-abandoners.json"),
    include_str!("gallery/interested-in.json"),
    include_str!("gallery/bought-product.json"),
    include_str!("gallery/frequent-returners.json"),
];

pub(crate) const RESOURCE: Resource = Resource { routes: &[ROUTES], openapi: include_str!("openapi.json") };

const READ: Needs = Needs::Permission(Permission::SegmentRead);

const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/templates", Side::Segments, READ, |_, _| Box::pin(std::future::ready(list()))),
    Route::new(Method::POST, "/api/templates/{id}", Side::Segments, READ, |api, call| Box::pin(render(api, call))),
];

/// The type of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ParameterType {
    Number,
    Integer,
    Text,
    Duration,
    Event,
    Field,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parameter {
    name: String,
    title: String,
    #[serde(rename = "type")]
    takes: ParameterType,
    default: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minimum: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    maximum: Option<Box<RawValue>>,
}

/// A file. In name and description a parameter's value comes in the place of `{name}`, in the rules in that of
/// `{"parameter": "name"}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Template {
    id: String,
    name: String,
    description: String,
    category: String,
    parameters: Vec<Parameter>,
    rules: serde_json::Value,
}

/// A template as it is listed, with what its defaults make of it.
#[derive(Serialize)]
struct Listed<'a> {
    id: &'a str,
    name: String,
    description: String,
    category: &'a str,
    parameters: &'a [Parameter],
    example: Box<RawValue>,
}

#[derive(Debug, Serialize)]
struct Rendered {
    name: String,
    description: String,
    rules: Box<RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RenderBody {
    #[serde(default)]
    parameters: BTreeMap<String, Box<RawValue>>,
}

/// A test holds that every file can be read.
static TEMPLATES: LazyLock<Vec<Template>> =
    LazyLock::new(|| FILES.iter().filter_map(|text| serde_json::from_str(text).ok()).collect());

fn list() -> HandlerResult {
    let listed = TEMPLATES.iter().map(|template| {
        let Rendered { name, description, rules } = template.render(&BTreeMap::new())?;
        let Template { id, category, parameters, .. } = template;
        Ok(Listed { id, name, description, category, parameters, example: rules })
    });
    let items = listed.collect::<Result<Vec<_>, Problem>>()?;
    Ok(reply::json(StatusCode::OK, &Items { items }))
}

async fn render(api: Arc<Api>, mut call: Call) -> HandlerResult {
    let id = call.take_id();
    let body = api.optional_json(&call.headers, call.body).await?;
    let missing = || Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is no template {id:?}"));
    let template = TEMPLATES.iter().find(|template| template.id == id).ok_or_else(missing)?;
    let given = if body.is_empty() { RenderBody::default() } else { json::parse_object(&body)? };
    Ok(reply::json(StatusCode::OK, &template.render(&given.parameters)?))
}

fn fault(name: &str, code: &'static str, message: String) -> Fault {
    let token = name.replace('~', "~0").replace('/', "~1");
    Fault { pointer: format!("/parameters/{token}"), code, message }
}

impl Template {
    /// The segment that the parameters make; one that is left out has its default.
    fn render(&self, given: &BTreeMap<String, Box<RawValue>>) -> Result<Rendered, Problem> {
        let known = |name: &str| self.parameters.iter().any(|parameter| parameter.name == name);
        let unknown = given.keys().filter(|name| !known(name));
        let mut faults: Vec<Fault> = unknown
            .map(|name| fault(name, code::UNKNOWN_KEY, format!("this template has no parameter {name:?}")))
            .collect();
        let mut values = BTreeMap::new();
        for parameter in &self.parameters {
            let value = given.get(&parameter.name).unwrap_or(&parameter.default);
            faults.extend(parameter.fault(value));
            values.insert(parameter.name.as_str(), &**value);
        }
        if !faults.is_empty() {
            return Err(Problem::invalid(faults));
        }
        let mut rules = String::new();
        write(&self.rules, &values, &mut rules);
        // Each value may be right, and all together not.
        let misfit = |faults: Vec<Fault>| {
            let misfit = |of: Fault| Fault { pointer: "/parameters".to_owned(), message: of.message, code: of.code };
            Problem::invalid(faults.into_iter().map(misfit).collect())
        };
        let json = parse_json(rules.as_bytes()).map_err(|_| Problem::internal())?;
        parse_rules(&json, &NoTraits).map_err(misfit)?;
        let rules = RawValue::from_string(rules).map_err(|_| Problem::internal())?;
        let words = self.parameters.iter().map(|parameter| {
            let value = values.get(parameter.name.as_str()).map_or("", |value| value.get());
            (parameter.name.as_str(), parameter.in_words(value))
        });
        let words: BTreeMap<&str, String> = words.collect();
        Ok(Rendered { name: fill(&self.name, &words), description: fill(&self.description, &words), rules })
    }
}

impl Parameter {
    /// The fault of a value, if it has one.
    fn fault(&self, value: &RawValue) -> Option<Fault> {
        let read = |text: &RawValue| parse_json(text.get().as_bytes()).unwrap_or_default();
        let wrong = |what: &str| Some(fault(&self.name, code::WRONG_TYPE, format!("{} takes {what}", self.name)));
        match (self.takes, read(value)) {
            (ParameterType::Number | ParameterType::Integer, Value::Number(number)) => {
                if self.takes == ParameterType::Integer && value.get().parse::<i64>().is_err() {
                    return wrong("a whole number");
                }
                let bound = |bound: &Option<Box<RawValue>>| match bound.as_deref().map(read) {
                    Some(Value::Number(bound)) => Some(bound),
                    _ => None,
                };
                let is_low = bound(&self.minimum).is_some_and(|least| number < least);
                let is_high = bound(&self.maximum).is_some_and(|most| number > most);
                let message = || format!("{} is not within its bounds", self.name);
                (is_low || is_high).then(|| fault(&self.name, code::OUT_OF_RANGE, message()))
            }
            (ParameterType::Number | ParameterType::Integer, Value::Null) if value.get() != "null" => {
                Some(fault(&self.name, code::OUT_OF_RANGE, format!("{} is a number beyond ±10^18", self.name)))
            }
            (ParameterType::Number, _) => wrong("a number"),
            (ParameterType::Integer, _) => wrong("a whole number"),
            (ParameterType::Duration, Value::Text(text)) if parse_duration(&text).is_some() => None,
            (ParameterType::Duration, _) => wrong("a duration such as \"30d\""),
            (ParameterType::Text | ParameterType::Event | ParameterType::Field, Value::Text(text)) => {
                let is_long = text.is_empty() || text.len() > MAX_TEXT;
                let message = || format!("{} has 1 to {MAX_TEXT} bytes", self.name);
                is_long.then(|| fault(&self.name, code::OUT_OF_RANGE, message()))
            }
            (ParameterType::Text | ParameterType::Event | ParameterType::Field, _) => wrong("text"),
        }
    }
}

impl Parameter {
    /// A value for people: text without quotes, a duration as `30 days`.
    fn in_words(&self, value: &str) -> String {
        let text = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned());
        let Some((end, unit)) = text.char_indices().next_back().filter(|_| self.takes == ParameterType::Duration)
        else {
            return text;
        };
        let word = match unit {
            's' => "second",
            'm' => "minute",
            'h' => "hour",
            'd' => "day",
            'w' => "week",
            _ => return text,
        };
        let number = &text[..end];
        format!("{number} {word}{}", if number == "1" { "" } else { "s" })
    }
}

/// Writes JSON with the values in their places, each as it was given: no digit of a number is looked at.
fn write(json: &serde_json::Value, values: &BTreeMap<&str, &RawValue>, out: &mut String) {
    match json {
        serde_json::Value::Object(members) => {
            if let Some(name) = members.get(PLACE).and_then(serde_json::Value::as_str) {
                out.push_str(values.get(name).map_or("null", |value| value.get()));
                return;
            }
            out.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                out.push_str(&serde_json::Value::from(key.as_str()).to_string());
                out.push(':');
                write(value, values, out);
            }
            out.push('}');
        }
        serde_json::Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(item, values, out);
            }
            out.push(']');
        }
        other => out.push_str(&other.to_string()),
    }
}

/// Text with the values in their places. Braces within a value are no place.
fn fill(text: &str, words: &BTreeMap<&str, String>) -> String {
    let mut parts = text.split('{');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let found = part.split_once('}').and_then(|(name, rest)| Some((words.get(name)?, rest)));
        match found {
            Some((word, rest)) => {
                out.push_str(word);
                out.push_str(rest);
            }
            None => {
                out.push('{');
                out.push_str(part);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests;
