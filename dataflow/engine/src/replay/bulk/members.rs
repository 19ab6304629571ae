//! The membership of all workers as lines `user TAB segment`, sorted by bytes. A TAB, a line end or a backslash in an id is
//! written as `\t`, `\n`, `\r` or `\\`.

use std::io::{self, Write};
use std::sync::Arc;

use audience_kernel::membership::Membership;
use parking_lot::RwLock;

/// Segments of one worker's users: `segments[starts[user]..starts[user + 1]]`, by their place in the list of segments.
struct MemberRows {
    starts: Vec<usize>,
    segments: Vec<u32>,
}

/// Writes it. Memory: 4 bytes a membership.
pub fn write_members(memberships: &[Arc<RwLock<Membership>>], out: &mut dyn Write) -> io::Result<()> {
    let guards: Vec<_> = memberships.iter().map(|membership| membership.read()).collect();
    let mut segments: Vec<Arc<str>> = guards.iter().flat_map(|guard| guard.segments.keys().cloned()).collect();
    segments.sort_unstable();
    segments.dedup();
    let rows: Vec<MemberRows> = guards.iter().map(|guard| MemberRows::of(guard, &segments)).collect();
    let mut users: Vec<(usize, u32)> = Vec::new();
    for (worker, rows) in rows.iter().enumerate() {
        users.extend(
            (0..rows.starts.len() as u32 - 1).filter(|slot| !rows.of_user(*slot).is_empty()).map(|s| (worker, s)),
        );
    }
    let id = |(worker, slot): (usize, u32)| guards[worker].users.id(slot);
    let lines_of = |user: (usize, u32)| {
        let segments = rows[user.0].of_user(user.1).iter().map(|segment| &*segments[*segment as usize]);
        segments.map(move |segment| (id(user), segment))
    };
    if users.iter().any(|user| has_signs(id(*user))) {
        // Then lines stand in another order than ids.
        let lines = users.iter().flat_map(|user| lines_of(*user));
        let mut lines: Vec<String> = lines.map(|(user, segment)| member_line(user, segment)).collect();
        lines.sort_unstable();
        return lines.iter().try_for_each(|line| writeln!(out, "{line}"));
    }
    // What stands behind an id in a line is the TAB.
    users.sort_unstable_by(|left, right| id(*left).bytes().chain([b'\t']).cmp(id(*right).bytes().chain([b'\t'])));
    let mut line = Vec::new();
    for (user, segment) in users.into_iter().flat_map(lines_of) {
        line.clear();
        for part in [user, "\t", segment, "\n"] {
            line.extend_from_slice(part.as_bytes());
        }
        out.write_all(&line)?;
    }
    Ok(())
}

/// Returns whether an id has a sign that a line cannot have as it is.
fn has_signs(id: &str) -> bool {
    id.bytes().any(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b'\\'))
}

/// The line of a membership, without its end.
pub fn member_line(user: &str, segment: &str) -> String {
    let mut line = String::with_capacity(user.len() + segment.len() + 1);
    for sign in user.chars() {
        match sign {
            '\t' => line.push_str("\\t"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\\' => line.push_str("\\\\"),
            other => line.push(other),
        }
    }
    line.push('\t');
    line.push_str(segment);
    line
}

impl MemberRows {
    fn of(membership: &Membership, segments: &[Arc<str>]) -> MemberRows {
        let bitmap = |segment: &Arc<str>| membership.segments.get(segment).map(|bitmap| membership.bitmap(*bitmap));
        let mut starts = vec![0; membership.users.len() + 1];
        for slot in segments.iter().filter_map(bitmap).flatten() {
            starts[slot as usize + 1] += 1;
        }
        for slot in 1..starts.len() {
            starts[slot] += starts[slot - 1];
        }
        let mut rows = vec![0; starts.last().copied().unwrap_or(0)];
        let mut ends = starts.clone();
        for (index, segment) in segments.iter().enumerate() {
            for slot in bitmap(segment).into_iter().flatten() {
                let end = &mut ends[slot as usize];
                rows[*end] = index as u32;
                *end += 1;
            }
        }
        MemberRows { starts, segments: rows }
    }

    fn of_user(&self, slot: u32) -> &[u32] {
        &self.segments[self.starts[slot as usize]..self.starts[slot as usize + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_one_tab_whatever_the_id_has() {
        assert_eq!(member_line("u1", "s"), "u1\ts");
        assert_eq!(member_line("a\tb\nc\rd\\te", "s"), "a\\tb\\nc\\rd\\\\te\ts");
        assert!(!has_signs("é u1") && ["\t", "\n", "\r", "\\"].into_iter().all(has_signs));
    }
}
