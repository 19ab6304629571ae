//! One trace from a request to whoever hears of its changes: within a process, and across processes by HTTP and Kafka.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, which is what a test is for")]

mod collector;
mod database;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use audience_tests::client::Client;
use audience_tests::program;
use audience_tests::serve::{Setup, pause, wall_clock};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};

use collector::{Collected, TakenSpan, collector, texts};
use database::TestDatabase;

/// How often it is looked whether something has happened, 20 ms apart.
const LOOKS: u32 = 1_500;
const BUYERS: &str = r#"{"id":"buyers","name":"Buyers","rules":{"event":"buy"}}"#;
const BUY: &str = r#"{"userId":"ann","eventType":"buy"}"#;

/// A trace that somebody outside has begun, by its number.
struct OuterTrace(u8);

impl OuterTrace {
    fn id(&self) -> String {
        format!("{:032x}", self.0)
    }

    fn span(&self) -> String {
        format!("{:016x}", 0xa0 + u64::from(self.0))
    }

    /// Asks in this trace.
    fn ask(&self, to: Client, method: &str, path: &str, body: &str) -> u16 {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             traceparent: 00-{}-{}-01\r\ncontent-length: {}\r\n\r\n{body}",
            to.0,
            self.id(),
            self.span(),
            body.len()
        );
        to.raw(request.as_bytes()).unwrap().status
    }
}

/// The spans of a collector, as they come.
struct TracedSpans {
    collected: Collected,
    taken: Vec<TakenSpan>,
}

impl TracedSpans {
    /// Waits for a span of that name in a trace.
    fn wait_for(&mut self, trace: &OuterTrace, name: &str) -> TakenSpan {
        for _ in 0..LOOKS {
            self.taken.extend(self.collected.taken());
            let found = |(_, span): &&TakenSpan| span.name == name && hex(&span.trace_id) == trace.id();
            if let Some(found) = self.taken.iter().find(found) {
                return found.clone();
            }
            pause(20);
        }
        let there = |(process, span): &TakenSpan| {
            format!("{} {} {}", process["audience.process"], span.name, hex(&span.trace_id))
        };
        panic!("no {name} among {:#?}", self.taken.iter().map(there).collect::<Vec<_>>());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A target of webhooks: gives the `traceparent` of each message.
fn target() -> (String, Receiver<Option<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, taken) = sync_channel(64);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut context, mut length) = (None, 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                match line.trim_end().split_once(": ") {
                    Some(("traceparent", value)) => context = Some(value.to_owned()),
                    Some(("content-length", value)) => length = value.parse().unwrap(),
                    _ if line.trim_end().is_empty() => break,
                    _ => {}
                }
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").unwrap();
            let _ = sender.try_send(context);
        }
    });
    (url, taken)
}

