//! `docs/settings.md` and `deploy/audience.toml`: both are written from the settings, and held to them.
//!
//! `AUDIENCE_UPDATE=1 cargo test -p audience settings::reference` writes them.

use std::fmt::Write;
use std::path::Path;

use clap::{Arg, Args, Command};

use super::ServeFlags;
use super::file::{NOT_IN_FILES, TABLES};
use super::tables::{AerospikeTable, CheckpointsTable, HistorySettings, KafkaSettings, RedisTable, STORES, StoreTable};

/// Values in the example file that are not the defaults: of settings without one, and of those that a shared server needs.
const EXAMPLES: &[(&str, &str)] = &[
    ("data", "./audience-data"),
    ("workers", "4"),
    ("cors_origins", "https://shop.example.org"),
    ("public_url", "https://audience.example.org"),
    ("admin_email", "ann@example.org"),
    ("admin_password_file", "/etc/audience/admin-password"),
    ("metrics_key_file", "/etc/audience/metrics-key"),
    ("trusted_proxies", "10.0.0.0/8"),
    ("oidc_issuer", "https://id.example.org/realms/staff"),
    ("oidc_client_secret_file", "/etc/audience/oidc-secret"),
    ("oidc_roles", "crm-admins=marketing_admin,staff=viewer"),
    ("oidc_ca_file", "/etc/audience/oidc-ca.pem"),
    ("requests_per_minute", "6000"),
    ("key_requests_per_minute", "1000"),
    ("address_requests_per_minute", "1000"),
    ("events_per_minute", "600000"),
    ("tls", "auto"),
    ("tls_certificate", "/etc/audience/certificate.pem"),
    ("tls_key", "/etc/audience/key.pem"),
    ("webhook_ca_file", "/etc/audience/webhook-ca.pem"),
    ("lease", "file:///mnt/shared/lease"),
    ("standby_of", "https://audience.example.org:8081"),
    ("standby_key_file", "/etc/audience/standby-key"),
    ("standby_ca_file", "/etc/audience/primary-ca.pem"),
    ("mail_smtp", "smtps://audience:secret@smtp.example.org"),
    ("mail_resend_key_file", "/etc/audience/resend.key"),
    ("mail_per_second", "2"),
    ("mail_from_name", "Example Shop"),
    ("mail_postal_address", "Example Shop, 1 Main Street, 12345 Town"),
    ("mail_dkim_key_file", "/etc/audience/dkim.pem"),
    ("otlp", "http://127.0.0.1:4318"),
    ("postgres", "postgres://audience:secret@postgres.example.org/audience?sslmode=require"),
    ("checkpoints.url", "s3://audience/production"),
    ("history.log_days", "30"),
    ("history.log_megabytes", "20000"),
    ("kafka.brokers", "kafka-1.example.org:9093,kafka-2.example.org:9093"),
    ("kafka.source_name", "user-events"),
    ("kafka.readers", "4"),
    ("redis.url", "redis://audience:secret@redis.example.org:6379/0"),
    ("aerospike.hosts", "aerospike-1.example.org:3000,aerospike-2.example.org:3000"),
    ("aerospike.user", "audience"),
    ("aerospike.password", "secret"),
    ("aerospike.ca_file", "/etc/ssl/aerospike-ca.pem"),
    ("aerospike.certificate_file", "/etc/ssl/audience.pem"),
    ("aerospike.key_file", "/etc/ssl/audience-key.pem"),
    ("aerospike.user_profiles.prefix", "audience-"),
    ("aerospike.analytics.namespace", "segment_ownership"),
    ("aerospike.analytics.prefix", "audience-"),
];

/// The table `[kafka.properties]`: its keys are librdkafka's.
const PROPERTIES: &str = r#"
# Settings of librdkafka, by its names.
#[kafka.properties]
#"security.protocol" = "SASL_SSL"
#"ssl.ca.location" = "/etc/ssl/kafka-ca.pem"
#"sasl.mechanisms" = "SCRAM-SHA-512"
#"sasl.username" = "audience"
#"sasl.password" = "secret"
"#;

/// The widest line of the example file.
const WIDTH: usize = 120;

/// A table of a file, or the keys outside of tables.
struct Section {
    /// Empty outside of tables.
    name: String,
    about: &'static str,
    settings: Vec<Setting>,
}

/// The place of a setting in a file.
enum SettingPlace {
    /// Nowhere: it is a flag and a variable only.
    Flag,
    /// The table of its name, where one key is what the flag gives.
    Table,
    /// The key of its name.
    Key,
}

