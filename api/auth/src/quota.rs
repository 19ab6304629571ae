//! Quotas a minute: requests of an address, of a key and of a tenant, and events of a tenant.
//!
//! Law: of each, never more than the quota passes in any minute. An address counts in this process; keys and tenants count in
//! the store that processes share. While that is away each process counts for itself, and nobody is refused for it.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use audience_contract::{QuotaAnswer, QuotaCounter, QuotaPolicy, QuotaStore, Result};
use audience_protocol::Tenant;
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::document::DEFAULT_TENANT;
use crate::door::{Identity, Principal};

/// Requests a minute where nothing else is set and callers must sign in.
pub const DEFAULT_QUOTA: u32 = 1_000;
/// The counters of one process at most; beyond, new keys share one.
const COUNTERS: usize = 50_000;
/// The counter that keys beyond the bound share.
const OTHERS: &str = "(others)";
/// The time for which a store that failed is not asked, in milliseconds.
const AWAY_MS: i64 = 1_000;

/// Numbers a minute: `None` for the default where callers must sign in and no bound at an open door; 0 for no bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct QuotaOptions {
    /// All callers of a tenant together.
    pub tenant: Option<u32>,
    /// One API key.
    pub key: Option<u32>,
    /// One address, before anybody is known; for IPv6 its network of 64 bits.
    pub address: Option<u32>,
    /// The events of a tenant, by HTTP; no bound by default.
    pub events: Option<u32>,
}

/// The measure that a request or its events are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaKind {
    /// The address from which it comes.
    Address,
    /// The key that it shows.
    Key,
    /// The tenant of its caller.
    Tenant,
    /// The events in it, of the tenant of its caller.
    Events,
}

impl QuotaKind {
    /// The name, for headers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            QuotaKind::Address => "address",
            QuotaKind::Key => "key",
            QuotaKind::Tenant => "tenant",
            QuotaKind::Events => "events",
        }
    }

    /// The things that are counted.
    pub const fn unit(self) -> &'static str {
        match self {
            QuotaKind::Events => "events",
            _ => "requests",
        }
    }
}

/// A quota that a request was counted by, as it stands after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The measure.
    pub kind: QuotaKind,
    /// The quota.
    pub policy: QuotaPolicy,
    /// Its answer.
    pub answer: QuotaAnswer,
}

/// Counters of this process alone.
pub struct MemoryQuota {
    clock: fn() -> i64,
    counters: Mutex<Counters>,
}

#[derive(Default)]
struct Counters {
    by_key: HashMap<String, (QuotaPolicy, QuotaCounter)>,
    /// The sub-window in which ended ones were last looked for.
    swept: u64,
}

impl MemoryQuota {
    /// Counters on a clock of epoch milliseconds.
    pub fn new(clock: fn() -> i64) -> MemoryQuota {
        MemoryQuota { clock, counters: Mutex::default() }
    }
}

impl Counters {
    /// Makes room where there is none: at most once a sub-window, since it looks at all of them.
    fn sweep(&mut self, now: u64, policy: QuotaPolicy) {
        let present = now / policy.sub_window_ms();
        if self.by_key.len() >= COUNTERS && std::mem::replace(&mut self.swept, present) != present {
            self.by_key.retain(|_, (policy, counter)| !counter.is_empty_at(now, *policy));
        }
    }
}

