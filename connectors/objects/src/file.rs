//! A file of the history: records ↔ Parquet.
//!
//! | Column | Type | |
//! |---|---|---|
//! | `sequence` | INT64, unsigned | the place in the order of acceptance, from 0 |
//! | `kind` | text | `event`, `identify`, `alias`, `erasure`; `blank` where nothing but the place is left |
//! | `user_id` | text | |
//! | `other_id` | text | of `alias`, who is merged into the user; of `identify`, the anonymous id |
//! | `event` | text | the event type |
//! | `timestamp`, `accepted_at` | TIMESTAMP, milliseconds UTC | the event's own time, and that of its acceptance |
//! | `message_id` | text | |
//! | `properties`, `context`, `traits` | text | JSON objects |
//! | `user_from` | text | `userId` or `anonymousId`: what said who the user is; files of earlier builds lack the column |
//!
//! An empty value is null. The file's own notes have a checksum of the records ([`CHECKSUM`]) and, where it is known, where
//! the sources were behind the last record ([`POSITIONS`]).

use std::ops::Range;
use std::sync::Arc;

use audience_contract::SourcePosition;
use audience_rules::flat::{flat_to_json, json_to_flat};
use audience_rules::record::{self, EventRef, RecordHead, RecordKind, UserPlace};
use audience_rules::value::{ContainerWriter, ValueRef};
use bytes::Bytes;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesPtr};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use xxhash_rust::xxh3::Xxh3;

use crate::column::{Texts, read_numbers, read_texts, write_numbers, write_texts};

/// The name of the note with the checksum (xxh3 of the records, in hexadecimal digits).
pub(crate) const CHECKSUM: &str = "audience.checksum";
/// The name of the note with the positions of sources, as JSON.
pub(crate) const POSITIONS: &str = "audience.positions";
const SCHEMA: &str = "message event {
    required int64 sequence (integer(64, false));
    required binary kind (string);
    optional binary user_id (string);
    optional binary other_id (string);
    optional binary event (string);
    optional int64 timestamp (timestamp(millis, true));
    optional int64 accepted_at (timestamp(millis, true));
    optional binary message_id (string);
    optional binary properties (string);
    optional binary context (string);
    optional binary traits (string);
    optional binary user_from (string);
}";
/// The columns of files that do not say where the user stood.
const COLUMNS_BEFORE_PLACES: usize = 11;
const PLACES: [(&str, UserPlace); 2] = [("userId", UserPlace::UserId), ("anonymousId", UserPlace::AnonymousId)];
/// Rows that are read and written at once.
const ROWS: usize = 32 << 10;
const KINDS: [(&str, RecordKind); 5] = [
    ("event", RecordKind::Event),
    ("identify", RecordKind::Identify),
    ("alias", RecordKind::Alias),
    ("erasure", RecordKind::Erasure),
    ("blank", RecordKind::Blank),
];

/// A file that is read.
pub(crate) struct ObjectFile {
    reader: SerializedFileReader<Bytes>,
    checksum: String,
    /// The positions of sources after its last record, if they are known.
    pub positions: Option<Vec<SourcePosition>>,
}

/// Rows by column.
#[derive(Default)]
struct ColumnRows {
    sequences: Vec<Option<i64>>,
    kinds: Texts,
    users: Texts,
    others: Texts,
    events: Texts,
    timestamps: Vec<Option<i64>>,
    accepted: Vec<Option<i64>>,
    messages: Texts,
    properties: Texts,
    contexts: Texts,
    traits: Texts,
    places: Texts,
}

/// A file of these records.
pub(crate) fn encode(records: &[u8], positions: Option<&[SourcePosition]>) -> Result<Vec<u8>> {
    let mut notes = vec![KeyValue::new(CHECKSUM.to_owned(), Some(checksum_of(records)))];
    if let Some(positions) = positions {
        let text = serde_json::to_string(positions).map_err(|error| ParquetError::General(error.to_string()))?;
        notes.push(KeyValue::new(POSITIONS.to_owned(), Some(text)));
    }
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("audience ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(notes));
    let (schema, properties) = (Arc::new(parse_message_type(SCHEMA)?), WriterPropertiesPtr::new(properties.build()));
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties)?;
    let mut rest = records;
    while !rest.is_empty() {
        let mut rows = ColumnRows::default();
        while rows.sequences.len() < ROWS
            && let Some((record, next)) = EventRef::read(rest)
        {
            rows.push(&record);
            rest = next;
        }
        if rows.sequences.is_empty() {
            return Err(ParquetError::General("the records cannot be read".to_owned()));
        }
        rows.write(&mut writer)?;
    }
    writer.into_inner()
}

