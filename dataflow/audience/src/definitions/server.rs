//! The server whose definitions are read and changed, over its REST API.

use std::time::Duration;

use anyhow::{Context as _, bail};
use audience_protocol::{Campaign, ContentDocument};
use clap::Args;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::documents::SegmentFile;
use super::kind::DefinitionKind;
use super::steps::{Action, HeldDefinitions, Step};
use crate::asking::{CaFlag, HttpQuestion, ServerAddress};

/// The time that one answer may take: an edit answers once its members are served.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of an answer that are read: a page of large rules.
const MOST: u64 = 256 << 20;
/// The path of the time zone.
const ZONE: &str = "/api/timezone";
/// Segments in a page.
const PAGE: usize = 200;

/// The server.
#[derive(Clone, Debug, Args)]
pub(super) struct ServerFlags {
    /// The URL of the server, `http://host:port` or `https://host:port`.
    #[arg(long, env = "AUDIENCE_SERVER", value_name = "URL", default_value = "http://127.0.0.1:8081")]
    server: String,
    /// A server key that may read segments, and for `apply` change them, where callers must sign in. [default: none]
    #[arg(long, env = "AUDIENCE_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
    #[command(flatten)]
    ca: CaFlag,
}

/// A server that answers.
pub(super) struct DefinitionServer {
    address: ServerAddress,
    key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SegmentsPage {
    items: Vec<HeldSegment>,
    #[serde(default)]
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct HeldSegment {
    version: u64,
    id: String,
    name: String,
    #[serde(default)]
    description: String,
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    owner: Option<String>,
    #[serde(default)]
    rules: Option<Box<RawValue>>,
}

/// A list that has one page.
#[derive(Deserialize)]
struct WholeList<T> {
    items: Vec<T>,
}

#[derive(Deserialize)]
struct HeldTrait {
    name: String,
    version: u64,
    definition: Box<RawValue>,
}

#[derive(Deserialize)]
struct HeldZone {
    timezone: String,
    version: u64,
}

impl HeldSegment {
    fn file(self) -> (u64, SegmentFile) {
        let HeldSegment { version, id, name, description, kind, status, tags, owner, rules } = self;
        let kind = Some(kind).filter(|kind| kind != "DYNAMIC");
        let status = Some(status).filter(|status| status != "ACTIVE");
        let owner = owner.filter(|owner| !owner.is_empty());
        (version, SegmentFile { id, name, description, kind, status, tags, owner, rules })
    }
}

impl DefinitionServer {
    /// Reads the flags; asks nothing yet.
    pub(super) fn open(flags: &ServerFlags) -> anyhow::Result<DefinitionServer> {
        let address = ServerAddress::parse(&flags.server, "--server (AUDIENCE_SERVER)", &flags.ca)?;
        Ok(DefinitionServer { address, key: flags.key.clone() })
    }

    /// All definitions, archived ones included.
    pub(super) fn read(&self) -> anyhow::Result<HeldDefinitions> {
        let mut held = HeldDefinitions::default();
        let mut cursor = String::new();
        loop {
            let page: SegmentsPage = self.get(&format!("/api/segments?limit={PAGE}{cursor}"))?;
            held.segments.extend(page.items.into_iter().map(|segment| (segment.id.clone(), segment.file())));
            match page.next_cursor {
                Some(next) => cursor = format!("&cursor={}", encoded(&next)),
                None => break,
            }
        }
        let traits: WholeList<HeldTrait> = self.get("/api/traits")?;
        held.traits.extend(traits.items.into_iter().map(|one| (one.name, (one.version, one.definition))));
        let HeldZone { timezone, version } = self.get(ZONE)?;
        held.timezone = (version, timezone);
        let contents: Option<WholeList<ContentDocument>> = self.get_of_engine("/api/contents")?;
        let campaigns: Option<WholeList<Campaign>> = self.get_of_engine("/api/campaigns")?;
        held.has_mail = contents.is_some() && campaigns.is_some();
        let contents = contents.into_iter().flat_map(|list| list.items);
        held.contents.extend(contents.map(|content| (content.id.clone(), content)));
        let campaigns = campaigns.into_iter().flat_map(|list| list.items);
        held.campaigns.extend(campaigns.map(|campaign| (campaign.id.clone(), campaign)));
        Ok(held)
    }

    /// Takes a step; an answer that refuses it is given in words.
    pub(super) fn take(&self, step: &Step) -> anyhow::Result<Result<(), String>> {
        let json = body(step)?;
        let (method, path, version) = request(step);
        let (status, answer) =
            self.ask(HttpQuestion { method, json: json.as_deref(), version, ..HttpQuestion::get(&path) })?;
        Ok(match status {
            ..300 => Ok(()),
            412 => Err("it was changed by somebody else meanwhile; apply again".to_owned()),
            401 | 403 => Err("the caller may not do that; give a key that may with --key".to_owned()),
            _ => Err(said(&answer)),
        })
    }

    /// The users who would enter and leave by a step, where the server counts that; faults are told as the step is taken.
    pub(super) fn effect(&self, step: &Step) -> Option<String> {
        let (path, json) = match step {
            Step { segment: Some(segment), id, action, .. } => {
                let rules = segment.rules.as_ref()?;
                let id = matches!(action, Action::Change { .. }).then_some(id);
                let body = PreviewBody { id, rules };
                ("/api/segments/preview".to_owned(), serde_json::to_string(&body).ok()?)
            }
            Step { kind, definition: Some(definition), id, action: Action::Change { .. }, .. }
                if *kind == DefinitionKind::Trait =>
            {
                (format!("/api/traits/{}/preview", encoded(id)), definition.get().to_owned())
            }
            _ => return None,
        };
        let question = HttpQuestion { method: "POST", json: Some(&json), ..HttpQuestion::get(&path) };
        let (status, answer) = self.ask(question).ok()?;
        let answer: Value = serde_json::from_str(&answer).ok().filter(|_| status == 200)?;
        let counts = |of: &Value| Some((of["entered"].as_u64()?, of["left"].as_u64()?));
        match answer["segments"].as_array() {
            None => counts(&answer).map(|(entered, left)| format!("{entered} enter, {left} leave")),
            Some(segments) if segments.is_empty() => Some("no active segment uses it".to_owned()),
            Some(segments) => {
                let told = segments.iter().filter_map(|segment| {
                    let (entered, left) = counts(segment)?;
                    Some(format!("{} ({entered} enter, {left} leave)", segment["id"].as_str()?))
                });
                Some(told.collect::<Vec<_>>().join(", "))
            }
        }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let found = self.get_of_engine(path)?;
        found.with_context(|| format!("{} does not answer {path} without an engine", self.address.authority))
    }

    /// Nothing if the process has no engine to answer it.
    fn get_of_engine<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        let (status, body) = self.ask(HttpQuestion::get(path))?;
        let authority = &self.address.authority;
        match status {
            200 => {
                let read = serde_json::from_str(&body);
                read.map(Some).with_context(|| format!("{authority} gave another answer to {path} than expected"))
            }
            501 => Ok(None),
            401 | 403 => {
                bail!("{authority} does not let this caller read {path}; give a server key that may with --key")
            }
            status => bail!("{authority} answered {status}: {}", said(&body)),
        }
    }

    fn ask(&self, question: HttpQuestion<'_>) -> anyhow::Result<(u16, String)> {
        self.address.ask(HttpQuestion { key: self.key.as_deref(), patience: PATIENCE, most: MOST, ..question })
    }
}

#[derive(Serialize)]
struct PreviewBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a String>,
    rules: &'a RawValue,
}

