//! The members that an event may have.

/// Members that hold a short text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TextMember {
    UserId,
    CustomerId,
    AnonymousId,
    PreviousId,
    MessageId,
    Id,
    EventType,
    Type,
    /// The name of a message whose type is `track`; in other events it says nothing.
    Event,
}

/// The number of members that hold a text.
pub(super) const TEXTS: usize = 9;

impl TextMember {
    const NAMES: [&'static str; TEXTS] =
        ["userId", "customerId", "anonymousId", "previousId", "messageId", "id", "eventType", "type", "event"];

    pub(super) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub(super) fn is_user(self) -> bool {
        use TextMember::{AnonymousId, CustomerId, PreviousId, UserId};
        matches!(self, UserId | CustomerId | AnonymousId | PreviousId)
    }

    pub(super) fn is_id(self) -> bool {
        !matches!(self, TextMember::EventType | TextMember::Type | TextMember::Event)
    }
}

/// Members that hold an object.
#[derive(Clone, Copy)]
pub(super) enum ObjectMember {
    Properties,
    Context,
    Metadata,
    Traits,
}

/// The number of members that hold an object.
pub(super) const OBJECTS: usize = 4;

impl ObjectMember {
    const NAMES: [&'static str; OBJECTS] = ["properties", "context", "metadata", "traits"];

    pub(super) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

#[derive(Clone, Copy)]
pub(super) enum EventMember {
    Text(TextMember),
    Object(ObjectMember),
    Timestamp,
    Ignored,
}

impl EventMember {
    #[inline]
    pub(super) fn of(key: &str) -> Self {
        match key {
            "userId" => EventMember::Text(TextMember::UserId),
            "customerId" => EventMember::Text(TextMember::CustomerId),
            "anonymousId" => EventMember::Text(TextMember::AnonymousId),
            "previousId" => EventMember::Text(TextMember::PreviousId),
            "messageId" => EventMember::Text(TextMember::MessageId),
            "id" => EventMember::Text(TextMember::Id),
            "eventType" => EventMember::Text(TextMember::EventType),
            "type" => EventMember::Text(TextMember::Type),
            "event" => EventMember::Text(TextMember::Event),
            "timestamp" => EventMember::Timestamp,
            "properties" => EventMember::Object(ObjectMember::Properties),
            "context" => EventMember::Object(ObjectMember::Context),
            "metadata" => EventMember::Object(ObjectMember::Metadata),
            "traits" => EventMember::Object(ObjectMember::Traits),
            _ => EventMember::Ignored,
        }
    }
}
