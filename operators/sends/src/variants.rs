//! Variants of a content, by weights.

use crate::id::share_of;

/// The place of the variant that a user gets among weights; `None` where no weight is above zero.
///
/// Depends on the user, the salt and the weights alone. A changed weight moves only users at a boundary.
pub fn variant_of(user: &str, salt: &str, weights: &[u32]) -> Option<usize> {
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let point = share_of(user, salt) * total as f64;
    let mut end = 0;
    weights.iter().position(|weight| {
        end += u64::from(*weight);
        *weight > 0 && point < end as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(weights: &[u32]) -> Vec<usize> {
        let mut counts = vec![0; weights.len()];
        for user in 0..10_000 {
            counts[variant_of(&user.to_string(), "salt", weights).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn users_spread_by_weight() {
        let counts = shares(&[1, 0, 3]);
        assert!((2_300..2_700).contains(&counts[0]) && counts[1] == 0, "{counts:?}");
    }

    #[test]
    fn a_changed_weight_moves_only_users_at_the_boundary() {
        let moved = (0..10_000).filter(|user| {
            let user = user.to_string();
            variant_of(&user, "s", &[50, 50]) != variant_of(&user, "s", &[60, 40])
        });
        let moved = moved.count();
        assert!((800..1_200).contains(&moved), "{moved}");
    }

    #[test]
    fn without_weight_there_is_no_variant() {
        assert_eq!(variant_of("ann", "s", &[]), None);
        assert_eq!(variant_of("ann", "s", &[0, 0]), None);
    }
}