impl QuotaStore for MemoryQuota {
    fn name(&self) -> &'static str {
        "memory"
    }

    fn take(&self, key: &str, count: u32, policy: QuotaPolicy) -> Result<QuotaAnswer> {
        let now = u64::try_from((self.clock)()).unwrap_or(0);
        let mut counters = self.counters.lock();
        counters.sweep(now, policy);
        let is_full = counters.by_key.len() >= COUNTERS && !counters.by_key.contains_key(key);
        let key = if is_full { OTHERS } else { key };
        if !counters.by_key.contains_key(key) {
            counters.by_key.insert(key.to_owned(), (policy, QuotaCounter::default()));
        }
        let counter = counters.by_key.get_mut(key);
        let taken = counter.map(|(_, counter)| counter.take(now, count, policy));
        Ok(taken.unwrap_or(QuotaAnswer { is_granted: true, left: 0, reset_ms: 0 }))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QuotaLabel {
    quota: &'static str,
}

/// The quotas of a process.
pub struct Quotas {
    options: QuotaOptions,
    local: MemoryQuota,
    shared: Option<Arc<dyn QuotaStore>>,
    /// The instant until which the shared store is not asked.
    away_until: AtomicI64,
    clock: fn() -> i64,
    registry: Registry,
    refused: Family<QuotaLabel, Counter>,
    errors: Counter,
}

impl fmt::Debug for Quotas {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Quotas").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Quotas {
    /// Quotas that count in a store that processes share, or in this process alone.
    pub fn new(options: QuotaOptions, shared: Option<Arc<dyn QuotaStore>>, clock: fn() -> i64) -> Quotas {
        let (refused, errors) = (Family::<QuotaLabel, Counter>::default(), Counter::default());
        let mut registry = Registry::with_prefix("audience_quota");
        registry.register("refused", "Requests beyond a quota, by quota", refused.clone());
        let help = "Questions to the shared store of quotas that failed; this process counted for itself";
        registry.register("store_errors", help, errors.clone());
        for kind in [QuotaKind::Address, QuotaKind::Key, QuotaKind::Tenant, QuotaKind::Events] {
            drop(refused.get_or_create(&QuotaLabel { quota: kind.name() }));
        }
        let (local, away_until) = (MemoryQuota::new(clock), AtomicI64::new(0));
        Quotas { options, local, shared, away_until, clock, registry, refused, errors }
    }

    /// Returns whether [`count`](Self::count) may wait for a server.
    pub fn may_wait(&self) -> bool {
        self.shared.is_some()
    }

    /// Counts a request by its address; `None` where that has no quota. Waits for nothing.
    pub fn count_address(&self, address: Option<IpAddr>, is_open: bool) -> Option<Counted> {
        let policy = policy(self.options.address, is_open)?;
        let answer = self.local.take(&format!("address:{}", network(address?)), 1, policy);
        self.counted(QuotaKind::Address, policy, answer)
    }

    /// Counts a request of somebody who was let in: by the key, then by the tenant, which may have a quota of its own. Ends with
    /// the first that is used up.
    pub fn count(&self, principal: &Principal, own: Option<u32>, is_open: bool) -> Vec<Counted> {
        let key = match principal.identity() {
            Identity::Key(key) => Some((QuotaKind::Key, self.options.key, format!("key:{}", key.id))),
            _ => None,
        };
        let tenant = (QuotaKind::Tenant, own.or(self.options.tenant), format!("tenant:{}", principal.tenant().id()));
        let mut counted = Vec::new();
        for (kind, most, name) in key.into_iter().chain([tenant]) {
            let Some(policy) = policy(most, is_open) else { continue };
            let one = self.counted(kind, policy, self.take(&name, 1, policy));
            let is_over = one.is_some_and(|one| !one.answer.is_granted);
            counted.extend(one);
            if is_over {
                break;
            }
        }
        counted
    }

    /// Counts events of a tenant (`default` where none is named), all or none; `None` where nothing bounds them. May wait for a
    /// server.
    pub fn count_events(&self, tenant: Option<&Tenant>, own: Option<u32>, count: u32) -> Option<Counted> {
        let policy = policy(own.or(self.options.events).or(Some(0)), false)?;
        let name = format!("events:{}", tenant.map_or(DEFAULT_TENANT, Tenant::id));
        self.counted(QuotaKind::Events, policy, self.take(&name, count, policy))
    }

    fn take(&self, name: &str, count: u32, policy: QuotaPolicy) -> Result<QuotaAnswer> {
        let now = (self.clock)();
        if let Some(shared) = self.shared.as_ref().filter(|_| now >= self.away_until.load(Ordering::Relaxed)) {
            match shared.take(name, count, policy) {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let was_away = self.away_until.swap(now + AWAY_MS, Ordering::Relaxed);
                    if now - was_away > AWAY_MS {
                        tracing::warn!(store = shared.name(), %error, "Quotas are counted by this process alone");
                    }
                    self.errors.inc();
                }
            }
        }
        self.local.take(name, count, policy)
    }

    fn counted(&self, kind: QuotaKind, policy: QuotaPolicy, answer: Result<QuotaAnswer>) -> Option<Counted> {
        let answer = answer.ok()?;
        if !answer.is_granted {
            self.refused.get_or_create(&QuotaLabel { quota: kind.name() }).inc();
        }
        Some(Counted { kind, policy, answer })
    }

    /// The figures as OpenMetrics text without its end mark.
    pub fn figures(&self) -> String {
        let mut text = String::new();
        // Writing to a text does not fail.
        let _ = encode_registry(&mut text, &self.registry);
        text
    }
}

