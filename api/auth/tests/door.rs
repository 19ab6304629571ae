//! The door asks each kind of caller for what a route needs, and refuses the others.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::net::IpAddr;
use std::sync::Arc;

use audience_auth::{
    Auth, AuthOptions, KeyInput, KeyKind, Knock, MetricsKey, Mode, Needs, PERMISSIONS, Permission, Permissions,
    Principal, ROLES, Refusal, Role,
};
use audience_contract::suite::MemoryAccessStore;
use common::{DAY, HOUR, MINUTE, NOW, member, open, principal, site, with_cookie, with_header};

fn input(name: &str, kind: KeyKind, permissions: &[Permission]) -> KeyInput {
    let permissions = Permissions::of(permissions);
    KeyInput { name: name.to_owned(), kind, permissions, addresses: Vec::new(), expires_at: None }
}

#[test]
fn every_role_may_what_its_set_says_and_no_more() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    for (number, role) in ROLES.into_iter().enumerate() {
        let cookie = member(&auth, &format!("m{number}@example.org"), role, NOW);
        for permission in PERMISSIONS {
            let admitted = with_cookie(&auth, &cookie, Needs::Permission(*permission), NOW);
            match role.permissions().has(*permission) {
                true => assert!(admitted.is_ok(), "{role:?} {permission:?}"),
                false => assert_eq!(admitted.unwrap_err(), Refusal::Missing(*permission), "{role:?}"),
            }
        }
        assert!(with_cookie(&auth, &cookie, Needs::SignedIn, NOW).is_ok());
        assert_eq!(with_cookie(&auth, &cookie, Needs::Ingest, NOW).is_ok(), role == Role::MarketingAdmin);
    }
    let nobody = auth.admit(Needs::SignedIn, &Knock { now: NOW, ..Knock::default() });
    assert_eq!(nobody.unwrap_err().why, Refusal::SignIn);
    assert!(auth.admit(Needs::Public, &Knock::default()).is_ok());
}

#[test]
fn keys_do_what_they_may() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    let admin = principal(&auth, &member(&auth, "ann@example.org", Role::MarketingAdmin, NOW), NOW);
    let (_, write) = auth.create_key(&admin, &input("site", KeyKind::Write, &[]), NOW).unwrap();
    let (key, server) =
        auth.create_key(&admin, &input("crm", KeyKind::Server, &[Permission::SegmentRead]), NOW).unwrap();
    let bearer = |secret: &str| format!("Bearer {secret}");
    let basic = |text: String| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
    };
    let ask = |header: &str, needs| with_header(&auth, header, needs, NOW).map(drop);
    let segments = Needs::Permission(Permission::SegmentRead);
    assert_eq!(ask(&bearer(write.expose()), Needs::Ingest), Ok(()));
    assert_eq!(ask(&basic(format!("{}:", write.expose())), Needs::Ingest), Ok(()));
    for needs in [segments, Needs::SignedIn, Needs::Service] {
        assert_eq!(ask(&bearer(write.expose()), needs), Err(Refusal::WriteKey));
    }
    assert_eq!(ask(&bearer(server.expose()), segments), Ok(()));
    assert_eq!(ask(&bearer(server.expose()), Needs::Service), Ok(()));
    assert_eq!(ask(&bearer(server.expose()), Needs::Ingest), Err(Refusal::Missing(Permission::EventSend)));
    for nonsense in ["", "Bearer", "Bearer x", "Basic ####", "Digest a", &bearer(&key.id), &basic("a".into())] {
        assert_eq!(ask(nonsense, segments), Err(Refusal::NotKnown), "{nonsense}");
    }
    let in_body = |key: &str| {
        let knock = Knock { write_key: Some(key), now: NOW, ..Knock::default() };
        auth.admit(Needs::Ingest, &knock).map(drop).map_err(|refused| refused.why)
    };
    assert_eq!(in_body(write.expose()), Ok(()));
    assert_eq!(in_body(server.expose()), Err(Refusal::NotKnown), "a server key does not stand in a body");
    let author = with_header(&auth, &bearer(server.expose()), segments, NOW).unwrap();
    assert_eq!(author.author(None), "key:crm");
    assert_eq!(author.author(Some("Ann")), "key:crm on behalf of Ann");
    auth.revoke_key(&admin, &key.id).unwrap();
    assert_eq!(ask(&bearer(server.expose()), segments), Err(Refusal::NotKnown));
}

