//! Several writers of membership changes: users are dealt over them, and dealt anew, and nobody of before adds anything.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use audience_contract::{
    Cause, ChangeKind, MembershipChange, Progress, Reach, SharedSink, Sink, SinkError, Writer, Writers, suite,
};
use audience_kafka::topics::Topic;
use audience_kafka::{KafkaSink, KafkaWriters, SinkSettings};
use common::{Broker, LIMIT, fold, producer, read_all, sink_settings};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, Producer};

const PARTITIONS: u32 = 5;

fn all(tick: u64) -> Reach {
    Reach::All(Progress { tick, ..Progress::default() })
}

fn shared(settings: &SinkSettings, writers: u32) -> KafkaWriters {
    let made = [
        Topic::user_segments(PARTITIONS).named(&settings.topic),
        Topic::user_segments_progress().named(&settings.progress_topic),
    ];
    let writers = NonZeroU32::new(writers).unwrap();
    KafkaWriters::new(SinkSettings { writers, ..settings.clone() }, made).unwrap()
}

/// Each writer, opened; all are at `reach`.
fn open_all(mut writers: Vec<Writer>, reach: Option<&Reach>) -> Vec<Writer> {
    for writer in &mut writers {
        assert_eq!(writer.sink.open().unwrap().as_ref(), reach);
    }
    writers
}

fn as_wanted(settings: &SinkSettings, writers: u32, reach: Option<&Reach>) -> Vec<Writer> {
    let Writers::AsWanted(found) = shared(settings, writers).open().unwrap() else { panic!("they are as wanted") };
    assert_eq!(found.len(), writers as usize);
    open_all(found, reach)
}

fn as_before(shared: &mut KafkaWriters, before: usize, reach: Option<&Reach>) -> Vec<Writer> {
    let Writers::AsBefore(found) = shared.open().unwrap() else { panic!("they are as before") };
    assert_eq!(found.len(), before);
    open_all(found, reach)
}

fn users(tick: u64) -> impl Iterator<Item = String> {
    (0..40).map(move |user| format!("u{user}-{tick}"))
}

/// Lets users enter with that tick, each by their writer.
fn write(writers: &mut [Writer], tick: u64) -> Result<(), SinkError> {
    for writer in writers {
        let enter = |user: String| MembershipChange {
            user_id: user.into(),
            segment_id: "s".into(),
            change: ChangeKind::Entered,
            at: 1_700_000_000_000,
            version: 1,
            cause: Cause::Event,
        };
        let own: Vec<MembershipChange> = users(tick).filter(|user| (writer.owns)(user)).map(enter).collect();
        writer.sink.write(&all(tick), &own)?;
    }
    Ok(())
}

fn is_fenced<T>(answer: Result<T, SinkError>) {
    let error = answer.err();
    assert!(matches!(error, Some(SinkError::Fenced(_))), "{error:?}");
}

#[test]
fn one_of_several_is_a_sink() {
    let settings = sink_settings("one-of", PARTITIONS);
    let make = &mut || match shared(&settings, 2).open().unwrap() {
        Writers::AsWanted(mut writers) => writers.remove(1).sink,
        Writers::AsBefore(_) => panic!("they are as wanted"),
    };
    suite::sink(make, &mut || fold(&settings.topic));
}

#[test]
fn users_are_dealt_over_more_and_fewer_writers() {
    let settings = sink_settings("dealt", PARTITIONS);
    let mut writers = as_wanted(&settings, 1, None);
    write(&mut writers, 1).unwrap();
    let (mut tick, mut before) = (1, 1);
    for wanted in [2, 4, 3, 1, 5] {
        let mut late = shared(&settings, wanted);
        // Killed before users are dealt anew, it begins again.
        drop(as_before(&mut late, before, Some(&all(tick))));
        let mut old = as_before(&mut late, before, Some(&all(tick)));
        is_fenced(write(&mut writers, tick + 1));
        write(&mut old, tick + 1).unwrap();
        tick += 1;
        writers = open_all(late.deal(&all(tick)).unwrap(), Some(&all(tick)));
        assert_eq!(writers.len(), wanted as usize);
        // Those of before neither write nor come back.
        for writer in &mut old {
            is_fenced(writer.sink.open());
        }
        write(&mut writers, tick + 1).unwrap();
        tick += 1;
        before = wanted as usize;
    }
    drop(as_wanted(&settings, 5, Some(&all(tick))));
    let held: Vec<String> = fold(&settings.topic).into_iter().map(|(user, _)| user).collect();
    let mut expected: Vec<String> = (1..=tick).flat_map(users).collect();
    expected.sort_unstable();
    assert_eq!(held, expected);
}

/// More than there are partitions would have nothing to do; where partitions are added, users are dealt anew.
#[test]
fn each_writer_has_partitions_of_its_own() {
    let settings = sink_settings("own", PARTITIONS);
    let mut writers = as_wanted(&settings, 2, None);
    write(&mut writers, 1).unwrap();
    for message in read_all(&settings.topic, "read_committed") {
        let user = std::str::from_utf8(message.key().unwrap()).unwrap();
        assert!((writers[message.partition() as usize % 2].owns)(user), "{user} in {}", message.partition());
    }
    suite::Feed::grow(&mut Broker::new(&settings.topic), PARTITIONS + 2);
    let mut late = shared(&settings, 2);
    drop(as_before(&mut late, 2, Some(&all(1))));
    let mut writers = open_all(late.deal(&all(1)).unwrap(), Some(&all(1)));
    write(&mut writers, 2).unwrap();
    assert_eq!(fold(&settings.topic).len(), 80);
    let many = sink_settings("many", PARTITIONS);
    let Writers::AsWanted(found) = shared(&many, 100).open().unwrap() else { panic!("they are as wanted") };
    assert_eq!(found.len(), PARTITIONS as usize);
}

