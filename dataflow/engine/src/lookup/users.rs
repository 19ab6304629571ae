//! The users there are, and the events of one.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use audience_catalogue::unavailable;
use audience_protocol::{ListedUser, Page, PageLimit, PlatformError, ResourceKind, Result, UserEventQuery, UserQuery};
use audience_rules::ast::Millis;
use audience_rules::event::event_to_json;
use audience_rules::fault::Fault;
use hashbrown::HashSet;
use serde_json::value::RawValue;

use super::{Lookup, user};

/// Ids that are read before the worker may change them again.
const IDS_AT_A_TIME: u32 = 1 << 14;
/// The factor by which each round of a page takes more ids than the round before.
const GROWTH: usize = 8;
/// The most ids of a round.
const MAX_AT_ONCE: usize = 1 << 20;

impl Lookup {
    /// A page of known users, in order of their ids.
    pub(crate) fn list_users(&self, query: &UserQuery) -> Result<Page<ListedUser>> {
        let ids_after = |after: Option<&str>, limit| self.ids_after(&query.prefix, after, limit);
        page_of(query.limit, query.after.clone(), ids_after, |ids| self.sift(ids), |id| self.is_known(id))
    }

    /// The least ids that workers have a number for, known or not: those of lists and of users who are gone are among them.
    fn ids_after(&self, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        // Ids after the page are of no use.
        let mut greatest: Option<String> = None;
        for membership in self.engine.memberships() {
            let mut next = 0;
            loop {
                let membership = membership.read();
                let end = (membership.users.len() as u32).min(next + IDS_AT_A_TIME);
                let ids = (next..end).map(|slot| membership.users.id(slot));
                let fitting = ids.filter(|id| {
                    let is_behind = after.is_none_or(|after| *id > after);
                    id.starts_with(prefix) && is_behind && greatest.as_deref().is_none_or(|greatest| *id < greatest)
                });
                found.extend(fitting.map(str::to_owned));
                if end == membership.users.len() as u32 {
                    break;
                }
                next = end;
                if found.len() > limit {
                    keep_least(&mut found, limit);
                    greatest = found.iter().max().cloned();
                }
            }
        }
        keep_least(&mut found, limit);
        found.sort_unstable();
        found
    }

    /// Leaves out ids that are no users for certain, with one question to the log for all.
    fn sift(&self, ids: Vec<String>) -> Result<Vec<String>> {
        let mut names: Vec<(usize, String)> = Vec::with_capacity(ids.len());
        {
            let aliases = self.engine.aliases().read();
            let roots = ids.iter().enumerate().filter(|(_, id)| aliases.root(id).is_none());
            names.extend(roots.flat_map(|(at, id)| aliases.ids(id).into_iter().map(move |name| (at, name))));
        }
        let asked: Vec<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
        let may_name = self.events.may_name(&asked).map_err(unavailable)?;
        let mut may_be: Vec<bool> = vec![false; ids.len()];
        names.iter().zip(may_name).for_each(|((at, _), may_name)| may_be[*at] |= may_name);
        Ok(ids.into_iter().zip(may_be).filter_map(|(id, may_be)| may_be.then_some(id)).collect())
    }

    /// Returns whether each id is one of a known user, whom it may be merged into.
    pub(super) fn are_known(&self, ids: &[String]) -> Result<Vec<bool>> {
        let roots: Vec<String> = ids.iter().map(|id| self.root(id)).collect();
        let maybe: HashSet<String> = self.sift(roots.clone())?.into_iter().collect();
        roots.into_iter().map(|root| Ok(maybe.contains(&root) && self.is_known(&root)?)).collect()
    }

