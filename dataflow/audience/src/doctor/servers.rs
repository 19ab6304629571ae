//! The servers that a start is joined to: whether they answer, and whether they are as they must be.

use audience_background::clock;
use audience_kafka::Connection;
use audience_kafka::topics::{self, KafkaInspection};
use audience_objects::Objects;
use audience_postgres::{PostgresError, PostgresInspection, PostgresSettings};
use audience_redis::{RedisInspection, RedisSettings};

use super::finding::Finding;
use crate::settings::{KafkaSettings, ServeSettings, named, named_in};
use crate::{catalogue_file, offsite};

/// Milliseconds that Kafka's brokers may take to answer.
const KAFKA_PATIENCE_MS: u64 = 5_000;
/// The difference of two clocks from which on it is told.
const CLOCK_DIFFERENCE_MS: i64 = 2_000;
const START_IT: &str = "start it, or correct";

/// Looks at each server that the settings name.
pub(super) fn look(settings: &ServeSettings) -> Vec<Finding> {
    let connections = &settings.connections;
    let mut findings = Vec::new();
    if let Some(settings) = &connections.kafka {
        findings.extend(kafka(settings));
    }
    if let Some(url) = &connections.postgres {
        findings.extend(postgres(url, settings));
    }
    if let Some(settings) = &connections.redis {
        findings.extend(redis(settings));
    }
    if let Some(settings) = &connections.aerospike {
        findings.extend(aerospike(settings));
    }
    if let Some(url) = &settings.checkpoints {
        findings.push(objects(url, settings));
    }
    findings
}

fn kafka(settings: &KafkaSettings) -> Vec<Finding> {
    const PART: &str = "Kafka";
    let all = [
        topics::USER_EVENTS,
        topics::USER_EVENTS_DLQ,
        topics::SEGMENT_UPDATES,
        topics::USER_SEGMENTS,
        topics::USER_SEGMENTS_PROGRESS,
    ];
    let names = all.map(|name| format!("{}{name}", settings.topic_prefix));
    let connection = Connection { timeout_ms: KAFKA_PATIENCE_MS, ..settings.connection() };
    match topics::inspect(&connection, &names) {
        Ok(inspection) => kafka_topics(&inspection, &names),
        Err(error) => {
            let fix = format!("{START_IT} {} and the table [kafka]", named_in("kafka", "brokers"));
            vec![Finding::fault(PART, error.to_string(), fix)]
        }
    }
}

fn kafka_topics(inspection: &KafkaInspection, names: &[String]) -> Vec<Finding> {
    const PART: &str = "Kafka";
    let missing: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| !inspection.topics.contains_key(*name)).collect();
    let made = match missing.as_slice() {
        [] => "all topics are there".to_owned(),
        missing => format!("a start makes the topics {}", missing.join(", ")),
    };
    let brokers = inspection.brokers;
    let mut findings = vec![Finding::good(PART, format!("brokers: {brokers}; {made}"))];
    for (name, topic) in &inspection.topics {
        if topic.without_leader > 0 {
            let found = format!("{} of {} partitions of {name} have no leader", topic.without_leader, topic.partitions);
            findings.push(Finding::fault(PART, found, "bring back the brokers that have their replicas"));
        } else if topic.least_replicas < 2 && brokers > 1 {
            let found = format!("{name} is kept on one of {brokers} brokers, and is lost with it");
            findings.push(Finding::warning(PART, found, "give the topic more replicas: kafka-reassign-partitions"));
        }
    }
    findings
}

fn postgres(url: &str, settings: &ServeSettings) -> Vec<Finding> {
    const PART: &str = "PostgreSQL";
    let inspection = match audience_postgres::inspect(&PostgresSettings::new(url)) {
        Ok(inspection) => inspection,
        Err(error) => {
            let fix = match error {
                PostgresError::Schema(_) => "use the program of that version, or restore the tables".to_owned(),
                PostgresError::Rejected(_) => format!("correct user, password or database in {}", named("postgres")),
                _ => format!("{START_IT} {}", named("postgres")),
            };
            return vec![Finding::fault(PART, error.to_string(), fix)];
        }
    };
    let mut findings = vec![postgres_tables(&inspection)];
    findings.extend(clock_of(PART, inspection.now_ms));
    // The file is of a data directory that was run before.
    let known = catalogue_file::read(settings.data()).ok().flatten();
    let now = inspection.identity.map(|identity| format!("postgres {identity}"));
    if known.is_some() && known != now {
        findings.push(Finding::fault(
            PART,
            format!("the segments of {} are those of another catalogue", settings.data().display()),
            format!("name the database of before by {}, or choose another data directory", named("postgres")),
        ));
    }
    findings
}

fn postgres_tables(inspection: &PostgresInspection) -> Finding {
    const PART: &str = "PostgreSQL";
    let version = &inspection.version;
    if inspection.is_replica {
        let fix = format!("name the primary by {}", named("postgres"));
        return Finding::fault(
            PART,
            format!("version {version} answers, and is a replica, which takes no writes"),
            fix,
        );
    }
    match inspection.pending.len() {
        0 => Finding::good(PART, format!("version {version} answers, and its tables are those of this program")),
        count if inspection.may_migrate => {
            Finding::good(PART, format!("version {version} answers; a start applies {count} migrations"))
        }
        count => Finding::fault(
            PART,
            format!("version {version} answers; {count} migrations are missing, and this user may make no tables"),
            "run `audience migrate` as a user who may, or GRANT CREATE ON DATABASE",
        ),
    }
}

fn redis(settings: &RedisSettings) -> Vec<Finding> {
    const PART: &str = "Redis";
    match audience_redis::inspect(settings) {
        Ok(inspection) => {
            let mut findings = vec![redis_memory(&inspection)];
            findings.extend(clock_of(PART, inspection.now_ms));
            findings
        }
        Err(error) => vec![Finding::fault(PART, error.to_string(), format!("{START_IT} {}", named_in("redis", "url")))],
    }
}

