//! The person, read of claims.

use audience_contract::ProvidedIdentity;
use serde_json::Value;

/// Groups at most that are looked at.
const GROUPS: usize = 1_000;

/// The value of a claim by its name, or by its path with dots, such as `realm_access.roles`.
fn claim<'c>(claims: &'c Value, name: &str) -> Option<&'c Value> {
    claims.get(name).or_else(|| name.split('.').try_fold(claims, |value, part| value.get(part)))
}

fn text(claims: &Value, name: &str) -> Option<String> {
    claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Returns whether the claims say everything that is asked of a person.
pub(crate) fn is_whole(claims: &Value, groups: &str) -> bool {
    text(claims, "email").is_some() && claim(claims, groups).is_some()
}

/// The person of these claims; what the first lack, the second may have.
pub(crate) fn identity(issuer: &str, claims: &Value, more: Option<&Value>, groups: &str) -> Option<ProvidedIdentity> {
    let both = || [Some(claims), more].into_iter().flatten();
    let first = |name: &str| both().find_map(|claims| text(claims, name));
    let named = match both().find_map(|claims| claim(claims, groups)) {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).take(GROUPS).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    // The word is of the address beside it, and of no other. Some say it as a text.
    let vouching = both().find(|claims| text(claims, "email").is_some());
    let truth = |value: &Value| value.as_bool().or_else(|| value.as_str().map(|text| text == "true"));
    Some(ProvidedIdentity {
        issuer: issuer.to_owned(),
        subject: text(claims, "sub")?,
        email: first("email"),
        is_email_verified: vouching.and_then(|claims| claims.get("email_verified")).and_then(truth),
        name: first("name"),
        groups: named,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_person_is_read_of_both_claims() {
        let claims = json!({"sub": "1", "realm_access": {"roles": ["a", "b", 3]}});
        let more = json!({"sub": "1", "email": "ann@example.org", "email_verified": "true", "name": "Ann"});
        let person = identity("https://id.example", &claims, Some(&more), "realm_access.roles").unwrap();
        assert_eq!(
            (person.groups.as_slice(), person.is_email_verified),
            (["a", "b"].map(str::to_owned).as_slice(), Some(true))
        );
        assert_eq!((person.email.as_deref(), person.name.as_deref()), (Some("ann@example.org"), Some("Ann")));
        assert!(!is_whole(&claims, "groups") && !is_whole(&more, "groups"));
        let whole = json!({"sub": "1", "email": "a@b", "https://x/groups": "one"});
        assert!(is_whole(&whole, "https://x/groups"));
        assert_eq!(identity("i", &whole, None, "https://x/groups").unwrap().groups, ["one"]);
        assert!(identity("i", &json!({"email": "a@b"}), None, "groups").is_none());
    }
}
