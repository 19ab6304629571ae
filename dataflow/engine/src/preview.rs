//! Previews: the engine counts on its live state what a rule would change, and publishes nothing.
//!
//! The rule is installed under a name that no segment has, history is scanned for measures that nobody computes, every
//! user is looked at, and each worker counts at the end of one tick: the same steps by which an edit comes into force, but
//! for the last. Where members may rest on a missing value, the rule that holds where they do not goes the same way beside
//! it, and the difference is counted. The rule last previewed stays installed for a while, so that the next preview, and the
//! edit that it is for, find its measures there: a threshold that is moved costs one look at every user.

use std::sync::Arc;
use std::time::Instant;

use audience_contract::EventLog;
use audience_kernel::message::{BreakdownRequest, Control, PreviewRequest, PreviewResult};
use audience_kernel::program::{MeasureKey, Program};
use audience_rules::ast::SegmentId;

use crate::edit::{self, ScanWatch};
use crate::engine::{Engine, EngineError};
use crate::rule_set::{Difference, RuleSet};

/// The question of a preview.
#[derive(Clone, Debug)]
pub struct PreviewQuestion {
    /// The rule.
    pub program: Arc<Program>,
    /// The segment whose members it is held against, where there is one.
    pub against: Option<SegmentId>,
    /// The number of users of each kind that are named.
    pub samples: u32,
    /// The segment whose members are counted by their value of the rule's measure, if that is asked for.
    pub breakdown: Option<SegmentId>,
}

/// The measures and ranks of a preview that nobody computes yet.
#[derive(Clone, Debug)]
pub struct Lacking {
    /// Measures: history is scanned for them.
    pub measures: Vec<MeasureKey>,
    /// The deepest new rank; 0 for none.
    rank_depth: u32,
}

/// The outcome of a preview.
#[derive(Clone, Debug)]
pub struct PreviewOutcome {
    /// The counts, over all workers.
    pub previewed: PreviewResult,
    /// True if history was scanned for it.
    pub is_history_scanned: bool,
}

/// Rules that stay installed behind their preview.
struct KeptRules {
    rules: Vec<SegmentId>,
    measures: Vec<MeasureKey>,
    since: Instant,
}

/// Previews, one at a time, and what the last one left.
#[derive(Default)]
pub struct Previews {
    count: u64,
    kept: Option<KeptRules>,
}

impl Previews {
    /// The measures and ranks that a preview needs beside the rules in force and the last preview.
    pub fn lacking(&self, in_force: &RuleSet, asked: &PreviewQuestion) -> Lacking {
        let (measures, rank_depth) = in_force.lacking(&asked.program, self.kept_measures());
        Lacking { measures, rank_depth }
    }

    /// Counts what a rule would change, of which `lacking` is what [`lacking`](Self::lacking) says now. `None` where `watch`
    /// stopped it.
    pub fn run(
        &mut self,
        engine: &Engine,
        log: &dyn EventLog,
        asked: &PreviewQuestion,
        lacking: Lacking,
        watch: &dyn ScanWatch,
    ) -> Result<Option<PreviewOutcome>, EngineError> {
        self.count += 1;
        // No segment's id is as long.
        let name = |what: &str| -> SegmentId { format!("{what} {:0>256}", self.count).into() };
        let Lacking { measures: new_measures, rank_depth: new_rank_depth } = lacking;
        let rule = name("preview");
        let mut install = vec![(rule.clone(), asked.program.clone())];
        let certain = asked.program.certain().map(|program| (name("certain"), Arc::new(program)));
        let of = PreviewRequest {
            rule,
            certain: certain.as_ref().map(|(name, _)| name.clone()),
            against: asked.against.clone(),
            samples: asked.samples,
            breakdown: asked
                .breakdown
                .clone()
                .zip(asked.program.measures().first())
                .map(|(segment, measure)| BreakdownRequest { segment, measure: (*measure).clone() }),
        };
        install.extend(certain);
        let rules: Vec<SegmentId> = install.iter().map(|(name, _)| name.clone()).collect();
        let difference = Difference { install, publish: Vec::new(), new_measures, new_rank_depth };
        let mut steps = Vec::new();
        // Two rules are looked at by users' rows, which takes too long for one tick.
        if rules.len() == 1 && edit::is_small(engine, &difference) {
            steps.push(Control::Install { rules: difference.install.clone(), boundary: None });
            steps.push(Control::Scan { rank_depth: None });
        } else {
            if !edit::install(engine, log, &difference, watch)? {
                uninstall(engine, rules)?;
                return Ok(None);
            }
            edit::look_at_all(engine, &difference)?;
        }
        steps.push(Control::Preview(of));
        let tick = engine.submit_steps(steps)?;
        let previewed = engine.wait_for(tick)?.previewed;
        let measures = asked.program.measures().into_iter().cloned().collect();
        if let Some(before) = self.kept.replace(KeptRules { rules, measures, since: Instant::now() }) {
            uninstall(engine, before.rules)?;
        }
        let previewed = previewed.map(|previewed| (*previewed).clone()).unwrap_or_default();
        Ok(Some(PreviewOutcome { previewed, is_history_scanned: !difference.new_measures.is_empty() }))
    }

    /// The measures that are there because of the last preview.
    pub fn kept_measures(&self) -> &[MeasureKey] {
        self.kept.as_ref().map_or(&[], |kept| &kept.measures)
    }

    /// When the last preview ended whose rule is still installed.
    pub fn kept_since(&self) -> Option<Instant> {
        self.kept.as_ref().map(|kept| kept.since)
    }

    /// Forgets the rule of the last preview.
    pub fn forget(&mut self, engine: &Engine) -> Result<(), EngineError> {
        self.kept.take().map_or(Ok(()), |kept| uninstall(engine, kept.rules))
    }
}

fn uninstall(engine: &Engine, rules: Vec<SegmentId>) -> Result<(), EngineError> {
    engine.submit_steps(vec![Control::Uninstall(rules)]).map(drop)
}
