//! The id of a send: 128 bits of a hash of what makes it one send.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// The parts that make a send one send.
///
/// Content, variant and address are not among it: no edit of a campaign or of a profile makes a second send.
#[derive(Clone, Copy, Debug)]
pub struct SendKey<'a> {
    /// The tenant's number.
    pub tenant: u32,
    /// The campaign, or whatever else sends.
    pub object: &'a str,
    /// The launch, the planned instant of a recurrence, or the message that triggered it.
    pub occurrence: &'a str,
    /// The user.
    pub user: &'a str,
    /// The channel: `email`.
    pub channel: &'a str,
    /// The device of the user, for channels that have several; 0 for others.
    pub slot: u32,
}

/// The id of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SendId([u8; 16]);

impl SendId {
    /// The id of a key. Every part goes in with its length, so that no two keys are written alike.
    pub fn of(key: &SendKey<'_>) -> SendId {
        let mut digest = Sha256::new();
        digest.update(key.tenant.to_be_bytes());
        digest.update(key.slot.to_be_bytes());
        for part in [key.object, key.occurrence, key.user, key.channel] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let hash: [u8; 32] = digest.finalize().into();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        SendId(id)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The id of bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> SendId {
        SendId(bytes)
    }
}

impl fmt::Display for SendId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// A text that is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a send has 32 hexadecimal digits")]
pub struct NoSendId;

impl FromStr for SendId {
    type Err = NoSendId;

    fn from_str(text: &str) -> Result<SendId, NoSendId> {
        if text.len() != 32 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NoSendId);
        }
        u128::from_str_radix(text, 16).map(|number| SendId(number.to_be_bytes())).map_err(|_| NoSendId)
    }
}

/// A number in [0, 1) that depends on a text and a salt alone.
pub fn share_of(text: &str, salt: &str) -> f64 {
    let mut digest = Sha256::new();
    digest.update((salt.len() as u64).to_be_bytes());
    digest.update(salt);
    digest.update(text);
    let hash: [u8; 32] = digest.finalize().into();
    let bits = u64::from_be_bytes([hash[0], hash[1], hash[2], hash[3], hash[4], hash[5], hash[6], hash[7]]);
    // 53 bits, which a double holds exactly.
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: SendKey<'_> =
        SendKey { tenant: 0, object: "c1", occurrence: "1", user: "ann", channel: "email", slot: 0 };

    #[test]
    fn each_part_counts_and_parts_do_not_run_together() {
        let keys = [
            KEY,
            SendKey { tenant: 1, ..KEY },
            SendKey { slot: 1, ..KEY },
            SendKey { object: "c", occurrence: "11", ..KEY },
            SendKey { occurrence: "2", ..KEY },
            SendKey { user: "bob", ..KEY },
            SendKey { channel: "sms", ..KEY },
            SendKey { user: "annemail", channel: "", ..KEY },
        ];
        let mut ids: Vec<SendId> = keys.iter().map(SendId::of).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), keys.len());
    }

    #[test]
    fn an_id_is_stable_and_read_back() {
        let id = SendId::of(&KEY);
        assert_eq!(id.to_string(), "1b0d00420f38b461a50773aa3842d07e", "stored ids of earlier versions");
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "zz", "+0000000000000000000000000000001", &"0".repeat(33)] {
            assert_eq!(wrong.parse::<SendId>(), Err(NoSendId), "{wrong}");
        }
    }

    #[test]
    fn shares_are_even() {
        let below = (0..10_000).filter(|user| share_of(&user.to_string(), "salt") < 0.3).count();
        assert!((2_800..3_200).contains(&below), "{below}");
        assert!(share_of("ann", "a") != share_of("ann", "b"));
    }
}