/// The method and path of a step, and the version that it expects.
fn request(step: &Step) -> (&'static str, String, Option<u64>) {
    use DefinitionKind::{Campaign, Content, Segment, Setting};
    let list = format!("/api/{}", step.kind.folder());
    let one = format!("{list}/{}", encoded(&step.id));
    match (step.kind, step.action) {
        (Content | Campaign, Action::Create) => ("POST", list, None),
        (_, Action::Create) => ("PUT", one, None),
        (Setting, Action::Change { version }) => ("PUT", list, Some(version)),
        (Segment, Action::Change { version }) => ("PATCH", one, Some(version)),
        (_, Action::Change { version }) => ("PUT", one, Some(version)),
        (_, Action::Approve { version }) => ("POST", format!("{one}/approve"), Some(version)),
        (Content, Action::Delete { version }) => ("POST", format!("{one}/archive"), Some(version)),
        (Campaign, Action::Delete { version }) => ("POST", format!("{one}/cancel"), Some(version)),
        (_, Action::Delete { version }) => ("DELETE", one, Some(version)),
    }
}

/// The body of a step. What a file leaves out is taken away at the server, but for the members of a list.
fn body(step: &Step) -> anyhow::Result<Option<String>> {
    if let Some(definition) = &step.definition {
        return Ok(Some(definition.get().to_owned()));
    }
    let Some(segment) = &step.segment else { return Ok(None) };
    let mut fields = json!({
        "name": segment.name,
        "description": segment.description,
        "tags": segment.tags,
        "owner": segment.owner,
        "status": segment.status(),
    });
    if matches!(step.action, Action::Create) {
        fields["id"] = json!(segment.id);
        if segment.is_list() {
            fields["type"] = json!("STATIC");
            fields["members"] = json!([]);
        }
    }
    let text = fields.to_string();
    // As it is written: a number that is parsed may lose digits.
    Ok(Some(match &segment.rules {
        Some(rules) => format!("{},\"rules\":{}}}", text.trim_end_matches('}'), rules.get()),
        None => text,
    }))
}

/// A refusal in words: each fault with its pointer.
fn said(answer: &str) -> String {
    let Ok(problem) = serde_json::from_str::<Value>(answer) else { return answer.to_owned() };
    let faults = problem["errors"].as_array().into_iter().flatten();
    let faults: Vec<String> = faults
        .map(|fault| {
            format!("{}: {}", fault["pointer"].as_str().unwrap_or(""), fault["message"].as_str().unwrap_or(""))
        })
        .collect();
    match faults.is_empty() {
        false => faults.join("; "),
        true => problem["detail"].as_str().unwrap_or(answer).to_owned(),
    }
}

/// A text as a part of a path or a query.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}
