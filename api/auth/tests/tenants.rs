//! Tenants: made and ended by operators, and nothing of one is there for another.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::sync::Arc;

use audience_auth::{
    Auth, AuthError, Joining, KeyInput, KeyKind, MemberChange, Mode, Needs, Permission, Permissions, Principal, Role,
    Secret, TenantChange, TenantInput,
};
use audience_contract::suite::MemoryAccessStore;
use common::{HOUR, NOW, PASSWORD, member, open, principal, visitor, with_cookie};

const SEGMENTS: Needs = Needs::Permission(Permission::SegmentRead);

fn joining(secret: &Secret) -> Joining {
    Joining { secret: secret.expose().to_owned(), email: None, name: None, password: PASSWORD.to_owned() }
}

fn input(id: &str, admin: &str) -> TenantInput {
    TenantInput {
        id: id.to_owned(),
        name: "Acme".to_owned(),
        admin: admin.to_owned(),
        requests_per_minute: Some(7),
        events_per_minute: None,
    }
}

/// A platform with an operator and a tenant, whose admin it gives after that.
fn platform(store: &Arc<MemoryAccessStore>) -> (Auth, Principal, Principal) {
    let auth = open(store, Mode::Required);
    member(&auth, "ann@example.org", Role::MarketingAdmin, NOW);
    let operator = principal(&auth, &member(&auth, "op@example.org", Role::Operator, NOW), NOW);
    let (_, secret) = auth.create_tenant(&operator, &input("acme", "eve@acme.example"), NOW).unwrap();
    let (_, cookie) = auth.join(&joining(&secret), &visitor(NOW)).unwrap();
    let admin = principal(&auth, &cookie, NOW);
    (auth, operator, admin)
}

fn key(name: &str) -> KeyInput {
    let permissions = Permissions::of(&[Permission::SegmentRead]);
    KeyInput { name: name.to_owned(), kind: KeyKind::Server, permissions, addresses: Vec::new(), expires_at: None }
}

#[test]
fn a_tenant_is_made_with_its_first_admin() {
    let store = Arc::new(MemoryAccessStore::default());
    let (auth, operator, admin) = platform(&store);
    assert_eq!((admin.tenant().id(), operator.tenant().is_default()), ("acme", true));
    assert!(!admin.permissions().has(Permission::TenantWrite) && admin.permissions().has(Permission::MemberWrite));
    assert_eq!(auth.own_quota(admin.tenant()), Some(7));
    assert_eq!(auth.tenant_counts(admin.tenant()), (1, 0));
    let none = TenantChange { requests_per_minute: Some(None), ..TenantChange::default() };
    auth.change_tenant(&operator, "acme", &none).unwrap();
    assert_eq!(auth.own_quota(admin.tenant()), None);
    for (id, email) in [("acme", "x@x.example"), ("default", "x@x.example"), ("other", "eve@acme.example")] {
        let made = auth.create_tenant(&operator, &input(id, email), NOW);
        assert!(matches!(made, Err(AuthError::Conflict { code: "exists", .. })), "{id} {email}");
    }
    for id in ["", "Acme", "1st", "a/b", "..", &"a".repeat(25)] {
        let made = auth.create_tenant(&operator, &input(id, "x@x.example"), NOW);
        assert!(matches!(made, Err(AuthError::Invalid { pointer: "/id", .. })), "{id}");
    }
    let open = open(&Arc::new(MemoryAccessStore::default()), Mode::Auto);
    let made = open.create_tenant(&Principal::of_host(), &input("acme", "x@x.example"), NOW);
    assert!(matches!(made, Err(AuthError::Conflict { code: "open", .. })), "the platform would have no admin");
}

