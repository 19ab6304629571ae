//! Every route and every caller against a running process: who is let in, who is not.
//!
//! `matrix.tsv` says it, route by route: `in` where the door opens, whatever the handler answers then, or the status with which
//! it stays shut. `AUDIENCE_UPDATE=1` writes the file; whoever does so reads every changed row. That the file says what the
//! permissions of the roles say is held, too.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod access;

use std::fmt::Write as _;
use std::path::Path;

use access::{access_token, ask, invite, join, key, post_form, sign_in, status};
use audience_api::templates;
use audience_auth::{Needs, PERMISSIONS, Permission, ROLES, Role};
use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::Setup;
use serde_json::json;

/// Permissions that no key may have.
const NEVER: [Permission; 3] = [Permission::KeyWrite, Permission::MemberWrite, Permission::TenantWrite];

/// A caller of the matrix.
enum AskingCaller {
    Nobody,
    WriteKey(String),
    ServerKey(String),
    /// A program with an access token of that key.
    KeyToken(String),
    Member(Role, String),
    /// A program with an access token of a member.
    MemberToken(Role, String),
}

impl AskingCaller {
    fn name(&self) -> &'static str {
        match self {
            AskingCaller::Nobody => "nobody",
            AskingCaller::WriteKey(_) => "write_key",
            AskingCaller::ServerKey(_) => "server_key",
            AskingCaller::KeyToken(_) => "key_token",
            AskingCaller::Member(role, _) => role.name(),
            AskingCaller::MemberToken(..) => "viewer_token",
        }
    }

    fn header(&self) -> Option<(&'static str, &str)> {
        match self {
            AskingCaller::Nobody => None,
            AskingCaller::WriteKey(shown)
            | AskingCaller::ServerKey(shown)
            | AskingCaller::KeyToken(shown)
            | AskingCaller::MemberToken(_, shown) => Some(("authorization", shown)),
            AskingCaller::Member(_, cookie) => Some(("cookie", cookie)),
        }
    }

    /// The answer of the door as the permissions say it.
    fn expected(&self, needs: Needs) -> &'static str {
        let has = |permission: Permission| match self {
            AskingCaller::ServerKey(_) | AskingCaller::KeyToken(_) => !NEVER.contains(&permission),
            AskingCaller::Member(role, _) | AskingCaller::MemberToken(role, _) => role.permissions().has(permission),
            AskingCaller::Nobody | AskingCaller::WriteKey(_) => false,
        };
        let is_in = match (self, needs) {
            (_, Needs::Public) => true,
            (AskingCaller::Nobody, _) => return "401",
            (AskingCaller::WriteKey(_), needs) => needs == Needs::Ingest,
            (AskingCaller::ServerKey(_) | AskingCaller::KeyToken(_), Needs::Service) | (_, Needs::SignedIn) => true,
            (_, needs) => needs.permission().is_some_and(has),
        };
        if is_in { "in" } else { "403" }
    }
}

/// A request of a route, with ids that nothing has.
fn head(method: &str, template: &str) -> String {
    let parts = template.split('/').map(|part| if part.starts_with('{') { "none" } else { part });
    format!("{method} {}", parts.collect::<Vec<_>>().join("/"))
}

fn callers(client: Client, setup: &Setup) -> Vec<AskingCaller> {
    let member = |role: Role| {
        let secret = invite(&setup.program, &setup.data, &format!("{}@example.org", role.name()), role.name());
        AskingCaller::Member(role, join(client, &secret))
    };
    let members: Vec<AskingCaller> = ROLES.into_iter().map(member).collect();
    let Some(("cookie", admin)) = members[0].header() else { panic!("the first is a member") };
    let permissions = PERMISSIONS.iter().filter(|permission| !NEVER.contains(permission)).copied();
    let permissions: Vec<_> = permissions.map(Permission::name).collect();
    let write = key(client, admin, &json!({"name": "pages", "kind": "write"}));
    let server = key(client, admin, &json!({"name": "programs", "kind": "server", "permissions": permissions}));
    let bearer = |shown: String| format!("Bearer {shown}");
    let form = format!("grant_type=client_credentials&client_secret={server}");
    let of_key = access_token(&post_form(client, "/oauth/token", None, &form));
    let viewer = ROLES.iter().position(|role| role.name() == "viewer").unwrap();
    let Some(viewer_header) = members[viewer].header() else { panic!("it is a member") };
    let of_viewer = access_token(&ask(client, "POST /api/session/tokens", &[viewer_header], ""));
    let mut callers =
        vec![AskingCaller::Nobody, AskingCaller::WriteKey(bearer(write)), AskingCaller::ServerKey(bearer(server))];
    callers.extend(members);
    callers.push(AskingCaller::KeyToken(bearer(of_key)));
    callers.push(AskingCaller::MemberToken(ROLES[viewer], bearer(of_viewer)));
    callers
}

#[test]
fn every_route_lets_in_whom_the_matrix_says() {
    let directory = tempfile::tempdir().unwrap();
    let mut setup = Setup::within(program!(), directory.path());
    // More requests than a minute has in quotas come from here.
    let boundless = ["requests", "key-requests", "address-requests"].map(|name| format!("--{name}-per-minute=0"));
    setup.flags = ["--auth", "required"].map(String::from).into_iter().chain(boundless).collect();
    let served = setup.start();
    let client = served.client();
    let callers = callers(client, &setup);
    // A platform with events is given no demo.
    let Some(admin) = callers[3].header() else { panic!("it is a member") };
    assert_eq!(ask(client, "POST /api/events", &[admin], r#"{"userId":"a","eventType":"x"}"#).status, 202);
    let mut matrix = "route\tneeds".to_owned();
    callers.iter().for_each(|caller| matrix.push_str(&format!("\t{}", caller.name())));
    let mut routes = templates();
    // Last, since it ends sessions.
    routes.sort_by_key(|(method, template, _)| {
        ((&**method, *template) == ("DELETE", "/api/session"), *template, method.clone())
    });
    for (method, template, needs) in routes {
        let named = needs.permission().map_or_else(|| format!("{needs:?}"), |permission| permission.name().to_owned());
        let _ = write!(matrix, "\n{method} {template}\t{named}");
        for caller in &callers {
            let header: Vec<_> = caller.header().into_iter().collect();
            let said = match status(client, &head(&method, template), &header) {
                401 if matches!(template, "/api/session" | "/api/join") && needs == Needs::Public => "in".to_owned(),
                status @ (401 | 403) => status.to_string(),
                500.. => panic!("{method} {template}: a fault for {}", caller.name()),
                _ => "in".to_owned(),
            };
            assert_eq!(said, caller.expected(needs), "{method} {template} for {}", caller.name());
            matrix.push_str(&format!("\t{said}"));
        }
    }
    matrix.push('\n');
    hold(&matrix);
    // Whoever signed out signs in again.
    let cookie = sign_in(client, "marketing_admin@example.org");
    assert_eq!(status(client, "GET /api/session", &[("cookie", &cookie)]), 200);
    served.stop();
}

/// Writes the file where that is asked for; else it must be as it would be written.
fn hold(matrix: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/matrix.tsv");
    if std::env::var_os("AUDIENCE_UPDATE").is_some() {
        std::fs::write(&file, matrix).unwrap();
    }
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    for (found, known) in matrix.lines().zip(known.lines()) {
        assert_eq!(found, known, "a row of tests/matrix.tsv; AUDIENCE_UPDATE=1 writes it");
    }
    assert_eq!(matrix.lines().count(), known.lines().count(), "rows of tests/matrix.tsv");
}
