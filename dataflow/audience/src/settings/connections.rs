//! The servers that the program is joined to. Settings that have the right form and still cannot be run with are refused
//! before anything is started, with all names of the setting.

use anyhow::{Context, ensure};

use super::names::{KAFKA_SETTINGS, named_in};
use super::tables::KafkaSettings;

/// The longest prefix of names of topics.
const MOST_PREFIX_BYTES: usize = 200;

/// The servers that the program is joined to: flags with the tables of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    pub kafka: Option<KafkaSettings>,
    pub postgres: Option<String>,
    pub redis: Option<audience_redis::RedisSettings>,
    pub aerospike: Option<audience_aerospike::AerospikeSettings>,
}

impl Connections {
    /// Refuses what is out of range, or empty where something is named.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if let Some(kafka) = &self.kafka {
            ensure!(
                kafka.brokers.as_ref().is_some_and(|brokers| !brokers.trim().is_empty()),
                "{} is empty: name brokers as `host:port`, or do not set it",
                named_in("kafka", "brokers")
            );
            kafka.connection().check().context(KAFKA_SETTINGS)?;
            check_name("`writer` in the table [kafka]", &kafka.writer)?;
            check_name("`source_name` in the table [kafka]", kafka.source_name.as_deref().unwrap_or("none"))?;
            check_prefix("`topic_prefix` in the table [kafka]", &kafka.topic_prefix)?;
        }
        if let Some(redis) = &self.redis {
            check_timeout("`timeout_ms` in the table [redis]", redis.timeout_ms)?;
            check_name("`writer` in the table [redis]", &redis.writer)?;
        }
        self.check_aerospike()
    }

    fn check_aerospike(&self) -> anyhow::Result<()> {
        let Some(aerospike) = &self.aerospike else { return Ok(()) };
        check_name(&named_in("aerospike", "hosts"), &aerospike.hosts)?;
        check_name("`writer` in the table [aerospike]", &aerospike.writer)?;
        check_timeout("`timeout_ms` in the table [aerospike]", aerospike.timeout_ms.into())?;
        ensure!(
            aerospike.chunks > 0,
            "`chunks` in the table [aerospike] is 0: the users of a segment need at least one"
        );
        let stores = [
            ("user_profiles", &aerospike.user_profiles),
            ("segment_ownership", &aerospike.segment_ownership),
            ("analytics", &aerospike.analytics),
        ];
        for (name, store) in stores {
            check_name(&format!("`namespace` in the table [aerospike.{name}]"), &store.namespace)?;
        }
        Ok(())
    }
}

/// Refuses a timeout of nothing.
fn check_timeout(name: &str, milliseconds: u64) -> anyhow::Result<()> {
    ensure!(milliseconds > 0, "{name} is 0, and nothing is answered in no time: give it at least 1 millisecond");
    Ok(())
}

fn check_name(name: &str, text: &str) -> anyhow::Result<()> {
    ensure!(!text.trim().is_empty(), "{name} is empty: give it a value, or do not set it");
    Ok(())
}

/// Refuses a prefix that cannot begin the name of a topic: Kafka takes 249 of these characters, and ours have up to 30.
fn check_prefix(name: &str, text: &str) -> anyhow::Result<()> {
    let is_possible = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    ensure!(
        is_possible && text.len() <= MOST_PREFIX_BYTES,
        "{name} is {text:?}: topics are named by at most {MOST_PREFIX_BYTES} ASCII letters, digits, `.`, `_` and `-`"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::load;

    #[test]
    fn what_cannot_be_run_with_is_an_error_that_names_the_setting() {
        let none: &[&str] = &[];
        for (flags, file, words) in [
            (
                &["--workers", "5000"][..],
                "",
                &["--workers (AUDIENCE_WORKERS, or `workers` in a file) is 5000", "256"][..],
            ),
            (none, "workers = 257", &["AUDIENCE_WORKERS", "257"]),
            (&["--kafka", ""], "", &["AUDIENCE_KAFKA", "empty"]),
            (&["--kafka", ""], "[kafka]\nbrokers = \"there:9092\"", &["AUDIENCE_KAFKA", "empty"]),
            (none, "[kafka]\nbrokers = \" \"", &["`brokers` in the table [kafka]", "empty"]),
            (&["--kafka", "there:99999"], "", &["AUDIENCE_KAFKA", "\"there:99999\" is no broker", "65535"]),
            (
                none,
                "[kafka]\nbrokers = \"there:9092\"\nproperties = { \"sasl.mechnism\" = \"PLAIN\" }",
                &["[kafka]", "sasl.mechnism"],
            ),
            (
                none,
                "[kafka]\nbrokers = \"there:9092\"\ntopic_prefix = \"a b/c\"",
                &["`topic_prefix` in the table [kafka]", "\"a b/c\""],
            ),
            (none, "[kafka]\nbrokers = \"there:9092\"\nwriter = \"\"", &["`writer` in the table [kafka]", "empty"]),
            (
                none,
                "[redis]\nurl = \"redis://there\"\ntimeout_ms = 0",
                &["`timeout_ms` in the table [redis]", "1 milli"],
            ),
            (&["--redis", "redis://here"], "[redis]\nurl = \"x\"\ntimeout_ms = 0", &["`timeout_ms`", "[redis]"]),
            (none, "[redis]\nurl = \"redis://there\"\nwriter = \"\"", &["`writer` in the table [redis]"]),
            (&["--aerospike", ""], "", &["AUDIENCE_AEROSPIKE", "`hosts` in the table [aerospike]", "empty"]),
            (none, "[aerospike]\nhosts = \"there:3000\"\ntimeout_ms = 0", &["`timeout_ms` in the table [aerospike]"]),
            (none, "[aerospike]\nhosts = \"there:3000\"\nchunks = 0", &["`chunks` in the table [aerospike]"]),
            (none, "[aerospike]\nhosts = \"there:3000\"\nwriter = \"\"", &["`writer` in the table [aerospike]"]),
            (
                none,
                "[aerospike]\nhosts = \"there:3000\"\n[aerospike.analytics]\nnamespace = \"\"",
                &["`namespace` in the table [aerospike.analytics]"],
            ),
        ] {
            let error = format!("{:#}", load(flags, Some(file)).expect_err(file));
            for word in words {
                assert!(error.contains(word), "{flags:?} {file}: {word} is not in {error}");
            }
        }
        let most = load(&["--workers", "256"], Some("[redis]\nurl = \"redis://there\"\ntimeout_ms = 1"));
        assert!(most.is_ok(), "{most:?}");
    }
}
