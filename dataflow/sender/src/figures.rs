//! Hand-overs by outcome, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use audience_contract::HandOver;

/// The outcomes in the order in which they are counted.
const OUTCOMES: [&str; 5] = ["accepted", "deferred", "rejected", "not_handed", "unknown"];

/// The hand-overs since the start, by outcome.
#[derive(Debug, Default)]
pub(crate) struct HandOverCounts([AtomicU64; OUTCOMES.len()]);

impl HandOverCounts {
    /// Counts one.
    pub(crate) fn count(&self, outcome: &HandOver) {
        let place = match outcome {
            HandOver::Accepted(_) => 0,
            HandOver::Deferred(_) => 1,
            HandOver::Rejected { .. } => 2,
            HandOver::NotHanded(_) => 3,
            HandOver::Unknown(_) => 4,
        };
        self.0[place].fetch_add(1, Ordering::Relaxed);
    }

    /// The counts in OpenMetrics text.
    pub(crate) fn figures(&self) -> String {
        let mut text = "# HELP audience_mail_hand_overs_total Hand-overs of mails to the provider by outcome.\n\
                        # TYPE audience_mail_hand_overs_total counter\n"
            .to_owned();
        for (outcome, count) in OUTCOMES.iter().zip(&self.0) {
            let count = count.load(Ordering::Relaxed);
            text.push_str(&format!("audience_mail_hand_overs_total{{outcome=\"{outcome}\"}} {count}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use audience_contract::MailReply;

    use super::*;

    #[test]
    fn each_outcome_is_counted_under_its_name() {
        let (counts, reply) = (HandOverCounts::default(), MailReply::default());
        counts.count(&HandOver::Accepted(reply.clone()));
        counts.count(&HandOver::Deferred(reply.clone()));
        counts.count(&HandOver::Rejected { reply, is_hard_bounce: true });
        counts.count(&HandOver::NotHanded(String::new()));
        counts.count(&HandOver::Unknown(String::new()));
        counts.count(&HandOver::Unknown(String::new()));
        let text = counts.figures();
        for (outcome, count) in OUTCOMES.iter().zip([1, 1, 1, 1, 2]) {
            assert!(text.contains(&format!("{{outcome=\"{outcome}\"}} {count}\n")), "{text}");
        }
    }
}
