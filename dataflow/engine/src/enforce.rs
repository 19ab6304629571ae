//! The engine's side of reconciliation: each catalogue version is compared with the rules in force, and the difference
//! is applied.
//!
//! Lock order: the turn first, and only where measures lack history; then the engine's locks. So no
//! checkpoint holds a part of a measure's history, and a checkpoint never waits for an edit that needs none.

use std::sync::Arc;
use std::time::{Duration, Instant};

use audience_catalogue::{CountedUsers, Documents, Enforcement, PreviewCounts, PreviewedRule};
use audience_contract::{EventLog, Notes};
use audience_kernel::message::SampledCount;
use audience_kernel::program::Program;
use audience_protocol::{SPANS, ValueCounts};

use crate::durability::catalogue_in_force;
use crate::durability::checkpoints::CheckpointTurn;
use crate::edit::{self, ScanWatch};
use crate::engine::{Engine, EngineError};
use crate::metrics::Metrics;
use crate::occurrence::EditInForce;
use crate::preview::{PreviewOutcome, PreviewQuestion, Previews};
use crate::rule_set::RuleSet;

/// How long the measures of a preview stay computed: as long as somebody may be typing.
const PREVIEW_KEPT: Duration = Duration::from_secs(60);

/// The parts of the running platform that an edit touches.
#[derive(Clone)]
pub(crate) struct EnforceContext {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The history of all events.
    pub log: Arc<dyn EventLog>,
    /// For the catalogue in force.
    pub notes: Arc<dyn Notes>,
    /// Held while new measures get their history, and while a checkpoint is taken.
    pub turn: CheckpointTurn,
    /// The metrics of edits.
    pub metrics: Arc<Metrics>,
}

/// Brings catalogue versions into force on the running engine.
pub(crate) struct Enforcer {
    context: EnforceContext,
    in_force: RuleSet,
    previews: Previews,
}

impl Enforcer {
    /// Starts with the rules that the engine runs.
    pub(crate) fn new(context: EnforceContext, in_force: RuleSet) -> Enforcer {
        Enforcer { context, in_force, previews: Previews::default() }
    }

    /// The rules that the engine runs by now.
    pub(crate) fn into_in_force(self) -> RuleSet {
        self.in_force
    }
}

impl Enforcement for Enforcer {
    type Error = EngineError;

    fn enforce(&mut self, documents: &Documents) -> Result<(), EngineError> {
        let EnforceContext { engine, log, notes, turn, metrics } = &self.context;
        let begun = Instant::now();
        if let Err(error) = catalogue_in_force::note(&**notes, documents) {
            tracing::warn!(%error, "The catalogue that comes into force cannot be noted");
        }
        let version = documents.version;
        let next = self.in_force.followed_by(&documents.catalogue);
        let mut difference = self.in_force.difference(&next, &documents.catalogue);
        difference.new_measures.retain(|measure| !self.previews.kept_measures().contains(measure));
        let compared = begun.elapsed();
        let _turn = (!difference.new_measures.is_empty()).then(|| turn.lock());
        if difference.is_empty() {
            engine.set_catalogue_version(version);
        } else {
            let span = tracing::info_span!(target: SPANS, "edit.apply", version);
            let _span = span.enter();
            edit::apply(engine, &**log, difference, version)?;
            EditInForce { version, compared, took: begun.elapsed() }.emit(metrics);
        }
        self.in_force = next;
        Ok(())
    }

    fn preview(
        &mut self,
        rule: &PreviewedRule,
        watch: &(dyn Fn(u64, u64) -> bool + Sync),
    ) -> Result<Option<PreviewCounts>, EngineError> {
        let EnforceContext { engine, log, turn, .. } = &self.context;
        let program = Arc::new(Program::compile(&rule.rule, &rule.documents.catalogue));
        let (against, breakdown) = (rule.against.clone(), rule.break_down.clone());
        let asked = PreviewQuestion { program, against, samples: rule.samples, breakdown };
        let lacking = self.previews.lacking(&self.in_force, &asked);
        let _turn = (!lacking.measures.is_empty()).then(|| turn.lock());
        let outcome = self.previews.run(engine, &**log, &asked, lacking, &CallerWatch(watch))?;
        Ok(outcome.map(counts))
    }

    fn free_preview(&mut self) -> Result<bool, EngineError> {
        let is_old = self.previews.kept_since().is_some_and(|since| since.elapsed() > PREVIEW_KEPT);
        if is_old {
            self.previews.forget(&self.context.engine)?;
        }
        Ok(is_old)
    }
}

/// The catalogue's watch as the backfill calls it.
struct CallerWatch<'a>(&'a (dyn Fn(u64, u64) -> bool + Sync));

impl ScanWatch for CallerWatch<'_> {
    fn scanned(&self, events: u64, of: u64) -> bool {
        (self.0)(events, of)
    }
}

fn counts(outcome: PreviewOutcome) -> PreviewCounts {
    let PreviewOutcome { previewed, is_history_scanned } = outcome;
    let users = |counted: SampledCount| CountedUsers { count: counted.count, sample: counted.sample };
    PreviewCounts {
        users: previewed.users,
        members: previewed.members,
        entered: users(previewed.entered),
        left: users(previewed.left),
        by_missing: users(previewed.by_missing),
        values: previewed.values.map(|counted| ValueCounts {
            values: counted.values,
            missing: counted.missing,
            other: counted.other,
        }),
        is_history_scanned,
    }
}
