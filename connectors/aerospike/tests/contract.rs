//! Sinks and reader hold the contract, against a real Aerospike: `AUDIENCE_TEST_AEROSPIKE=host:port`, with the namespaces
//! `user_profiles` and `segment_ownership`.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::process;

use aerospike::query::PartitionFilter;
use aerospike::{Bin, Bins, Client, ClientPolicy, Key, QueryPolicy, ReadPolicy, Statement, Value, WritePolicy};
use audience_aerospike::{
    AerospikeProfiles, AerospikeReader, AerospikeSettings, AerospikeSink, AerospikeSizes, StoreSettings,
};
use audience_contract::suite::{self, StoredProfiles, SuiteMembers};
use audience_contract::{
    Cause, ChangeKind, MembershipChange, ProfileStore, Progress, Reach, ServingStore, Sink, SinkError, SizeSample,
    SizeStore,
};
use futures_util::StreamExt;
use serde_json::Value as Json;
use tokio::runtime::Runtime;

const SINCE: i64 = 1_700_000_000_123;

fn hosts() -> String {
    std::env::var("AUDIENCE_TEST_AEROSPIKE").unwrap_or_else(|_| panic!("AUDIENCE_TEST_AEROSPIKE=host:port is not set"))
}

/// AerospikeSettings with sets of their own.
fn settings(name: &str) -> AerospikeSettings {
    let mut settings = AerospikeSettings::of(&hosts());
    let prefix = format!("test-{name}-{}-", process::id());
    settings.user_profiles.prefix.clone_from(&prefix);
    settings.segment_ownership.prefix.clone_from(&prefix);
    settings.analytics.prefix = prefix;
    // Few, so that some users share one.
    settings.chunks = 16;
    settings
}

/// Reads sets as somebody does who knows only the page of this crate.
struct Stranger {
    runtime: Runtime,
    client: Client,
}

impl Stranger {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let client = runtime.block_on(Client::new(&ClientPolicy::default(), &hosts())).unwrap();
        Stranger { runtime, client }
    }

    /// The keys and one bin of every record of a set.
    fn all(&self, namespace: &str, set: &str, bin: &str) -> Vec<(String, Value)> {
        self.runtime.block_on(async {
            let statement = Statement::new(namespace, set, Bins::from([bin]));
            let policy = QueryPolicy::default();
            let mut found = self.client.query(&policy, PartitionFilter::all(), statement).await.unwrap().into_stream();
            let mut all = Vec::new();
            while let Some(record) = found.next().await {
                let mut record = record.unwrap();
                let key = record.key.as_ref().unwrap().user_key().unwrap().to_string();
                if let Some(value) = record.bins.swap_remove(bin) {
                    all.push((key, value));
                }
            }
            all
        })
    }

    /// The memberships by user; checks that those by segment are the same.
    fn read(&self, settings: &AerospikeSettings) -> SuiteMembers {
        let (mut by_user, mut by_segment) = (BTreeSet::new(), BTreeSet::new());
        let profiles = &settings.user_profiles;
        for (user, segments) in self.all(&profiles.namespace, &format!("{}segments", profiles.prefix), "segments") {
            let Value::SortedMap(segments) = segments else { panic!("{segments:?} is no map in order") };
            for (segment, value) in segments {
                assert_eq!(value, Value::List(vec![Value::Int(SINCE), Value::Int(2)]), "since when, and the version");
                by_user.insert((user.clone(), segment.to_string()));
            }
        }
        let ownership = &settings.segment_ownership;
        for (key, users) in self.all(&ownership.namespace, &format!("{}members", ownership.prefix), "users") {
            let (segment, chunk) = key.rsplit_once('/').unwrap();
            assert!(chunk.parse::<u32>().unwrap() < settings.chunks, "{key}");
            let Value::List(users) = users else { panic!("{users:?} is no list") };
            for user in users {
                assert!(by_segment.insert((user.to_string(), segment.to_owned())), "{user} is twice in {key}");
            }
        }
        assert_eq!(by_user, by_segment);
        by_user
    }

    /// The profiles by user.
    fn profiles(&self, settings: &AerospikeSettings) -> StoredProfiles {
        let (namespace, set) = (&settings.user_profiles.namespace, format!("{}profile", settings.user_profiles.prefix));
        let bin = |name: &str| self.all(namespace, &set, name).into_iter().collect::<BTreeMap<String, Value>>();
        let (mut traits, mut computed) = (bin("traits"), bin("computed"));
        let profile = |(user, at): (String, Value)| {
            let Value::Int(at) = at else { panic!("{at:?} is no instant") };
            let [traits, computed] = [&mut traits, &mut computed].map(|bins| json(&bins.remove(&user).unwrap()));
            (user, (at, traits, computed))
        };
        let profiles = bin("at").into_iter().map(profile).collect();
        assert_eq!((traits.len(), computed.len()), (0, 0), "of some record only a part is there");
        profiles
    }

    /// The sizes of segments; checks that each is in the record of its day.
    fn sizes(&self, settings: &AerospikeSettings) -> BTreeSet<SizeSample> {
        let (analytics, mut samples) = (&settings.analytics, BTreeSet::new());
        for (key, sizes) in self.all(&analytics.namespace, &format!("{}sizes", analytics.prefix), "sizes") {
            let (segment, day) = key.rsplit_once('/').unwrap();
            let Value::SortedMap(sizes) = sizes else { panic!("{sizes:?} is no map in order") };
            for (at, size) in sizes {
                let (Value::Int(at), Value::Int(size)) = (at, size) else { panic!("no numbers in {key}") };
                assert_eq!(at.div_euclid(86_400_000), day.parse::<i64>().unwrap(), "{key}");
                assert!(samples.insert(SizeSample { segment_id: segment.into(), at, size: size as u64 }));
            }
        }
        samples
    }
}

