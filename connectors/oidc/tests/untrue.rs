//! Providers that say what is not so, or do not answer as one does: nobody comes in by them.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod fake;

use audience_contract::{IdentityProvider as _, ProvidedIdentity, ProviderError, SignInEnd, SignInStart};
use audience_oidc::{OidcOptions, OidcProvider};
use fake::{Fake, NOW};
use serde_json::{Value, json};

fn options(issuer: &str) -> OidcOptions {
    OidcOptions {
        issuer: issuer.to_owned(),
        client_id: "audience".to_owned(),
        client_secret: None,
        label: "Fake".to_owned(),
        scopes: "openid".to_owned(),
        groups: "groups".to_owned(),
        ca_file: None,
    }
}

fn provider(fake: &Fake) -> OidcProvider {
    let client_secret = Some("a secret & more".to_owned());
    OidcProvider::new(OidcOptions { client_secret, ..options(&fake.issuer()) }).unwrap()
}

fn identify(provider: &OidcProvider, now: i64) -> Result<ProvidedIdentity, ProviderError> {
    provider.identify(&SignInEnd {
        code: "c0de",
        verifier: "v",
        nonce: "n",
        redirect_uri: "http://127.0.0.1/back",
        now,
    })
}

/// Says why a token is not taken in which one claim is another.
fn refused(fake: &Fake, name: &str, value: Value) -> &'static str {
    fake.set(|wrong| wrong.claims[name] = value.clone());
    match identify(&provider(fake), NOW) {
        Err(ProviderError::Untrue(why)) => why,
        other => panic!("{name} {value}: {other:?}"),
    }
}

#[test]
fn a_person_comes_in_and_the_request_is_as_the_standards_say() {
    let fake = Fake::start();
    let provider = provider(&fake);
    let start = SignInStart { state: "s", nonce: "n", challenge: "ch", redirect_uri: "http://127.0.0.1/back" };
    let url = provider.sign_in_url(&start, NOW).unwrap();
    for part in [
        "response_type=code",
        "client_id=audience",
        "state=s",
        "nonce=n",
        "code_challenge=ch",
        "code_challenge_method=S256",
    ] {
        assert!(url.contains(part), "{url} lacks {part}");
    }
    let person = identify(&provider, NOW).unwrap();
    assert_eq!((person.subject.as_str(), person.email.as_deref()), ("u1", Some("ann@example.org")));
    assert_eq!((person.groups, person.is_email_verified), (vec!["staff".to_owned()], Some(true)));
    let asked = fake.asked("/token");
    // RFC 6749, section 2.3.1: id and secret are encoded as in a form, then as Basic.
    assert!(asked[0].contains("authorization: Basic YXVkaWVuY2U6YStzZWNyZXQrJTI2K21vcmU="), "{}", asked[0]);
    assert!(asked[0].contains("code_verifier=v") && !asked[0].contains("client_secret"), "{}", asked[0]);
    let out = provider.sign_out_url("http://127.0.0.1/", NOW).unwrap();
    assert!(out.contains("post_logout_redirect_uri=http%3A%2F%2F127.0.0.1%2F") && out.contains("client_id=audience"));
}

#[test]
fn tokens_with_untrue_claims_are_refused() {
    for (name, value, why) in [
        ("iss", json!("https://evil.example"), "another issuer has made it"),
        ("aud", json!("another"), "it is for another client"),
        ("aud", json!(["audience", "another"]), "it is for another client"),
        ("azp", json!("another"), "it was given to another client"),
        ("nonce", json!("m"), "it is of another sign-in"),
        ("nonce", Value::Null, "it is of another sign-in"),
        ("exp", json!(NOW - 60), "its time has ended, or has not begun"),
        ("exp", json!("never"), "a claim is missing"),
        ("iat", json!(NOW + 61), "its time has ended, or has not begun"),
        ("iat", json!(NOW - 601), "its time has ended, or has not begun"),
        ("nbf", json!(NOW + 61), "its time has ended, or has not begun"),
        ("sub", json!(""), "it names nobody"),
        ("sub", Value::Null, "a claim is missing"),
    ] {
        assert_eq!(refused(&Fake::start(), name, value.clone()), why, "{name} {value}");
    }
}