#[test]
fn nothing_of_one_tenant_is_there_for_another() {
    let store = Arc::new(MemoryAccessStore::default());
    let (auth, _, eve) = platform(&store);
    let ann = Principal::of_host();
    let (of_ann, _) = auth.create_key(&ann, &key("site"), NOW).unwrap();
    let (of_eve, secret) = auth.create_key(&eve, &key("site"), NOW).unwrap();
    let ids = |who: &Principal| auth.keys(who).unwrap().iter().map(|key| key.id.clone()).collect::<Vec<_>>();
    assert_eq!((ids(&ann), ids(&eve)), (vec![of_ann.id.clone()], vec![of_eve.id.clone()]));
    let emails = |who: &Principal| auth.members(who).unwrap().iter().map(|one| one.email.clone()).collect::<Vec<_>>();
    assert_eq!(emails(&eve), ["eve@acme.example"]);
    assert_eq!(emails(&ann), ["ann@example.org", "op@example.org"]);
    let not_found = |outcome: Result<(), AuthError>| matches!(outcome, Err(AuthError::NotFound { .. }));
    let id_of_ann = auth.members(&ann).unwrap()[0].id.clone();
    let disabled = MemberChange { disabled: Some(true), ..MemberChange::default() };
    assert!(not_found(auth.change_member(&eve, &id_of_ann, &disabled).map(drop)));
    assert!(not_found(auth.reset(&eve, &id_of_ann, NOW).map(drop)));
    assert!(not_found(auth.revoke_key(&eve, &of_ann.id)));
    assert!(not_found(auth.rotate_key(&eve, &of_ann.id, NOW).map(drop)));
    let sessions = auth.sessions(&eve, NOW).unwrap();
    assert!(sessions.iter().all(|(_, email)| email == "eve@acme.example") && sessions.len() == 1);
    let (invitation, _) = auth.invite(&ann, "vic@example.org", Role::Viewer, NOW).unwrap();
    assert!(not_found(auth.withdraw(&eve, &invitation.id)));
    assert!(auth.invitations(&eve, NOW).unwrap().is_empty());
    let header = format!("Bearer {}", secret.expose());
    let knock = audience_auth::Knock { authorization: Some(&header), now: NOW, ..audience_auth::Knock::default() };
    assert_eq!(auth.admit(SEGMENTS, &knock).unwrap().tenant().id(), "acme");
    let token = auth.token_of_key(&knock).unwrap().access;
    assert_eq!(auth.introspect(&eve, &token, NOW).unwrap().0.tenant_id, "acme");
    assert!(auth.introspect(&ann, &token, NOW).is_none(), "what it says is none of another tenant's");
}

/// Whoever invites an address that joins another tenant meanwhile must not get at that member's password.
#[test]
fn an_invitation_takes_no_member_of_another_tenant_over() {
    let store = Arc::new(MemoryAccessStore::default());
    let (auth, _, eve) = platform(&store);
    let (_, of_eve) = auth.invite(&eve, "vic@example.org", Role::Viewer, NOW).unwrap();
    let cookie = member(&auth, "vic@example.org", Role::Analyst, NOW);
    assert!(auth.join(&joining(&of_eve), &visitor(NOW)).is_err());
    assert_eq!(with_cookie(&auth, &cookie, SEGMENTS, NOW).unwrap().tenant().id(), "default");
    assert!(matches!(
        auth.invite(&eve, "ann@example.org", Role::Viewer, NOW),
        Err(AuthError::Conflict { code: "exists", .. })
    ));
    assert!(auth.invite_to("acme", "ann@example.org", Role::Viewer, NOW).is_err(), "nor does the host");
    assert!(auth.invite_to("acme", "op2@acme.example", Role::Operator, NOW).is_err(), "operators are of the platform");
    assert!(auth.invite_to("none", "x@x.example", Role::Viewer, NOW).is_err());
}

#[test]
fn an_ended_tenant_lets_nobody_in_and_its_id_is_free_once_its_data_are_gone() {
    let store = Arc::new(MemoryAccessStore::default());
    let (auth, operator, eve) = platform(&store);
    let (_, secret) = auth.create_key(&eve, &key("site"), NOW).unwrap();
    auth.end_tenant(&operator, "acme").unwrap();
    assert!(!auth.still_admits(&eve, SEGMENTS, NOW), "what is connected ends, too");
    let header = format!("Bearer {}", secret.expose());
    let knock = audience_auth::Knock { authorization: Some(&header), now: NOW, ..audience_auth::Knock::default() };
    assert!(auth.admit(SEGMENTS, &knock).is_err());
    assert!(auth.sign_in("eve@acme.example", PASSWORD, &visitor(NOW)).is_err());
    assert!(
        auth.end_tenant(&operator, "acme").is_err()
            && auth.invite_to("acme", "x@x.example", Role::Viewer, NOW).is_err()
    );
    assert!(auth.create_tenant(&operator, &input("acme", "eve@acme.example"), NOW).is_err(), "its data are there");
    let tenant = auth.tenants()[0].0.clone();
    assert!(open(&store, Mode::Required).tenants()[0].1.ending, "a start goes on with the end");
    auth.forget_tenant(&tenant).unwrap();
    assert!(auth.tenants().is_empty());
    auth.create_tenant(&operator, &input("acme", "eve@acme.example"), NOW + HOUR).unwrap();
}

/// A version that knows no tenants passes over kinds that it does not know.
#[test]
fn documents_of_tenants_are_of_kinds_of_their_own() {
    let store = Arc::new(MemoryAccessStore::default());
    let (auth, _, eve) = platform(&store);
    auth.create_key(&eve, &key("site"), NOW).unwrap();
    auth.invite(&eve, "vic@acme.example", Role::Viewer, NOW).unwrap();
    let documents = audience_contract::AccessStore::all(&*store).unwrap().1;
    let of_acme = documents.iter().filter(|document| document.body.contains("acme.example"));
    let mut kinds: Vec<_> = of_acme.map(|document| document.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds, ["invitationOf", "keyOf", "memberOf"]);
    assert!(documents.iter().filter(|document| document.kind == "member").all(|one| !one.body.contains("tenant")));
}
