//! A provider of identities, and the roles that its groups give.

use std::sync::Arc;

use audience_contract::IdentityProvider;

use crate::role::Role;

/// The roles that groups of a provider give, the first that fits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRoles(Vec<(String, Role)>);

impl GroupRoles {
    /// Reads `group=role`, separated by commas; the group `*` is everybody. Says which part is wrong.
    pub fn read(text: &str) -> Result<GroupRoles, String> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let pair = |part: &str| {
            let (group, role) = part.rsplit_once('=')?;
            Some((group.trim().to_owned(), Role::named(role.trim())?))
        };
        parts.map(|part| pair(part).ok_or_else(|| part.to_owned())).collect::<Result<Vec<_>, _>>().map(GroupRoles)
    }

    /// Returns whether nobody gets a role.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The role of somebody in these groups.
    pub(crate) fn role(&self, groups: &[String]) -> Option<Role> {
        let fits = |(group, _): &&(String, Role)| group == "*" || groups.contains(group);
        self.0.iter().find(fits).map(|(_, role)| *role)
    }
}

/// A provider, and the roles that its groups give.
pub(crate) struct SignInProvider {
    pub provider: Arc<dyn IdentityProvider>,
    pub roles: GroupRoles,
}
