//! The sink holds the contract, against a real Redis.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

use std::collections::{BTreeMap, BTreeSet};
use std::process;

use audience_contract::suite::{self, StoredProfiles, SuiteMembers};
use audience_contract::{
    Cause, ChangeKind, MembershipChange, Profile, ProfileStore, Progress, QuotaPolicy, QuotaStore as _, Reach, Sink,
    SinkError,
};
use audience_redis::{RedisProfiles, RedisQuota, RedisReader, RedisSettings, RedisSink};
use redis::{Client, Commands, Connection};

fn url() -> String {
    std::env::var("AUDIENCE_TEST_REDIS").unwrap_or_else(|_| {
        panic!(
            "AUDIENCE_TEST_REDIS is not set: this test needs real services, start them with: \
             eval \"$(scripts/services start)\""
        )
    })
}

fn connect() -> Connection {
    Client::open(url()).unwrap().get_connection().unwrap()
}

/// RedisSettings under keys of its own, which it first deletes.
fn settings(name: &str) -> RedisSettings {
    // With letters that mean something in a pattern.
    let prefix = format!("[test]*-{name}-{}", process::id());
    let settings = RedisSettings { prefix, ..RedisSettings::of(&url()) };
    delete(&settings);
    settings
}

fn keys(settings: &RedisSettings) -> Vec<String> {
    let all: Vec<String> = connect().keys("*").unwrap();
    all.into_iter().filter(|key| key.starts_with(&settings.prefix)).collect()
}

fn delete(settings: &RedisSettings) {
    for key in keys(settings) {
        let _: () = connect().del(key).unwrap();
    }
}

/// The memberships by user; checks that those by segment are the same.
fn read(settings: &RedisSettings) -> SuiteMembers {
    let (by_user, by_segment) = dump(settings);
    assert!(by_user == by_segment, "{} memberships by user, {} by segment", by_user.len(), by_segment.len());
    by_user
}

/// The memberships by user, and those by segment.
fn dump(settings: &RedisSettings) -> (SuiteMembers, SuiteMembers) {
    let mut connection = connect();
    let (mut by_user, mut by_segment) = (BTreeSet::new(), BTreeSet::new());
    for key in keys(settings) {
        let name = &key[settings.prefix.len()..];
        if let Some(user) = name.strip_prefix(":user:").and_then(|name| name.strip_suffix(":segments")) {
            let segments: Vec<(String, i64)> = connection.hgetall(&key).unwrap();
            by_user.extend(segments.into_iter().map(|(segment, since)| {
                assert_eq!(since, 1_700_000_000_123, "since when");
                (user.to_owned(), segment)
            }));
        }
        if let Some(segment) = name.strip_prefix(":segment:").and_then(|name| name.strip_suffix(":members")) {
            let users: Vec<String> = connection.smembers(&key).unwrap();
            by_segment.extend(users.into_iter().map(|user| (user, segment.to_owned())));
        }
    }
    (by_user, by_segment)
}

/// Profiles by user, as somebody finds them who knows only the page of this crate.
fn profiles(settings: &RedisSettings) -> StoredProfiles {
    let mut connection = connect();
    let profile = |key: &String| {
        let user = key[settings.prefix.len()..].strip_prefix(":user:")?.strip_suffix(":profile")?.to_owned();
        let fields: BTreeMap<String, String> = connection.hgetall(key).unwrap();
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["at", "computed", "traits"]);
        let json = |field: &str| serde_json::from_str(&fields[field]).unwrap();
        Some((user, (fields["at"].parse().unwrap(), json("traits"), json("computed"))))
    };
    keys(settings).iter().filter_map(profile).collect()
}

fn change(user: usize) -> MembershipChange {
    MembershipChange {
        user_id: format!("u{user}").into(),
        segment_id: "s".into(),
        change: ChangeKind::Entered,
        at: 1_700_000_000_123,
        version: 1,
        cause: Cause::Event,
    }
}

fn reach(tick: u64) -> Reach {
    Reach::All(Progress { tick, ..Progress::default() })
}

