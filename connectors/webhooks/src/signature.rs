//! Signatures of the Standard Webhooks specification, version 1.

use std::fmt::Write as _;

use audience_contract::WebhookMessage;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The prefix of keys.
pub(crate) const SECRET_PREFIX: &str = "whsec_";

/// One signature a key, in the order of the keys: HMAC-SHA256 over id, time and body.
pub(crate) fn sign(message: &WebhookMessage<'_>) -> Result<String, String> {
    let mut signatures = String::new();
    for secret in message.secrets {
        let key = secret.strip_prefix(SECRET_PREFIX).and_then(|key| STANDARD.decode(key).ok());
        let key = key.ok_or_else(|| "its key cannot be read".to_owned())?;
        let mut signature = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
        signature.update(format!("{}.{}.", message.id, message.at).as_bytes());
        signature.update(message.body);
        let space = if signatures.is_empty() { "" } else { " " };
        // Writing to a text does not fail.
        let _ = write!(signatures, "{space}v1,{}", STANDARD.encode(signature.finalize().into_bytes()));
    }
    Ok(signatures)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's reference libraries.
    #[test]
    fn it_is_the_signature_of_the_specification() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let message = WebhookMessage {
            url: "",
            id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
            at: 1_614_265_330,
            secrets: &[secret],
            body: br#"{"test": 2432232314}"#,
        };
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(sign(&message).unwrap(), expected);
        let both = WebhookMessage { secrets: &[secret, secret], ..message };
        assert_eq!(sign(&both).unwrap(), format!("{expected} {expected}"));
        assert!(sign(&WebhookMessage { secrets: &["whsec_*"], ..message }).is_err());
    }
}