#[test]
fn a_key_has_no_more_than_its_maker_and_makes_no_keys() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    let admin = principal(&auth, &member(&auth, "ann@example.org", Role::MarketingAdmin, NOW), NOW);
    let viewer = principal(&auth, &member(&auth, "vic@example.org", Role::Viewer, NOW), NOW);
    for (maker, permission) in [
        (&admin, Permission::KeyWrite),
        (&admin, Permission::MemberWrite),
        (&admin, Permission::TenantWrite),
        (&viewer, Permission::SegmentWrite),
    ] {
        assert!(auth.create_key(maker, &input("k", KeyKind::Server, &[permission]), NOW).is_err(), "{permission:?}");
    }
    assert!(auth.create_key(&viewer, &input("k", KeyKind::Write, &[]), NOW).is_err(), "a viewer sends no events");
    assert!(auth.create_key(&admin, &input("k", KeyKind::Server, &[]), NOW).is_err(), "it could do nothing");
    assert!(auth.create_key(&admin, &input(" ", KeyKind::Write, &[]), NOW).is_err());
    let past = KeyInput { expires_at: Some(NOW), ..input("k", KeyKind::Write, &[]) };
    assert!(auth.create_key(&admin, &past, NOW).is_err());
    assert!(auth.create_key(&admin, &input("k", KeyKind::Write, &[]), NOW).is_ok());
    assert!(auth.create_key(&admin, &input("k", KeyKind::Write, &[]), NOW).is_err(), "names tell keys apart");
}

#[test]
fn a_key_ends_is_rotated_with_an_overlap_and_is_taken_from_its_addresses_alone() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    let admin = principal(&auth, &member(&auth, "ann@example.org", Role::MarketingAdmin, NOW), NOW);
    let ends = KeyInput { expires_at: Some(NOW + HOUR), ..input("ends", KeyKind::Write, &[]) };
    let (_, secret) = auth.create_key(&admin, &ends, NOW).unwrap();
    let ask = |secret: &audience_auth::Secret, now| {
        with_header(&auth, &format!("Bearer {}", secret.expose()), Needs::Ingest, now).is_ok()
    };
    assert!(ask(&secret, NOW + HOUR - 1) && !ask(&secret, NOW + HOUR));
    let (key, old) = auth.create_key(&admin, &input("rotated", KeyKind::Write, &[]), NOW).unwrap();
    let (_, new) = auth.rotate_key(&admin, &key.id, NOW).unwrap();
    assert!(ask(&old, NOW + DAY - 1) && ask(&new, NOW + DAY - 1));
    assert!(!ask(&old, NOW + DAY) && ask(&new, NOW + DAY));
    assert_eq!(old.id(), new.id());
    let near = KeyInput { addresses: vec!["10.0.0.0/8".into(), "::1".into()], ..input("near", KeyKind::Write, &[]) };
    let (_, secret) = auth.create_key(&admin, &near, NOW).unwrap();
    let header = format!("Bearer {}", secret.expose());
    let from = |address: Option<&str>| {
        let address = address.map(|address| address.parse::<IpAddr>().unwrap());
        let knock = Knock { authorization: Some(&header), address, now: NOW, ..Knock::default() };
        auth.admit(Needs::Ingest, &knock).map(drop).map_err(|refused| refused.why)
    };
    for good in ["10.1.2.3", "::1", "::ffff:10.1.2.3"] {
        assert_eq!(from(Some(good)), Ok(()), "{good}");
    }
    assert_eq!((from(Some("11.0.0.1")), from(None)), (Err(Refusal::Address), Err(Refusal::Address)));
    let nonsense = KeyInput { addresses: vec!["10.0.0.0/99".into()], ..input("x", KeyKind::Write, &[]) };
    assert!(auth.create_key(&admin, &nonsense, NOW).is_err());
}

#[test]
fn the_last_use_of_a_key_is_noted_to_the_minute() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    let admin = principal(&auth, &member(&auth, "ann@example.org", Role::MarketingAdmin, NOW), NOW);
    let (key, secret) = auth.create_key(&admin, &input("site", KeyKind::Write, &[]), NOW).unwrap();
    let header = format!("Bearer {}", secret.expose());
    let used = |now| {
        with_header(&auth, &header, Needs::Ingest, now).unwrap();
        auth.tend(now).unwrap();
        auth.keys(&Principal::of_host()).unwrap().iter().find(|one| one.id == key.id).unwrap().used_at
    };
    assert_eq!(used(NOW), Some(NOW));
    assert_eq!(used(NOW + MINUTE - 1), Some(NOW), "a write a minute is enough");
    assert_eq!(used(NOW + MINUTE), Some(NOW + MINUTE));
}