#[test]
fn sink() {
    let settings = settings("suite");
    suite::sink(&mut || Box::new(RedisSink::new(settings.clone()).unwrap()), &mut || read(&settings));
    delete(&settings);
}

#[test]
fn profile_store() {
    let settings = settings("profiles");
    // Neither memberships nor the profiles of others are touched.
    let others = self::settings("profiles-of-others");
    let mut sink = RedisSink::new(settings.clone()).unwrap();
    sink.open().unwrap();
    sink.write(&reach(1), &[change(1)]).unwrap();
    let mut other = RedisProfiles::new(others.clone()).unwrap();
    let of_other = Profile { user_id: "u".into(), at: -1, traits: BTreeMap::new(), computed: BTreeMap::new() };
    other.write(&[of_other]).unwrap();
    suite::profile_store(&mut || Box::new(RedisProfiles::new(settings.clone()).unwrap()), &mut || profiles(&settings));
    assert_eq!((profiles(&others).len(), read(&settings).len()), (1, 1));
    delete(&settings);
    delete(&others);
}

#[test]
fn serving_store() {
    let settings = settings("reader");
    let mut sink = RedisSink::new(settings.clone()).unwrap();
    suite::serving_store(&mut sink, &RedisReader::new(settings.clone()).unwrap());
    delete(&settings);
}

/// A later writer takes over while an earlier one is writing on several connections: what the later one reads is what
/// stays, and no piece comes behind.
#[test]
fn no_piece_comes_behind_a_later_writer() {
    let settings = settings("overtaken");
    // One that has nothing under way: what it sends next is void, whatever it learns from the answer.
    let mut first = RedisSink::new(settings.clone()).unwrap();
    first.open().unwrap();
    first.write(&reach(1), &[change(20_000)]).unwrap();
    let mut early = RedisSink::new(settings.clone()).unwrap();
    early.open().unwrap();
    let refused = first.write(&reach(2), &[change(20_001)]);
    assert!(matches!(refused, Err(SinkError::Fenced(_))), "{refused:?}");
    assert_eq!(read(&settings), [("u20000".to_owned(), "s".to_owned())].into());
    let writing = std::thread::spawn(move || {
        let changes: Vec<_> = (0..10_000).map(change).collect();
        (1..).map(|tick| early.write(&reach(tick), &changes[tick as usize..])).find_map(Result::err)
    });
    while keys(&settings).len() < 1_000 {
        std::thread::yield_now();
    }
    let mut late = RedisSink::new(settings.clone()).unwrap();
    late.open().unwrap();
    let there = dump(&settings);
    let refused = writing.join().unwrap();
    assert!(matches!(refused, Some(SinkError::Fenced(_))), "{refused:?}");
    assert!(!there.0.is_empty() && dump(&settings) == there, "{} users were there", there.0.len());
    delete(&settings);
}

/// Written to the end of a piece, and no further: the reach is the one before, and the whole is written again.
#[test]
fn a_write_that_was_broken_off_is_repeated() {
    let settings = settings("broken");
    let mut sink = RedisSink::new(settings.clone()).unwrap();
    sink.open().unwrap();
    sink.write(&reach(1), &[change(0)]).unwrap();
    // A progress that is no hash lets the last piece fail.
    let progress = format!("{}:progress", settings.prefix);
    let _: () = connect().rename(&progress, format!("{progress}-aside")).unwrap();
    let _: () = connect().set(&progress, "in the way").unwrap();
    let changes: Vec<_> = (1..=1_200).map(change).collect();
    let broken = sink.write(&reach(2), &changes);
    assert!(matches!(broken, Err(SinkError::Transient(_) | SinkError::Fatal(_))), "{broken:?}");
    assert!(read(&settings).len() > 1_000, "pieces are there");
    let _: () = connect().rename(format!("{progress}-aside"), &progress).unwrap();
    assert_eq!(sink.open().unwrap(), Some(reach(1)));
    sink.write(&reach(2), &changes).unwrap();
    assert_eq!(sink.open().unwrap(), Some(reach(2)));
    assert_eq!(read(&settings).len(), 1_201);
    delete(&settings);
}

