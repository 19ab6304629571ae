//! The real program where Kafka is not there, and where a topic is deleted and made anew under it.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

#[allow(dead_code, reason = "each test uses a part")]
mod between;
mod topics;

use std::time::Duration;

use audience_tests::client::Client;
use audience_tests::platform::wait_until;
use audience_tests::program;
use audience_tests::serve::{Setup, pause, wall_clock};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use between::{PARTITIONS, metric, settle, setup};
use topics::{client, committed};

/// A connector's status in health, and its reason.
fn health(client: Client, name: &str) -> (String, String) {
    let answer = client.get("/actuator/health").unwrap().json();
    let component = &answer["components"][name];
    let text = |field: &str| component[field].as_str().unwrap_or_default().to_owned();
    (text("status"), text("detail"))
}

fn delete(topic: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
    runtime.block_on(admin.delete_topics(&[topic], &AdminOptions::new())).unwrap()[0].clone().unwrap();
}

fn make(topic: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    // What was deleted is not gone at once.
    for _ in 0..100 {
        if runtime.block_on(admin.create_topics([&new], &AdminOptions::new())).unwrap()[0].is_ok() {
            return;
        }
        pause(100);
    }
    panic!("{topic} could not be made");
}

/// Sends so many events to each partition.
fn send(topic: &str, events: usize) {
    let producer: BaseProducer = client().create().unwrap();
    for number in 0..events * PARTITIONS as usize {
        let event = format!("{{\"userId\":\"u{number}\",\"eventType\":\"buy\"}}");
        let partition = number as i32 % PARTITIONS;
        producer.send(BaseRecord::<(), str>::to(topic).partition(partition).payload(&event)).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
}

#[test]
fn what_was_never_reached_is_down() {
    let directory = tempfile::tempdir().unwrap();
    let flags = vec!["--kafka".to_owned(), "127.0.0.1:1".to_owned()];
    let served = Setup { flags, ..Setup::within(program!(), directory.path()) }.start();
    for name in ["source:user-events", "sink:kafka:audience"] {
        let (status, detail) = health(served.client(), name);
        assert!(status == "DOWN" && !detail.is_empty(), "{name} is {status}: {detail}");
    }
    // Work may come all the same.
    assert_eq!(served.client().get("/actuator/health").unwrap().status, 503);
    assert_eq!(served.client().get("/health/ready").unwrap().status, 200);
    served.stop();
}

#[test]
fn a_topic_made_anew_is_not_taken_for_the_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = format!("gone-test-{}.", wall_clock());
    let served = setup(directory.path(), &prefix).start();
    let events = format!("{prefix}user-events");
    let source = format!("source:{events}");
    wait_until("the source is up", || health(served.client(), &source).0 == "UP");
    send(&events, 10);
    settle(&served);
    let read = metric(served.client(), "audience_source_messages_total");
    assert_eq!(read, 10 * PARTITIONS as u64);
    delete(&events);
    make(&events);
    // Less than was read, and only then more.
    send(&events, 5);
    wait_until("it is told", || health(served.client(), &source).1.contains("on_gone"));
    send(&events, 100);
    pause(3_000);
    let (status, detail) = health(served.client(), &source);
    assert!(status == "DOWN" && detail.contains("source_name"), "it is {status}: {detail}");
    assert_eq!(metric(served.client(), "audience_source_messages_total"), read, "nothing is read of another log");
    served.stop();
    // Under another name it is read from its first message on.
    let again = setup(directory.path(), &prefix);
    let file = directory.path().join("audience.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("topic_prefix", "source_name = \"events-2\"\ntopic_prefix")).unwrap();
    let served = again.start();
    let all = 105 * PARTITIONS as u64;
    wait_until("all is read", || metric(served.client(), "audience_source_messages_total") == all);
    served.stop();
}

#[test]
fn a_topic_of_changes_that_was_deleted_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = format!("lost-test-{}.", wall_clock());
    let served = setup(directory.path(), &prefix).start();
    let (events, changes) = (format!("{prefix}user-events"), format!("{prefix}user-segments"));
    let sink = format!("sink:kafka:{prefix}audience");
    wait_until("the sink is up", || health(served.client(), &sink).0 == "UP");
    let buyers = r#"{"name": "buyers", "rules": {"event": "buy", "operator": "gte", "value": 1}}"#;
    served.client().put("/api/segments/buyers", buyers).unwrap();
    send(&events, 10);
    settle(&served);
    delete(&changes);
    pause(1_000);
    let event = r#"{"userId": "later", "eventType": "buy"}"#;
    served.client().post("/api/events", event).unwrap();
    settle(&served);
    let all = 10 * PARTITIONS as usize + 1;
    wait_until("all are there", || committed(&changes, PARTITIONS).len() >= all);
    assert_eq!(committed(&changes, PARTITIONS).len(), all, "each once");
    served.stop();
}
