//! Parquet files of other people, and photographs in one of their columns.
//!
//! Nothing in them is trusted; where the reader panics over what they hold, they are
//! damaged.

use crate::reference::{Refusal, State, check, refuse};
use attend_artifact::ledger::Reason;
use attend_program::loose;
use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::Type;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Number of rows that are kept until a thread asks for them: threads ask for successive
/// photographs in any order, and those of one split are not successive rows.
const KEPT: usize = 128;

/// First bytes of a Parquet file.
pub const MAGIC: &[u8] = b"PAR1";

/// Opens a Parquet file.
///
/// # Errors
/// Why it can't be read.
pub fn open(path: &Path) -> Result<SerializedFileReader<File>, String> {
    loose::note(path);
    let file = File::open(path).map_err(|e| e.to_string())?;
    guarded(|| SerializedFileReader::new(file)).map_err(|why| {
        format!("not a Parquet file that can be read ({why}); copy or download it again")
    })
}

/// The result of reading Parquet, or why that fails.
///
/// # Errors
/// The reader's message, or that the file is damaged if the reader panics.
pub fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(result) => result.map_err(|e| e.to_string().chars().take(200).collect()),
        Err(_) => Err("damaged".to_owned()),
    }
}

/// The Parquet file that is `path` or a folder of it, and the column in it that the rest of
/// the path names: `data/train.parquet/image/bytes`.
pub fn column_at(path: &Path) -> Option<(PathBuf, String)> {
    let file = path.ancestors().find(|file| file.is_file())?;
    let mut magic = [0; 4];
    File::open(file).ok()?.read_exact(&mut magic).ok()?;
    let column = path.strip_prefix(file).ok()?.to_str()?;
    (magic == MAGIC).then(|| (file.to_owned(), column.to_owned()))
}

/// Whether a column may hold photographs' bytes: it has bytes that are not declared as text
/// or numbers, and not all of its cells are empty.
pub fn holds_bytes(reader: &SerializedFileReader<File>, column: &Type, path: &str) -> bool {
    let info = column.get_basic_info();
    let bytes = column.is_primitive()
        && column.get_physical_type() == Physical::BYTE_ARRAY
        && info.converted_type() == ConvertedType::NONE
        && matches!(info.logical_type_ref(), None | Some(LogicalType::Unknown));
    let groups = reader.metadata().row_groups();
    let filled = || {
        groups.iter().any(|group| {
            let mut columns = group.columns().iter();
            let column = columns.find(|column| column.column_path().parts().join("/") == path);
            let nulls = column.and_then(|column| column.statistics()?.null_count_opt());
            nulls.is_none_or(|nulls| nulls < group.num_rows() as u64)
        })
    };
    bytes && (groups.is_empty() || filled())
}

/// Photographs in a column of bytes, by the number of their row from 0. Several threads may
/// share it.
///
/// Rows are read where they lie, in ascending order as far as they are asked for in that
/// order; in memory are a page or two of the column.
pub struct Photographs {
    reader: SerializedFileReader<File>,
    /// The column among those of the file.
    column: usize,
    /// The first row of each row group, and the number of all.
    starts: Vec<usize>,
    state: State,
    position: Mutex<Position>,
}

/// Where a column is being read.
#[derive(Default)]
struct Position {
    column: Option<ColumnReaderImpl<ByteArrayType>>,
    group: usize,
    /// The row that `column` reads next.
    next: usize,
    /// Rows that were read, but not asked for. They share their page's memory.
    waiting: BTreeMap<usize, Option<ByteArray>>,
}