/// Emptied beside an open connection, or back from a disk that lacks the last opening: not the work of a later writer.
#[test]
fn what_redis_has_lost_is_written_again() {
    let settings = settings("lost");
    let mut sink = RedisSink::new(settings.clone()).unwrap();
    for loses in [delete, set_back] {
        for _ in 0..2 {
            sink.open().unwrap();
        }
        sink.write(&reach(1), &[change(1)]).unwrap();
        loses(&settings);
        let refused = sink.write(&reach(2), &[change(2)]);
        assert!(matches!(refused, Err(SinkError::Transient(_))), "{refused:?}");
        delete(&settings);
        assert_eq!(sink.open().unwrap(), None);
        sink.write(&reach(2), &[change(1), change(2)]).unwrap();
        assert_eq!(read(&settings).len(), 2);
        delete(&settings);
    }
}

/// A key that others put in the way of a user or of a segment is named, and goes when all is written again; Redis carries
/// out the rest of the piece, the reach too.
#[test]
fn what_is_in_the_way_is_no_reason_to_pass_anything_over() {
    let settings = settings("in-the-way");
    let mut sink = RedisSink::new(settings.clone()).unwrap();
    for (number, key) in [":user:u2:segments", ":segment:s:members"].into_iter().enumerate() {
        let key = format!("{}{key}", settings.prefix);
        sink.open().unwrap();
        sink.write(&reach(1), &[change(1)]).unwrap();
        let _: () = connect().del(&key).unwrap();
        let _: () = connect().set(&key, "in the way").unwrap();
        let refused = sink.write(&reach(2), &[change(2)]);
        let Err(SinkError::Transient(text)) = &refused else { panic!("{number}: {refused:?}") };
        assert!(text.contains(&key) && text.contains("WRONGTYPE"), "{text}");
        let Some(Reach::All(progress)) = sink.open().unwrap() else { panic!("{number}: no reach") };
        assert_eq!(progress.tick, u64::MAX, "nobody goes on from there");
        sink.clear(Progress::default(), &|_| true).unwrap();
        assert_eq!(read(&settings), SuiteMembers::default());
        sink.write(&reach(2), &[change(1), change(2)]).unwrap();
        assert_eq!((read(&settings).len(), sink.open().unwrap()), (2, Some(reach(2))));
        delete(&settings);
    }
}

fn set_back(settings: &RedisSettings) {
    let _: () = connect().decr(format!("{}:writer:{}", settings.prefix, settings.writer), 1).unwrap();
}

#[test]
fn a_server_that_is_away_is_a_fault_that_passes() {
    let mut sink = RedisSink::new(RedisSettings::of("redis://127.0.0.1:1/0")).unwrap();
    assert!(matches!(sink.open(), Err(SinkError::Transient(_))));
    let mut profiles = RedisProfiles::new(RedisSettings::of("redis://127.0.0.1:1/0")).unwrap();
    assert!(matches!(profiles.reached(), Err(SinkError::Transient(_))));
    assert!(RedisSink::new(RedisSettings::of("no address")).is_err());
}

#[test]
fn quotas() {
    let settings = RedisSettings { read_timeout_ms: 10_000, ..settings("quota") };
    let stores = [(); 3].map(|()| RedisQuota::new(settings.clone()).unwrap());
    suite::quota_store(&[&stores[0], &stores[1], &stores[2]]);
    let mut connection = connect();
    let left = keys(&settings);
    assert!(!left.is_empty());
    for key in left {
        let ends_in: i64 = connection.pttl(&key).unwrap();
        assert!((1..=70_000).contains(&ends_in), "{key} ends by itself");
    }
    // A server that was started again has forgotten the script.
    let _: () = redis::cmd("SCRIPT").arg("FLUSH").query(&mut connection).unwrap();
    assert!(stores[0].take("after", 1, QuotaPolicy::per_minute(10_000)).unwrap().is_granted);
    delete(&settings);
}
