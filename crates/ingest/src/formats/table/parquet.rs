//! Parquet tables, with photographs as names of files or as bytes. Their cells are read a
//! thousand rows at a time, photographs not at all.

use super::columns::Chosen;
use super::interface::{Each, Row, Table};
use crate::formats::open::input;
use crate::parquet_file::{self, Photographs, guarded, holds_bytes};
use crate::reference::MAX_BYTES;
use attend_artifact::Input;
use attend_program::{Error, Result, check_interrupt};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The name of the file that a photograph's bytes came from, beside them.
const PATH: &str = "path";

pub(super) struct ParquetTable {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    columns: Vec<String>,
    photographs: Vec<(usize, String)>,
}

/// Reads the file's columns.
///
/// # Errors
/// [`Error::Input`] naming the file.
pub(super) fn open(path: &Path) -> Result<ParquetTable> {
    let reader = parquet_file::open(path).map_err(|why| wrong(path, &why))?;
    let fields = reader.metadata().file_metadata().schema().get_fields();
    let columns = fields.iter().map(|field| field.name().to_owned()).collect();
    let photographs = (fields.iter().enumerate())
        .filter_map(|(at, field)| Some((at, bytes_in(&reader, field)?)))
        .collect();
    Ok(ParquetTable {
        path: path.to_owned(),
        columns,
        photographs,
        reader,
    })
}

fn wrong(path: &Path, why: &str) -> Error {
    Error::input(format!("{}: {why}", path.display()))
}

/// The column of bytes that is a field or, as on the hub, in it.
fn bytes_in(reader: &SerializedFileReader<File>, field: &TypePtr) -> Option<String> {
    let name = field.name();
    if field.is_primitive() {
        return holds_bytes(reader, field, name).then(|| name.to_owned());
    }
    let repeated = field.get_basic_info().converted_type() != parquet::basic::ConvertedType::NONE;
    let mut inner = field.get_fields().iter().filter(|_| !repeated);
    let bytes = inner.find(|inner| inner.name() == "bytes")?;
    let path = format!("{name}/bytes");
    holds_bytes(reader, bytes, &path).then_some(path)
}

impl Table for ParquetTable {
    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn photographs(&self) -> &[(usize, String)] {
        &self.photographs
    }

    fn unit(&self) -> &'static str {
        "row"
    }

    fn rows(&self, chosen: &Chosen, each: &mut Each<'_>) -> Result<Input> {
        let mut hasher = blake3::Hasher::new();
        let mut rows = self.cells(chosen, &mut hasher)?;
        if let Some(column) = self.folder_of(chosen) {
            self.number(&mut rows, column)?;
        }
        for (number, row) in rows.into_iter().enumerate() {
            each(number, Ok(row))?;
        }
        Ok(input(hasher.finalize()))
    }
}

impl ParquetTable {
    /// The cells of all rows. That of a photograph is the name beside its bytes.
    fn cells(&self, chosen: &Chosen, hasher: &mut blake3::Hasher) -> Result<Vec<Row>> {
        let projection = self
            .projection(chosen)
            .map_err(|why| wrong(&self.path, &why))?;
        let rows = guarded(|| self.reader.get_row_iter(Some(projection)));
        let mut rows = rows.map_err(|why| wrong(&self.path, &why))?;
        let mut all = Vec::new();
        loop {
            let row = guarded(|| rows.next().transpose());
            let row = row.map_err(|why| wrong(&self.path, &format!("row {}: {why}", all.len())))?;
            let Some(row) = row else { break };
            let cells: Map<String, Value> = (row.into_columns().into_iter())
                .map(|(name, field)| (name, value(field)))
                .collect();
            hasher.update(&serde_json::to_vec(&cells).map_err(Error::internal)?);
            all.push(Row::new(chosen, |column| {
                cells
                    .get(&self.columns[column])
                    .cloned()
                    .unwrap_or_default()
            }));
            if all.len().is_multiple_of(1 << 12) {
                check_interrupt()?;
            }
        }
        Ok(all)
    }

