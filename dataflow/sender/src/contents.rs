//! Contents: created, approved, shown as a user would get them.

use audience_background::clock;
use audience_protocol::{
    AuditNote, ConflictKind, ContentDocument, ContentInput, ContentResource, ContentStatus, PlatformError,
    RenderedMail, ResourceKind, Result,
};
use audience_rules::fault::code;
use audience_rules::time::format_time;
use serde_json::Value;

use crate::checks::{check_duties, drafted};
use crate::compose::composer;
use crate::documents::{check_version, id_of, invalid};
use crate::sender::CampaignSender;

impl ContentResource for CampaignSender {
    fn create_content(&self, input: ContentInput, author: &str) -> Result<ContentDocument> {
        let _turn = self.turn();
        let id = id_of(input.id.as_deref(), &input.name)?;
        if self.documents().content(&id).is_ok() {
            return Err(PlatformError::Exists { kind: ResourceKind::Content, id });
        }
        self.put(id, input, None, author)
    }

    fn replace_content(
        &self,
        id: &str,
        input: ContentInput,
        expected: Option<u64>,
        author: &str,
    ) -> Result<ContentDocument> {
        let _turn = self.turn();
        let known = self.documents().content(id)?;
        check_version(expected, known.version)?;
        self.put(id.to_owned(), input, Some(&known), author)
    }

    fn change_content(
        &self,
        id: &str,
        to: ContentStatus,
        expected: Option<u64>,
        author: &str,
    ) -> Result<ContentDocument> {
        let _turn = self.turn();
        let known = self.documents().content(id)?;
        check_version(expected, known.version)?;
        if known.status == ContentStatus::Archived || to == ContentStatus::Draft {
            let message = "an archived content stays so; create another".to_owned();
            return Err(PlatformError::Conflict { kind: ConflictKind::WrongStatus, message });
        }
        if to == ContentStatus::Approved {
            check_duties(&known)?;
        }
        let content = ContentDocument {
            status: to,
            version: known.version + 1,
            updated_at: format_time(clock::now()),
            updated_by: author.to_owned(),
            ..known
        };
        self.documents().put_content(&content)?;
        let action = if to == ContentStatus::Approved { "approved" } else { "archived" };
        self.record(author, AuditNote::of(action, "content", id).with_note(&format!("version {}", content.version)));
        Ok(content)
    }

    fn content(&self, id: &str) -> Result<ContentDocument> {
        self.documents().content(id)
    }

    fn contents(&self) -> Result<Vec<ContentDocument>> {
        self.documents().contents()
    }

    fn preview_content(&self, id: &str, user: &str) -> Result<RenderedMail> {
        let composer = composer(&self.documents().content(id)?)?;
        let mut values = self.users().user_values(&[user.to_owned()], &composer.traits())?;
        let read = |(name, value): (String, Box<serde_json::value::RawValue>)| {
            (name, serde_json::from_str::<Value>(value.get()).unwrap_or_default())
        };
        let values = values.pop().unwrap_or_default().into_iter().map(read).collect();
        let rendered =
            composer.render(self.identity(), user, &values, &format!("{}/u/preview", self.identity().public_url));
        rendered.map_err(|error| invalid("/body", code::MISSING_MEMBER, error.to_string()))
    }
}

impl CampaignSender {
    fn put(
        &self,
        id: String,
        input: ContentInput,
        known: Option<&ContentDocument>,
        author: &str,
    ) -> Result<ContentDocument> {
        let content = drafted(id, input, known, format_time(clock::now()), author)?;
        self.documents().put_content(&content)?;
        let action = if known.is_some() { "updated" } else { "created" };
        let note = AuditNote::of(action, "content", &content.id).with_note(&format!("version {}", content.version));
        self.record(author, note);
        Ok(content)
    }
}
