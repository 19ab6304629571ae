//! Behaviour of the source that only Kafka has.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::time::{Duration, Instant};

use audience_contract::suite::Feed;
use audience_contract::{DeadLetter, DeadLetters, Gap, Header, Message, Share, Source, SourceError, SourcePosition};
use audience_kafka::topics::{self, Topic};
use audience_kafka::{Connection, DeadLetterSettings, KafkaDeadLetters, KafkaSource, OnGone, SourceSettings, Start};
use common::{Broker, LIMIT, connection, poll_until, read_all, topic, unique, variable};
use rdkafka::message::{Headers, Message as _};

fn position(source: &str, partition: u32, next_offset: u64) -> SourcePosition {
    SourcePosition { source: source.to_owned(), partition, next_offset }
}

/// Opens, as often as it takes for a topic that was just made.
fn open(settings: SourceSettings, positions: &[SourcePosition]) -> KafkaSource {
    let mut source = KafkaSource::new(settings).unwrap();
    while let Err(error) = source.open(positions, Share::ALL) {
        assert!(matches!(error, SourceError::Transient(_)), "{error}");
    }
    source
}

fn values(source: &mut KafkaSource, count: usize) -> Vec<Vec<u8>> {
    let mut values = Vec::new();
    poll_until(source, |batch| {
        values.extend(batch.messages.iter().map(|message| message.value.clone()));
        values.len() >= count
    });
    values
}

#[test]
fn every_compression_is_read() {
    let topic = topic("compression", 1);
    let kinds = ["none", "gzip", "snappy", "lz4", "zstd"];
    for kind in kinds {
        let broker = Broker::with(&topic, &[("compression.type", kind), ("linger.ms", "50")]);
        for at in 0..50 {
            broker.send(0, None, Some(format!("{kind} {at} {}", "abc".repeat(100)).as_bytes()), &[]);
        }
        broker.flush();
    }
    let mut source = open(SourceSettings::of(connection(), &topic), &[]);
    let values = values(&mut source, 50 * kinds.len());
    for (value, at) in values.iter().zip(0..) {
        let expected = format!("{} {} {}", kinds[at / 50], at % 50, "abc".repeat(100));
        assert_eq!(String::from_utf8_lossy(value), expected);
    }
}

#[test]
fn tls_and_sasl_are_passed_through() {
    let topic = topic("tls", 1);
    Broker::new(&topic).put(0, None, Some(b"secret"), &[]);
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let tls = |password: &str| {
            let connection = Connection { timeout_ms: 5_000, ..Connection::to(&variable("AUDIENCE_TEST_KAFKA_TLS")) };
            connection
                .with("security.protocol", "SASL_SSL")
                .with("ssl.ca.location", &variable("AUDIENCE_TEST_KAFKA_CA"))
                .with("sasl.mechanisms", mechanism)
                .with("sasl.username", "audience")
                .with("sasl.password", password)
        };
        let mut source = open(SourceSettings::of(tls("audience"), &topic), &[]);
        assert_eq!(values(&mut source, 1), [b"secret"]);
        assert!(!format!("{:?}", tls("hidden")).contains("hidden"), "a password is not written to logs");
        let mut refused = KafkaSource::new(SourceSettings::of(tls("wrong"), &topic)).unwrap();
        assert!(refused.open(&[], Share::ALL).is_err(), "a wrong password opens nothing");
    }
}

#[test]
fn settings_that_exactness_rests_on_are_refused() {
    for key in ["auto.offset.reset", "enable.auto.commit", "enable.auto.offset.store"] {
        let connection = Connection::to("127.0.0.1:1").with(key, "true");
        assert!(KafkaSource::new(SourceSettings::of(connection, "t")).is_err(), "{key}");
    }
}

#[test]
fn a_topic_that_is_not_there_is_an_error() {
    let mut source = KafkaSource::new(SourceSettings::of(connection(), &unique("nowhere"))).unwrap();
    let opened = source.open(&[], Share::ALL);
    assert!(matches!(opened, Err(SourceError::Fatal(_))), "{opened:?}");
}

#[test]
fn what_is_gone_is_passed_over_only_where_that_is_asked_for() {
    let topic = topic("gone", 1);
    let mut broker = Broker::new(&topic);
    for at in 0..20 {
        broker.put(0, None, Some(format!("{at}").as_bytes()), &[]);
    }
    broker.remove(0, 15);
    for (on_gone, resumed) in [(OnGone::Earliest, 15), (OnGone::Latest, 20)] {
        let settings = SourceSettings { on_gone, ..SourceSettings::of(connection(), &topic) };
        let mut source = open(settings.clone(), &[position(&topic, 0, 10)]);
        let batch = source.poll(Duration::ZERO).unwrap();
        assert_eq!(batch.gaps, [Gap { partition: 0, wanted: 10, resumed }], "what was lost is said");
        let newest = batch.positions.last().map(|position| position.next_offset);
        assert!(newest.is_some_and(|next| next >= resumed), "and the position is behind it: {:?}", batch.positions);
        // Offsets that begin anew are another log: there is nothing to go on with.
        let mut source = KafkaSource::new(settings).unwrap();
        let opened = source.open(&[position(&topic, 0, 21)], Share::ALL);
        assert!(matches!(opened, Err(SourceError::OffsetGone { wanted: 21, end: 20, .. })), "{opened:?}");
    }
}

