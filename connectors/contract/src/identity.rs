//! The sign-in at a provider of identities, as the door sees it.

/// The ends of a sign-in that begins.
#[derive(Clone, Copy, Debug)]
pub struct SignInStart<'a> {
    /// The text that comes back with the browser.
    pub state: &'a str,
    /// The text that stands in the token about the person.
    pub nonce: &'a str,
    /// The SHA-256 of the verifier, in base64url (PKCE).
    pub challenge: &'a str,
    /// The address to which the browser comes back.
    pub redirect_uri: &'a str,
}

/// The ends of a sign-in that came back.
#[derive(Clone, Copy, Debug)]
pub struct SignInEnd<'a> {
    /// The code.
    pub code: &'a str,
    /// The verifier whose SHA-256 was sent.
    pub verifier: &'a str,
    /// The text that MUST stand in the token.
    pub nonce: &'a str,
    /// The address to which the browser came back.
    pub redirect_uri: &'a str,
    /// The clock, in epoch seconds.
    pub now: i64,
}

/// A person as a provider knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvidedIdentity {
    /// The provider.
    pub issuer: String,
    /// The id of the person there, which no other gets.
    pub subject: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// The word of the provider on whether the address is the person's, if it says any.
    pub is_email_verified: Option<bool>,
    /// The name.
    pub name: Option<String>,
    /// The groups.
    pub groups: Vec<String>,
}

/// Why a provider names nobody. The texts are for the log: they have no secret and nobody's data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// It does not answer, or not as one does.
    #[error("the provider of identities does not answer: {0}")]
    Away(String),
    /// It refuses the code.
    #[error("the provider of identities does not take the code: {0}")]
    Refused(String),
    /// Its word does not hold.
    #[error("the token of the provider of identities is not taken: {0}")]
    Untrue(&'static str),
}

/// A provider of identities. Calls come back within some seconds.
pub trait IdentityProvider: Send + Sync {
    /// The name for people.
    fn label(&self) -> &str;

    /// The provider, as its tokens name it.
    fn issuer(&self) -> &str;

    /// The address where a browser signs in.
    fn sign_in_url(&self, start: &SignInStart<'_>, now: i64) -> Result<String, ProviderError>;

    /// Says who signed in. MUST check the signature, the issuer, the audience, the times and the nonce.
    fn identify(&self, end: &SignInEnd<'_>) -> Result<ProvidedIdentity, ProviderError>;

    /// The address where a browser signs out, if the provider has one, from where it comes back to an address.
    fn sign_out_url(&self, back: &str, now: i64) -> Option<String>;
}
