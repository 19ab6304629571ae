//! Access in the description: the security of each operation, its permission, and the answers that come before a route is
//! asked: those of the door, and of an address or a head that is too long.

use audience_auth::Needs;
use serde_json::json;

use super::ordered_members::OrderedMembers;

/// The answers of any route before it is asked, by name of their description.
const ANSWERS_BEFORE_A_ROUTE: [(&str, &str); 4] =
    [("401", "SignIn"), ("403", "Forbidden"), ("414", "AddressTooLong"), ("431", "HeadTooLong")];

/// Adds to each method of a path what its caller must be.
pub(super) fn add(methods: &mut OrderedMembers, needs: impl Fn(&str) -> Option<Needs>) {
    let names: Vec<String> = methods.0.iter().map(|(name, _)| name.clone()).collect();
    for name in names {
        let Some(needs) = needs(&name.to_uppercase()) else { continue };
        let mut operation = methods.of(&name);
        operation.set("security", &security(needs));
        if let Some(permission) = needs.permission() {
            operation.set("x-permission", &json!(permission.name()).to_string());
        }
        let mut answers = operation.of("responses");
        for (status, answer) in ANSWERS_BEFORE_A_ROUTE {
            let is_told = answers.0.iter().any(|(told, _)| told == status);
            // A public route asks nobody who they are; a page of another site may not reach it all the same.
            if !is_told && (needs != Needs::Public || status != "401") {
                answers.set(status, &json!({"$ref": format!("#/components/responses/{answer}")}).to_string());
            }
        }
        operation.set("responses", &answers.write());
        methods.set(&name, &operation.write());
    }
}

fn security(needs: Needs) -> String {
    match needs {
        Needs::Public => json!([]),
        Needs::Ingest => json!([{"writeKey": []}, {"serverKey": []}, {"session": []}]),
        Needs::SignedIn | Needs::Permission(_) | Needs::Service => {
            json!([{"session": []}, {"serverKey": []}, {"accessToken": []}])
        }
    }
    .to_string()
}