/// A value as it is in JSON.
fn json(value: &Value) -> Json {
    match value {
        Value::Nil => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => f64::from(number).into(),
        Value::String(text) => text.clone().into(),
        Value::List(values) => values.iter().map(json).collect(),
        Value::SortedMap(map) => map.iter().map(|(name, value)| (name.to_string(), json(value))).collect(),
        other => panic!("{other:?} is no plain value"),
    }
}

/// A record that tells how far a writer has come.
struct WriterMark<'a> {
    stranger: &'a Stranger,
    key: Key,
}

impl<'a> WriterMark<'a> {
    fn new(stranger: &'a Stranger, store: &StoreSettings, key: &str) -> Self {
        let key = Key::new(&*store.namespace, format!("{}progress", store.prefix), Value::from(key)).unwrap();
        WriterMark { stranger, key }
    }

    fn bins(&self) -> Vec<Bin> {
        let Stranger { runtime, client } = self.stranger;
        let record = runtime.block_on(client.get(&ReadPolicy::default(), &self.key, Bins::All)).unwrap();
        record.bins.into_iter().map(|(name, value)| Bin::new(&name, value)).collect()
    }

    fn put(&self, bins: &[Bin]) {
        let Stranger { runtime, client } = self.stranger;
        runtime.block_on(client.put(&WritePolicy::default(), &self.key, bins)).unwrap();
    }

    fn delete(&self) {
        let Stranger { runtime, client } = self.stranger;
        runtime.block_on(client.delete(&WritePolicy::default(), &self.key)).unwrap();
    }
}

fn change(user: &str, change: ChangeKind, cause: Cause) -> MembershipChange {
    MembershipChange { user_id: user.into(), segment_id: "s".into(), change, at: SINCE, version: 2, cause }
}

fn reach(tick: u64) -> Reach {
    Reach::All(Progress { tick, ..Progress::default() })
}

#[test]
#[ignore = "needs AUDIENCE_TEST_AEROSPIKE"]
fn sink() {
    let (settings, stranger) = (settings("suite"), Stranger::new());
    suite::sink(&mut || Box::new(AerospikeSink::new(settings.clone()).unwrap()), &mut || stranger.read(&settings));
}

#[test]
#[ignore = "needs AUDIENCE_TEST_AEROSPIKE"]
fn serving_store() {
    let settings = settings("reader");
    let mut sink = AerospikeSink::new(settings.clone()).unwrap();
    suite::serving_store(&mut sink, &AerospikeReader::new(settings).unwrap());
}

