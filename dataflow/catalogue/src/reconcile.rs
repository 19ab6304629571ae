//! Reconciliation: what is in force is brought to what is stored, and previews are counted in between.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use audience_protocol::{PlatformError, Preview, PreviewInput, PreviewProgress, Result, SPANS};

use crate::editor::Editor;
use crate::enforcement::Enforcement;
use crate::preview::{CheckedPreview, PreviewState, QueuedPreview};

/// The interval at which a preview's caller is asked whether it still waits.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// The longest wait for work. Every edit ends the wait; the bound makes a lost wake-up harmless.
const WORK_PATIENCE: Duration = Duration::from_millis(100);

/// Closes an editor by its end: nothing comes into force any more, and whoever waits for that must not wait on. A start would
/// wait for ten minutes where the engine has failed.
struct ClosesEditor<'a>(&'a Editor);

impl Drop for ClosesEditor<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Editor {
    /// Brings the newest version into force whenever it is not, and counts the previews that wait in between. Returns
    /// once the editor is [`close`](Self::close)d and no edit waits, or with the engine's failure, which closes it, too.
    pub fn reconcile<E: Enforcement>(&self, enforcement: &mut E) -> Result<(), E::Error> {
        let _closes = ClosesEditor(self);
        loop {
            if self.has_waiting() {
                let documents = self.documents();
                enforcement.enforce(&documents)?;
                self.in_force.reach(documents.version);
            } else if self.is_closed() {
                self.previews.clear();
                return Ok(());
            } else if !self.count_next_preview(enforcement)? {
                self.in_force
                    .wait_unless(WORK_PATIENCE, |version| version < self.newest() || !self.previews.is_empty());
            }
        }
    }

    /// Counts the next preview that waits. Returns whether there was something to do.
    fn count_next_preview<E: Enforcement>(&self, enforcement: &mut E) -> Result<bool, E::Error> {
        let Some(next) = self.previews.pop() else { return enforcement.free_preview() };
        if next.state.is_cancelled() {
            return Ok(true);
        }
        let checked = match CheckedPreview::new(self.documents(), &next.input) {
            Ok(checked) => checked,
            Err(refusal) => {
                // A caller that has gone needs no answer.
                let _ = next.answer.send(Err(refusal));
                return Ok(true);
            }
        };
        let state = &next.state;
        state.set_running(true);
        let counts = enforcement.preview(&checked.rule, &|events, of| {
            state.scanned(events, of);
            !state.is_cancelled() && !self.has_waiting() && !self.is_closed()
        })?;
        state.set_running(false);
        match counts {
            Some(counts) => {
                let _ = next.answer.send(Ok(checked.answer(counts, next.begun)));
            }
            // An edit waits, and goes first.
            None if !next.state.is_cancelled() => self.previews.put_back(next),
            None => {}
        }
        Ok(true)
    }

    /// Counts what a rule would change. Blocks until it is counted, and calls `watch` meanwhile; gives up if that
    /// returns false.
    pub fn preview(&self, input: PreviewInput, watch: &mut dyn FnMut(PreviewProgress) -> bool) -> Result<Preview> {
        let _span = tracing::info_span!(target: SPANS, "preview").entered();
        // A faulty request is refused at once, however long the queue is.
        CheckedPreview::new(self.documents(), &input)?;
        let (answer, answered) = sync_channel(1);
        let state = Arc::new(PreviewState::default());
        self.previews.push(QueuedPreview { input, state: state.clone(), answer, begun: Instant::now() })?;
        self.in_force.wake();
        if self.is_closed() {
            // The queue was cleared at the close, which may have been before this preview joined it.
            self.previews.clear();
        }
        loop {
            match answered.recv_timeout(PROGRESS_INTERVAL) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) if watch(state.progress()) => {}
                Err(RecvTimeoutError::Timeout) => {
                    state.cancel();
                    return Err(PlatformError::Unavailable("the preview was given up".to_owned()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PlatformError::Unavailable("the engine is stopping".to_owned()));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
