use audience_kafka::{OnGone, Start};
use clap::{CommandFactory, FromArgMatches, Parser};

use super::*;
use crate::telemetry::LogFormat;

#[derive(Debug, Parser)]
struct Serve {
    #[command(flatten)]
    flags: ServeFlags,
}

/// Loads settings as the program does: these arguments, completed by a file of this text.
pub(super) fn load(args: &[&str], file: Option<&str>) -> anyhow::Result<ServeSettings> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audience.toml");
    let mut line: Vec<std::ffi::OsString> = [&["serve"], args].concat().iter().map(Into::into).collect();
    if let Some(text) = file {
        std::fs::write(&path, text).expect("written");
        line.extend(["--config".into(), path.into()]);
    }
    let matches = Serve::command().try_get_matches_from(&line)?;
    let config = ConfigFlag::of(&matches).expect("it has the flag");
    if let Some(file) = config.read()? {
        line.extend(file.arguments(&Serve::command(), &matches)?);
    }
    ServeSettings::load(Serve::from_arg_matches(&Serve::command().try_get_matches_from(line)?)?.flags)
}

fn default_of(key: &str) -> String {
    let command = Serve::command();
    let argument = command.get_arguments().find(|argument| argument.get_id() == key).expect("there");
    argument.get_default_values()[0].to_string_lossy().into_owned()
}

#[test]
fn flags_go_before_the_file_and_the_file_before_the_defaults() {
    let file = "workers = 7\nlisten = \"0.0.0.0:1\"\nlog_format = \"json\"\ncheckpoint_seconds = 5";
    let settings = load(&["--workers", "3", "--log", "debug"], Some(file)).expect("valid");
    assert_eq!((settings.workers(), settings.flags.checkpoint_seconds), (3, 5));
    assert_eq!(
        (settings.flags.listen.0.to_string(), settings.flags.listen_ingest.0.to_string()),
        ("0.0.0.0:1".into(), "127.0.0.1:8082".into())
    );
    let telemetry = &settings.flags.telemetry;
    assert_eq!((telemetry.log_format, &*telemetry.log), (LogFormat::Json, "debug"));
    assert_eq!(settings.data(), Path::new(DATA));
    let defaults = load(&[], None).expect("valid");
    assert!(defaults.workers() >= 1);
    assert_eq!(defaults.flags.listen.0.to_string(), "127.0.0.1:8081");
    assert_eq!(load(&["--demo"], None).expect("valid").data(), Path::new(DEMO_DATA));
}

/// The settings file that is shipped, with everything in it that is commented out.
#[test]
fn every_setting_of_the_shipped_file_is_known() {
    let shipped = include_str!("../../../../deploy/audience.toml");
    assert!(load(&[], Some(shipped)).is_ok(), "as it is");
    let uncommented = shipped.lines().map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')));
    let all: Vec<&str> = uncommented.zip(shipped.lines()).map(|(setting, line)| setting.unwrap_or(line)).collect();
    let settings = load(&[], Some(&all.join("\n"))).expect("every key is known");
    let (defaults, flags) = (load(&["--kafka", "kafka"], None).expect("valid"), settings.flags.clone());
    let (kafka, other) =
        (settings.connections.kafka.expect("a table"), defaults.connections.kafka.expect("the flag is given"));
    assert_eq!((kafka.partitions, kafka.writer.as_str()), (12, "audience"));
    assert_eq!((kafka.transaction_interval_ms, kafka.writers.get()), (0, 2));
    assert_eq!((kafka.start, kafka.on_gone), (Start::default(), OnGone::default()));
    assert_eq!((other.partitions, other.writers), (kafka.partitions, kafka.writers));
    assert_eq!(kafka.connection().properties.len(), 5);
    let (aerospike, default) = (
        settings.connections.aerospike.expect("a table"),
        audience_aerospike::AerospikeSettings::of("aerospike.example.org:3000"),
    );
    assert_eq!(
        (aerospike.user_profiles.prefix, aerospike.segment_ownership),
        ("audience-".into(), default.segment_ownership)
    );
    assert_eq!(
        (aerospike.analytics.namespace, &*aerospike.analytics.prefix),
        (default.analytics.namespace, "audience-")
    );
    assert_eq!(
        (aerospike.writer, aerospike.timeout_ms, aerospike.chunks),
        (default.writer, default.timeout_ms, default.chunks)
    );
    assert_eq!(settings.connections.redis.expect("a table").prefix, audience_redis::RedisSettings::of("").prefix);
    assert_eq!((settings.history.events, settings.history.seconds), (250_000, 60));
    assert_eq!((flags.profiles, flags.profile_refresh_seconds), (false, 3_600));
    assert!(settings.checkpoints.as_ref().is_some_and(|url| url.starts_with("s3://")));
    assert_eq!((flags.data.as_deref(), flags.listen.0.to_string().as_str()), (Some(Path::new(DATA)), "127.0.0.1:8081"));
    assert_eq!((flags.checkpoint_seconds, flags.telemetry.log), (60, default_of("log")));
}

