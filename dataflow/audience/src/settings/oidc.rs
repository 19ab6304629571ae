//! Settings of signing in at a provider of identities.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, ensure};
use audience_auth::{Auth, GroupRoles};
use audience_oidc::{OidcOptions, OidcProvider};
use clap::Args;

use super::names::named;

/// The provider of identities.
#[derive(Clone, Debug, Args)]
pub(crate) struct OidcSettings {
    /// The issuer of an OpenID provider at which members sign in, such as `https://id.example.com/realms/staff`. Needs `public_url`;
    /// the provider sends browsers back to `/api/auth/oidc/callback` below it. [default: none]
    #[arg(long, env = "AUDIENCE_OIDC_ISSUER", value_name = "URL")]
    pub oidc_issuer: Option<String>,
    /// The id of this platform at that provider.
    #[arg(long, env = "AUDIENCE_OIDC_CLIENT_ID", value_name = "ID", default_value = "audience")]
    pub oidc_client_id: String,
    /// The file with the platform's secret at that provider. [default: none, for a public client]
    #[arg(long, env = "AUDIENCE_OIDC_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub oidc_client_secret_file: Option<PathBuf>,
    /// The name of the provider on the button of the sign-in page.
    #[arg(long, env = "AUDIENCE_OIDC_LABEL", value_name = "NAME", default_value = "single sign-on")]
    pub oidc_label: String,
    /// The scopes that are asked for, separated by spaces.
    #[arg(long, env = "AUDIENCE_OIDC_SCOPES", value_name = "SCOPES", default_value = "openid email profile")]
    pub oidc_scopes: String,
    /// The claim with a person's groups, or its path with dots, such as `realm_access.roles`.
    #[arg(long, env = "AUDIENCE_OIDC_GROUPS", value_name = "CLAIM", default_value = "groups")]
    pub oidc_groups: String,
    /// The roles that groups give at each sign-in, the first that fits, separated by commas: `crm-admins=marketing_admin,*=viewer`.
    /// The group `*` is everybody; whoever gets no role is refused. Needed with `oidc_issuer`. [default: none]
    #[arg(long, env = "AUDIENCE_OIDC_ROLES", value_name = "ROLES")]
    pub oidc_roles: Option<String>,
    /// A PEM file of certificate authorities for the provider, beside those that this machine trusts. [default: none]
    #[arg(long, env = "AUDIENCE_OIDC_CA_FILE", value_name = "FILE")]
    pub oidc_ca_file: Option<PathBuf>,
}

impl OidcSettings {
    /// Lets members sign in at the provider, where the settings name one.
    pub(crate) fn attach(&self, auth: &Auth) -> anyhow::Result<()> {
        let Some(issuer) = &self.oidc_issuer else { return Ok(()) };
        ensure!(
            auth.options().public_url.is_some(),
            "{} needs {}: the provider sends browsers back there",
            named("oidc_issuer"),
            named("public_url")
        );
        let roles = GroupRoles::read(self.oidc_roles.as_deref().unwrap_or_default())
            .map_err(|part| anyhow!("{} has {part:?}: write group=role, such as staff=viewer", named("oidc_roles")))?;
        ensure!(
            !roles.is_empty(),
            "{} needs {}: without it nobody gets a role",
            named("oidc_issuer"),
            named("oidc_roles")
        );
        let options = OidcOptions {
            issuer: issuer.clone(),
            client_id: self.oidc_client_id.clone(),
            client_secret: self.client_secret()?,
            label: self.oidc_label.clone(),
            scopes: self.oidc_scopes.clone(),
            groups: self.oidc_groups.clone(),
            ca_file: self.oidc_ca_file.clone(),
        };
        let provider = OidcProvider::new(options).with_context(|| named("oidc_issuer"))?;
        auth.sign_in_at(Arc::new(provider), roles);
        Ok(())
    }

    fn client_secret(&self) -> anyhow::Result<Option<String>> {
        let Some(file) = &self.oidc_client_secret_file else { return Ok(None) };
        let name = || named("oidc_client_secret_file");
        let text = std::fs::read_to_string(file).with_context(|| format!("{}: {}", name(), file.display()))?;
        let secret = text.trim_end_matches(['\r', '\n']).to_owned();
        ensure!(!secret.is_empty(), "{}: {} is empty", name(), file.display());
        Ok(Some(secret))
    }
}
