//! The membership changes of a tick as the change log keeps them.
//!
//! A tick is one block a worker. The form is made for writing millions a second, and for an edit that moves half of all
//! users: what a change has in common with the one before it is not said again.
//!
//! A block is its length (`u64`, little-endian), then: the number of segments, of each its id and the version in force;
//! the number of changes; of each a byte of flags, then where the flags do not say "as before" the segment's place in the
//! block, the instant as the difference to the one before, and the user. Numbers are LEB128, texts a length and bytes.

use std::ops::ControlFlow;
use std::sync::Arc;

use audience_contract::{Cause, ChangeKind, MembershipChange};
use audience_kernel::message::WorkerChange;
use audience_kernel::worker::WorkerState;
use audience_rules::ast::Millis;
use hashbrown::HashMap;

const ENTERED: u8 = 1;
const SAME_USER: u8 = 1 << 1;
const SAME_SEGMENT: u8 = 1 << 2;
const SAME_INSTANT: u8 = 1 << 3;
const CAUSE_SHIFT: u32 = 4;

/// Appends the changes of a worker's tick; nothing where there are none.
pub fn encode(state: &mut WorkerState, out: &mut Vec<u8>) {
    if state.changes.is_empty() {
        return;
    }
    let membership = state.membership();
    let membership = membership.read();
    let mut places: HashMap<u32, u64> = HashMap::new();
    let mut segments: Vec<u32> = Vec::new();
    let mut body = Vec::with_capacity(12 * state.changes.len());
    let mut before: Option<&WorkerChange> = None;
    for change in &state.changes {
        let mut flags = cause_number(change.cause) << CAUSE_SHIFT;
        for (flag, is_set) in [
            (ENTERED, change.entered),
            (SAME_USER, before.is_some_and(|before| before.user == change.user)),
            (SAME_SEGMENT, before.is_some_and(|before| before.segment == change.segment)),
            (SAME_INSTANT, before.is_some_and(|before| before.at == change.at)),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        body.push(flags);
        if flags & SAME_SEGMENT == 0 {
            let place = *places.entry(change.segment).or_insert_with(|| {
                segments.push(change.segment);
                segments.len() as u64 - 1
            });
            put_number(place, &mut body);
        }
        if flags & SAME_INSTANT == 0 {
            let step = change.at.wrapping_sub(before.map_or(0, |before| before.at));
            put_number((step << 1 ^ step >> 63) as u64, &mut body);
        }
        if flags & SAME_USER == 0 {
            put_text(membership.users.id(change.user), &mut body);
        }
        before = Some(change);
    }
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    put_number(segments.len() as u64, out);
    for segment in segments {
        put_text(&state.segment(segment), out);
        put_number(state.version(segment), out);
    }
    put_number(state.changes.len() as u64, out);
    out.append(&mut body);
    let length = (out.len() - start - 8) as u64;
    out[start..start + 8].copy_from_slice(&length.to_le_bytes());
}

/// A change of a block, as it is read.
#[derive(Clone, Copy, Debug)]
pub struct ChangeRef<'a> {
    /// The user.
    pub user_id: &'a str,
    /// The segment.
    pub segment_id: &'a Arc<str>,
    /// Which way.
    pub change: ChangeKind,
    /// When.
    pub at: Millis,
    /// The segment's version.
    pub version: u64,
    /// Why.
    pub cause: Cause,
}

/// Reads the changes of a tick; `None` where the bytes are none.
pub fn decode(bytes: &[u8]) -> Option<Vec<MembershipChange>> {
    let mut changes: Vec<MembershipChange> = Vec::new();
    visit(bytes, &mut |change| {
        let before = changes.last().map(|before| &before.user_id).filter(|before| ***before == *change.user_id);
        let user_id = before.cloned().unwrap_or_else(|| Arc::from(change.user_id));
        let ChangeRef { segment_id, change, at, version, cause, .. } = change;
        changes.push(MembershipChange { user_id, segment_id: segment_id.clone(), change, at, version, cause });
        ControlFlow::Continue(())
    })?;
    Some(changes)
}

/// Visits the changes of a tick in their order, until `take` breaks off; `None` where the bytes are none.
pub fn visit(mut bytes: &[u8], take: &mut dyn FnMut(ChangeRef<'_>) -> ControlFlow<()>) -> Option<()> {
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let (block, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        bytes = rest;
        if visit_block(block, take)?.is_break() {
            break;
        }
    }
    Some(())
}

fn visit_block(mut block: &[u8], take: &mut dyn FnMut(ChangeRef<'_>) -> ControlFlow<()>) -> Option<ControlFlow<()>> {
    let block = &mut block;
    let mut segments: Vec<(Arc<str>, u64)> = Vec::new();
    for _ in 0..take_number(block)? {
        segments.push((Arc::from(take_text(block)?), take_number(block)?));
    }
    let mut before: Option<ChangeRef<'_>> = None;
    for _ in 0..take_number(block)? {
        let (flags, rest) = block.split_first()?;
        *block = rest;
        let (segment_id, version) = if flags & SAME_SEGMENT == 0 {
            let (segment, version) = segments.get(usize::try_from(take_number(block)?).ok()?)?;
            (segment, *version)
        } else {
            before.map(|before| (before.segment_id, before.version))?
        };
        let at = before.map_or(0, |before| before.at);
        let at = if flags & SAME_INSTANT == 0 {
            let step = take_number(block)?;
            at.wrapping_add((step >> 1) as Millis ^ -((step & 1) as Millis))
        } else {
            at
        };
        let user_id = if flags & SAME_USER == 0 { take_text(block)? } else { before?.user_id };
        let cause = cause_of(flags >> CAUSE_SHIFT)?;
        let change = if flags & ENTERED != 0 { ChangeKind::Entered } else { ChangeKind::Left };
        let change = ChangeRef { user_id, segment_id, change, at, version, cause };
        if take(change).is_break() {
            return Some(ControlFlow::Break(()));
        }
        before = Some(change);
    }
    block.is_empty().then_some(ControlFlow::Continue(()))
}

fn cause_number(cause: Cause) -> u8 {
    match cause {
        Cause::Event => 0,
        Cause::Time => 1,
        Cause::Rule => 2,
        Cause::Merge => 3,
        Cause::Erasure => 4,
    }
}

fn cause_of(number: u8) -> Option<Cause> {
    [Cause::Event, Cause::Time, Cause::Rule, Cause::Merge, Cause::Erasure].get(usize::from(number)).copied()
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_number(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(take_number(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_number(number, &mut bytes);
            assert_eq!(take_number(&mut &bytes[..]), Some(number));
            assert_eq!(take_number(&mut &bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for bytes in [&[1][..], &[9, 0, 0, 0, 0, 0, 0, 0, 1], &[2, 0, 0, 0, 0, 0, 0, 0, 0, 200]] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
        assert_eq!(decode(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Some(Vec::new()));
    }
}