#[test]
fn a_wrong_file_is_an_error_that_says_where() {
    for (file, expected) in [
        ("worker = 7", "`worker` is not a setting; did you mean `workers`?"),
        ("workers = \"7\"", "`workers` is a number, not text; write workers = 7, without quotation marks"),
        ("max_streams = \"many\"", "`max_streams` is a number, not the text \"many\""),
        ("profiles = \"true\"", "`profiles` is true or false, not text; write profiles = true"),
        (
            "[kafka]\nbrokers = \"there\"\nwriters = \"2\"",
            "[kafka]: `writers` is a number, not text; write writers = 2",
        ),
        ("workers = 0", "`workers`: invalid value '0'"),
        ("listen = \"here\"", "`listen`: invalid value 'here'"),
        ("log_format = \"xml\"", "`log_format`: invalid value 'xml'"),
        ("[data]\nx = 1", "`data` takes one value"),
        ("kafka = \"there:9092\"", "`kafka` is a table: write [kafka]"),
        ("demo = true", "`demo` is not a setting"),
        (
            "[kafka]\nbrokers = \"there\"\npartition = 7",
            "the table [kafka]: `partition` is not a setting; did you mean `partitions`?",
        ),
        ("[kafka]\nbrokers = \"there\"\nstart = \"never\"", "[kafka]: invalid value 'never'"),
        ("[kafka]\nwriters = 2", "`brokers` in the table [kafka] is missing"),
        ("[kafka]\nbrokers = \"there\"\nproperties = 7", "`properties` in the table [kafka]"),
        (
            "[aerospike]\nhosts = \"there:1\"\n[aerospike.analytic]",
            "[aerospike]: `analytic` is not a setting; did you mean `analytics`?",
        ),
        ("[checkpoints]", "--url"),
        ("workers", "is not TOML"),
    ] {
        let error = format!("{:#}", load(&[], Some(file)).expect_err(file));
        let is_in_table = error.starts_with("`brokers`");
        assert!(error.contains(expected) && (is_in_table || error.contains("audience.toml")), "{file}: {error}");
    }
    let error = format!("{:#}", load(&["--config", "/nowhere"], None).expect_err("no file"));
    assert!(error.contains("--config") && error.contains("/nowhere"), "{error}");
    assert!(load(&["--checkpoint-seconds", "0"], None).is_err());
}

/// A type of number that `check_type` does not know would be taken from text again.
#[test]
fn every_default_that_is_a_number_is_refused_as_text() {
    let command = Serve::command();
    let numbers = command.get_arguments().filter(|argument| {
        let defaults = argument.get_default_values().iter().filter_map(|value| value.to_str()?.parse::<f64>().ok());
        defaults.count() == 1
    });
    let keys: Vec<&str> = numbers.map(|argument| argument.get_id().as_str()).collect();
    assert!(keys.len() > 2, "{keys:?}");
    for key in keys {
        let error = format!("{:#}", load(&[], Some(&format!("{key} = \"5\""))).expect_err(key));
        assert!(error.contains("is a number, not text"), "{key}: {error}");
    }
}

#[test]
fn every_flag_says_its_variable_and_its_default() {
    for argument in Serve::command().get_arguments().filter(|argument| argument.get_id() != "help") {
        let name = argument.get_id().as_str();
        let variable = argument.get_env().and_then(|variable| variable.to_str());
        assert_eq!(variable, Some(format!("AUDIENCE_{}", name.to_uppercase()).as_str()));
        assert_eq!(argument.get_long(), Some(name.replace('_', "-").as_str()));
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        // clap adds a default value to the help by itself.
        let has_default = !argument.get_default_values().is_empty() && !argument.is_hide_default_value_set();
        assert!(has_default || help.contains("[default: "), "{name}: {help}");
    }
    let help = Serve::command().render_long_help().to_string();
    let log = default_of("log");
    for default in [DATA, DEMO_DATA, "127.0.0.1:8081", "127.0.0.1:8082", &log] {
        assert!(help.contains(default), "{default}: {help}");
    }
}
