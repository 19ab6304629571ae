//! Tokens: replaced by their use, given again where an answer was lost, noticed where somebody has a copy, and ended.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::sync::Arc;

use audience_auth::{
    Auth, AuthError, KeyInput, KeyKind, Knock, Mode, Needs, Permission, Permissions, Principal, ROLES, Refusal, Secret,
    SecretKind, TokenPair,
};
use audience_contract::suite::MemoryAccessStore;
use common::{DAY, HOUR, MINUTE, NOW, member, open, principal, session_of, visitor, with_cookie, with_header};

const SECOND: i64 = 1_000;

/// A member with tokens: the door, the cookie of the browser, the refresh and the access token.
fn drawn(store: &Arc<MemoryAccessStore>) -> (Auth, Secret, String, String) {
    let auth = open(store, Mode::Required);
    let cookie = member(&auth, "ann@example.org", ROLES[0], NOW);
    let pair = auth.draw_tokens(&principal(&auth, &cookie, NOW), &visitor(NOW)).unwrap();
    let refresh = pair.refresh.unwrap().expose().to_owned();
    (auth, cookie, refresh, pair.access)
}

fn refreshed(auth: &Auth, token: &str, now: i64) -> Option<String> {
    auth.refresh(token, now).ok().map(|pair| pair.refresh.unwrap().expose().to_owned())
}

fn asks(auth: &Auth, access: &str, now: i64) -> Result<Principal, Refusal> {
    with_header(auth, &format!("Bearer {access}"), Needs::Permission(Permission::SegmentRead), now)
}

fn token_of_key(auth: &Auth, shown: &str) -> Result<TokenPair, AuthError> {
    let authorization = format!("Bearer {shown}");
    let address = Some([127, 0, 0, 1].into());
    auth.token_of_key(&Knock { authorization: Some(&authorization), address, now: NOW, ..Knock::default() })
}

#[test]
fn an_access_token_is_its_member_for_ten_minutes() {
    let store = Arc::new(MemoryAccessStore::default());
    let (auth, cookie, refresh, access) = drawn(&store);
    let caller = asks(&auth, &access, NOW + 9 * MINUTE).unwrap();
    assert_eq!(caller.caller().author(), "ann@example.org");
    assert_ne!(session_of(&caller), session_of(&principal(&auth, &cookie, NOW)), "a session of its own");
    assert_eq!(asks(&auth, &access, NOW + 10 * MINUTE).err(), Some(Refusal::NotKnown));
    let (claims, permissions) = auth.introspect(&Principal::of_host(), &access, NOW).unwrap();
    assert_eq!((claims.iss.as_str(), claims.aud.as_str()), ("https://audience.example.org", "audience-manager"));
    assert_eq!((claims.roles, claims.tenant_id.as_str()), (vec!["marketing_admin".to_owned()], "default"));
    assert_eq!((claims.exp - claims.iat, permissions.has(Permission::KeyWrite)), (600, true));
    let of_token = auth.draw_tokens(&caller, &visitor(NOW));
    assert!(matches!(of_token, Err(AuthError::Conflict { code: "no_session", .. })), "no token leads to another");
    // Neither is a credential of another kind.
    assert!(auth.introspect(&Principal::of_host(), &refresh, NOW).is_none());
    assert_eq!(with_header(&auth, &format!("Bearer {refresh}"), Needs::SignedIn, NOW).err(), Some(Refusal::NotKnown));
    assert!(with_cookie(&auth, &Secret::read(&refresh).unwrap(), Needs::SignedIn, NOW).is_err());
    let stored = store.text();
    assert!(!stored.contains(&refresh[12..]) && !stored.contains(&access), "no token is stored");
}

#[test]
fn a_lost_answer_is_given_again_and_a_copy_ends_the_session() {
    let store = Arc::new(MemoryAccessStore::default());
    let (auth, _, first, _) = drawn(&store);
    let other = open(&store, Mode::Required);
    let second = refreshed(&auth, &first, NOW).unwrap();
    assert_ne!(first, second);
    assert_eq!(refreshed(&auth, &first, NOW + 9 * SECOND).as_ref(), Some(&second), "the same successor");
    other.tend(NOW).unwrap();
    assert_eq!(refreshed(&other, &first, NOW + 9 * SECOND).as_ref(), Some(&second), "in another process, too");
    let third = refreshed(&auth, &second, NOW + MINUTE).unwrap();
    let access = auth.refresh(&third, NOW + 2 * MINUTE).unwrap().access;
    assert!(asks(&auth, &access, NOW + 2 * MINUTE).is_ok());
    let unknown = Secret::for_id(SecretKind::Refresh, &first[4..12]).unwrap();
    assert!(auth.refresh(unknown.expose(), NOW + 2 * MINUTE).is_err());
    assert!(asks(&auth, &access, NOW + 2 * MINUTE).is_ok(), "a guess ends nothing");
    assert!(refreshed(&auth, &first, NOW + 2 * MINUTE).is_none());
    assert!(asks(&auth, &access, NOW + 2 * MINUTE).is_err(), "a copy does");
    assert!(refreshed(&auth, &third, NOW + 2 * MINUTE).is_none());
}

