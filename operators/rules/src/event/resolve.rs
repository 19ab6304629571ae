//! The members of an event → its record: who it is about, what it is, and what it says.

use crate::ast::Millis;
use crate::fault::Fault;
use crate::placeholders::Placeholders;
use crate::record::{self, RecordHead, RecordKind, UserPlace};
use crate::value::{EMPTY_OBJECT, ValueRef};

use super::faults::{conflict, missing, placeholder};
use super::member::{ObjectMember, TextMember};
use super::near_miss;
use super::read::EventMembers;

/// Whom an event is about.
struct Who<'a> {
    kind: RecordKind,
    user: &'a str,
    /// The id whose history is merged into the user; or empty.
    other: &'a str,
    /// The place in which the user stands.
    place: UserPlace,
}

/// Appends the record of an event.
pub(super) fn write(
    members: &EventMembers<'_, '_>,
    placeholders: &Placeholders,
    accepted_at: Millis,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    check_near_miss(members)?;
    let (event_type, is_track) = event_type(members)?;
    let resolver = UserResolver { members, placeholders };
    let Who { kind, user, other, place } = resolver.who(if is_track { "track" } else { event_type })?;
    let message = either_text(members, TextMember::MessageId, TextMember::Id)?.unwrap_or_default();
    let context = context(members)?;
    let traits = if kind == RecordKind::Identify { members.object(ObjectMember::Traits) } else { &[] };
    let timestamp = members.timestamp().unwrap_or(accepted_at);
    let start = record::begin(RecordHead { timestamp, accepted_at, kind, user, other, message, event_type }, out);
    record::set_place(&mut out[start..], place);
    for object in [members.object(ObjectMember::Properties), context, traits] {
        out.extend_from_slice(if object.is_empty() { &EMPTY_OBJECT } else { object });
    }
    record::finish(start, out);
    Ok(())
}

/// Refuses an event that lacks a member and has another that looks like it.
fn check_near_miss(members: &EventMembers<'_, '_>) -> Result<(), Fault> {
    let lacking = members.near_misses.iter().find(|near| !members.has(near.meant));
    lacking.map_or(Ok(()), |near| Err(near_miss::fault(&near.key, near.meant)))
}

fn either_text<'m>(
    members: &'m EventMembers<'_, '_>,
    text: TextMember,
    alias: TextMember,
) -> Result<Option<&'m str>, Fault> {
    match (members.text(text), members.text(alias)) {
        (Some(one), Some(other)) if one != other => Err(conflict(text.name(), alias.name())),
        (one, other) => Ok(one.or(other)),
    }
}

/// The event type, and whether the event is a track, which is nothing else whatever it is called.
fn event_type<'m>(members: &'m EventMembers<'_, '_>) -> Result<(&'m str, bool), Fault> {
    let said = either_text(members, TextMember::EventType, TextMember::Type)?;
    let name = members.text(TextMember::Event);
    let is_track = said == Some("track") && members.text(TextMember::EventType).is_none();
    match (said, &members.name_fault) {
        (_, Some(fault)) if is_track => Err(fault.clone()),
        (Some(said), _) => Ok(name.filter(|_| is_track).map_or((said, false), |name| (name, true))),
        (None, _) if name.is_some() => Err(near_miss::fault("event", "eventType")),
        (None, _) => Err(missing("`eventType`")),
    }
}

fn context<'m>(members: &'m EventMembers<'_, '_>) -> Result<&'m [u8], Fault> {
    let (context, metadata) = (members.object(ObjectMember::Context), members.object(ObjectMember::Metadata));
    if context.is_empty() || context == metadata {
        return Ok(metadata);
    }
    let value = |bytes| ValueRef::read(bytes).map(|(value, _)| value.to_value());
    if metadata.is_empty() || value(context) == value(metadata) {
        return Ok(context);
    }
    Err(conflict(ObjectMember::Context.name(), ObjectMember::Metadata.name()))
}

/// Finds whom an event is about.
struct UserResolver<'m, 'j, 's> {
    members: &'m EventMembers<'j, 's>,
    placeholders: &'m Placeholders,
}

impl<'m> UserResolver<'m, '_, '_> {
    fn text(&self, member: TextMember) -> Option<&'m str> {
        self.members.text(member)
    }

    /// An id, if it is one: not a placeholder.
    fn real(&self, id: Option<&'m str>) -> Option<&'m str> {
        id.filter(|id| !self.placeholders.contains(id))
    }

    fn who(&self, event_type: &str) -> Result<Who<'m>, Fault> {
        let user_id = either_text(self.members, TextMember::UserId, TextMember::CustomerId)?;
        let anonymous_id = self.text(TextMember::AnonymousId);
        if event_type == "alias" {
            return self.who_of_alias(user_id, anonymous_id);
        }
        let (named, anonymous) = (self.real(user_id), self.real(anonymous_id));
        let user = named.or(anonymous).ok_or_else(|| self.no_id())?;
        let kind = if event_type == "identify" { RecordKind::Identify } else { RecordKind::Event };
        let other = anonymous.filter(|anonymous| kind == RecordKind::Identify && *anonymous != user);
        let place = if named.is_some() { UserPlace::UserId } else { UserPlace::AnonymousId };
        Ok(Who { kind, user, other: other.unwrap_or_default(), place })
    }

    /// Both ids of an alias must be ids.
    fn who_of_alias(&self, user_id: Option<&'m str>, anonymous_id: Option<&'m str>) -> Result<Who<'m>, Fault> {
        if let Some(empty) = self.members.empty_id.filter(|member| *member != TextMember::AnonymousId) {
            return Err(placeholder(empty));
        }
        let user = user_id.or(anonymous_id).ok_or_else(|| self.no_id())?;
        let previous = self.text(TextMember::PreviousId).ok_or_else(|| missing("an alias's `previousId`"))?;
        if self.real(Some(user)).is_none() {
            return Err(self.no_id());
        }
        if self.real(Some(previous)).is_none() {
            return Err(placeholder(TextMember::PreviousId));
        }
        Ok(Who { kind: RecordKind::Alias, user, other: previous, place: UserPlace::Unsaid })
    }

    /// The fault of an event without an id.
    fn no_id(&self) -> Fault {
        let ids = [TextMember::UserId, TextMember::CustomerId, TextMember::AnonymousId];
        let given = ids.into_iter().find(|id| self.text(*id).is_some()).or(self.members.empty_id);
        given.map_or_else(|| missing("`userId` or `anonymousId`"), placeholder)
    }
}
