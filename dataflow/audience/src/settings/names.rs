//! The names of settings, as errors give them.

/// The setting to name where a client of Kafka cannot be created.
pub(crate) const KAFKA_SETTINGS: &str = "--kafka (AUDIENCE_KAFKA, or the table [kafka] in a file)";

/// Names a setting by its flag, its variable and its key.
pub(crate) fn named(key: &str) -> String {
    format!("--{} (AUDIENCE_{}, or `{key}` in a file)", key.replace('_', "-"), key.to_uppercase())
}

/// Names a setting whose key is in a table.
pub(crate) fn named_in(table: &str, key: &str) -> String {
    format!("--{table} (AUDIENCE_{}, or `{key}` in the table [{table}] of a file)", table.to_uppercase())
}
