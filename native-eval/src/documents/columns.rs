//! Texts in a column of a Parquet file.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bitgauge_core::{Error, ErrorKind, Result};
use parquet::basic::{Compression, Type};
use parquet::column::reader::ColumnReader;
use parquet::data_type::ByteArray;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

/// Rows that are read together.
const ROWS: usize = 1_024;
/// Names of columns that a message lists.
const NAMED_COUNT: usize = 8;

/// Tells `found` the text of each row, and its place; a row without one has an empty text. At most `cap_bytes` of texts
/// are unpacked.
///
/// # Errors
/// A file that is no sound Parquet file, no such column of texts, a codec that is not read, those of `found`.
pub(super) fn read(
    file: File,
    column: &str,
    cap_bytes: u64,
    found: &mut dyn FnMut(String, &str) -> Result<()>,
) -> Result<()> {
    // The crate checks most of what it reads, but not all: damage must not end the process.
    let read = catch_unwind(AssertUnwindSafe(|| read_column(file, column, cap_bytes, found)));
    read.unwrap_or_else(|_| Err(malformed(&"values that contradict each other")))
}

fn read_column(
    file: File,
    column: &str,
    cap_bytes: u64,
    found: &mut dyn FnMut(String, &str) -> Result<()>,
) -> Result<()> {
    let reader = SerializedFileReader::new(file).map_err(|error| malformed(&error))?;
    let metadata = reader.metadata();
    let index = find(metadata.file_metadata().schema_descr(), column)?;
    for group in metadata.row_groups() {
        check_codec(group.column(index).compression())?;
    }
    let sizes = metadata.row_groups().iter().map(|group| group.column(index).uncompressed_size());
    let bytes = sizes.fold(0_u64, |sum, size| sum.saturating_add(u64::try_from(size).unwrap_or(u64::MAX)));
    if bytes > cap_bytes {
        return Err(Error::new(ErrorKind::TooLarge, "the documents are too long")
            .expected_found(format!("at most {cap_bytes} bytes"), bytes));
    }
    let mut row = 0_u64;
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(|error| malformed(&error))?;
        let column = group.get_column_reader(index).map_err(|error| malformed(&error))?;
        let ColumnReader::ByteArrayColumnReader(mut column) = column else {
            return Err(malformed(&"a column of another type than the schema says"));
        };
        let (mut levels, mut values): (Vec<i16>, Vec<ByteArray>) = (Vec::new(), Vec::new());
        loop {
            levels.clear();
            values.clear();
            let (rows, _, _) = column
                .read_records(ROWS, Some(&mut levels), None, &mut values)
                .map_err(|error| malformed(&error))?;
            if rows == 0 {
                break;
            }
            let mut texts = values.iter();
            for at in 0..rows {
                // Levels are those of the column's own presence; without any, every row has a value.
                let is_there = levels.get(at).is_none_or(|level| *level > 0);
                let bytes = if is_there { texts.next().map_or(&[][..], ByteArray::data) } else { &[] };
                let text = std::str::from_utf8(bytes)
                    .map_err(|error| malformed(&error).within(format!("row {row}")))?;
                found(format!("[{row}]"), text)?;
                row += 1;
            }
        }
    }
    Ok(())
}

/// The column of this name.
fn find(schema: &SchemaDescriptor, name: &str) -> Result<usize> {
    let is_text = |column: &ColumnDescriptor| {
        column.physical_type() == Type::BYTE_ARRAY
            && column.max_rep_level() == 0
            && column.max_def_level() <= 1
    };
    let columns = schema.columns();
    let index = columns.iter().position(|column| column.path().string() == name && is_text(column));
    index.ok_or_else(|| {
        let texts = columns.iter().filter(|column| is_text(column)).map(|column| column.path().string());
        let texts: Vec<String> = texts.take(NAMED_COUNT).collect();
        Error::new(ErrorKind::Missing, "the file has no such column of texts")
            .expected_found(format!("`{name}`"), format!("columns of texts: {}", texts.join(", ")))
            .hint("--text-key names the column")
    })
}

/// Refuses the codecs that need a library in C.
fn check_codec(codec: Compression) -> Result<()> {
    if !matches!(codec, Compression::ZSTD(_) | Compression::LZO) {
        return Ok(());
    }
    let name = codec.to_string().split('(').next().unwrap_or_default().to_ascii_lowercase();
    Err(Error::new(ErrorKind::Unsupported, "the Parquet file has a codec that is not read")
        .expected_found("Snappy, gzip, LZ4, brotli or no compression", name)
        .hint("write it again with Snappy, in Python: pyarrow.parquet.write_table(pyarrow.parquet.read_table(A), B)"))
}

fn malformed(error: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, "the Parquet file is damaged")
        .expected_found("a sound Parquet file", error)
}