fn policy(most: Option<u32>, is_open: bool) -> Option<QuotaPolicy> {
    let most = most.unwrap_or(if is_open { 0 } else { DEFAULT_QUOTA });
    (most > 0).then(|| QuotaPolicy::per_minute(most))
}

/// The address as one that others cannot vary: who has one address of IPv6 has the 64 bits of its network.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use audience_contract::StoreError;

    use super::*;
    use crate::door;

    /// A store that is away.
    struct Away;

    impl QuotaStore for Away {
        fn name(&self) -> &'static str {
            "away"
        }

        fn take(&self, _: &str, _: u32, _: QuotaPolicy) -> Result<QuotaAnswer> {
            Err(StoreError::Unavailable { action: "taking", detail: "it is away".to_owned() })
        }
    }

    fn quotas(options: QuotaOptions, shared: Option<Arc<dyn QuotaStore>>) -> Quotas {
        Quotas::new(options, shared, || 1_704_067_200_000)
    }

    #[test]
    fn an_open_door_has_no_quota_but_one_that_is_set() {
        let host = Principal::of_host();
        let local = Some(IpAddr::from([127, 0, 0, 1]));
        let default = quotas(QuotaOptions::default(), None);
        assert!(default.count(&host, None, true).is_empty() && default.count_address(local, true).is_none());
        assert_eq!(default.count(&host, None, false)[0].policy.most, DEFAULT_QUOTA);
        let set = quotas(QuotaOptions { tenant: Some(2), address: Some(0), ..QuotaOptions::default() }, None);
        assert!(set.count_address(local, false).is_none());
        let granted = |_| set.count(&host, None, true).iter().all(|counted| counted.answer.is_granted);
        assert_eq!([0, 1, 2].map(granted), [true, true, false]);
        assert!(set.figures().contains("audience_quota_refused_total{quota=\"tenant\"} 1"), "{}", set.figures());
    }

    #[test]
    fn without_its_store_a_process_counts_for_itself() {
        let quotas = quotas(QuotaOptions { tenant: Some(3), ..QuotaOptions::default() }, Some(Arc::new(Away)));
        let granted = (0..5).filter(|_| quotas.count(&Principal::of_host(), None, true)[0].answer.is_granted).count();
        assert_eq!(granted, 3);
        let text = quotas.figures();
        assert!(text.contains("audience_quota_store_errors_total 1"), "it is left alone for a second: {text}");
    }

    #[test]
    fn a_flood_of_keys_fills_no_memory_and_passes_no_more() {
        let memory = MemoryQuota::new(|| 1_704_067_200_000);
        let policy = QuotaPolicy::per_minute(1);
        let granted =
            (0..COUNTERS + 500).filter(|key| memory.take(&key.to_string(), 1, policy).unwrap().is_granted).count();
        assert_eq!(granted, COUNTERS + 1, "those beyond share one counter");
        assert!(memory.counters.lock().by_key.len() <= COUNTERS + 1);
    }

    #[test]
    fn events_have_a_quota_where_one_is_set() {
        let unbound = quotas(QuotaOptions::default(), None);
        assert!(unbound.count_events(None, None, 1_000_000).is_none());
        let set = quotas(QuotaOptions { events: Some(10), ..QuotaOptions::default() }, None);
        let of = |id: &str| door::tenant(id);
        let granted =
            |id, own, count| set.count_events(Some(&of(id)), own, count).is_none_or(|one| one.answer.is_granted);
        assert!(granted("acme", None, 8) && !granted("acme", None, 3) && granted("acme", None, 2), "all or none");
        assert!(granted("blue", None, 10), "each tenant has its own");
        assert!(granted("vast", Some(0), 100) && !granted("tiny", Some(1), 2), "a number of its own goes first");
        assert!(set.figures().contains("audience_quota_refused_total{quota=\"events\"} 2"), "{}", set.figures());
    }

    #[test]
    fn networks_of_ipv6_count_as_one() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!((of("::ffff:192.0.2.1"), of("192.0.2.1")), ("192.0.2.1".to_owned(), "192.0.2.1".to_owned()));
    }
}