#[test]
fn two_at_once_get_one_successor() {
    let store = Arc::new(MemoryAccessStore::default());
    let (auth, _, first, _) = drawn(&store);
    let doors: Vec<Auth> = (0..4).map(|_| open(&store, Mode::Required)).collect();
    let successors: Vec<Option<String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = doors.iter().map(|door| scope.spawn(|| refreshed(door, &first, NOW))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(successors.iter().all(|one| one.is_some() && *one == successors[0]), "{}", successors.len());
    auth.tend(NOW).unwrap();
    assert!(refreshed(&auth, successors[0].as_deref().unwrap(), NOW).is_some());
}

#[test]
fn tokens_end_with_their_session_their_member_and_by_being_revoked() {
    let store = Arc::new(MemoryAccessStore::default());
    let (auth, cookie, refresh, access) = drawn(&store);
    auth.revoke_token("no token", NOW).unwrap();
    auth.revoke_token(&refresh, NOW).unwrap();
    assert!(asks(&auth, &access, NOW).is_err() && refreshed(&auth, &refresh, NOW).is_none());
    assert!(with_cookie(&auth, &cookie, Needs::SignedIn, NOW).is_ok(), "the browser's lasts");

    let draw = || auth.draw_tokens(&principal(&auth, &cookie, NOW), &visitor(NOW)).unwrap();
    let by_access = draw();
    auth.revoke_token(&by_access.access, NOW).unwrap();
    assert!(asks(&auth, &by_access.access, NOW).is_err());

    let pair = draw();
    let other = open(&store, Mode::Required);
    assert!(asks(&other, &pair.access, NOW).is_ok());
    let id = session_of(&asks(&auth, &pair.access, NOW).unwrap());
    auth.end_session(&principal(&auth, &cookie, NOW), &id).unwrap();
    other.tend(NOW).unwrap();
    assert!(asks(&other, &pair.access, NOW).is_err(), "in every process after a look");

    let lasting = draw().refresh.unwrap().expose().to_owned();
    assert!(refreshed(&auth, &lasting, NOW + 15 * DAY).is_none(), "unused for two weeks");
    assert!(refreshed(&auth, &lasting, NOW + 13 * DAY).is_some());
}

#[test]
fn a_server_key_takes_tokens_and_a_key_that_is_revoked_ends_them() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    let write = KeyInput {
        name: "pages".to_owned(),
        kind: KeyKind::Write,
        permissions: Permissions::default(),
        addresses: Vec::new(),
        expires_at: None,
    };
    let (_, write) = auth.create_key(&Principal::of_host(), &write, NOW).unwrap();
    assert!(token_of_key(&auth, write.expose()).is_err(), "a write key sends events alone");
    let input = KeyInput {
        name: "reader".to_owned(),
        kind: KeyKind::Server,
        permissions: Permissions::of(&[Permission::SegmentRead]),
        addresses: vec!["127.0.0.1".to_owned()],
        expires_at: Some(NOW + HOUR),
    };
    let (key, secret) = auth.create_key(&Principal::of_host(), &input, NOW).unwrap();
    let pair = token_of_key(&auth, secret.expose()).unwrap();
    assert!(token_of_key(&auth, &pair.access).is_err(), "no token leads to another");
    assert!(pair.refresh.is_none());
    let asked = asks(&auth, &pair.access, NOW).unwrap();
    assert_eq!(asked.caller().author(), "key:reader");
    let write =
        with_header(&auth, &format!("Bearer {}", pair.access), Needs::Permission(Permission::SegmentWrite), NOW);
    assert_eq!(write.err(), Some(Refusal::Missing(Permission::SegmentWrite)));
    let elsewhere = Knock {
        authorization: Some(&format!("Bearer {}", pair.access)),
        address: Some([192, 0, 2, 1].into()),
        now: NOW,
        ..Knock::default()
    };
    assert_eq!(auth.admit(Needs::SignedIn, &elsewhere).err().map(|refused| refused.why), Some(Refusal::Address));
    auth.revoke_key(&Principal::of_host(), &key.id).unwrap();
    assert_eq!(asks(&auth, &pair.access, NOW).err(), Some(Refusal::NotKnown));
}

#[test]
fn signing_keys_change_and_those_before_go_once_their_tokens_have_ended() {
    let store = Arc::new(MemoryAccessStore::default());
    let (auth, cookie, refresh, _) = drawn(&store);
    let first = auth.public_keys();
    let later = NOW + 13 * DAY;
    let refresh = refreshed(&auth, &refresh, later).unwrap();
    assert_eq!(auth.public_keys(), first, "the same for a month");
    let (later, cookie) = (later + 13 * DAY, cookie.expose().to_owned());
    let refresh = refreshed(&auth, &refresh, later).unwrap();
    let pair = auth.refresh(&refresh, NOW + 31 * DAY).unwrap();
    assert_eq!(auth.public_keys().len(), 2, "the one before is known for a while");
    assert!(asks(&auth, &pair.access, NOW + 31 * DAY).is_ok());
    auth.tend(NOW + 31 * DAY + 2 * HOUR).unwrap();
    let keys = auth.public_keys();
    assert!(keys.len() == 1 && keys != first);
    assert!(!store.text().contains(&cookie[12..]));
}
