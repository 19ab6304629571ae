//! The format in which the change log holds the membership changes of a tick.
//!
//! A tick is any number of blocks, one after the other: one of each worker that has changes. The format is made for
//! millions of changes a second, and for an edit that moves half of all users: what a change shares with the one before it
//! is not written again.
//!
//! A block begins with eight bytes: the length of its rest in seven, little-endian, then its version. Version 0 has: the
//! number of segments, then the id and the version of each; the number of changes; then of each change a byte of flags and,
//! unless a flag says "as before", the segment's place in the block, the instant as a difference to the one before, and the
//! user's id. Numbers are LEB128, texts a length and bytes.
//!
//! Builds that knew no versions wrote the length in all eight bytes. No block is 2⁵⁶ bytes long, so the last of them was
//! always 0, and each of those blocks is one of version 0.

use std::ops::ControlFlow;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::{Cause, ChangeKind, MembershipChange};

/// The version that is written.
const VERSION: u8 = 0;

const ENTERED: u8 = 1;
const SAME_USER: u8 = 1 << 1;
const SAME_SEGMENT: u8 = 1 << 2;
const SAME_INSTANT: u8 = 1 << 3;
const CAUSE_SHIFT: u32 = 4;

/// Why bytes are not the changes of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangesError {
    /// They are no whole blocks.
    #[error("they cannot be decoded")]
    Damaged,
    /// A later build wrote them.
    #[error("they have format {0}, and this build reads format 0: start the build that wrote them")]
    UnknownVersion(u8),
}

/// A membership change to encode. Its user and segment are numbers that its [`ChangeNames`] can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberedChange {
    /// The user.
    pub user: u32,
    /// The segment.
    pub segment: u32,
    /// Which way.
    pub change: ChangeKind,
    /// When, milliseconds.
    pub at: i64,
    /// Why.
    pub cause: Cause,
}

/// The names behind the numbers of changes.
pub trait ChangeNames {
    /// Returns a user's id.
    fn user(&self, number: u32) -> &str;

    /// Returns a segment's id, and its version in force.
    fn segment(&self, number: u32) -> (Arc<str>, u64);
}

/// Appends changes as one block; nothing if there are none.
pub fn encode(changes: impl ExactSizeIterator<Item = NumberedChange>, names: &impl ChangeNames, out: &mut Vec<u8>) {
    let count = changes.len();
    if count == 0 {
        return;
    }
    let mut places: HashMap<u32, u64> = HashMap::new();
    let mut segments: Vec<u32> = Vec::new();
    let mut body = Vec::with_capacity(12 * count);
    let mut before: Option<NumberedChange> = None;
    for change in changes {
        let mut flags = cause_number(change.cause) << CAUSE_SHIFT;
        for (flag, is_set) in [
            (ENTERED, change.change == ChangeKind::Entered),
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
            put_text(names.user(change.user), &mut body);
        }
        before = Some(change);
    }
    let start = out.len();
    out.extend_from_slice(&[0; 8]);
    put_number(segments.len() as u64, out);
    for segment in segments {
        let (id, version) = names.segment(segment);
        put_text(&id, out);
        put_number(version, out);
    }
    put_number(count as u64, out);
    out.append(&mut body);
    let length = (out.len() - start - 8) as u64;
    out[start..start + 8].copy_from_slice(&length.to_le_bytes());
    out[start + 7] = VERSION;
}

/// A membership change as it is read, borrowed from what it is read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeRef<'a> {
    /// The user.
    pub user_id: &'a str,
    /// The segment.
    pub segment_id: &'a Arc<str>,
    /// Which way.
    pub change: ChangeKind,
    /// When, milliseconds.
    pub at: i64,
    /// The segment's version.
    pub version: u64,
    /// Why.
    pub cause: Cause,
}

impl ChangeRef<'_> {
    /// Appends an owned copy. Changes of one user that follow each other share the user's id.
    pub fn append_to(self, changes: &mut Vec<MembershipChange>) {
        let ChangeRef { user_id, segment_id, change, at, version, cause } = self;
        let before = changes.last().map(|before| &before.user_id).filter(|before| ***before == *user_id);
        let user_id = before.cloned().unwrap_or_else(|| Arc::from(user_id));
        changes.push(MembershipChange { user_id, segment_id: segment_id.clone(), change, at, version, cause });
    }
}