fn exporting_to(url: &str) -> Vec<(String, String)> {
    let variables = [
        ("AUDIENCE_OTLP", url),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("AUDIENCE_LOG_FORMAT", "json"),
        ("AUDIENCE_LOG", "info,audience_catalogue=debug"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

#[test]
fn a_trace_goes_from_a_request_to_a_webhook() {
    let directory = tempfile::tempdir().unwrap();
    let (url, collected) = collector();
    let (hook, posted) = target();
    let flags = vec!["--webhook-private-targets".to_owned()];
    let served = Setup { flags, variables: exporting_to(&url), ..Setup::within(program!(), directory.path()) }.start();
    let (edit, event) = (OuterTrace(1), OuterTrace(2));
    assert_eq!(edit.ask(served.client(), "POST", "/api/segments", BUYERS), 201);
    assert_eq!(served.client().post("/api/webhooks", &format!(r#"{{"url":"{hook}"}}"#)).unwrap().status, 201);
    assert_eq!(event.ask(served.client(), "POST", "/api/events", BUY), 202);

    let header = posted.recv_timeout(Duration::from_secs(30)).unwrap().unwrap();
    let mut spans = TracedSpans { collected, taken: Vec::new() };
    let (_, request) = spans.wait_for(&event, "POST /api/events");
    let (_, tick) = spans.wait_for(&event, "tick");
    let (_, post) = spans.wait_for(&event, "webhook.post");
    assert_eq!(hex(&request.parent_span_id), event.span(), "the request goes on with the trace outside");
    assert_eq!(tick.parent_span_id, request.span_id);
    let links: Vec<&[u8]> = tick.links.iter().map(|link| &*link.span_id).collect();
    assert_eq!(links, [&*request.span_id], "a tick is linked to the requests that it carries");
    assert_eq!(post.parent_span_id, tick.span_id);
    assert_eq!(header, format!("00-{}-{}-01", event.id(), hex(&post.span_id)), "the target is told");

    let said = served.said();
    let line = said.lines().find(|line| line.contains("The edit is done")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["trace_id"], edit.id(), "{line}");
    assert_eq!(line["span_id"], hex(&spans.wait_for(&edit, "edit").1.span_id), "{line}");
}

/// Nobody outside hears of traces that are not exported.
#[test]
fn without_a_collector_nothing_is_sent_out() {
    let directory = tempfile::tempdir().unwrap();
    let (hook, posted) = target();
    let flags = vec!["--webhook-private-targets".to_owned()];
    let served = Setup { flags, ..Setup::within(program!(), directory.path()) }.start();
    assert_eq!(served.client().post("/api/segments", BUYERS).unwrap().status, 201);
    assert_eq!(served.client().post("/api/webhooks", &format!(r#"{{"url":"{hook}"}}"#)).unwrap().status, 201);
    assert_eq!(OuterTrace(3).ask(served.client(), "POST", "/api/events", BUY), 202);
    assert_eq!(posted.recv_timeout(Duration::from_secs(30)).unwrap(), None);
    assert!(!served.said().contains("trace_id"), "{}", served.said());
}

/// A process of its own before the engine; killed when dropped.
struct OuterApi {
    child: Child,
    client: Client,
}

impl OuterApi {
    fn start(command: &str, flags: &[&str], collector: &str) -> OuterApi {
        let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let mut process = Command::new(program!());
        process.args([command, "--listen", &address.to_string()]).args(flags).envs(exporting_to(collector));
        process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let api = OuterApi { child: process.spawn().unwrap(), client: Client(address) };
        for _ in 0..LOOKS {
            if api.client.get("/health/ready").is_ok_and(|answer| answer.status == 200) {
                return api;
            }
            pause(20);
        }
        panic!("it does not start");
    }
}

impl Drop for OuterApi {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn brokers() -> String {
    std::env::var("AUDIENCE_TEST_KAFKA").expect("real services: eval \"$(scripts/services start)\"")
}

/// The `traceparent` of the first record of a topic that has one partition.
fn header_in(topic: &str) -> String {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers()).set("group.id", "traces").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = config.create().unwrap();
    consumer.subscribe(&[topic]).unwrap();
    for _ in 0..LOOKS {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(20)) {
            let headers = message.headers().unwrap();
            let header = headers.iter().find(|header| header.key == "traceparent").unwrap();
            return String::from_utf8(header.value.unwrap().to_vec()).unwrap();
        }
    }
    panic!("nothing in {topic}");
}

fn config(directory: &Path, prefix: &str, postgres: &str) -> String {
    let (file, kafka) = (directory.join("audience.toml"), brokers());
    let text = format!(
        "postgres = \"{postgres}\"\n[kafka]\nbrokers = \"{kafka}\"\npartitions = 1\ntopic_prefix = \"{prefix}\"\n"
    );
    std::fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn a_trace_goes_across_processes() {
    let (directory, database) = (tempfile::tempdir().unwrap(), TestDatabase::create());
    let prefix = format!("traces-test-{}.", wall_clock());
    let config = config(directory.path(), &prefix, &database.url);
    let (url, collected) = collector();
    let setup = Setup { variables: exporting_to(&url), ..Setup::within(program!(), directory.path()) };
    let engine = Setup { flags: vec!["--config".to_owned(), config.clone()], ..setup }.start();
    let engine_url = format!("http://{}", engine.client().0);
    let segments = OuterApi::start("segment-api", &["--config", &config, "--engine", &engine_url], &url);
    let events = OuterApi::start("ingest-api", &["--config", &config], &url);
    // At the engine, which answers once the segment is in force: its edit is not to bring the change.
    assert_eq!(engine.client().post("/api/segments", BUYERS).unwrap().status, 201);
    let mut spans = TracedSpans { collected, taken: Vec::new() };

    let event = OuterTrace(4);
    assert_eq!(event.ask(events.client, "POST", "/api/events", BUY), 202);
    let (process, request) = spans.wait_for(&event, "POST /api/events");
    assert_eq!(process["audience.process"], "ingest-api");
    let sent = format!("00-{}-{}-01", event.id(), hex(&request.span_id));
    assert_eq!(header_in(&format!("{prefix}user-events")), sent, "the record says in which request it came");
    let (process, taken) = spans.wait_for(&event, "source.take");
    assert_eq!((process["audience.process"].as_str(), &taken.parent_span_id), ("serve", &request.span_id));
    let (_, tick) = spans.wait_for(&event, "tick");
    assert_eq!(tick.parent_span_id, taken.span_id);
    let (_, write) = spans.wait_for(&event, "sink.write");
    assert_eq!(write.parent_span_id, tick.span_id, "{:?}", texts(&write.attributes));
    let given = format!("00-{}-{}-01", event.id(), hex(&write.span_id));
    assert_eq!(header_in(&format!("{prefix}user-segments")), given, "so do the changes");

    // Only an engine can explain; both processes have the same route.
    let asked = OuterTrace(5);
    assert_eq!(asked.ask(segments.client, "GET", "/api/users/ann/segments/buyers/explain", ""), 200);
    let name = "GET /api/users/{id}/segments/{segmentId}/explain";
    let process = |(process, span): &&TakenSpan, wanted: &str| {
        span.name == name && hex(&span.trace_id) == asked.id() && process["audience.process"] == wanted
    };
    let mut both = None;
    for _ in 0..LOOKS {
        spans.taken.extend(spans.collected.taken());
        let of = |wanted| spans.taken.iter().find(|taken| process(taken, wanted)).map(|(_, span)| span.clone());
        both = of("segment-api").zip(of("serve"));
        if both.is_some() {
            break;
        }
        pause(20);
    }
    let (outer, inner) = both.unwrap();
    assert_eq!(hex(&outer.parent_span_id), asked.span());
    assert_eq!(inner.parent_span_id, outer.span_id, "the engine's span is below that of the segment API");
}