#[test]
fn pages_of_other_sites_neither_use_a_cookie_nor_an_open_door() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Auto);
    let ask = |auth: &Auth, cookie: Option<&str>, host, fetch, is_unsafe| {
        let knock = Knock { cookie, site: site(host, fetch), is_unsafe, now: NOW, ..Knock::default() };
        auth.admit(Needs::SignedIn, &knock).map(drop).map_err(|refused| refused.why)
    };
    assert_eq!(ask(&auth, None, "localhost:8081", None, true), Ok(()), "curl");
    assert_eq!(ask(&auth, None, "localhost:8081", Some("same-origin"), true), Ok(()), "the console");
    assert_eq!(ask(&auth, None, "localhost:8081", Some("cross-site"), true), Err(Refusal::OtherSite));
    assert_eq!(ask(&auth, None, "evil.example.org:8081", None, false), Err(Refusal::OtherHost), "rebinding");
    let off = Auth::off();
    assert_eq!(ask(&off, None, "audience.internal:8081", None, false), Ok(()));
    assert_eq!(ask(&off, None, "audience.internal:8081", Some("cross-site"), true), Err(Refusal::OtherSite));
    let cookie = member(&auth, "ann@example.org", Role::MarketingAdmin, NOW);
    let cookie = Some(cookie.expose());
    assert_eq!(ask(&auth, cookie, "audience.example.org", Some("same-origin"), true), Ok(()));
    assert_eq!(ask(&auth, cookie, "audience.example.org", Some("cross-site"), true), Err(Refusal::OtherSite));
    assert_eq!(ask(&auth, cookie, "audience.example.org", Some("cross-site"), false), Ok(()), "it changes nothing");
}

#[test]
fn a_listener_that_others_reach_needs_somebody_to_ask() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth =
        |mode, is_local| Auth::open(store.clone(), AuthOptions { mode, is_local, ..AuthOptions::default() }).unwrap();
    assert!(auth(Mode::Auto, true).check_listeners().is_ok());
    let error = auth(Mode::Auto, false).check_listeners().unwrap_err().to_string();
    for way in ["127.0.0.1", "audience admin invite", "admin_password_file", "required", "off"] {
        assert!(error.contains(way), "{way}: {error}");
    }
    assert!(!auth(Mode::Auto, false).is_open());
    assert!(auth(Mode::Required, false).check_listeners().is_ok());
    assert!(auth(Mode::Off, false).check_listeners().is_ok());
    member(&auth(Mode::Required, false), "ann@example.org", Role::MarketingAdmin, NOW);
    assert!(auth(Mode::Auto, false).check_listeners().is_ok());
}

/// Its holder sees figures and the state of the platform, in a process without a store as well.
#[test]
fn a_key_of_figures_opens_figures_alone() {
    let text = "figures-of-the-shop-31415";
    let metrics_key = MetricsKey::new(&format!("{text}\n"));
    assert!(metrics_key.is_some() && MetricsKey::new(&text[..MetricsKey::LEAST - 1]).is_none());
    let options = AuthOptions { mode: Mode::Required, metrics_key, ..AuthOptions::default() };
    assert!(!format!("{options:?}").contains("shop"));
    let auth = Auth::without_store(options);
    let ask = |authorization: &str, needs| {
        let knock = Knock { authorization: Some(authorization), now: NOW, ..Knock::default() };
        auth.admit(needs, &knock).map(|principal| principal.permissions()).map_err(|refused| refused.why)
    };
    let bearer = format!("Bearer {text}");
    assert_eq!(ask(&bearer, Needs::Service), Ok(Permissions::of(&[Permission::SystemRead])));
    let refused = Refusal::Missing(Permission::SegmentRead);
    assert_eq!(ask(&bearer, Needs::Permission(Permission::SegmentRead)), Err(refused));
    assert_eq!(ask(&bearer, Needs::Ingest), Err(Refusal::Missing(Permission::EventSend)));
    assert_eq!(ask(&format!("{bearer}9"), Needs::Service), Err(Refusal::NotKnown));
    assert_eq!(ask(&format!("Basic {text}"), Needs::Service), Err(Refusal::NotKnown));
}

#[test]
fn a_refusal_is_told_to_the_audit_log_once_a_minute() {
    let store = Arc::new(MemoryAccessStore::default());
    let auth = open(&store, Mode::Required);
    let cookie = member(&auth, "vic@example.org", Role::Viewer, NOW);
    let refused = |permission, now| {
        let knock = Knock { cookie: Some(cookie.expose()), now, ..Knock::default() };
        auth.admit(Needs::Permission(permission), &knock).unwrap_err().caller.map(|caller| caller.author().to_owned())
    };
    let vic = Some("vic@example.org".to_owned());
    assert_eq!(refused(Permission::KeyRead, NOW), vic);
    assert_eq!(refused(Permission::KeyRead, NOW + MINUTE - 1), None);
    assert_eq!(refused(Permission::AuditRead, NOW), vic, "another");
    assert_eq!(refused(Permission::KeyRead, NOW + MINUTE), vic);
    assert!(
        auth.figures().contains("audience_auth_refused_total{reason=\"missing_permission\"} 4"),
        "{}",
        auth.figures()
    );
}