#[test]
fn headers_of_attacks_are_refused() {
    for (name, value) in [
        ("alg", json!("none")),
        ("alg", json!("None")),
        ("alg", json!("HS256")),
        ("alg", json!("RS256")),
        ("alg", json!("ES256")),
        ("typ", json!("at+jwt")),
        ("typ", json!("logout+jwt")),
        ("crit", json!(["exp"])),
        ("kid", json!("unknown")),
        ("kid", json!("../../../../etc/passwd")),
    ] {
        let fake = Fake::start();
        fake.set(|wrong| wrong.header[name] = value.clone());
        assert!(matches!(identify(&provider(&fake), NOW), Err(ProviderError::Untrue(_))), "{name} {value}");
    }
    let fake = Fake::start();
    fake.set(|wrong| wrong.is_unsigned = true);
    assert!(matches!(identify(&provider(&fake), NOW), Err(ProviderError::Untrue("its signature is wrong"))));
    // A key in the header is not looked at.
    let fake = Fake::start();
    fake.set(|wrong| {
        wrong.header["jwk"] = wrong.jwk("another");
        wrong.signer = "another";
    });
    assert!(matches!(identify(&provider(&fake), NOW), Err(ProviderError::Untrue("its signature is wrong"))));
}

#[test]
fn keys_that_change_are_asked_for_once_a_minute() {
    let fake = Fake::start();
    let provider = provider(&fake);
    identify(&provider, NOW).unwrap();
    identify(&provider, NOW).unwrap();
    assert_eq!(fake.asked("/jwks").len(), 1, "they are kept");
    fake.set(|changed| changed.rotate("another"));
    identify(&provider, NOW).unwrap();
    assert_eq!(fake.asked("/jwks").len(), 2, "another key is asked for at once");
    fake.set(|wrong| wrong.header["kid"] = json!("unknown"));
    assert!(identify(&provider, NOW + 59).is_err() && identify(&provider, NOW + 59).is_err());
    assert_eq!(fake.asked("/jwks").len(), 2, "and not again within a minute");
    assert!(identify(&provider, NOW + 60).is_err());
    assert_eq!(fake.asked("/jwks").len(), 3);
}

#[test]
fn answers_of_another_form_are_refused() {
    let away = |change: fn(&mut fake::FakeBehaviour)| {
        let fake = Fake::start();
        fake.set(change);
        identify(&provider(&fake), NOW).unwrap_err().to_string()
    };
    for (said, why) in [
        (away(|wrong| wrong.description = Some(json!({"issuer": "http://127.0.0.1"}))), "cannot be read"),
        (away(|wrong| wrong.issuer = Some("http://127.0.0.1:1/other".to_owned())), "names another issuer"),
        (away(|wrong| wrong.token_endpoint = Some("http://id.example.org/token".to_owned())), "without TLS"),
        (away(|wrong| wrong.status = Some(302)), "answers with 302"),
        (away(|wrong| wrong.status = Some(500)), "answers with 500"),
        (away(|wrong| wrong.refusal = Some("invalid_grant")), "does not take the code: invalid_grant"),
        (away(|wrong| wrong.is_endless = true), "too long"),
        (
            away(|wrong| {
                wrong.claims.as_object_mut().unwrap().remove("email");
                wrong.person = Some(json!({"sub": "u2", "email": "eve@example.org"}));
            }),
            "another person",
        ),
    ] {
        assert!(said.contains(why), "{said} lacks {why}");
    }
    assert!(OidcProvider::new(options("http://id.example.org")).is_err(), "without TLS");
    let nobody = OidcProvider::new(options("http://127.0.0.1:1")).unwrap();
    assert!(matches!(identify(&nobody, NOW), Err(ProviderError::Away(_))));
}

#[test]
fn a_person_is_completed_by_what_the_provider_says_of_them() {
    let fake = Fake::start();
    fake.set(|less| {
        less.claims.as_object_mut().unwrap().remove("email");
        less.person = Some(json!({"sub": "u1", "email": "ann@example.org", "email_verified": false}));
    });
    let public = OidcProvider::new(options(&fake.issuer())).unwrap();
    let person = identify(&public, NOW).unwrap();
    assert_eq!((person.email.as_deref(), person.is_email_verified), (Some("ann@example.org"), Some(false)));
    assert!(fake.asked("/userinfo")[0].contains("authorization: Bearer acc3ss"));
    assert!(fake.asked("/token")[0].contains("client_id=audience"), "a public client names itself in the form");
}