#[test]
#[ignore = "needs AUDIENCE_TEST_AEROSPIKE"]
fn size_store() {
    let (settings, stranger) = (settings("sizes"), Stranger::new());
    suite::size_store(&mut || Box::new(AerospikeSizes::new(settings.clone()).unwrap()), &mut || {
        stranger.sizes(&settings)
    });
}

#[test]
#[ignore = "needs AUDIENCE_TEST_AEROSPIKE"]
fn profile_store() {
    let (settings, stranger) = (settings("profiles"), Stranger::new());
    suite::profile_store(&mut || Box::new(AerospikeProfiles::new(settings.clone()).unwrap()), &mut || {
        stranger.profiles(&settings)
    });
}

/// An earlier writer that has looked, and is then overtaken, does not write over what the later one wrote.
#[test]
#[ignore = "needs AUDIENCE_TEST_AEROSPIKE"]
fn each_record_takes_nothing_from_an_earlier_writer() {
    let (settings, stranger) = (settings("fence"), Stranger::new());
    let mut early = AerospikeSink::new(settings.clone()).unwrap();
    early.open().unwrap();
    early.write(&reach(1), &[change("ann", ChangeKind::Entered, Cause::Event)]).unwrap();
    // Another writer of the same sets: that of "ann" now, without the first one's being told by its own record.
    let mut late = AerospikeSink::new(AerospikeSettings { writer: "other".to_owned(), ..settings.clone() }).unwrap();
    late.open().unwrap();
    late.write(&reach(2), &[change("ann", ChangeKind::Entered, Cause::Rule)]).unwrap();
    let refused = early.write(&reach(2), &[change("ann", ChangeKind::Left, Cause::Event)]);
    assert!(matches!(refused, Err(SinkError::Corrupt { .. })), "{refused:?}");
    assert_eq!(stranger.read(&settings), [("ann".to_owned(), "s".to_owned())].into());
    assert_eq!(early.open().unwrap(), Some(reach(1)), "nothing is skipped");
}

/// A record that somebody wrote without an epoch, or with one that is no number, is changed and cleared as any other.
#[test]
#[ignore = "needs AUDIENCE_TEST_AEROSPIKE"]
fn records_that_others_wrote_are_changed_and_cleared() {
    let (settings, stranger) = (settings("foreign"), Stranger::new());
    let mut sink = AerospikeSink::new(settings.clone()).unwrap();
    sink.open().unwrap();
    let set = format!("{}segments", settings.user_profiles.prefix);
    let by_hand = |user: &str, epoch: Option<&str>| {
        let key = Key::new(&*settings.user_profiles.namespace, &*set, Value::from(user)).unwrap();
        let held = Value::List(vec![Value::Int(SINCE), Value::Int(2)]);
        let segments = Value::SortedMap(BTreeMap::from([(Value::from("old"), held)]));
        let bins: Vec<Bin> = std::iter::once(Bin::new("segments", segments))
            .chain(epoch.map(|epoch| Bin::new("epoch", Value::from(epoch))))
            .collect();
        let policy = WritePolicy { send_key: true, ..WritePolicy::default() };
        stranger.runtime.block_on(stranger.client.put(&policy, &key, &bins)).unwrap();
    };
    let segments = || stranger.all(&settings.user_profiles.namespace, &set, "segments");
    by_hand("ann", None);
    by_hand("bob", Some("none"));
    by_hand("cid", None);
    sink.write(&reach(1), &[change("ann", ChangeKind::Entered, Cause::Event)]).unwrap();
    let held = segments().into_iter().find(|(user, _)| user == "ann").unwrap().1;
    assert!(matches!(&held, Value::SortedMap(held) if held.len() == 2), "{held:?}");
    sink.clear(Progress::default(), &|_| true).unwrap();
    for (user, held) in segments() {
        assert_eq!(held, Value::SortedMap(BTreeMap::new()), "{user} is in nothing");
    }
}