impl Photographs {
    /// Opens the column `column` of a Parquet file; columns in columns are named with `/`.
    ///
    /// # Errors
    /// Why it can't be read.
    pub fn open(path: &Path, column: &str) -> Result<Photographs, String> {
        let reader = open(path)?;
        let meta = path.metadata().map_err(|e| e.to_string())?;
        let columns = reader.metadata().file_metadata().schema_descr().columns();
        let found = columns
            .iter()
            .position(|one| one.path().parts().join("/") == column);
        let found = found.filter(|&at| {
            columns[at].max_rep_level() == 0 && columns[at].physical_type() == Physical::BYTE_ARRAY
        });
        let column = found.ok_or_else(|| format!("has no column {column:?} of bytes"))?;
        let mut starts = vec![0];
        for group in reader.metadata().row_groups() {
            let rows = usize::try_from(group.num_rows()).map_err(|e| e.to_string())?;
            starts.push(starts[starts.len() - 1] + rows);
        }
        Ok(Photographs {
            reader,
            column,
            starts,
            state: [meta.len() as i64, meta.mtime(), meta.mtime_nsec()],
            position: Mutex::default(),
        })
    }

    /// Size and time of the file.
    pub fn state(&self) -> State {
        self.state
    }

    /// The photograph in a row, if it has no more than `limit` bytes.
    ///
    /// # Errors
    /// The reason why it can't be read.
    pub fn read(&self, row: usize, limit: u64) -> Result<Vec<u8>, Refusal> {
        let bytes = {
            let mut position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
            match position.waiting.remove(&row) {
                Some(found) => found,
                None => (self.advance(&mut position, row, true))
                    // Rows on the way to this one may be damaged.
                    .or_else(|_| self.advance(&mut position, row, false))
                    .map_err(|why| {
                        refuse(Reason::Corrupt, format!("in its Parquet file: {why}"))
                    })?,
            }
        };
        let bytes = bytes.ok_or_else(|| refuse(Reason::Missing, "its cell is empty"))?;
        check(true, bytes.len() as u64, limit)?;
        Ok(bytes.data().to_vec())
    }

    /// Reads up to a row; `keeping` those before it that may be asked for next.
    fn advance(
        &self,
        position: &mut Position,
        row: usize,
        keeping: bool,
    ) -> Result<Option<ByteArray>, String> {
        let group = self.starts.partition_point(|start| *start <= row) - 1;
        if group + 1 >= self.starts.len() {
            return Err(format!("it has no row {row}"));
        }
        let behind = position.group != group || position.next > row || !keeping;
        let column = position.column.take().filter(|_| !behind);
        let mut column = match column {
            Some(column) => column,
            None => {
                (position.group, position.next) = (group, self.starts[group]);
                self.begin(group)?
            }
        };
        position
            .waiting
            .retain(|waiting, _| waiting + KEPT > row && *waiting < row + KEPT);
        let mut ahead = row - position.next;
        if ahead > KEPT || !keeping {
            if guarded(|| column.skip_records(ahead))? != ahead {
                return Err("it ends too early".to_owned());
            }
            (position.next, ahead) = (row, 0);
        }
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let (rows, ..) =
            guarded(|| column.read_records(ahead + 1, Some(&mut levels), None, &mut values))?;
        if rows != ahead + 1 {
            return Err("it ends too early".to_owned());
        }
        let descr = self.reader.metadata().file_metadata().schema_descr();
        let full = descr.column(self.column).max_def_level();
        let mut values = values.into_iter();
        for at in 0..rows {
            let present = full == 0 || levels.get(at) == Some(&full);
            let value = if present { values.next() } else { None };
            position.waiting.insert(position.next + at, value);
        }
        position.next += rows;
        position.column = Some(column);
        Ok(position.waiting.remove(&row).flatten())
    }

    /// The column at the beginning of a row group.
    fn begin(&self, group: usize) -> Result<ColumnReaderImpl<ByteArrayType>, String> {
        match guarded(|| {
            self.reader
                .get_row_group(group)?
                .get_column_reader(self.column)
        })? {
            ColumnReader::ByteArrayColumnReader(column) => Ok(column),
            _ => Err("not a column of bytes".to_owned()),
        }
    }
}
