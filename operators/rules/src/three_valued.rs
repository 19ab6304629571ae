//! Truth with a third value, `None`: unknown, because a value is missing (Kleene's logic).
//!
//! Membership itself is two-valued. This tells which memberships rest on a missing value: those that hold, and are not true
//! here.

use crate::ast::Logic;

/// Joins the parts of a group. Reads no further than is needed.
pub fn join(logic: Logic, parts: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    // One of these decides, whatever the others are.
    let decisive = matches!(logic, Logic::Or | Logic::Not);
    let mut is_unknown = false;
    for part in parts {
        match part {
            Some(part) if part == decisive => return Some(logic == Logic::Or),
            Some(_) => {}
            None => is_unknown = true,
        }
    }
    (!is_unknown).then_some(logic != Logic::Or)
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: Option<bool> = Some(true);
    const NO: Option<bool> = Some(false);

    #[track_caller]
    fn check(parts: &[Option<bool>], and_or_not: [Option<bool>; 3]) {
        let found = [Logic::And, Logic::Or, Logic::Not].map(|logic| join(logic, parts.iter().copied()));
        assert_eq!(found, and_or_not, "{parts:?}");
    }

    #[test]
    fn join_follows_kleenes_tables() {
        check(&[], [YES, NO, YES]);
        check(&[YES], [YES, YES, NO]);
        check(&[NO], [NO, NO, YES]);
        check(&[None], [None, None, None]);
        check(&[YES, None], [None, YES, NO]);
        check(&[NO, None], [NO, None, None]);
        check(&[None, YES, NO], [NO, YES, NO]);
    }
}
