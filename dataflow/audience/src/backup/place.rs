//! The place of backups, and what a backup says of itself.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use audience_embedded::Stores;
use audience_engine::durability::backup::{CopiedState, DocumentStores};
use audience_engine::service::PlatformStores;
use audience_objects::{Backups, Objects};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::tenant_directories;

/// The format of backups of one tenant.
pub(super) const FORMAT: u32 = 1;
/// The format of backups that have further tenants, which a program that knows none of them must not restore.
pub(super) const FORMAT_OF_TENANTS: u32 = 2;
/// The file of segments, traits, members, keys and webhooks.
pub(super) const DOCUMENTS: &str = "documents.json";
/// The beginning of the names of files with contents, campaigns, suppressions and the log of sends.
pub(super) const NOTES: &str = "notes.";
/// The file that `pg_dump` made, where PostgreSQL has them.
pub(super) const POSTGRES: &str = "postgres.dump";

/// The place of backups.
#[derive(Debug, Args)]
pub(super) struct BackupsFlag {
    /// The URL under which each backup is a folder: `file:///directory`, or `s3://bucket/prefix` with the usual `AWS_*`
    /// variables.
    #[arg(long, env = "AUDIENCE_BACKUPS", value_name = "URL")]
    pub backups: String,
}

/// The data directory that a command is about.
#[derive(Debug, Args)]
pub(super) struct DataFlag {
    /// The data directory.
    #[arg(long, env = "AUDIENCE_DATA", value_name = "DIR", default_value = "./audience-data")]
    pub data: PathBuf,
}

impl BackupsFlag {
    /// Opens it.
    pub(super) fn open(&self) -> anyhow::Result<Backups> {
        open(&self.backups)
    }
}

/// The stores of a data directory, as the platform and a backup take them.
pub(super) fn stores_of(own: &Stores) -> (PlatformStores, DocumentStores) {
    let stores = PlatformStores {
        events: own.events(),
        messages: own.messages(),
        changes: own.changes(),
        notes: own.notes(),
        catalogue: own.catalogue(),
        checkpoints: own.checkpoints(),
    };
    (stores, DocumentStores { access: own.access(), webhooks: own.webhooks() })
}

/// Opens the backups under a URL.
pub(super) fn open(url: &str) -> anyhow::Result<Backups> {
    let variables: Vec<_> = std::env::vars().collect();
    Backups::open(url, &variables).context("--backups (AUDIENCE_BACKUPS)")
}

/// The facts of a backup, which are written last.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackupFacts {
    pub format: u32,
    /// The program that made it.
    pub program: String,
    /// When it was begun, in milliseconds since 1970.
    pub begun_at: i64,
    /// The catalogue to which the memberships belong, as the data directory names it.
    pub catalogue: String,
    #[serde(flatten)]
    pub state: CopiedState,
    /// The files beside events and checkpoint.
    pub files: Vec<FileFacts>,
    /// The ids of the tenants beside `default`, each with a part of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tenants: Vec<String>,
}

/// A file, so that damage is noticed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FileFacts {
    pub name: String,
    pub bytes: u64,
    /// xxh3-64, in hexadecimal digits.
    pub checksum: String,
}

impl FileFacts {
    /// The facts of a file of these bytes.
    pub(super) fn of(name: &str, bytes: &[u8]) -> FileFacts {
        let checksum = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(bytes));
        FileFacts { name: name.to_owned(), bytes: bytes.len() as u64, checksum }
    }

    /// Reads the file, and checks that it is what was written.
    pub(super) fn read(&self, place: &Objects) -> anyhow::Result<Vec<u8>> {
        let bytes = place.file(&self.name)?.with_context(|| format!("{} is missing", self.name))?;
        anyhow::ensure!(FileFacts::of(&self.name, &bytes) == *self, "{} is damaged", self.name);
        Ok(bytes)
    }
}

/// The facts of the backup at a place; an error where it is not whole, or of a newer program.
pub(super) fn facts(place: &Objects) -> anyhow::Result<BackupFacts> {
    let bytes = place.backup_facts()?.context("it is not whole: making it was cut off, or is going on")?;
    let facts: serde_json::Value = serde_json::from_slice(&bytes).context("its facts cannot be read")?;
    let format = facts["format"].as_u64().unwrap_or_default();
    anyhow::ensure!(
        [FORMAT, FORMAT_OF_TENANTS].map(u64::from).contains(&format),
        "it has format {format}, and this program knows {FORMAT} and {FORMAT_OF_TENANTS}: use the program that made it"
    );
    serde_json::from_value(facts).context("its facts cannot be read")
}

/// The place of a tenant's part of a backup.
pub(super) fn of_tenant(backups: &Backups, name: &str, id: &str) -> anyhow::Result<Arc<Objects>> {
    Ok(backups.place(&format!("{name}/{}/{id}", tenant_directories::FOLDER))?)
}

/// The backup of that name. Opening another would make a folder.
pub(super) fn find(backups: &Backups, name: &str) -> anyhow::Result<Arc<Objects>> {
    let names = backups.names()?;
    anyhow::ensure!(
        names.iter().any(|known| known == name),
        "there is no backup {name} at {}: `audience backup list` names them",
        backups.name()
    );
    Ok(backups.place(name)?)
}