fn redis_memory(inspection: &RedisInspection) -> Finding {
    const PART: &str = "Redis";
    let RedisInspection { version, eviction_policy, .. } = inspection;
    if inspection.is_replica {
        let fix = format!("name the primary by {}", named_in("redis", "url"));
        return Finding::fault(
            PART,
            format!("version {version} answers, and is a replica, which takes no writes"),
            fix,
        );
    }
    if inspection.most_memory_bytes > 0 && eviction_policy != "noeviction" {
        let found = format!("version {version} answers, and deletes memberships once it is full ({eviction_policy})");
        return Finding::warning(PART, found, "CONFIG SET maxmemory-policy noeviction, and in its file");
    }
    Finding::good(PART, format!("version {version} answers"))
}

fn aerospike(settings: &audience_aerospike::AerospikeSettings) -> Vec<Finding> {
    const PART: &str = "Aerospike";
    let stores = match audience_aerospike::inspect(settings) {
        Ok(stores) => stores,
        Err(error) => {
            let fix = format!("{START_IT} {}", named_in("aerospike", "hosts"));
            return vec![Finding::fault(PART, error.to_string(), fix)];
        }
    };
    let finding = |store: &audience_aerospike::AerospikeInspection| {
        let (name, namespace) = (store.store, &store.namespace);
        if store.has_namespace {
            return Finding::good(PART, format!("nodes: {}; {name} has its namespace {namespace}", store.nodes));
        }
        Finding::fault(
            PART,
            format!("there is no namespace {namespace} for {name}"),
            format!("add it to aerospike.conf, or name another by `namespace` in the table [aerospike.{name}]"),
        )
    };
    stores.iter().map(finding).collect()
}

fn objects(url: &str, settings: &ServeSettings) -> Finding {
    const PART: &str = "checkpoints";
    let place = named_in("checkpoints", "url");
    let opened = Objects::open(url, &std::env::vars().collect::<Vec<_>>());
    let objects = match opened {
        Ok(objects) => objects,
        Err(error) => return Finding::fault(PART, error.to_string(), format!("correct {place}")),
    };
    let found = match objects.owner() {
        Ok(found) => found,
        Err(error) => {
            let fix = format!("make the store answer, or correct {place} and the variables AWS_*");
            return Finding::fault(PART, error.to_string(), fix);
        }
    };
    let known = offsite::known_owner(settings.data()).ok().flatten();
    match (known.as_deref(), found.as_deref()) {
        (known, Some(found)) if known == Some(found) => {
            Finding::good(PART, format!("{} is there, and belongs to this data directory", objects.name()))
        }
        (_, None) => Finding::good(PART, format!("{} can be reached, and nothing is in it", objects.name())),
        (None, Some(_)) if !settings.data().exists() => {
            Finding::good(PART, format!("a start brings back what is at {}, and takes it over", objects.name()))
        }
        (_, Some(_)) => Finding::fault(
            PART,
            format!("what is at {} belongs to another data directory", objects.name()),
            format!("choose another URL by {place}, or an empty data directory, which takes it over"),
        ),
    }
}

/// The clock of a server against that of this machine.
fn clock_of(server: &str, now_ms: i64) -> Option<Finding> {
    let difference = clock::now() - now_ms;
    (difference.abs() > CLOCK_DIFFERENCE_MS).then(|| {
        let way = if difference > 0 { "ahead of" } else { "after" };
        let found = format!("the clock of this machine is {} ms {way} that of {server}", difference.abs());
        Finding::warning("clock", found, "let both follow the same time servers: `timedatectl set-ntp true`, or chrony")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use audience_kafka::topics::TopicInspection;

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn a_redis_that_deletes_keys_is_told() {
        let mut inspection = RedisInspection {
            version: "7".to_owned(),
            now_ms: 0,
            is_replica: false,
            most_memory_bytes: 0,
            eviction_policy: "allkeys-lru".to_owned(),
        };
        assert_eq!(redis_memory(&inspection).verdict, Verdict::Good, "it is never full");
        inspection.most_memory_bytes = 1 << 30;
        assert_eq!(redis_memory(&inspection).verdict, Verdict::Warning);
        inspection.is_replica = true;
        assert_eq!(redis_memory(&inspection).verdict, Verdict::Fault);
    }

    #[test]
    fn a_topic_without_a_leader_is_a_fault_and_one_without_replicas_a_warning() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let topic = |without_leader, least_replicas| TopicInspection { partitions: 3, without_leader, least_replicas };
        let topics = BTreeMap::from([("a".to_owned(), topic(0, 1)), ("b".to_owned(), topic(1, 3))]);
        let findings = kafka_topics(&KafkaInspection { brokers: 3, topics: topics.clone() }, &names);
        assert!(findings[0].found.ends_with("a start makes the topics c"), "{findings:?}");
        assert_eq!(
            findings.iter().map(|one| one.verdict).collect::<Vec<_>>(),
            [Verdict::Good, Verdict::Warning, Verdict::Fault]
        );
        let alone = kafka_topics(&KafkaInspection { brokers: 1, topics }, &names[..1]);
        assert_eq!(alone.iter().filter(|one| one.verdict == Verdict::Warning).count(), 0, "there is no other broker");
    }

    #[test]
    fn a_clock_that_is_apart_is_told() {
        assert!(clock_of("PostgreSQL", clock::now()).is_none());
        let told = clock_of("PostgreSQL", clock::now() - 60_000).map(|finding| finding.found);
        assert!(told.is_some_and(|told| told.contains("ahead of that of PostgreSQL")));
    }
}