#[test]
#[ignore = "needs AUDIENCE_TEST_AEROSPIKE"]
fn of_an_erased_user_no_record_stays() {
    let (settings, stranger) = (settings("erased"), Stranger::new());
    let mut sink = AerospikeSink::new(settings.clone()).unwrap();
    sink.open().unwrap();
    let users = ["ann", "bob", "cid"];
    let entered: Vec<_> = users.iter().map(|user| change(user, ChangeKind::Entered, Cause::Event)).collect();
    sink.write(&reach(1), &entered).unwrap();
    let then = [
        change("ann", ChangeKind::Left, Cause::Erasure),
        change("bob", ChangeKind::Left, Cause::Event),
        change("cid", ChangeKind::Left, Cause::Erasure),
        change("cid", ChangeKind::Entered, Cause::Event),
    ];
    sink.write(&reach(2), &then).unwrap();
    let set = format!("{}segments", settings.user_profiles.prefix);
    let kept = stranger.all(&settings.user_profiles.namespace, &set, "epoch");
    let kept: BTreeSet<&str> = kept.iter().map(|(user, _)| user.as_str()).collect();
    assert_eq!(kept, ["bob", "cid"].into(), "an empty record of bob, and one of cid who came again");
    assert_eq!(stranger.read(&settings).len(), 1);
}

#[test]
#[ignore = "needs AUDIENCE_TEST_AEROSPIKE"]
fn other_chunks_are_refused() {
    let settings = settings("chunks");
    let mut sink = AerospikeSink::new(settings.clone()).unwrap();
    sink.open().unwrap();
    sink.write(&reach(1), &[]).unwrap();
    let mut other = AerospikeSink::new(AerospikeSettings { chunks: 17, ..settings.clone() }).unwrap();
    let refused = other.open();
    assert!(matches!(&refused, Err(SinkError::Fatal(detail)) if detail.contains("16")), "{refused:?}");
}

/// A record that holds something else there is a fault of the data; the rest of the write may be there, the reach is not.
#[test]
#[ignore = "needs AUDIENCE_TEST_AEROSPIKE"]
fn a_write_that_was_broken_off_is_repeated() {
    let (settings, stranger) = (settings("broken"), Stranger::new());
    let mut sink = AerospikeSink::new(settings.clone()).unwrap();
    sink.open().unwrap();
    sink.write(&reach(1), &[change("u0", ChangeKind::Entered, Cause::Event)]).unwrap();
    let (namespace, set) = (&*settings.user_profiles.namespace, format!("{}segments", settings.user_profiles.prefix));
    let key = Key::new(namespace, set, Value::from("u700")).unwrap();
    let bins = [Bin::new("segments", Value::from("in the way")), Bin::new("epoch", Value::Int(0))];
    stranger.runtime.block_on(stranger.client.put(&WritePolicy::default(), &key, &bins)).unwrap();
    let changes: Vec<_> =
        (1..=1_200).map(|user| change(&format!("u{user}"), ChangeKind::Entered, Cause::Event)).collect();
    let broken = sink.write(&reach(2), &changes);
    assert!(matches!(broken, Err(SinkError::Fatal(_))), "{broken:?}");
    stranger.runtime.block_on(stranger.client.delete(&WritePolicy::default(), &key)).unwrap();
    assert_eq!(sink.open().unwrap(), Some(reach(1)));
    sink.write(&reach(2), &changes).unwrap();
    assert_eq!(sink.open().unwrap(), Some(reach(2)));
    assert_eq!(stranger.read(&settings).len(), 1_201);
}

/// A sink whose namespace lost everything while it was written says so instead of going on with what follows.
#[test]
#[ignore = "needs AUDIENCE_TEST_AEROSPIKE"]
fn a_namespace_that_lost_its_records_is_begun_anew() {
    let (settings, stranger) = (settings("lost"), Stranger::new());
    let mut sink = AerospikeSink::new(settings.clone()).unwrap();
    sink.open().unwrap();
    sink.write(&reach(1), &[change("ann", ChangeKind::Entered, Cause::Event)]).unwrap();
    let mark = WriterMark::new(&stranger, &settings.user_profiles, "writer/audience");
    mark.delete();
    for changes in [&[change("bob", ChangeKind::Entered, Cause::Event)][..], &[]] {
        let lost = sink.write(&reach(2), changes);
        assert!(matches!(lost, Err(SinkError::Transient(_))), "{lost:?}");
        assert_eq!(sink.open().unwrap(), None);
        mark.delete();
    }
}