fn checksum_of(records: &[u8]) -> String {
    let mut hash = Xxh3::new();
    hash.update(records);
    format!("{:016x}", hash.digest())
}

impl ObjectFile {
    /// Reads the notes of a file.
    pub(crate) fn open(bytes: Bytes) -> Result<ObjectFile> {
        guarded(|| ObjectFile::open_unguarded(bytes))
    }

    fn open_unguarded(bytes: Bytes) -> Result<ObjectFile> {
        let reader = SerializedFileReader::new(bytes)?;
        let notes = reader.metadata().file_metadata().key_value_metadata();
        let note = |name: &str| notes.and_then(|notes| notes.iter().find(|note| note.key == name)?.value.clone());
        let checksum = note(CHECKSUM).ok_or_else(|| ParquetError::General("it has no checksum".to_owned()))?;
        let positions = note(POSITIONS).map(|text| serde_json::from_str(&text)).transpose();
        let positions = positions.map_err(|error| ParquetError::General(error.to_string()))?;
        Ok(ObjectFile { reader, checksum, positions })
    }

    /// The records, which must be those of these numbers; in runs of some MiB.
    pub(crate) fn records(&self, range: &Range<u64>) -> Result<Vec<Vec<u8>>> {
        guarded(|| self.records_unguarded(range))
    }

    fn records_unguarded(&self, range: &Range<u64>) -> Result<Vec<Vec<u8>>> {
        let (mut runs, mut hash, mut next) = (Vec::new(), Xxh3::new(), range.start);
        for index in 0..self.reader.num_row_groups() {
            let rows = ColumnRows::read(&self.reader, index)?;
            let mut run = Vec::new();
            for row in 0..rows.sequences.len() {
                if rows.sequences[row] != i64::try_from(next).ok() {
                    return Err(ParquetError::General(format!("event {next} is missing")));
                }
                rows.record(row, next, &mut run)?;
                next += 1;
            }
            hash.update(&run);
            runs.push(run);
        }
        if next != range.end {
            return Err(ParquetError::General(format!("event {next} is missing")));
        }
        if format!("{:016x}", hash.digest()) != self.checksum {
            return Err(ParquetError::General("the checksum of its records does not hold".to_owned()));
        }
        Ok(runs)
    }
}

/// The library panics over some damaged files.
fn guarded<T>(read: impl FnOnce() -> Result<T>) -> Result<T> {
    let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read));
    read.unwrap_or_else(|_| Err(ParquetError::General("it is no file of Parquet any more".to_owned())))
}

impl ColumnRows {
    fn push(&mut self, record: &EventRef<'_>) {
        let is_blank = record.kind() == RecordKind::Blank;
        self.sequences.push(i64::try_from(record.sequence()).ok());
        self.kinds.push(KINDS.iter().find(|(_, kind)| *kind == record.kind()).map_or("", |(name, _)| name));
        self.users.push(record.user());
        self.others.push(record.other().unwrap_or_default());
        self.events.push(record.event_type());
        self.timestamps.push((!is_blank).then(|| record.timestamp()));
        self.accepted.push((!is_blank).then(|| record.accepted_at()));
        self.messages.push(record.message().unwrap_or_default());
        self.places.push(PLACES.iter().find(|(_, place)| *place == record.place()).map_or("", |(name, _)| name));
        let mut text = String::new();
        let objects = [
            (&mut self.properties, record.properties()),
            (&mut self.contexts, record.context()),
            (&mut self.traits, ValueRef::Object(record.traits())),
        ];
        for (column, object) in objects {
            text.clear();
            let is_empty = matches!(object, ValueRef::Object(members) if members.is_empty());
            if !is_empty {
                flat_to_json(object, &mut text);
            }
            column.push(&text);
        }
    }

    fn write(self, writer: &mut SerializedFileWriter<Vec<u8>>) -> Result<()> {
        let mut group = writer.next_row_group()?;
        write_numbers(&mut group, &self.sequences)?;
        write_texts(&mut group, self.kinds)?;
        for texts in [self.users, self.others, self.events] {
            write_texts(&mut group, texts)?;
        }
        write_numbers(&mut group, &self.timestamps)?;
        write_numbers(&mut group, &self.accepted)?;
        for texts in [self.messages, self.properties, self.contexts, self.traits, self.places] {
            write_texts(&mut group, texts)?;
        }
        group.close().map(drop)
    }

