//! Signing in at a provider of identities: who becomes a member, with which role, and in which browser.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::sync::{Arc, Mutex};

use audience_auth::{
    Auth, GroupRoles, Member, MemberChange, Mode, Needs, NotProvided, Principal, ProviderAnswer, ProviderVisit, ROLES,
    Role, Secret,
};
use audience_contract::suite::MemoryAccessStore;
use audience_contract::{IdentityProvider, ProvidedIdentity, ProviderError, SignInEnd, SignInStart};
use common::{MINUTE, NOW, PASSWORD, member, open, principal, visitor, with_cookie};

const ISSUER: &str = "https://id.example.org";

/// A provider that names whom it is told to, where the ends of the sign-in fit to its begin.
struct ToldProvider {
    person: Mutex<ProvidedIdentity>,
    begun: Mutex<Vec<(String, String)>>,
}

impl IdentityProvider for ToldProvider {
    fn label(&self) -> &str {
        "Example"
    }

    fn issuer(&self) -> &str {
        ISSUER
    }

    fn sign_in_url(&self, start: &SignInStart<'_>, _now: i64) -> Result<String, ProviderError> {
        assert_eq!(start.redirect_uri, "https://audience.example.org/api/auth/oidc/callback");
        self.begun.lock().unwrap().push((start.nonce.to_owned(), start.challenge.to_owned()));
        Ok(start.state.to_owned())
    }

    fn identify(&self, end: &SignInEnd<'_>) -> Result<ProvidedIdentity, ProviderError> {
        use base64::Engine as _;
        let challenge = ring::digest::digest(&ring::digest::SHA256, end.verifier.as_bytes());
        let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(challenge);
        let begun = self.begun.lock().unwrap();
        match end.code == "code" && begun.contains(&(end.nonce.to_owned(), challenge)) {
            true => Ok(self.person.lock().unwrap().clone()),
            false => Err(ProviderError::Refused("invalid_grant".to_owned())),
        }
    }

    fn sign_out_url(&self, back: &str, _now: i64) -> Option<String> {
        Some(format!("{ISSUER}/end?back={back}"))
    }
}

fn ann() -> ProvidedIdentity {
    ProvidedIdentity {
        issuer: ISSUER.to_owned(),
        subject: "1".to_owned(),
        email: Some("Ann@example.org".to_owned()),
        is_email_verified: Some(true),
        name: Some("Ann".to_owned()),
        groups: vec!["staff".to_owned()],
    }
}

fn with_provider() -> (Auth, Arc<ToldProvider>) {
    let auth = open(&Arc::new(MemoryAccessStore::default()), Mode::Required);
    let told = Arc::new(ToldProvider { person: Mutex::new(ann()), begun: Mutex::default() });
    auth.sign_in_at(told.clone(), GroupRoles::read("admins=marketing_admin, staff=viewer").unwrap());
    (auth, told)
}

fn answer(visit: &ProviderVisit) -> ProviderAnswer {
    ProviderAnswer {
        secret: Some(visit.secret.clone()),
        code: Some("code".to_owned()),
        state: Some(visit.url.clone()),
        issuer: Some(ISSUER.to_owned()),
        ..ProviderAnswer::default()
    }
}

fn come(auth: &Auth) -> Result<(Arc<Member>, Secret), NotProvided> {
    auth.come_from_provider(&answer(&auth.visit_provider(NOW).unwrap()), &visitor(NOW))
}

fn code(outcome: Result<(Arc<Member>, Secret), NotProvided>) -> &'static str {
    outcome.map_or_else(|error| error.code(), |_| "came in")
}

#[test]
fn whoever_comes_first_becomes_a_member_and_is_known_again() {
    let (auth, told) = with_provider();
    let (first, cookie) = come(&auth).unwrap();
    assert_eq!((first.email.as_str(), first.name.as_str(), first.role), ("ann@example.org", "Ann", Role::Viewer));
    assert!(with_cookie(&auth, &cookie, Needs::SignedIn, NOW).is_ok());
    assert!(auth.sign_in("ann@example.org", "", &visitor(NOW)).is_err(), "no password fits");
    // Another address and other groups: the same person, and the sessions of the role before end.
    told.person.lock().unwrap().email = Some("ann.new@example.org".to_owned());
    told.person.lock().unwrap().groups = vec!["staff".to_owned(), "admins".to_owned()];
    let (again, newer) = come(&auth).unwrap();
    assert_eq!((&again.id, again.email.as_str(), again.role), (&first.id, "ann.new@example.org", Role::MarketingAdmin));
    assert!(with_cookie(&auth, &cookie, Needs::SignedIn, NOW).is_err());
    let out = auth.provider_sign_out(&principal(&auth, &newer, NOW), NOW).unwrap();
    assert_eq!(out, format!("{ISSUER}/end?back=https://audience.example.org/"));
    // Another person with that address is somebody else, and does not get in.
    told.person.lock().unwrap().subject = "2".to_owned();
    assert_eq!(code(come(&auth)), "email_taken");
    told.person.lock().unwrap().email = Some("bob@example.org".to_owned());
    assert_ne!(come(&auth).unwrap().0.id, first.id);
}