    /// Returns whether any event of a user counts who goes by this id.
    fn is_known(&self, id: &str) -> Result<bool> {
        let ids = {
            let aliases = self.engine.aliases().read();
            if aliases.root(id).is_some() {
                return Ok(false);
            }
            aliases.ids_since(id)
        };
        let known: Vec<&str> = ids.iter().map(|(id, _)| id.as_str()).collect();
        let log = &self.events;
        let mut is_known = false;
        log.visit_users(&known, log.end(), &mut |run| {
            is_known |= user::of_user(run, &ids).any(|record| record.kind().counts());
            if is_known { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .map_err(unavailable)?;
        Ok(is_known)
    }

    /// A page of a user's events, the newest first.
    pub(crate) fn events_of(&self, id: &str, query: &UserEventQuery) -> Result<Page<Box<RawValue>>> {
        let before = query.after.as_deref().map(place).transpose()?;
        let root = self.root(id);
        let ids = self.engine.aliases().read().ids_since(&root);
        let known: Vec<&str> = ids.iter().map(|(id, _)| id.as_str()).collect();
        let log = &self.events;
        // The newest so far, and one more that says whether there is another page.
        let mut newest: BTreeMap<(Millis, u64), Vec<u8>> = BTreeMap::new();
        let mut is_known = false;
        log.visit_users(&known, log.end(), &mut |run| {
            for record in user::of_user(run, &ids) {
                is_known = true;
                let at = (record.timestamp(), record.sequence());
                let is_asked = query.event_type.as_deref().is_none_or(|asked| asked == record.event_type());
                let is_behind = before.is_none_or(|before| at < before);
                let is_new = newest.len() < query.limit.and_one()
                    || newest.first_key_value().is_some_and(|(least, _)| at > *least);
                if is_asked && is_behind && is_new {
                    newest.insert(at, event_to_json(&record).into_bytes());
                }
                if newest.len() > query.limit.and_one() {
                    newest.pop_first();
                }
            }
            ControlFlow::Continue(())
        })
        .map_err(unavailable)?;
        if !is_known {
            return Err(PlatformError::NotFound { kind: ResourceKind::User, id: id.to_owned() });
        }
        let has_more = newest.len() > query.limit.items();
        if has_more {
            newest.pop_first();
        }
        let next_cursor =
            newest.first_key_value().filter(|_| has_more).map(|((time, sequence), _)| format!("{time}-{sequence}"));
        let texts = newest.into_values().rev().filter_map(|text| String::from_utf8(text).ok());
        Ok(Page { items: texts.filter_map(|text| RawValue::from_string(text).ok()).collect(), next_cursor })
    }
}

/// A page of those ids that are known. Where many are not, as those of a long list may be, few rounds go through all of
/// them: each takes more than the one before. So that not each of them is looked for by itself, those of all rounds but the
/// first, after which there are many, are sifted.
fn page_of(
    limit: PageLimit,
    mut after: Option<String>,
    ids_after: impl Fn(Option<&str>, usize) -> Vec<String>,
    sift: impl Fn(Vec<String>) -> Result<Vec<String>>,
    is_known: impl Fn(&str) -> Result<bool>,
) -> Result<Page<ListedUser>> {
    let mut items = Vec::new();
    let (mut is_first, mut at_once) = (true, limit.and_one());
    loop {
        let ids = ids_after(after.as_deref(), at_once);
        let is_last = ids.len() < at_once;
        at_once = (at_once * GROWTH).min(MAX_AT_ONCE).max(at_once);
        after = ids.last().cloned();
        for id in if std::mem::take(&mut is_first) { ids } else { sift(ids)? } {
            if !is_known(&id)? {
                continue;
            }
            items.push(ListedUser { user_id: id });
            if items.len() == limit.and_one() {
                return Ok(Page::of_first(items, limit, |user| user.user_id.clone()));
            }
        }
        if is_last {
            return Ok(Page { items, next_cursor: None });
        }
    }
}

/// The place that a cursor names.
fn place(cursor: &str) -> Result<(Millis, u64)> {
    let parts = cursor.split_once('-').and_then(|(time, sequence)| Some((time.parse().ok()?, sequence.parse().ok()?)));
    let fault = || Fault::whole("invalid_parameter", "cursor is not one that a page of events gave");
    parts.ok_or_else(|| PlatformError::Invalid(vec![fault()]))
}

fn keep_least(ids: &mut Vec<String>, limit: usize) {
    if ids.len() > limit {
        ids.select_nth_unstable(limit);
        ids.truncate(limit);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn a_page_goes_through_many_who_are_not_known_in_few_rounds() {
        let all: Vec<String> = (0..100_000).map(|number| format!("{number:06}")).collect();
        let (rounds, looked_for) = (Cell::new(0), Cell::new(0));
        let page = |limit, after: Option<&str>, known: &[&str]| {
            rounds.set(0);
            looked_for.set(0);
            let ids_after = |after: Option<&str>, limit| {
                rounds.set(rounds.get() + 1);
                let fitting = all.iter().filter(|id| after.is_none_or(|after| id.as_str() > after));
                fitting.take(limit).cloned().collect()
            };
            // Some who are not known are not left out either.
            let sift = |ids: Vec<String>| {
                Ok(ids.into_iter().filter(|id| known.contains(&id.as_str()) || id.ends_with("7777")).collect())
            };
            let is_known = |id: &str| {
                looked_for.set(looked_for.get() + 1);
                Ok(known.contains(&id))
            };
            let page =
                page_of(PageLimit::new(limit).unwrap(), after.map(str::to_owned), ids_after, sift, is_known).unwrap();
            let ids: Vec<String> = page.items.into_iter().map(|user| user.user_id).collect();
            (ids.join(" "), page.next_cursor, rounds.get())
        };
        let (ids, next, rounds) = page(50, None, &[]);
        assert!(ids.is_empty() && next.is_none() && rounds <= 5, "{rounds} rounds");
        assert_eq!(looked_for.get(), 51 + 10, "the first round, and of the others those who may be known");
        let known = ["000003", "054321", "099999"];
        let (ids, next, rounds) = page(2, None, &known);
        assert_eq!((&*ids, next.as_deref()), ("000003 054321", Some("054321")));
        assert!(rounds <= 7, "{rounds} rounds");
        assert_eq!(page(2, Some("054321"), &known).0, "099999");
        assert_eq!(page(3, None, &known).1, None);
    }
}
