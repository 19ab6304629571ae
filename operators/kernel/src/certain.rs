//! The certain part of a rule: another rule, which holds where the first does not rest on a missing value.
//!
//! Law: it holds where the rule is true in Kleene's logic, with every test unknown whose measure has no value to test. Where
//! the rule holds and its certain part does not, the rule rests on a missing value. "Is true" and "is false" are rules
//! themselves, over the same leaves and over whether there is a value, so they are kept up to date like every other.

use audience_rules::ast::{Condition, Test};

use crate::measure::MeasureKind;
use crate::program::{Expression, Leaf, MeasureKey, Program};
use crate::question::Asks;
use crate::reading::Reading;

impl Program {
    /// Returns the rule that holds where this one does whatever the missing values are; `None` if that is everywhere.
    pub fn certain(&self) -> Option<Program> {
        let mut certain = Certain { program: self, leaves: Vec::new(), has_asked: false };
        let expression = certain.comes_out(&self.expression, true);
        certain.has_asked.then(|| Program::of(certain.leaves, expression))
    }
}

struct Certain<'a> {
    program: &'a Program,
    leaves: Vec<Leaf>,
    /// True if any leaf asks whether there is a value.
    has_asked: bool,
}

impl Certain<'_> {
    /// An expression that holds where a part of the rule comes out as wanted.
    fn comes_out(&mut self, part: &Expression, wanted: bool) -> Expression {
        let (parts, wanted, all) = match part {
            Expression::Leaf(index) => return self.leaf_comes_out(usize::from(*index), wanted),
            Expression::All(parts) => (parts, wanted, wanted),
            Expression::Any(parts) => (parts, wanted, !wanted),
            // None holds: all of them come out false. It does not: one comes out true.
            Expression::None(parts) => (parts, !wanted, wanted),
        };
        let parts = parts.iter().map(|part| self.comes_out(part, wanted)).collect();
        if all { Expression::All(parts) } else { Expression::Any(parts) }
    }

    fn leaf_comes_out(&mut self, index: usize, wanted: bool) -> Expression {
        let leaf = &self.program.leaves[index];
        let held = self.add(leaf.clone());
        let held = if wanted { held } else { Expression::None(vec![held]) };
        match leaf {
            Leaf::Measured(key @ MeasureKey::Asked(question), test) if question.asks == Asks::Holds => {
                if !question.comes_out_of_missing(wanted) {
                    return held;
                }
                self.has_asked = true;
                Expression::All(vec![held, self.add(Leaf::Valued(key.clone(), test.clone()))])
            }
            // Of a missing value a test says just whether it is negated.
            Leaf::Measured(key, test) if test.negated == wanted && may_miss(key) => {
                if test.condition == Condition::Exists {
                    return held;
                }
                self.has_asked = true;
                // The same for a test and its negation.
                let test = Test { negated: false, condition: test.condition.clone() };
                Expression::All(vec![held, self.add(Leaf::Valued(key.clone(), test))])
            }
            _ => held,
        }
    }

    fn add(&mut self, leaf: Leaf) -> Expression {
        let index = self.leaves.iter().position(|known| *known == leaf).unwrap_or_else(|| {
            self.leaves.push(leaf);
            self.leaves.len() - 1
        });
        // At most two for each of the rule's.
        Expression::Leaf(index as u16)
    }
}

/// Returns whether users may have no value of it.
fn may_miss(key: &MeasureKey) -> bool {
    MeasureKind::of(key).default_reading() == Reading::Missing
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use audience_rules::ast::{Literal, Logic};
    use audience_rules::three_valued::join;

    use super::*;

    const STATES: [Option<bool>; 3] = [None, Some(false), Some(true)];

    /// Tests of three traits, the second of them negated.
    fn leaf(trait_number: usize) -> Leaf {
        let condition = Condition::Equals(Literal::Text("x".into()));
        Leaf::Measured(
            MeasureKey::Trait(vec![Arc::from(trait_number.to_string())]),
            Test { negated: trait_number == 1, condition },
        )
    }

    fn by_value(part: &Expression, states: &[Option<bool>]) -> Option<bool> {
        let (logic, parts) = match part {
            Expression::Leaf(index) => return states[usize::from(*index)],
            Expression::All(parts) => (Logic::And, parts),
            Expression::Any(parts) => (Logic::Or, parts),
            Expression::None(parts) => (Logic::Not, parts),
        };
        join(logic, parts.iter().map(|part| by_value(part, states)))
    }

    /// Every leaf, and every group of two of these parts.
    fn groups(parts: &[Expression]) -> Vec<Expression> {
        let mut groups = parts.to_vec();
        for one in parts {
            for other in parts {
                let pair = || vec![one.clone(), other.clone()];
                groups.extend([Expression::All(pair()), Expression::Any(pair()), Expression::None(pair())]);
            }
        }
        groups
    }

    #[test]
    fn certain_rule_holds_where_kleenes_logic_says_true() {
        let leaves: Vec<Expression> = (0..3).map(Expression::Leaf).collect();
        let mut with_one = 0;
        for expression in groups(&groups(&leaves)) {
            let program = Program::of((0..3).map(leaf).collect(), expression);
            let certain = program.certain();
            with_one += usize::from(certain.is_some());
            let certain = certain.as_ref().unwrap_or(&program);
            for states in 0..27 {
                let states = [STATES[states % 3], STATES[states / 3 % 3], STATES[states / 9]];
                let holds = |leaf: &Leaf| match leaf {
                    Leaf::Measured(MeasureKey::Trait(path), test) | Leaf::Valued(MeasureKey::Trait(path), test) => {
                        let state = states[path[0].parse::<usize>().unwrap_or_default()];
                        let is_asked = matches!(leaf, Leaf::Valued(..));
                        if is_asked { state.is_some() } else { state.unwrap_or(test.negated) }
                    }
                    _ => false,
                };
                let found = certain.expression.evaluate(&mut |index| holds(&certain.leaves[usize::from(index)]));
                let expected = by_value(&program.expression, &states) == Some(true);
                assert_eq!(found, expected, "{:?} where {states:?}", program.expression);
            }
        }
        assert!(with_one > 100, "{with_one}");
    }

    #[test]
    fn certain_rule_is_none_where_no_missing_value_matters() {
        let of = |leaves, expression| Program::of(leaves, expression).certain().is_none();
        assert!(of(vec![leaf(0)], Expression::Leaf(0)));
        assert!(!of(vec![leaf(1)], Expression::Leaf(0)));
        let exists = |negated| {
            Leaf::Measured(MeasureKey::Trait(vec!["a".into()]), Test { negated, condition: Condition::Exists })
        };
        assert!(of(vec![exists(true)], Expression::Leaf(0)), "it asks for just that");
    }
}
