//! Members and sessions, from the first admin to the last session.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::sync::Arc;

use audience_auth::{AuthError, Joining, MemberChange, Mode, Needs, Permission, Principal, Refusal, Role};
use audience_contract::suite::MemoryAccessStore;
use common::{DAY, HOUR, MINUTE, NOW, PASSWORD, member, open, principal, session_of, visitor, with_cookie};

const SEGMENTS: Needs = Needs::Permission(Permission::SegmentRead);

fn joining(secret: &str, email: Option<&str>) -> Joining {
    Joining { secret: secret.to_owned(), email: email.map(str::to_owned), name: None, password: PASSWORD.to_owned() }
}

#[test]
fn the_first_admin_comes_in_once_and_within_an_hour() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    let before = auth.first_admin_link(NOW).unwrap().unwrap();
    let link = auth.first_admin_link(NOW).unwrap().unwrap();
    assert!(auth.link(&link).starts_with("https://audience.example.org/join#ami_"));
    let late = visitor(NOW + HOUR);
    for (secret, visitor) in [(before.expose(), visitor(NOW)), (link.expose(), late), ("ami_nonsense", visitor(NOW))] {
        let joined = auth.join(&joining(secret, Some("ann@example.org")), &visitor);
        assert!(matches!(joined, Err(AuthError::NotSignedIn(_))));
    }
    let (admin, cookie) = auth.join(&joining(link.expose(), Some(" Ann@Example.org")), &visitor(NOW)).unwrap();
    assert_eq!((admin.email.as_str(), admin.role), ("ann@example.org", Role::MarketingAdmin));
    assert!(with_cookie(&auth, &cookie, SEGMENTS, NOW).is_ok());
    assert!(auth.join(&joining(link.expose(), Some("bob@example.org")), &visitor(NOW)).is_err(), "it was taken");
    assert!(auth.first_admin_link(NOW).unwrap().is_none());
}

#[test]
fn a_process_is_open_until_there_is_a_member_and_never_again() {
    let store = Arc::new(MemoryAccessStore::default());
    let (auth, other) = (open(&store, Mode::Auto), open(&store, Mode::Auto));
    assert!(auth.is_open() && auth.check_listeners().is_ok());
    let cookie = member(&auth, "ann@example.org", Role::MarketingAdmin, NOW);
    assert!(!auth.is_open());
    other.tend(NOW).unwrap();
    assert!(!other.is_open(), "another process knows it after a look");
    assert!(with_cookie(&other, &cookie, SEGMENTS, NOW).is_ok());
    let admin = principal(&auth, &cookie, NOW);
    let change = MemberChange { disabled: Some(true), ..MemberChange::default() };
    let id = auth.members(&Principal::of_host()).unwrap()[0].id.clone();
    assert!(matches!(auth.change_member(&admin, &id, &change), Err(AuthError::Conflict { code: "last_admin", .. })));
    assert!(!open(&store, Mode::Auto).is_open(), "nor after a start");
}

#[test]
fn a_session_ends_when_it_is_not_used_and_after_a_week() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    let cookie = member(&auth, "ann@example.org", Role::Viewer, NOW);
    let mut now = NOW;
    while now < NOW + 7 * DAY - HOUR {
        now += HOUR;
        assert!(with_cookie(&auth, &cookie, SEGMENTS, now).is_ok(), "it is used");
        auth.tend(now).unwrap();
    }
    assert_eq!(with_cookie(&auth, &cookie, SEGMENTS, NOW + 7 * DAY).unwrap_err(), Refusal::SignIn);
    let idle = auth.sign_in("ann@example.org", PASSWORD, &visitor(NOW)).unwrap().1;
    assert!(with_cookie(&auth, &idle, SEGMENTS, NOW + 12 * HOUR - 1).is_ok());
    assert_eq!(with_cookie(&auth, &idle, SEGMENTS, NOW + 12 * HOUR).unwrap_err(), Refusal::SignIn);
    auth.tend(NOW + 8 * DAY).unwrap();
    assert!(!store.text().contains("session"), "what has ended is forgotten");
}