impl Section {
    fn place_of(&self, key: &str) -> SettingPlace {
        match self.name.is_empty() {
            true if NOT_IN_FILES.contains(&key) => SettingPlace::Flag,
            true if TABLES.contains(&key) => SettingPlace::Table,
            _ => SettingPlace::Key,
        }
    }

    /// The settings that are keys of a file.
    fn keys(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(|setting| matches!(self.place_of(&setting.key), SettingPlace::Key))
    }
}

/// A setting as its field says it.
struct Setting {
    key: String,
    /// The flag and the variable; none where it is in a file only.
    flag: Option<(String, String)>,
    value: String,
    default: String,
    has_default: bool,
    sentence: String,
}

impl Setting {
    fn of(argument: &Arg) -> Setting {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        let (sentence, in_words) = help.split_once(" [default: ").unwrap_or((&help, "none]"));
        let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let variable = argument.get_env().map(|variable| variable.to_string_lossy().into_owned());
        Setting {
            key: argument.get_id().to_string(),
            flag: argument.get_long().and_then(|flag| Some((format!("--{flag}"), variable?))),
            value: argument.get_value_names().map_or_else(String::new, |names| names.join(" ")),
            has_default: !defaults.is_empty(),
            default: defaults.first().map_or_else(|| in_words.trim_end_matches(']').to_owned(), ToString::to_string),
            sentence: format!("{}.", sentence.trim_end_matches('.')),
        }
    }
}

fn section<T: Args>(name: impl Into<String>, about: &'static str) -> Section {
    let command = T::augment_args(Command::new("table"));
    let name = name.into();
    let settings = command.get_arguments().map(Setting::of).collect();
    Section { name, about, settings }
}

fn sections() -> Vec<Section> {
    let mut sections = vec![
        section::<ServeFlags>("", ""),
        section::<CheckpointsTable>(
            "checkpoints",
            "Checkpoints, and a history in Parquet, outside of the data directory: `file:///directory` or \
             `s3://bucket/prefix`. S3 takes AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL and the \
             like from the environment.",
        ),
        section::<HistorySettings>(
            "history",
            "The history in Parquet, which is kept beside checkpoints that have a URL.",
        ),
        section::<KafkaSettings>("kafka", "Events from Kafka, membership changes to it."),
        section::<RedisTable>("redis", "Memberships in Redis, and with `profiles` the profiles of users."),
        section::<AerospikeTable>(
            "aerospike",
            "Memberships and sizes of segments over time in Aerospike, and with `profiles` the profiles of users.",
        ),
    ];
    let stores = [
        "Where a user's segments and profile are kept.",
        "Where the users of segments are kept.",
        "Where sizes of segments over time are kept.",
    ];
    for (name, about) in STORES.into_iter().zip(stores) {
        let mut store = section::<StoreTable>(format!("aerospike.{name}"), about);
        for setting in store.settings.iter_mut().filter(|setting| setting.key == "namespace") {
            let namespace = if name == "analytics" { "segment_ownership" } else { name };
            (setting.default, setting.has_default) = (namespace.to_owned(), true);
        }
        sections.push(store);
    }
    sections
}

/// The reference page.
fn page() -> String {
    let mut page = "# Settings\n\n\
        Settings of `audience serve`; `audience worker`, `segment-api` and `ingest-api` take those that concern them. A flag \
        wins over its variable, the variable over the file that `--config` names, and the file over the default. An unknown key in a file is an error. [deploy/audience.toml](../deploy/audience.toml) is a file with every \
        key.\n\n\
        This page is written from the program: `AUDIENCE_UPDATE=1 cargo test -p audience settings::reference`.\n"
        .to_owned();
    for section in sections() {
        if !section.name.is_empty() {
            let _ = write!(page, "\n## `[{}]`\n\n{}\n", section.name, section.about);
        }
        let has_flags = section.name.is_empty();
        let flags = if has_flags { (" Flag and variable |", "---|") } else { ("", "") };
        let _ = write!(page, "\n| Key |{} Value | Default | Meaning |\n|---|{}---|---|---|\n", flags.0, flags.1);
        for setting in &section.settings {
            let names = setting
                .flag
                .as_ref()
                .map_or_else(String::new, |(flag, variable)| format!(" `{flag}`<br>`{variable}` |"));
            let default = match (setting.has_default, setting.default.as_str()) {
                (true, "") => "empty".to_owned(),
                (true, default) => format!("`{default}`"),
                (false, words) => words.to_owned(),
            };
            let Setting { key, value, sentence, .. } = setting;
            let key = match section.place_of(key) {
                SettingPlace::Flag => "none".to_owned(),
                SettingPlace::Table => format!("[`[{key}]`](#{key})"),
                SettingPlace::Key => format!("`{key}`"),
            };
            let _ = writeln!(page, "| {key} |{names} {value} | {default} | {sentence} |");
        }
        if section.name == "kafka" {
            page.push_str("\nThe table `[kafka.properties]` has settings of librdkafka, by its names.\n");
        }
    }
    page
}

