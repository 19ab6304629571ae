//! The broker is restarted and killed under a source and a sink: nothing is lost, nothing comes twice.
//!
//! Alone in its file, because tests of other files do not run meanwhile.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod common;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use audience_contract::{
    Cause, ChangeKind, MembershipChange, Progress, Reach, Share, Sink, SinkError, Source, SourceError,
};
use audience_kafka::{KafkaSink, KafkaSource, SinkSettings, SourceSettings};
use common::{Broker, connection, fold, poll_until, sink_settings, topic, variable};

fn services(commands: &[&str]) {
    for command in commands {
        let done = Command::new(variable("AUDIENCE_TEST_SERVICES")).args([command, "kafka"]).output().unwrap();
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

#[test]
fn a_broker_may_come_and_go() {
    let topic = topic("restart", 2);
    let settings = sink_settings("restart-sink", 2);
    let is_over = Arc::new(AtomicBool::new(false));
    let feeder = std::thread::spawn({
        let (topic, is_over) = (topic.clone(), Arc::clone(&is_over));
        move || feed(&topic, &is_over)
    });
    let writer = std::thread::spawn({
        let (settings, is_over) = (settings.clone(), Arc::clone(&is_over));
        move || write(settings, &is_over)
    });
    let mut source = KafkaSource::new(SourceSettings::of(connection(), &topic)).unwrap();
    while let Err(error) = source.open(&[], Share::ALL) {
        assert!(matches!(error, SourceError::Transient(_)), "{error}");
    }
    let mut next = 0;
    // Away for longer than that, it is another client that finds it again.
    let longer = Duration::from_secs(20);
    for (commands, away) in [(&["restart"][..], None), (&["kill"], Some(Duration::ZERO)), (&["kill"], Some(longer))] {
        let goal = next + 200;
        poll_until(&mut source, |batch| in_order(batch, &mut next) >= goal);
        services(commands);
        if let Some(away) = away {
            let begun = std::time::Instant::now();
            while begun.elapsed() < away {
                if let Ok(batch) = source.poll(Duration::from_millis(200)) {
                    in_order(&batch, &mut next);
                }
            }
            services(&["start"]);
        }
        let goal = next + 1_000;
        poll_until(&mut source, |batch| in_order(batch, &mut next) >= goal);
    }
    is_over.store(true, Ordering::Release);
    let sent = feeder.join().unwrap();
    if next < sent {
        poll_until(&mut source, |batch| in_order(batch, &mut next) >= sent);
    }
    assert_eq!(next, sent, "each message once");
    let written = writer.join().unwrap();
    let mut sink = KafkaSink::new(settings.clone()).unwrap();
    assert_eq!(sink.open().unwrap().map(|reach| reach.progress().tick), Some(written));
    assert_eq!(fold(&settings.topic).len() as u64, written, "each change once");
}

/// Messages carry consecutive numbers; all but the first of a batch follow the one before.
fn in_order(batch: &audience_contract::Batch, next: &mut u64) -> u64 {
    for message in batch.messages.iter().filter(|message| message.partition == 1) {
        assert_eq!(message.value, next.to_string().as_bytes(), "messages come in order, once");
        *next += 1;
    }
    *next
}

/// Sends numbers until it is over; gives how many.
fn feed(topic: &str, is_over: &AtomicBool) -> u64 {
    let broker = Broker::with(topic, &[("enable.idempotence", "true"), ("message.timeout.ms", "120000")]);
    let mut next = 0u64;
    while !is_over.load(Ordering::Acquire) {
        broker.send(1, None, Some(next.to_string().as_bytes()), &[]);
        next += 1;
        if next.is_multiple_of(20) {
            broker.flush();
        }
    }
    broker.flush();
    next
}

/// Lets a user enter with every tick until it is over; gives the last tick.
fn write(settings: SinkSettings, is_over: &AtomicBool) -> u64 {
    let mut sink = KafkaSink::new(settings).unwrap();
    let mut tick = 0;
    let mut is_open = false;
    loop {
        if !is_open {
            match sink.open() {
                Ok(reach) => {
                    let reached = reach.map_or(0, |reach| reach.progress().tick);
                    assert!(reached == tick || reached + 1 == tick || reached == tick + 1, "{reached} and {tick}");
                    tick = reached;
                    is_open = true;
                }
                Err(SinkError::Transient(_)) => continue,
                Err(error) => panic!("{error}"),
            }
        }
        if is_over.load(Ordering::Acquire) {
            return tick;
        }
        let reach = Reach::All(Progress { tick: tick + 1, ..Progress::default() });
        let (user_id, segment_id) = (format!("u{}", tick + 1).into(), "s".into());
        let change = ChangeKind::Entered;
        let change = MembershipChange { user_id, segment_id, change, at: 0, version: 1, cause: Cause::Event };
        match sink.write(&reach, &[change]) {
            Ok(()) => tick += 1,
            Err(SinkError::Transient(_)) => is_open = false,
            Err(error) => panic!("{error}"),
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