/// Returns the changes of a tick.
pub fn decode(bytes: &[u8]) -> Result<Vec<MembershipChange>, ChangesError> {
    let mut changes: Vec<MembershipChange> = Vec::new();
    visit(bytes, &mut |change| {
        change.append_to(&mut changes);
        ControlFlow::Continue(())
    })?;
    Ok(changes)
}

/// Visits the changes of a tick in their order, until `take` breaks off. It has visited those before a fault.
pub fn visit(mut bytes: &[u8], take: &mut dyn FnMut(ChangeRef<'_>) -> ControlFlow<()>) -> Result<(), ChangesError> {
    while !bytes.is_empty() {
        let (head, rest) = bytes.split_first_chunk::<8>().ok_or(ChangesError::Damaged)?;
        let [length @ .., version] = *head;
        if version != VERSION {
            return Err(ChangesError::UnknownVersion(version));
        }
        let length = length.iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte));
        let block = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
        let (block, rest) = block.ok_or(ChangesError::Damaged)?;
        bytes = rest;
        if visit_block(block, take).ok_or(ChangesError::Damaged)?.is_break() {
            break;
        }
    }
    Ok(())
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
            at.wrapping_add((step >> 1) as i64 ^ -((step & 1) as i64))
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

    const CAUSES: [Cause; 5] = [Cause::Event, Cause::Time, Cause::Rule, Cause::Merge, Cause::Erasure];

    struct Named;

    impl ChangeNames for Named {
        fn user(&self, number: u32) -> &str {
            ["ann", "", "a user with a long id, and é"][number as usize]
        }

        fn segment(&self, number: u32) -> (Arc<str>, u64) {
            let (id, version) = [("s", 1), ("t", 300), ("u", u64::MAX)][number as usize];
            (id.into(), version)
        }
    }

    /// Every combination of what a change may share with the one before it, with every cause.
    fn changes() -> Vec<NumberedChange> {
        let numbers = 0..CAUSES.len() * 3 * 3 * 4;
        let of = |number: usize| {
            let (user, segment, at) = (number % 3, number / 3 % 3, [0, -1, i64::MAX, i64::MIN][number / 9 % 4]);
            let change = if number.is_multiple_of(2) { ChangeKind::Entered } else { ChangeKind::Left };
            let cause = CAUSES[number % CAUSES.len()];
            NumberedChange { user: user as u32, segment: segment as u32, change, at, cause }
        };
        // Each twice, so that a change shares all that it can with the one before it.
        numbers.flat_map(|number| [of(number), of(number)]).collect()
    }

    fn named(change: NumberedChange) -> MembershipChange {
        let NumberedChange { user, segment, change, at, cause } = change;
        let (segment, version) = Named.segment(segment);
        MembershipChange { user_id: Named.user(user).into(), segment_id: segment, change, at, version, cause }
    }

    #[test]
    fn changes_come_back_block_by_block() {
        let (changes, mut bytes) = (changes(), Vec::new());
        encode(std::iter::empty().collect::<Vec<_>>().into_iter(), &Named, &mut bytes);
        assert!(bytes.is_empty(), "no changes are no block");
        let (first, second) = changes.split_at(100);
        encode(first.iter().copied(), &Named, &mut bytes);
        encode(second.iter().copied(), &Named, &mut bytes);
        let expected: Vec<MembershipChange> = changes.into_iter().map(named).collect();
        assert_eq!(decode(&bytes), Ok(expected.clone()));
        let mut visited = 0;
        let broken_off = visit(&bytes, &mut |change| {
            assert_eq!(change.user_id, &*expected[visited].user_id);
            visited += 1;
            if visited < 150 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert_eq!((broken_off, visited), (Ok(()), 150));
    }

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
            assert_eq!(decode(bytes), Err(ChangesError::Damaged), "{bytes:?}");
        }
        assert_eq!(decode(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Ok(Vec::new()));
    }

    #[test]
    fn a_block_of_a_later_version_is_refused_as_one() {
        let mut bytes = Vec::new();
        encode(changes().into_iter(), &Named, &mut bytes);
        let first = decode(&bytes).unwrap().len();
        let block = bytes.clone();
        bytes.extend_from_slice(&block);
        bytes[block.len() + 7] = 1;
        assert_eq!(decode(&bytes), Err(ChangesError::UnknownVersion(1)));
        let mut visited = 0;
        let refused = visit(&bytes, &mut |_| {
            visited += 1;
            ControlFlow::Continue(())
        });
        assert_eq!((refused, visited), (Err(ChangesError::UnknownVersion(1)), first));
    }
}
