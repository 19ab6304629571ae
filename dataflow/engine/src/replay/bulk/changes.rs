//! Changes as lines of JSON, in the order of their instants, then users, then segments.
//!
//! Each worker sorts and writes down its own of a tick; the sink merges them. A user lives on one worker, so that the
//! runs of two workers never have the same instant and user.

use std::io::{self, Write};

use audience_kernel::message::WorkerChange;
use audience_kernel::worker::WorkerState;
use audience_rules::ast::Millis;
use audience_rules::time::format_time;

use crate::engine::{EngineError, EngineFailure};

/// Counts the changes: those that entered, those that left.
pub fn count(state: &mut WorkerState, out: &mut Vec<u8>) {
    let entered = state.output.changes.iter().filter(|change| change.entered).count() as u64;
    let left = state.output.changes.len() as u64 - entered;
    out.extend_from_slice(&entered.to_le_bytes());
    out.extend_from_slice(&left.to_le_bytes());
}

/// Counts the changes and writes them down, sorted.
pub fn encode(state: &mut WorkerState, out: &mut Vec<u8>) {
    count(state, out);
    let mut changes = std::mem::take(&mut state.output.changes);
    let membership = state.membership();
    let membership = membership.read();
    let user = |change: &WorkerChange| membership.users.id(change.user);
    changes.sort_unstable_by(|left, right| {
        let by_user = || if left.user == right.user { std::cmp::Ordering::Equal } else { user(left).cmp(user(right)) };
        let by_segment = || state.segments().name(left.segment).cmp(&state.segments().name(right.segment));
        left.at.cmp(&right.at).then_with(by_user).then_with(by_segment)
    });
    let mut time: (Millis, String) = (Millis::MIN, String::new());
    for change in &changes {
        if change.at != time.0 {
            time = (change.at, format_time(change.at));
        }
        let user = user(change);
        out.extend_from_slice(&change.at.to_le_bytes());
        out.extend_from_slice(&(user.len() as u32).to_le_bytes());
        out.extend_from_slice(user.as_bytes());
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(b"{\"at\":\"");
        out.extend_from_slice(time.1.as_bytes());
        out.extend_from_slice(b"\",\"userId\":");
        push_text(user, out);
        out.extend_from_slice(b",\"segmentId\":");
        push_text(&state.segments().name(change.segment), out);
        let entered: &[u8] = if change.entered { b",\"change\":\"entered\"}\n" } else { b",\"change\":\"left\"}\n" };
        out.extend_from_slice(entered);
        let length = (out.len() - start - 4) as u32;
        out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    }
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    // Writing to memory cannot fail, nor can a text be no JSON.
    let _ = serde_json::to_writer(out, text);
}

/// The changes of one worker in one tick.
pub struct WorkerChanges<'a> {
    /// The number of users who entered.
    pub entered: u64,
    /// The number of users who left.
    pub left: u64,
    rest: &'a [u8],
    head: Option<ChangesHead<'a>>,
}

#[derive(Clone, Copy)]
struct ChangesHead<'a> {
    key: (Millis, &'a [u8]),
    line: &'a [u8],
}

impl<'a> WorkerChanges<'a> {
    /// Reads it back.
    pub fn of(bytes: &'a [u8]) -> Result<WorkerChanges<'a>, EngineError> {
        let (entered, rest) = take_number(bytes)?;
        let (left, rest) = take_number(rest)?;
        let mut run = WorkerChanges { entered, left, rest, head: None };
        run.advance()?;
        Ok(run)
    }

    fn advance(&mut self) -> Result<(), EngineError> {
        self.head = None;
        if self.rest.is_empty() {
            return Ok(());
        }
        let (at, rest) = take_number(self.rest)?;
        let (user, rest) = take_text(rest)?;
        let (line, rest) = take_text(rest)?;
        self.rest = rest;
        self.head = Some(ChangesHead { key: (at as Millis, user), line });
        Ok(())
    }
}

fn damaged() -> EngineError {
    EngineFailure::Bug("a worker's changes cannot be read").into()
}

fn take_number(bytes: &[u8]) -> Result<(u64, &[u8]), EngineError> {
    let (number, rest) = bytes.split_first_chunk::<8>().ok_or_else(damaged)?;
    Ok((u64::from_le_bytes(*number), rest))
}

fn take_text(bytes: &[u8]) -> Result<(&[u8], &[u8]), EngineError> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(damaged)
}

/// Writes the lines of all runs in their order.
pub fn merge(runs: &mut [WorkerChanges<'_>], out: &mut dyn Write) -> Result<(), EngineError> {
    let failed = |error: io::Error| EngineError::from(EngineFailure::failed("the changes cannot be written", error));
    loop {
        let heads = runs.iter().enumerate().filter_map(|(index, run)| Some((run.head?.key, index)));
        let Some((_, first)) = heads.min() else { return Ok(()) };
        // The lines of one user at one instant stand together.
        let run = &mut runs[first];
        let key = run.head.map(|head| head.key);
        while let Some(head) = run.head.filter(|head| Some(head.key) == key) {
            out.write_all(head.line).map_err(failed)?;
            run.advance()?;
        }
    }
}
