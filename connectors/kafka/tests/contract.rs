//! Source and sink hold the contract, against a real broker.

mod common;

use audience_contract::suite;
use audience_kafka::{KafkaSink, KafkaSource, SourceSettings};
use common::{Broker, connection, fold, sink_settings, topic};

#[test]
fn source() {
    let topic = topic("contract-source", 3);
    suite::source(&mut Broker::new(&topic), &mut || {
        let settings = SourceSettings {
            batch_messages: 100,
            batch_bytes: 10_000,
            name: Some("events".to_owned()),
            ..SourceSettings::of(connection(), &topic)
        };
        Box::new(KafkaSource::new(settings).unwrap())
    });
}

#[test]
fn sink() {
    let settings = sink_settings("contract-sink", 3);
    suite::sink(&mut || Box::new(KafkaSink::new(settings.clone()).unwrap()), &mut || fold(&settings.topic));
}
