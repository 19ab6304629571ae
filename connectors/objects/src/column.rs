//! Columns of a Parquet file: numbers and texts, of which any may be null.

use bytes::Bytes;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::RowGroupReader;
use parquet::file::writer::SerializedRowGroupWriter;

/// Texts one behind the other; an empty one is null in the file.
#[derive(Default)]
pub(crate) struct Texts {
    text: String,
    ends: Vec<usize>,
}

impl Texts {
    /// So many empty ones.
    pub(crate) fn empty(count: usize) -> Texts {
        Texts { text: String::new(), ends: vec![0; count] }
    }

    /// Adds one.
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len());
    }

    /// That of a row; empty where there is none.
    pub(crate) fn get(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[row]]
    }
}

/// Writes the next column of a row group.
pub(crate) fn write_texts(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, texts: Texts) -> Result<()> {
    let levels: Vec<i16> = (0..texts.ends.len()).map(|row| i16::from(!texts.get(row).is_empty())).collect();
    let all = Bytes::from(texts.text);
    let starts = std::iter::once(&0).chain(&texts.ends);
    let filled = starts.zip(&texts.ends).filter(|(start, end)| start < end);
    let values: Vec<ByteArray> = filled.map(|(start, end)| ByteArray::from(all.slice(*start..*end))).collect();
    write::<ByteArrayType>(group, &values, &levels)
}

/// Writes the next column of a row group.
pub(crate) fn write_numbers(group: &mut SerializedRowGroupWriter<'_, Vec<u8>>, numbers: &[Option<i64>]) -> Result<()> {
    let levels: Vec<i16> = numbers.iter().map(|number| i16::from(number.is_some())).collect();
    let values: Vec<i64> = numbers.iter().flatten().copied().collect();
    write::<Int64Type>(group, &values, &levels)
}

/// Writes values; a level of 0 is a null between them. A column that must have values is without levels.
fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    levels: &[i16],
) -> Result<()> {
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("there is no such column".to_owned()))?;
    column.typed::<T>().write_batch(values, Some(levels), None)?;
    column.close()
}

/// Reads a column of so many rows.
pub(crate) fn read_texts(group: &dyn RowGroupReader, column: usize, rows: usize) -> Result<Texts> {
    let ColumnReader::ByteArrayColumnReader(reader) = group.get_column_reader(column)? else {
        return Err(ParquetError::General(format!("column {column} has no texts")));
    };
    let mut texts = Texts::default();
    for value in read(reader, rows, is_optional(group, column))? {
        let text = value.as_ref().map_or(Ok(""), |value: &ByteArray| std::str::from_utf8(value.data()));
        texts.push(text.map_err(|error| ParquetError::General(error.to_string()))?);
    }
    Ok(texts)
}

/// Reads a column of so many rows.
pub(crate) fn read_numbers(group: &dyn RowGroupReader, column: usize, rows: usize) -> Result<Vec<Option<i64>>> {
    match group.get_column_reader(column)? {
        ColumnReader::Int64ColumnReader(reader) => read(reader, rows, is_optional(group, column)),
        _ => Err(ParquetError::General(format!("column {column} has no numbers"))),
    }
}

fn is_optional(group: &dyn RowGroupReader, column: usize) -> bool {
    group.metadata().column(column).column_descr().max_def_level() > 0
}

fn read<T: DataType>(mut reader: ColumnReaderImpl<T>, rows: usize, is_optional: bool) -> Result<Vec<Option<T::T>>> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    let mut found = 0;
    while found < rows {
        let levels = is_optional.then_some(&mut levels);
        let (records, ..) = reader.read_records(rows - found, levels, None, &mut values)?;
        if records == 0 {
            return Err(ParquetError::General("a column is cut short".to_owned()));
        }
        found += records;
    }
    if !is_optional {
        return Ok(values.into_iter().map(Some).collect());
    }
    let mut values = values.into_iter();
    Ok(levels.iter().map(|level| if *level > 0 { values.next() } else { None }).collect())
}