#[test]
fn a_new_role_or_password_ends_sessions_everywhere() {
    let store = Arc::new(MemoryAccessStore::default());
    let (auth, other) = (open(&store, Mode::Required), open(&store, Mode::Required));
    let admin = member(&auth, "ann@example.org", Role::MarketingAdmin, NOW);
    let viewer = member(&auth, "vic@example.org", Role::Viewer, NOW);
    other.tend(NOW).unwrap();
    let id = auth.members(&Principal::of_host()).unwrap()[1].id.clone();
    let change = MemberChange { role: Some(Role::Analyst), ..MemberChange::default() };
    auth.change_member(&principal(&auth, &admin, NOW), &id, &change).unwrap();
    other.tend(NOW).unwrap();
    assert_eq!(with_cookie(&other, &viewer, SEGMENTS, NOW).unwrap_err(), Refusal::SignIn);
    let (first, second) = (
        auth.sign_in("vic@example.org", PASSWORD, &visitor(NOW)).unwrap().1,
        auth.sign_in("vic@example.org", PASSWORD, &visitor(NOW)).unwrap().1,
    );
    assert_ne!(first.expose(), second.expose(), "each sign-in has a session of its own");
    let asking = principal(&auth, &first, NOW);
    assert!(auth.change_password(&asking, "not the password", "another long password", &visitor(NOW)).is_err());
    assert!(auth.change_password(&asking, PASSWORD, "short", &visitor(NOW)).is_err());
    let third = auth.change_password(&asking, PASSWORD, "another long password", &visitor(NOW)).unwrap();
    assert!(with_cookie(&auth, &third, SEGMENTS, NOW).is_ok());
    for ended in [first, second] {
        assert!(with_cookie(&auth, &ended, SEGMENTS, NOW).is_err());
    }
    assert!(auth.sign_in("vic@example.org", PASSWORD, &visitor(NOW)).is_err());
    let disabled = MemberChange { disabled: Some(true), ..MemberChange::default() };
    auth.change_member(&principal(&auth, &admin, NOW), &id, &disabled).unwrap();
    assert!(with_cookie(&auth, &third, SEGMENTS, NOW).is_err());
    assert!(auth.sign_in("vic@example.org", "another long password", &visitor(NOW)).is_err());
}

#[test]
fn nobody_gives_a_role_that_may_more_than_they() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    let admin = principal(&auth, &member(&auth, "ann@example.org", Role::MarketingAdmin, NOW), NOW);
    assert!(auth.invite(&admin, "op@example.org", Role::Operator, NOW).is_err(), "the platform is not the tenant's");
    assert!(auth.invite(&admin, "ann@example.org", Role::Viewer, NOW).is_err(), "she is a member");
    assert!(auth.invite(&admin, "nobody", Role::Viewer, NOW).is_err());
    let (invitation, secret) = auth.invite(&admin, "vic@example.org", Role::Viewer, NOW).unwrap();
    auth.withdraw(&admin, &invitation.id).unwrap();
    assert!(auth.join(&joining(secret.expose(), None), &visitor(NOW)).is_err());
}

#[test]
fn whoever_has_the_host_comes_back_in() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    let lost = member(&auth, "ann@example.org", Role::MarketingAdmin, NOW);
    let (_, secret) = auth.invite(&Principal::of_host(), "ann@example.org", Role::MarketingAdmin, NOW).unwrap();
    let new = Joining { password: "a password that is new".to_owned(), ..joining(secret.expose(), None) };
    auth.join(&new, &visitor(NOW)).unwrap();
    assert!(with_cookie(&auth, &lost, SEGMENTS, NOW).is_err());
    assert!(auth.sign_in("ann@example.org", "a password that is new", &visitor(NOW)).is_ok());
    assert_eq!(auth.members(&Principal::of_host()).unwrap().len(), 1);
}

#[test]
fn sessions_are_listed_and_ended_by_their_owner_and_an_admin() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    let admin = principal(&auth, &member(&auth, "ann@example.org", Role::MarketingAdmin, NOW), NOW);
    let cookie = member(&auth, "vic@example.org", Role::Viewer, NOW + MINUTE);
    let viewer = principal(&auth, &cookie, NOW + MINUTE);
    assert_eq!(auth.sessions(&admin, NOW + MINUTE).unwrap().len(), 2);
    assert_eq!(auth.sessions(&viewer, NOW + MINUTE).unwrap().len(), 1);
    assert!(auth.end_session(&viewer, &session_of(&admin)).is_err(), "not somebody else's");
    auth.end_session(&admin, &session_of(&viewer)).unwrap();
    assert!(with_cookie(&auth, &cookie, SEGMENTS, NOW + MINUTE).is_err());
}

#[test]
fn the_password_of_the_settings_makes_the_first_admin_alone() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    assert!(auth.make_first_admin("admin@localhost", "short", NOW).is_err());
    assert!(auth.make_first_admin("admin@localhost", PASSWORD, NOW).unwrap());
    assert!(!auth.make_first_admin("other@localhost", PASSWORD, NOW).unwrap());
    assert!(auth.sign_in("admin@localhost", PASSWORD, &visitor(NOW)).is_ok());
}

#[test]
fn no_stored_text_and_no_debug_shows_a_secret() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    let cookie = member(&auth, "ann@example.org", Role::MarketingAdmin, NOW);
    let shown = format!(
        "{} {:?} {:?}",
        store.text(),
        auth.members(&Principal::of_host()).unwrap(),
        principal(&auth, &cookie, NOW)
    );
    assert!(!shown.contains(PASSWORD) && !shown.contains(cookie.expose()) && !shown.contains(&cookie.expose()[12..]));
    assert!(!format!("{:?}", auth.members(&Principal::of_host()).unwrap()).contains("argon2"));
}