    fn read(reader: &SerializedFileReader<Bytes>, index: usize) -> Result<ColumnRows> {
        let group = reader.get_row_group(index)?;
        let rows = usize::try_from(group.metadata().num_rows())?;
        let columns = group.num_columns();
        if rows > 2 * ROWS || !(COLUMNS_BEFORE_PLACES..=COLUMNS_BEFORE_PLACES + 1).contains(&columns) {
            return Err(ParquetError::General("it is none of this program".to_owned()));
        }
        let texts = |column| read_texts(&*group, column, rows);
        let numbers = |column| read_numbers(&*group, column, rows);
        Ok(ColumnRows {
            sequences: numbers(0)?,
            kinds: texts(1)?,
            users: texts(2)?,
            others: texts(3)?,
            events: texts(4)?,
            timestamps: numbers(5)?,
            accepted: numbers(6)?,
            messages: texts(7)?,
            properties: texts(8)?,
            contexts: texts(9)?,
            traits: texts(10)?,
            places: if columns == COLUMNS_BEFORE_PLACES { Texts::empty(rows) } else { texts(COLUMNS_BEFORE_PLACES)? },
        })
    }

    /// Appends the record of a row.
    fn record(&self, row: usize, sequence: u64, out: &mut Vec<u8>) -> Result<()> {
        let kind = KINDS.iter().find(|(name, _)| *name == self.kinds.get(row));
        let Some((_, kind)) = kind else { return Err(ParquetError::General("it has an unknown kind".to_owned())) };
        let head = RecordHead {
            timestamp: self.timestamps[row].unwrap_or_default(),
            accepted_at: self.accepted[row].unwrap_or_default(),
            kind: *kind,
            user: self.users.get(row),
            other: self.others.get(row),
            message: self.messages.get(row),
            event_type: self.events.get(row),
        };
        let start = record::begin(head, out);
        record::set_sequence(&mut out[start..], sequence);
        if let Some((_, place)) = PLACES.iter().find(|(name, _)| *name == self.places.get(row)) {
            record::set_place(&mut out[start..], *place);
        }
        for object in [&self.properties, &self.contexts, &self.traits] {
            match object.get(row) {
                "" => ContainerWriter::object(out).finish(out),
                json => json_to_flat(json.as_bytes(), out).map_err(|fault| ParquetError::General(fault.to_string()))?,
            }
        }
        record::finish(start, out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use audience_rules::event::{EventDefaults, decode_event};

    use super::*;

    fn records(first: u64, count: u64) -> Vec<u8> {
        let mut out = Vec::new();
        for number in first..first + count {
            let start = out.len();
            let defaults = EventDefaults { accepted_at: 1_700_000_000_000 + number as i64 };
            let event = match number % 6 {
                0 => format!(
                    r#"{{"userId":"u{number}","eventType":"buy","messageId":"m","properties":{{"z":1.5,"a":[1e17,null]}}}}"#
                ),
                1 => {
                    r#"{"anonymousId":"é\u0001","eventType":"view","timestamp":"1970-01-01T00:00:00Z","context":{"a":{},"a":2}}"#.to_owned()
                }
                2 => r#"{"userId":"u","anonymousId":"a","eventType":"identify","traits":{"plan":"x\"y"}}"#.to_owned(),
                3 => r#"{"userId":"u","previousId":"a","eventType":"alias","timestamp":"2199-12-31T23:59:59.999Z"}"#
                    .to_owned(),
                4 => {
                    record::erasure("gone", 7, &mut out);
                    String::new()
                }
                _ => {
                    record::blank(number, &mut out);
                    String::new()
                }
            };
            if !event.is_empty() {
                decode_event(event.as_bytes(), &defaults, &mut out).expect("an event");
            }
            record::set_sequence(&mut out[start..], number);
        }
        out
    }

    #[test]
    fn records_come_back_byte_for_byte() {
        let count = 2 * ROWS as u64 + 5;
        let all = records(40, count);
        let position = SourcePosition { source: "kafka".to_owned(), partition: 3, next_offset: 99 };
        for positions in [None, Some(vec![]), Some(vec![position])] {
            let file = encode(&all, positions.as_deref()).expect("encoded");
            let file = ObjectFile::open(file.into()).expect("a file");
            assert_eq!(file.positions, positions);
            assert!(file.records(&(40..40 + count)).expect("records").concat() == all);
            for wrong in [41..41 + count, 40..39 + count, 40..41 + count, 0..count] {
                assert!(file.records(&wrong).is_err(), "{wrong:?}");
            }
        }
    }

    #[test]
    fn whatever_byte_is_changed_gives_no_wrong_records() {
        let all = records(0, 60);
        let whole = encode(&all, None).expect("encoded");
        let mut noticed = 0;
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            let read = ObjectFile::open(damaged.into()).and_then(|file| file.records(&(0..60)));
            noticed += usize::from(read.is_err());
            // Some bytes say nothing of the records: statistics, the name of the program.
            assert!(read.is_err() || read.is_ok_and(|runs| runs.concat() == all), "byte {at}");
        }
        assert!(noticed > whole.len() / 4, "{noticed} of {}", whole.len());
    }
}
