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
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of rows that are kept until a thread asks for them: threads ask for successive
/// photographs in any order, and those of one split are not successive rows.
const KEPT: usize = 128;

/// Number of rows that are read before a thread asks for them, so that no thread has to
/// wait while another reads the next page.
const AHEAD: usize = 32;

/// Whether a file begins as Parquet does.
pub fn is_parquet(path: &Path) -> bool {
    let mut magic = [0; 4];
    // Opening a named pipe would wait for its writer.
    let file = path.is_file().then(|| File::open(path).ok()).flatten();
    file.is_some_and(|mut file| file.read_exact(&mut magic).is_ok()) && magic == *b"PAR1"
}

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
        Ok(result) => result.map_err(|e| {
            let why = e.to_string();
            match why.split_once("feature at compile time: ") {
                Some((_, codec)) => format!(
                    "compressed by {codec}, which is not read here; write it with snappy or zstd"
                ),
                None => why.chars().take(200).collect(),
            }
        }),
        Err(_) => Err("damaged".to_owned()),
    }
}

/// The Parquet file that is `path` or a folder of it, and the column in it that the rest of
/// the path names: `data/train.parquet/image/bytes`.
pub fn column_at(path: &Path) -> Option<(PathBuf, String)> {
    let file = path.ancestors().find(|file| file.is_file())?;
    let column = path.strip_prefix(file).ok()?.to_str()?;
    is_parquet(file).then(|| (file.to_owned(), column.to_owned()))
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
    /// Rows that were read, but not asked for. They share their page's memory.
    waiting: Mutex<BTreeMap<usize, Option<ByteArray>>>,
}

/// Where the column is being read.
#[derive(Default)]
struct Position {
    column: Option<ColumnReaderImpl<ByteArrayType>>,
    group: usize,
    /// The row that `column` reads next.
    next: usize,
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
        let found = columns.iter().position(|one| {
            let bytes = one.physical_type() == Physical::BYTE_ARRAY && one.max_rep_level() == 0;
            bytes && one.path().parts().join("/") == column
        });
        let column = found.ok_or_else(|| format!("has no column {column:?} of bytes"))?;
        let mut starts = vec![0_usize];
        for group in reader.metadata().row_groups() {
            let rows = usize::try_from(group.num_rows()).map_err(|e| e.to_string())?;
            let next = starts[starts.len() - 1].checked_add(rows);
            starts.push(next.ok_or("damaged")?);
        }
        Ok(Photographs {
            reader,
            column,
            starts,
            state: [meta.len() as i64, meta.mtime(), meta.mtime_nsec()],
            position: Mutex::default(),
            waiting: Mutex::default(),
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
        let found = match self.take(row) {
            Some(found) => {
                self.read_ahead(row);
                found
            }
            None => {
                let mut position = locked(&self.position);
                // Another thread may have read it in the meantime.
                let found = self
                    .take(row)
                    .map_or_else(|| self.find(&mut position, row), Ok);
                found
                    .map_err(|why| refuse(Reason::Corrupt, format!("in its Parquet file: {why}")))?
            }
        };
        let bytes = found.ok_or_else(|| refuse(Reason::Missing, "its cell is empty"))?;
        check(true, bytes.len() as u64, limit)?;
        Ok(bytes.data().to_vec())
    }

    fn take(&self, row: usize) -> Option<Option<ByteArray>> {
        locked(&self.waiting).remove(&row)
    }

    /// Reads up to a row.
    fn find(&self, position: &mut Position, row: usize) -> Result<Option<ByteArray>, String> {
        let read = self.advance(position, row, true);
        // Rows on the way to this one may be damaged.
        read.or_else(|_| self.advance(position, row, false))?;
        self.take(row).ok_or_else(|| "damaged".to_owned())
    }

    /// Reads the rows after `row`, unless another thread does or they are there.
    fn read_ahead(&self, row: usize) {
        let Ok(mut position) = self.position.try_lock() else {
            return;
        };
        let next = position.next;
        if position.column.is_none() || next <= row || next > row + AHEAD / 2 {
            return;
        }
        if let Some(group) = self.group(next) {
            let last = (next + AHEAD).min(self.starts[group + 1]) - 1;
            // A row that can't be read is refused when a thread asks for it.
            let _ = self.advance(&mut position, last, true);
        }
    }

    /// The row group of a row, if there is such a row.
    fn group(&self, row: usize) -> Option<usize> {
        let group = self.starts.partition_point(|start| *start <= row) - 1;
        (group + 1 < self.starts.len()).then_some(group)
    }

    /// Reads up to a row; `keeping` those before it that may be asked for next.
    fn advance(&self, position: &mut Position, row: usize, keeping: bool) -> Result<(), String> {
        let group = self
            .group(row)
            .ok_or_else(|| format!("it has no row {row}"))?;
        let goes_on = keeping && position.group == group && position.next <= row;
        let column = position.column.take().filter(|_| goes_on);
        let mut column = match column {
            Some(column) => column,
            None => {
                (position.group, position.next) = (group, self.starts[group]);
                self.begin(group)?
            }
        };
        locked(&self.waiting).retain(|kept, _| kept + KEPT > row && *kept < row + KEPT);
        let mut before = row - position.next;
        if before > KEPT || !keeping {
            if guarded(|| column.skip_records(before))? != before {
                return Err("it ends too early".to_owned());
            }
            (position.next, before) = (row, 0);
        }
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let read =
            guarded(|| column.read_records(before + 1, Some(&mut levels), None, &mut values));
        let (rows, ..) = read?;
        if rows != before + 1 {
            return Err("it ends too early".to_owned());
        }
        let descr = self.reader.metadata().file_metadata().schema_descr();
        let full = descr.column(self.column).max_def_level();
        let mut values = values.into_iter();
        let mut waiting = locked(&self.waiting);
        for at in 0..rows {
            let present = full == 0 || levels.get(at) == Some(&full);
            let value = if present { values.next() } else { None };
            waiting.insert(position.next + at, value);
        }
        position.next += rows;
        position.column = Some(column);
        Ok(())
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