/// A writer that was overtaken between the last write of those of before and the dealing has dealt nothing.
#[test]
fn who_is_overtaken_does_not_deal() {
    for before in [1, 2] {
        let settings = sink_settings("overtaken", PARTITIONS);
        write(&mut as_wanted(&settings, before, None), 1).unwrap();
        let (mut early, mut late) = (shared(&settings, 4), shared(&settings, 3));
        drop(as_before(&mut early, before as usize, Some(&all(1))));
        write(&mut as_before(&mut late, before as usize, Some(&all(1))), 2).unwrap();
        if before == 1 {
            // It has taken the name over, and is to open it anew.
            let dealt = early.deal(&all(1)).err();
            assert!(matches!(dealt, Some(SinkError::Transient(_))), "{dealt:?}");
        }
        let mut writers = open_all(late.deal(&all(2)).unwrap(), Some(&all(2)));
        if before > 1 {
            is_fenced(early.deal(&all(1)));
        }
        write(&mut writers, 3).unwrap();
        assert_eq!(fold(&settings.topic).len(), 120);
    }
}

/// A later process shuts out the writers, and only then files that it is the one that is asked for: whoever is shut out waits for that
/// instead of taking everything back.
#[test]
fn a_later_process_that_has_not_filed_its_opening_yet_is_left_alone() {
    let settings = sink_settings("claims", PARTITIONS);
    let mut early = as_wanted(&settings, 2, None);
    write(&mut early, 1).unwrap();
    let id = format!("{}-2-of-2", settings.writer);
    producer(&[("transactional.id", &id), ("enable.idempotence", "true")]).init_transactions(LIMIT).unwrap();
    let late = std::thread::spawn({
        let settings = settings.clone();
        move || {
            std::thread::park_timeout(Duration::from_secs(1));
            as_wanted(&settings, 2, Some(&all(1)))
        }
    });
    is_fenced(early[1].sink.write(&all(2), &[]));
    let mut late = late.join().unwrap();
    write(&mut late, 2).unwrap();
    is_fenced(early[0].sink.open());
    assert_eq!(fold(&settings.topic).len(), 80);
}

/// A process that was held up between opening the medium and opening a writer: the writer shuts out whoever has its id now, and
/// writes nothing. The other one finds that it is asked for, and goes on.
#[test]
fn a_writer_of_an_earlier_opening_writes_nothing() {
    let settings = sink_settings("held-up", PARTITIONS);
    write(&mut as_wanted(&settings, 2, None), 1).unwrap();
    for wanted in [2, 4] {
        let Writers::AsWanted(mut held_up) = shared(&settings, 2).open().unwrap() else { panic!("they are as wanted") };
        let mut late = shared(&settings, wanted);
        let mut writers = match late.open().unwrap() {
            Writers::AsWanted(writers) | Writers::AsBefore(writers) => open_all(writers, Some(&all(1))),
        };
        is_fenced(held_up[1].sink.open());
        let error = writers[1].sink.write(&all(2), &[]).err();
        assert!(matches!(error, Some(SinkError::Transient(_))), "{error:?}");
        if wanted == 4 {
            let mut writers = open_all(late.deal(&all(1)).unwrap(), Some(&all(1)));
            assert!(held_up[1].sink.write(&all(2), &[]).is_err(), "it has never been open");
            write(&mut writers, 2).unwrap();
        }
    }
    assert_eq!(fold(&settings.topic).len(), 80);
}

/// Killed within a transaction: it is not waited for until the brokers give it up.
#[test]
fn what_a_dead_writer_was_in_the_middle_of_is_ended() {
    let settings = sink_settings("dead", PARTITIONS);
    write(&mut as_wanted(&settings, 3, None), 1).unwrap();
    let id = format!("{}-2-of-3", settings.writer);
    for writers in [3, 2] {
        let dead = producer(&[("transactional.id", &id), ("enable.idempotence", "true")]);
        dead.init_transactions(LIMIT).unwrap();
        dead.begin_transaction().unwrap();
        let reach = serde_json::to_vec(&all(9)).unwrap();
        let record = BaseRecord::to(&settings.progress_topic).key(id.as_str()).payload(&reach);
        dead.send(record).map_err(|(error, _)| error).unwrap();
        dead.flush(LIMIT).unwrap();
        let begun = Instant::now();
        let mut late = shared(&settings, writers);
        let found = match late.open().unwrap() {
            Writers::AsWanted(writers) | Writers::AsBefore(writers) => open_all(writers, Some(&all(1))),
        };
        assert_eq!(found.len(), 3);
        assert!(begun.elapsed() < Duration::from_secs(25), "it took {:?}", begun.elapsed());
    }
}

/// The first version wrote alone and noted nothing else: it is gone on with, and finds that it is no longer asked for.
#[test]
fn one_that_knows_of_no_others_is_gone_on_with() {
    let settings = sink_settings("alone", PARTITIONS);
    let mut alone = KafkaSink::new(settings.clone()).unwrap();
    assert_eq!(alone.open().unwrap(), None);
    alone.write(&all(7), &[]).unwrap();
    let mut late = shared(&settings, 3);
    drop(as_before(&mut late, 1, Some(&all(7))));
    drop(open_all(late.deal(&all(7)).unwrap(), Some(&all(7))));
    is_fenced(alone.open());
}