#[test]
fn a_sign_in_ends_in_the_browser_in_which_it_began() {
    let (auth, _) = with_provider();
    let (visit, other) = (auth.visit_provider(NOW).unwrap(), auth.visit_provider(NOW).unwrap());
    let outcome = |change: &dyn Fn(&mut ProviderAnswer)| {
        let mut given = answer(&visit);
        change(&mut given);
        code(auth.come_from_provider(&given, &visitor(NOW)))
    };
    assert_eq!(outcome(&|given| given.secret = None), "other_browser");
    assert_eq!(outcome(&|given| given.secret = Some(other.secret.clone())), "other_browser");
    assert_eq!(outcome(&|given| given.state = Some(other.url.clone())), "other_browser");
    assert_eq!(outcome(&|given| given.state = None), "other_browser");
    assert_eq!(outcome(&|given| (given.secret, given.state) = (Some(String::new()), None)), "other_browser");
    assert_eq!(outcome(&|given| given.issuer = Some("https://evil.example".to_owned())), "not_provided");
    assert_eq!(outcome(&|given| given.error = Some("access_denied".to_owned())), "denied");
    assert_eq!(outcome(&|given| given.code = None), "denied");
    assert_eq!(outcome(&|given| given.code = Some("of another".to_owned())), "not_provided");
    assert_eq!(outcome(&|_| {}), "came in");
}

#[test]
fn groups_say_who_may_come_in() {
    let (auth, told) = with_provider();
    told.person.lock().unwrap().groups = vec!["guests".to_owned()];
    assert_eq!(code(come(&auth)), "no_role");
    assert!(!auth.has_members());
    told.person.lock().unwrap().groups = vec!["staff".to_owned()];
    told.person.lock().unwrap().is_email_verified = Some(false);
    assert_eq!(code(come(&auth)), "no_email");
    told.person.lock().unwrap().is_email_verified = None;
    let (ann, _) = come(&auth).unwrap();
    let change = MemberChange { disabled: Some(true), ..MemberChange::default() };
    auth.change_member(&Principal::of_host(), &ann.id, &change).unwrap();
    assert_eq!(code(come(&auth)), "disabled");
    assert_eq!(GroupRoles::read("a=viewer,b=chief"), Err("b=chief".to_owned()));
    assert!(GroupRoles::read(" ,").unwrap().is_empty());
    let everybody = open(&Arc::new(MemoryAccessStore::default()), Mode::Required);
    everybody.sign_in_at(told, GroupRoles::read("x=y=operator,*=analyst").unwrap());
    assert_eq!(come(&everybody).unwrap().0.role, Role::Analyst);
}

#[test]
fn a_member_with_a_password_is_tied_only_by_who_is_signed_in() {
    let (auth, told) = with_provider();
    let admin = member(&auth, "root@example.org", ROLES[0], NOW);
    let cookie = member(&auth, "ann@example.org", ROLES[0], NOW);
    assert_eq!(code(come(&auth)), "email_taken", "an address alone ties nobody");
    let in_browser = |session: &Secret| {
        let given =
            ProviderAnswer { session: Some(session.expose().to_owned()), ..answer(&auth.visit_provider(NOW).unwrap()) };
        auth.come_from_provider(&given, &visitor(NOW))
    };
    assert_eq!(code(in_browser(&admin)), "email_taken", "nor does another's session");
    told.person.lock().unwrap().is_email_verified = None;
    assert_eq!(code(in_browser(&cookie)), "email_taken", "nor an address that nobody vouches for");
    told.person.lock().unwrap().is_email_verified = Some(true);
    told.person.lock().unwrap().groups = vec!["admins".to_owned()];
    let (tied, _) = in_browser(&cookie).unwrap();
    assert_eq!(tied.email, "ann@example.org");
    assert_eq!(come(&auth).unwrap().0.id, tied.id, "from now on by the provider alone");
    assert!(auth.sign_in("ann@example.org", PASSWORD, &visitor(NOW + MINUTE)).is_ok(), "and by the password, too");
}

#[test]
fn without_a_provider_nobody_comes_by_one() {
    let auth = open(&Arc::new(MemoryAccessStore::default()), Mode::Required);
    assert_eq!(auth.visit_provider(NOW).err().map(|error| error.code()), Some("no_provider"));
    assert!(auth.provider_label().is_none());
}