    /// The part of the schema that is read.
    fn projection(&self, chosen: &Chosen) -> Result<Type, String> {
        let schema = self.reader.metadata().file_metadata().schema();
        let used = [
            Some(chosen.image),
            chosen.split,
            chosen.id,
            chosen.caption_ids,
        ];
        let mut used: Vec<usize> = used
            .into_iter()
            .flatten()
            .chain(chosen.captions.clone())
            .collect();
        used.sort_unstable();
        used.dedup();
        let mut fields = Vec::new();
        let holds_bytes = self.folder_of(chosen).is_some();
        for column in used {
            let field = &schema.get_fields()[column];
            match holds_bytes && column == chosen.image {
                true => fields.extend(name_beside_bytes(field).transpose()?),
                false => fields.push(field.clone()),
            }
        }
        let built = Type::group_type_builder(schema.name())
            .with_fields(fields)
            .build();
        built.map_err(|e| e.to_string())
    }

    /// Makes each image cell the number of the row that has the photograph. A row that
    /// repeats a name or an id with the same bytes has the first one's: people repeat a
    /// photograph for each of its captions.
    fn number(&self, rows: &mut [Row], column: &str) -> Result<()> {
        let mut alike: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, row) in rows.iter().enumerate() {
            let name = row.image.get(PATH).filter(|name| !name.is_null());
            let key = name.unwrap_or(&row.id);
            if !key.is_null() {
                alike.entry(key.to_string()).or_default().push(number);
            }
        }
        let mut repeated: Vec<(usize, &String)> = (alike.iter())
            .filter(|(_, numbers)| numbers.len() > 1)
            .flat_map(|(key, numbers)| numbers.iter().map(move |number| (*number, key)))
            .collect();
        repeated.sort_unstable();
        let mut first: HashMap<(&String, blake3::Hash), usize> = HashMap::new();
        let mut same: HashMap<usize, usize> = HashMap::new();
        if !repeated.is_empty() {
            let photographs = Photographs::open(&self.path, column);
            let photographs = photographs.map_err(|why| wrong(&self.path, &why))?;
            for (number, key) in repeated {
                check_interrupt()?;
                if let Ok(bytes) = photographs.read(number, MAX_BYTES) {
                    let earlier = *first.entry((key, blake3::hash(&bytes))).or_insert(number);
                    same.insert(number, earlier);
                }
            }
        }
        for (number, row) in rows.iter_mut().enumerate() {
            row.image = (*same.get(&number).unwrap_or(&number)).into();
        }
        Ok(())
    }
}

/// The field of a photograph without the bytes; `None` if nothing is left.
fn name_beside_bytes(field: &TypePtr) -> Option<Result<TypePtr, String>> {
    if field.is_primitive() {
        return None;
    }
    let path = field
        .get_fields()
        .iter()
        .find(|inner| inner.name() == PATH && inner.is_primitive())?;
    let part = Type::group_type_builder(field.name())
        .with_repetition(field.get_basic_info().repetition())
        .with_fields(vec![path.clone()])
        .build();
    Some(part.map(Arc::new).map_err(|e| e.to_string()))
}

/// A cell in JSON. Bytes may be text that its writer did not declare as such; others are
/// nothing that a row may have.
fn value(field: Field) -> Value {
    match field {
        Field::Bytes(bytes) => match String::from_utf8(bytes.data().to_vec()) {
            Ok(text) => Value::String(text),
            Err(_) => Value::Object(Map::new()),
        },
        Field::ListInternal(list) => list.elements().iter().cloned().map(value).collect(),
        Field::Group(row) => Value::Object(
            (row.into_columns().into_iter())
                .map(|(name, field)| (name, value(field)))
                .collect(),
        ),
        other => other.to_json_value(),
    }
}
