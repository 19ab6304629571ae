//! Permissions: what a caller may do, as `resource:verb`, and sets of them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! permissions {
    ($($variant:ident $name:literal $about:literal,)+) => {
        /// A right to do one kind of thing.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Permission {
            $(#[doc = $about] $variant,)+
        }

        /// Every permission.
        pub const PERMISSIONS: &[Permission] = &[$(Permission::$variant,)+];

        impl Permission {
            /// The name: `resource:verb`.
            pub const fn name(self) -> &'static str {
                match self { $(Permission::$variant => $name,)+ }
            }

            /// The act that it permits, as a sentence's end.
            pub const fn about(self) -> &'static str {
                match self { $(Permission::$variant => $about,)+ }
            }
        }
    };
}

permissions! {
    SegmentRead "segment:read" "see segments, their versions, sizes and overlaps",
    SegmentPreview "segment:preview" "preview a rule before it is saved",
    SegmentWrite "segment:write" "create and change segments",
    SegmentActivate "segment:activate" "activate, deactivate and archive segments",
    SegmentDelete "segment:delete" "delete segments",
    TraitRead "trait:read" "see computed traits",
    TraitWrite "trait:write" "create and change computed traits",
    TraitDelete "trait:delete" "delete computed traits",
    UserRead "user:read" "see who is in which segment, and why",
    UserExport "user:export" "export what is held of a user",
    UserErase "user:erase" "erase a user",
    PiiRead "pii:read" "see traits and events of users",
    EventSend "event:send" "send events",
    EventRead "event:read" "see which events and properties arrive",
    WebhookRead "webhook:read" "see webhooks and their deliveries",
    WebhookWrite "webhook:write" "create and change webhooks",
    WebhookDelete "webhook:delete" "delete webhooks",
    AuditRead "audit:read" "read the audit log",
    SystemRead "system:read" "see how the platform runs",
    SystemWrite "system:write" "verify and rebuild sinks, and load the demo",
    SystemFollow "system:follow" "copy everything, as a standby does",
    MemberRead "member:read" "see members, roles and their sessions",
    MemberWrite "member:write" "invite, change and disable members, and end their sessions",
    KeyRead "key:read" "see API keys",
    KeyWrite "key:write" "create, rotate and revoke API keys",
    TenantWrite "tenant:write" "create tenants and set their quotas",
    CampaignRead "campaign:read" "see campaigns",
    CampaignWrite "campaign:write" "create and change campaigns",
    CampaignLaunch "campaign:launch" "launch, pause and cancel campaigns",
    ContentRead "content:read" "see contents",
    ContentWrite "content:write" "create and change contents",
    ContentApprove "content:approve" "approve contents",
}

impl Permission {
    /// The permission of a name.
    pub fn named(name: &str) -> Option<Permission> {
        PERMISSIONS.iter().copied().find(|permission| permission.name() == name)
    }

    const fn bit(self) -> u64 {
        1 << self as u64
    }
}

/// A set of permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permissions(u64);

impl Permissions {
    /// A set of these.
    pub const fn of(permissions: &[Permission]) -> Permissions {
        let (mut bits, mut index) = (0, 0);
        while index < permissions.len() {
            bits |= permissions[index].bit();
            index += 1;
        }
        Permissions(bits)
    }

    /// Every permission.
    pub const fn all() -> Permissions {
        Permissions::of(PERMISSIONS)
    }

    /// This set without some.
    pub const fn without(self, permissions: &[Permission]) -> Permissions {
        Permissions(self.0 & !Permissions::of(permissions).0)
    }

    /// The permissions that both sets have.
    pub const fn and(self, other: Permissions) -> Permissions {
        Permissions(self.0 & other.0)
    }

    /// Returns whether the set has a permission.
    pub const fn has(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Returns whether every permission of this set is in another.
    pub const fn is_within(self, other: Permissions) -> bool {
        self.0 & !other.0 == 0
    }

    /// The permissions, in their order.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        PERMISSIONS.iter().copied().filter(move |permission| self.has(*permission))
    }

    /// The names, in their order.
    pub fn names(self) -> Vec<&'static str> {
        self.iter().map(Permission::name).collect()
    }
}

impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.names().serialize(serializer)
    }
}

/// A name that this program does not know, as one of a later version, gives no right.
impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let known: Vec<Permission> = names.iter().filter_map(|name| Permission::named(name)).collect();
        Ok(Permissions::of(&known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resource_and_verb_and_none_stands_twice() {
        assert!(PERMISSIONS.len() <= 64);
        for permission in PERMISSIONS {
            let (resource, verb) = permission.name().split_once(':').unwrap();
            assert!([resource, verb].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_lowercase())));
            assert_eq!(Permission::named(permission.name()), Some(*permission));
        }
    }

    #[test]
    fn sets() {
        let some = Permissions::of(&[Permission::SegmentRead, Permission::KeyWrite]);
        assert!(some.has(Permission::KeyWrite) && !some.has(Permission::KeyRead));
        assert!(some.is_within(Permissions::all()) && !Permissions::all().is_within(some));
        assert_eq!(some.without(&[Permission::KeyWrite]).names(), ["segment:read"]);
        let read: Permissions = serde_json::from_str(r#"["key:write", "later:verb", "segment:read"]"#).unwrap();
        assert_eq!(read, some);
        assert_eq!(serde_json::to_string(&some).unwrap(), r#"["segment:read","key:write"]"#);
    }
}