/// A node that is killed loses what it took last, in either namespace or in both.
#[test]
#[ignore = "needs AUDIENCE_TEST_AEROSPIKE"]
fn what_a_node_lost_is_written_again() {
    let (settings, stranger) = (settings("behind"), Stranger::new());
    let marks = [(&settings.user_profiles, "writer/audience"), (&settings.segment_ownership, "members/audience")]
        .map(|(store, key)| WriterMark::new(&stranger, store, key));
    let mut sink = AerospikeSink::new(settings.clone()).unwrap();
    sink.open().unwrap();
    let entered = |user: &str| [change(user, ChangeKind::Entered, Cause::Event)];
    sink.write(&reach(1), &entered("u1")).unwrap();
    for (round, lost) in [&[0][..], &[1], &[0, 1]].into_iter().enumerate() {
        let tick = 2 * round as u64 + 2;
        let before = marks.each_ref().map(WriterMark::bins);
        sink.write(&reach(tick), &entered(&format!("u{tick}"))).unwrap();
        lost.iter().for_each(|mark| marks[*mark].put(&before[*mark]));
        let refused = sink.write(&reach(tick + 1), &entered("later"));
        assert!(matches!(refused, Err(SinkError::Transient(_))), "{lost:?}: {refused:?}");
        for _ in 0..2 {
            assert_eq!(sink.open().unwrap(), Some(reach(tick - 1)), "{lost:?}: what is behind it is given again");
        }
        sink.write(&reach(tick + 1), &entered(&format!("u{tick}"))).unwrap();
        assert_eq!(sink.open().unwrap(), Some(reach(tick + 1)));
    }
    let users: Vec<String> = stranger.read(&settings).into_iter().map(|(user, _)| user).collect();
    assert_eq!(users, ["u1", "u2", "u4", "u6"]);
    // One namespace has lost everything: what is in the other is of no use, and goes.
    marks[1].delete();
    assert!(matches!(sink.write(&reach(8), &[]), Err(SinkError::Transient(_))));
    assert_eq!(sink.open().unwrap(), None);
    assert_eq!(stranger.read(&settings), SuiteMembers::new());
    sink.write(&reach(9), &entered("u1")).unwrap();
    assert_eq!(sink.open().unwrap(), Some(reach(9)));
}

/// The count of openings is lost with the users' namespace, and openings of before are known of the members' alone.
#[test]
#[ignore = "needs AUDIENCE_TEST_AEROSPIKE"]
fn openings_are_counted_on_where_their_count_was_lost() {
    let (settings, stranger) = (settings("openings"), Stranger::new());
    let mut sink = AerospikeSink::new(settings.clone()).unwrap();
    for _ in 0..5 {
        sink.open().unwrap();
    }
    sink.write(&reach(1), &[change("ann", ChangeKind::Entered, Cause::Event)]).unwrap();
    for key in ["writer/audience", "openings"] {
        WriterMark::new(&stranger, &settings.user_profiles, key).delete();
    }
    let refused = sink.open();
    assert!(matches!(refused, Err(SinkError::Transient(_))), "{refused:?}");
    assert_eq!(sink.open().unwrap(), None);
    sink.write(&reach(2), &[change("bob", ChangeKind::Entered, Cause::Event)]).unwrap();
    assert_eq!(stranger.read(&settings), [("bob".to_owned(), "s".to_owned())].into());
}

#[test]
fn a_server_that_is_away_is_a_fault_that_passes() {
    let mut sink = AerospikeSink::new(AerospikeSettings::of("127.0.0.1:1")).unwrap();
    let away = sink.open();
    assert!(matches!(away, Err(SinkError::Transient(_))), "{away:?}");
    let mut sizes = AerospikeSizes::new(AerospikeSettings::of("127.0.0.1:1")).unwrap();
    let away = sizes.reached();
    assert!(matches!(away, Err(SinkError::Transient(_))), "{away:?}");
    let mut profiles = AerospikeProfiles::new(AerospikeSettings::of("127.0.0.1:1")).unwrap();
    let away = profiles.reached();
    assert!(matches!(away, Err(SinkError::Transient(_))), "{away:?}");
    assert!(AerospikeReader::new(AerospikeSettings::of("127.0.0.1:1")).unwrap().segments_of("ann").is_err());
}