/// The example file.
fn example() -> String {
    let mut file = "# Settings of `audience serve --config FILE`; `audience worker`, `segment-api` and `ingest-api` take those \
        that concern them.\n# Flags and AUDIENCE_* variables win over them. An unknown key is an error.\n#\n\
        # Each setting stands here with its default, or with an example where it says so. This file is written from the \
        program:\n# AUDIENCE_UPDATE=1 cargo test -p audience settings::reference\n"
        .to_owned();
    for section in sections() {
        let outer = if section.name.is_empty() { String::new() } else { format!("{}.", section.name) };
        if !section.name.is_empty() {
            file.push('\n');
            comment(&mut file, section.about);
            let _ = writeln!(file, "#[{}]", section.name);
        }
        for setting in section.keys() {
            let Setting { key, default, sentence, has_default, .. } = setting;
            let example = EXAMPLES.iter().find(|(name, _)| *name == format!("{outer}{key}")).map(|(_, value)| *value);
            let is_default = *has_default && example.is_none_or(|example| example == default);
            file.push('\n');
            let default_text = if *has_default && default.is_empty() { "empty" } else { default };
            match is_default {
                true => comment(&mut file, sentence),
                false => comment(&mut file, &format!("{sentence} Default: {default_text}.")),
            }
            match example.or(has_default.then_some(default)) {
                Some(value) => writeln!(file, "#{key} = {}", in_toml(value)),
                // Not to be taken as it stands: it would name another cluster.
                None => writeln!(file, "# {key} = \"aerospike-3.example.org:3000\""),
            }
            .unwrap_or_default();
        }
        if section.name == "kafka" {
            file.push_str(PROPERTIES);
        }
    }
    file
}

/// A comment in lines that are not too wide.
fn comment(file: &mut String, text: &str) {
    let mut line = "#".to_owned();
    for word in text.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            let _ = writeln!(file, "{line}");
            line = "#".to_owned();
        }
        line = format!("{line} {word}");
    }
    let _ = writeln!(file, "{line}");
}

fn in_toml(value: &str) -> String {
    let is_bare = value.parse::<i64>().is_ok() || value.parse::<bool>().is_ok();
    if is_bare { value.to_owned() } else { toml::Value::String(value.to_owned()).to_string() }
}

/// Writes a file where that is asked for; else it must be as it would be written.
fn hold(path: &str, wanted: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("AUDIENCE_UPDATE").is_some() {
        std::fs::write(&file, wanted).expect("written");
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        found == wanted,
        "{path} is not what the settings say: AUDIENCE_UPDATE=1 cargo test -p audience settings::reference writes it"
    );
}

#[test]
fn the_page_and_the_example_are_what_the_settings_say() {
    hold("docs/settings.md", &page());
    hold("deploy/audience.toml", &example());
}

#[test]
fn the_example_has_every_key_with_its_default() {
    let example = example();
    for section in sections() {
        let name = &section.name;
        let begin = if name.is_empty() { 0 } else { example.find(&format!("#[{name}]\n")).expect(name) };
        for setting in section.keys() {
            let Setting { key, sentence, default, has_default, .. } = setting;
            let line = example[begin..]
                .find(&format!("\n#{key} = "))
                .or_else(|| example[begin..].find(&format!("\n# {key} = ")));
            assert!(line.is_some(), "{name}.{key} is not in the example");
            let flat = example.replace("\n# ", " ");
            assert!(flat.contains(sentence.as_str()), "{name}.{key}: {sentence}");
            let is_shown = example.contains(&format!("#{key} = {}\n", in_toml(default)));
            let is_told = flat.contains(&format!("Default: {default}")) || (*has_default && default.is_empty());
            assert!(is_shown || is_told, "{name}.{key}: {default}");
        }
    }
}