/// Retention overtakes a reader that is open.
#[test]
fn what_goes_while_it_is_read_is_noticed() {
    let topic = topic("overtaken", 2);
    let mut broker = Broker::with(&topic, &[("batch.num.messages", "5")]);
    let value = vec![b'x'; 10_000];
    for _ in 0..1_000 {
        broker.send(0, None, Some(&value), &[]);
    }
    broker.flush();
    // So little is fetched ahead that most of the messages are still to be fetched when they go.
    let connection = connection().with("queued.max.messages.kbytes", "100").with("fetch.message.max.bytes", "50000");
    for on_gone in [OnGone::Fail, OnGone::Earliest] {
        let below = if on_gone == OnGone::Fail { 900 } else { 980 };
        let from = if on_gone == OnGone::Fail { 0 } else { 900 };
        let settings = SourceSettings { on_gone, batch_messages: 5, ..SourceSettings::of(connection.clone(), &topic) };
        let mut source = open(settings, &[position(&topic, 0, from)]);
        poll_until(&mut source, |batch| !batch.messages.is_empty());
        broker.remove(0, below);
        if on_gone == OnGone::Earliest {
            let mut offsets = Vec::new();
            let mut gaps = Vec::new();
            poll_until(&mut source, |batch| {
                offsets.extend(batch.messages.iter().map(|message| message.offset));
                gaps.extend_from_slice(&batch.gaps);
                offsets.last() == Some(&999)
            });
            assert!(gaps.len() == 1 && gaps[0].resumed == below, "{gaps:?}");
            assert!(!offsets.contains(&gaps[0].wanted) && offsets.contains(&below), "{gaps:?}");
            continue;
        }
        let deadline = Instant::now() + LIMIT;
        let gone = loop {
            assert!(Instant::now() < deadline, "nothing was said");
            match source.poll(Duration::from_secs(1)) {
                Ok(_) | Err(SourceError::Transient(_)) => {}
                Err(gone) => break gone,
            }
        };
        assert!(matches!(gone, SourceError::OffsetGone { partition: 0, earliest: 900, .. }), "{gone}");
        assert_eq!(source.poll(Duration::ZERO), Err(gone), "and said again");
    }
}

#[test]
fn a_source_may_begin_with_what_comes() {
    let topic = topic("latest", 2);
    let mut broker = Broker::new(&topic);
    broker.put(0, None, Some(b"before"), &[]);
    let settings = SourceSettings { start: Start::Latest, ..SourceSettings::of(connection(), &topic) };
    let mut source = open(settings.clone(), &[]);
    let positions = source.poll(Duration::ZERO).unwrap().positions;
    assert_eq!(positions, [position(&topic, 0, 1), position(&topic, 1, 0)], "where it begins is told at once");
    broker.put(1, None, Some(b"while it was away"), &[]);
    let mut source = open(settings, &positions);
    assert_eq!(values(&mut source, 1), [b"while it was away"], "and counts from then on");
}

#[test]
fn dead_letters_are_kept_whole() {
    let name = unique("dlq");
    topics::ensure(&connection(), &[Topic::user_events_dlq().named(&name)]).unwrap();
    let settings = DeadLetterSettings { topic: name.clone(), cut_bytes: 10, ..DeadLetterSettings::of(connection()) };
    let mut letters = KafkaDeadLetters::new(settings).unwrap();
    let small = Message {
        partition: 3,
        offset: 77,
        key: Some(b"k".to_vec()),
        value: b"\xffno json".to_vec(),
        headers: vec![Header { name: "trace".to_owned(), value: Some(b"1".to_vec()) }],
        timestamp: Some(1_700_000_000_000),
    };
    // Of bytes that no compression makes less of.
    let mut state = 1u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let large = Message { value: (0..3 << 20).map(|_| random()).collect(), ..Message::default() };
    let letter = |message, code, reason| DeadLetter { source: "events", message, code, reason };
    letters.put(&[letter(&large, "too_large", "3 MiB"), letter(&small, "malformed", "no JSON: ü")]).unwrap();
    let found = read_all(&name, "read_committed");
    assert_eq!(found.len(), 2);
    let header = |index: usize, name: &str| {
        let headers = found[index].headers().unwrap();
        let value = headers.iter().find(|header| header.key == name)?.value?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    assert_eq!(found[0].key(), Some(&b"k"[..]));
    assert!(found[0].payload() == Some(b"\xffno json"), "byte for byte");
    for (name, expected) in [
        ("trace", "1"),
        ("audience.error.code", "malformed"),
        ("audience.error.reason", "no JSON: ü"),
        ("audience.source", "events"),
        ("audience.partition", "3"),
        ("audience.offset", "77"),
        ("audience.timestamp", "1700000000000"),
    ] {
        assert_eq!(header(0, name).as_deref(), Some(expected), "{name}");
    }
    assert_eq!(header(0, "audience.cut_from"), None);
    assert_eq!(found[1].payload(), Some(&large.value[..10]), "what does not fit is cut");
    assert_eq!(header(1, "audience.cut_from").as_deref(), Some("3145728"), "and said");
}
