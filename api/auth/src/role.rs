//! Roles: constant sets of permissions.

use serde::{Deserialize, Serialize};

use crate::permission::{Permission, Permissions};
use Permission::{
    AuditRead, CampaignLaunch, CampaignRead, CampaignWrite, ContentApprove, ContentRead, ContentWrite, EventRead,
    EventSend, KeyRead, KeyWrite, MemberRead, MemberWrite, PiiRead, SegmentPreview, SegmentRead, SystemFollow,
    SystemRead, SystemWrite, TenantWrite, TraitRead, UserErase, UserExport, UserRead, WebhookRead,
};

/// The role of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything in the tenant.
    MarketingAdmin,
    /// Segments and campaigns; neither members nor keys.
    CampaignManager,
    /// Contents; reads the rest.
    ContentEditor,
    /// Reads and previews, without personal data.
    Analyst,
    /// Reads, without personal data.
    Viewer,
    /// Runs the platform: tenants and figures; sees no customer data.
    Operator,
}

/// Every role, the mightiest first.
pub const ROLES: [Role; 6] =
    [Role::MarketingAdmin, Role::CampaignManager, Role::ContentEditor, Role::Analyst, Role::Viewer, Role::Operator];

const ADMIN: Permissions = Permissions::all().without(&[TenantWrite]);
const MANAGER: Permissions = ADMIN.without(&[
    MemberRead,
    MemberWrite,
    KeyRead,
    KeyWrite,
    AuditRead,
    SystemFollow,
    SystemWrite,
    UserExport,
    UserErase,
    EventSend,
    ContentApprove,
]);
const VIEWER: Permissions = Permissions::of(&[SegmentRead, TraitRead, UserRead, CampaignRead, ContentRead]);
const EDITOR: Permissions =
    Permissions::of(&[SegmentRead, TraitRead, CampaignRead, ContentRead, ContentWrite, ContentApprove, EventRead]);
const ANALYST: Permissions = Permissions::of(&[
    SegmentRead,
    SegmentPreview,
    TraitRead,
    UserRead,
    EventRead,
    WebhookRead,
    SystemRead,
    CampaignRead,
    ContentRead,
]);
const OPERATOR: Permissions = Permissions::of(&[TenantWrite, SystemRead, SystemWrite]);
// A name of this list that is used nowhere else would be a right that no role lacks.
const _: () = assert!(MANAGER.has(CampaignLaunch) && MANAGER.has(CampaignWrite) && MANAGER.has(PiiRead));

impl Role {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Role::MarketingAdmin => "marketing_admin",
            Role::CampaignManager => "campaign_manager",
            Role::ContentEditor => "content_editor",
            Role::Analyst => "analyst",
            Role::Viewer => "viewer",
            Role::Operator => "operator",
        }
    }

    /// The name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Role::MarketingAdmin => "Marketing Admin",
            Role::CampaignManager => "Campaign Manager",
            Role::ContentEditor => "Content Editor",
            Role::Analyst => "Analyst",
            Role::Viewer => "Viewer",
            Role::Operator => "Operator of the platform",
        }
    }

    /// The permissions.
    pub const fn permissions(self) -> Permissions {
        match self {
            Role::MarketingAdmin => ADMIN,
            Role::CampaignManager => MANAGER,
            Role::ContentEditor => EDITOR,
            Role::Analyst => ANALYST,
            Role::Viewer => VIEWER,
            Role::Operator => OPERATOR,
        }
    }

    /// The role of a name.
    pub fn named(name: &str) -> Option<Role> {
        ROLES.into_iter().find(|role| role.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_admin_has_members_keys_and_erasures() {
        for role in ROLES.into_iter().filter(|role| *role != Role::MarketingAdmin) {
            for permission in [MemberWrite, KeyWrite, UserErase, UserExport, AuditRead] {
                assert!(!role.permissions().has(permission), "{role:?} {permission:?}");
            }
        }
        assert!(VIEWER.is_within(ANALYST) && ANALYST.is_within(ADMIN) && MANAGER.is_within(ADMIN));
    }

    #[test]
    fn the_operator_sees_no_customer_data() {
        let operator = Role::Operator.permissions();
        assert!(!operator.is_within(ADMIN), "it has what no role of a tenant has");
        for permission in [SegmentRead, UserRead, PiiRead, EventRead, TraitRead, CampaignRead] {
            assert!(!operator.has(permission), "{permission:?}");
        }
    }

    #[test]
    fn names() {
        for role in ROLES {
            assert_eq!(Role::named(role.name()), Some(role));
            assert_eq!(serde_json::to_value(role).unwrap(), role.name());
        }
    }
}
