//! Where a file by `torch.save` has its pickle and its storages: in a zip archive, or one
//! after the other, as before PyTorch 1.6.

use super::machine;
use super::value::{Fault, Id, Pickle, Value, damage, unread};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, copy, sink};
use std::os::unix::fs::FileExt;
use std::path::Path;
use tch::Kind;
use zip::ZipArchive;
use zip::read::ZipReadOptions;

/// Where the storages are.
pub(super) enum Container {
    Zip {
        archive: RefCell<ZipArchive<BufReader<File>>>,
        /// The folder of `data.pkl`, with `/` at its end unless it is empty.
        folder: String,
    },
    /// The place of the bytes of each storage.
    Stream(File, HashMap<String, u64>),
}

/// A storage, as the pickle refers to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Storage {
    pub(super) key: String,
    pub(super) kind: Kind,
    /// First element, if it is a part of another storage.
    pub(super) offset: usize,
    /// The element after the last one.
    pub(super) end: usize,
    /// Number of elements of the whole storage.
    pub(super) numel: usize,
}

/// How a file of before PyTorch 1.6 begins: the integer 0x1950a86a20f9469cfc6c.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/// The protocol of `torch.save` in such a file.
const PROTOCOL: i64 = 1001;

type Result<T> = std::result::Result<T, Fault>;

/// Reads the pickle of a file that begins with `head`.
pub(super) fn open(path: &Path, head: &[u8]) -> Result<(Pickle, Container)> {
    let file = File::open(path)?;
    if head.starts_with(b"PK") {
        open_zip(file)
    } else if head.windows(MAGIC.len()).any(|bytes| bytes == MAGIC) {
        open_stream(file)
    } else {
        Err(unread("no file of torch.save"))
    }
}

fn open_zip(file: File) -> Result<(Pickle, Container)> {
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|e| damage(e.to_string()))?;
    let pickles = archive
        .file_names()
        .collect::<zip::result::ZipResult<Vec<_>>>();
    let pickles = pickles.map_err(|e| damage(e.to_string()))?;
    let folders = pickles
        .iter()
        .filter_map(|name| name.strip_suffix("data.pkl"));
    let folder = folders.filter(|folder| folder.is_empty() || folder.ends_with('/'));
    let folder = folder.min_by_key(|folder| folder.len());
    let folder = folder
        .ok_or_else(|| unread("a zip archive without data.pkl"))?
        .to_string();
    let order = format!("{folder}byteorder");
    if archive.index_for_name(&order).is_some() {
        let mut order_text = String::new();
        let entry = archive.by_name(&order).map_err(|e| damage(e.to_string()))?;
        entry.take(16).read_to_string(&mut order_text)?;
        if order_text.trim() != "little" {
            return Err(unread("written by a big-endian machine"));
        }
    }
    let entry = archive.by_name(&format!("{folder}data.pkl"));
    let pickle = machine::read(&mut BufReader::new(
        entry.map_err(|e| damage(e.to_string()))?,
    ))?;
    let archive = RefCell::new(archive);
    Ok((pickle, Container::Zip { archive, folder }))
}

fn open_stream(file: File) -> Result<(Pickle, Container)> {
    let mut input = BufReader::new(file.try_clone()?);
    machine::read(&mut input)?; // the magic number
    let protocol = machine::read(&mut input)?;
    if !matches!(
        protocol.values[protocol.root as usize],
        Value::Int(PROTOCOL)
    ) {
        return Err(damage("not the protocol of torch.save"));
    }
    let machine = machine::read(&mut input)?;
    let little = machine.item(machine.root, "little_endian");
    if !matches!(
        little.map(|id| &machine.values[id as usize]),
        Some(Value::Bool(true))
    ) {
        return Err(unread("written by a big-endian machine"));
    }
    let pickle = machine::read(&mut input)?;
    let keys = machine::read(&mut input)?;
    let mut storages = HashMap::new();
    for value in &pickle.values {
        if let Value::Persistent(id) = value
            && let Some(storage) = pickle.storage(*id)
        {
            let storage = storage?;
            let size = storage.kind.elt_size_in_bytes();
            let same = *storages.entry(storage.key).or_insert((storage.numel, size));
            if same != (storage.numel, size) {
                return Err(damage("two sizes of one storage"));
            }
        }
    }
    let Value::Sequence(keys_in_order) = &keys.values[keys.root as usize] else {
        return Err(damage("no list of storages"));
    };
    let mut place = input.stream_position()?;
    let end = file.metadata()?.len();
    let mut places = HashMap::new();
    for key in keys_in_order {
        let known = keys.key(*key).and_then(|key| storages.get_key_value(&key));
        let (key, (numel, size)) = known.ok_or_else(|| damage("lists a storage of nothing"))?;
        let mut count = [0; 8];
        file.read_exact_at(&mut count, place)?;
        if u64::from_le_bytes(count) != *numel as u64 {
            return Err(damage(format!(
                "storage {key} has another size than its tensors say"
            )));
        }
        let bytes = numel.checked_mul(*size).map(|bytes| bytes as u64);
        places.insert(key.clone(), place + 8);
        let next = bytes.and_then(|bytes| (place + 8).checked_add(bytes));
        place = next
            .filter(|next| *next <= end)
            .ok_or_else(|| damage("ends too early"))?;
    }
    Ok((pickle, Container::Stream(file, places)))
}

impl Container {
    /// Bytes of a storage, from byte `first` on.
    pub(super) fn read(&self, storage: &Storage, first: usize, length: usize) -> Result<Vec<u8>> {
        let absent = || damage(format!("storage {} is missing", storage.key));
        match self {
            Container::Stream(file, places) => {
                let place = places.get(&storage.key).ok_or_else(absent)?;
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, place + first as u64)?;
                Ok(bytes)
            }
            Container::Zip { archive, folder } => {
                let mut archive = archive.borrow_mut();
                let index = archive.index_for_name(&format!("{folder}data/{}", storage.key));
                let index = index.ok_or_else(absent)?;
                let wrong =
                    |e: &dyn std::fmt::Display| damage(format!("storage {}: {e}", storage.key));
                // torch.save without checksums writes 0.
                let unchecked = archive.by_index_raw(index).map_err(|e| wrong(&e))?.crc32() == 0;
                let options = ZipReadOptions::new().ignore_crc32(unchecked);
                let mut entry = archive
                    .by_index_with_options(index, options)
                    .map_err(|e| wrong(&e))?;
                let mut bytes = Vec::new();
                copy(&mut entry.by_ref().take(first as u64), &mut sink()).map_err(|e| wrong(&e))?;
                (entry.by_ref().take(length as u64).read_to_end(&mut bytes))
                    .map_err(|e| wrong(&e))?;
                // The checksum is compared at the end.
                entry.read(&mut [0]).map_err(|e| wrong(&e))?;
                match bytes.len() == length {
                    true => Ok(bytes),
                    false => Err(wrong(&"ends too early")),
                }
            }
        }
    }
}

impl Pickle {
    /// The storage of a persistent id
    /// `('storage', class, key, device, numel, (view key, offset, numel) or None)`.
    /// `None` if the id is of something else.
    pub(super) fn storage(&self, id: Id) -> Option<Result<Storage>> {
        let [tag, class, key, _, numel, view @ ..] = self.sequence(id)? else {
            return None;
        };
        match (&self.values[*tag as usize], &self.values[*class as usize]) {
            (Value::Text(tag), Value::Global(class)) if tag == "storage" => {
                Some(self.read_storage(class, *key, *numel, view))
            }
            _ => None,
        }
    }

    fn read_storage(&self, class: &str, key: Id, numel: Id, view: &[Id]) -> Result<Storage> {
        let kind = match class.rsplit('.').next().unwrap_or(class) {
            "FloatStorage" => Kind::Float,
            "DoubleStorage" => Kind::Double,
            "HalfStorage" => Kind::Half,
            "BFloat16Storage" => Kind::BFloat16,
            "LongStorage" => Kind::Int64,
            "IntStorage" => Kind::Int,
            "ShortStorage" => Kind::Int16,
            "CharStorage" => Kind::Int8,
            "ByteStorage" | "UntypedStorage" => Kind::Uint8,
            "BoolStorage" => Kind::Bool,
            _ => return Err(unread(format!("numbers of type {class}"))),
        };
        let key = self
            .key(key)
            .ok_or_else(|| damage("a storage without a key"))?;
        let numel = self.size(numel)?;
        let part = view.first().and_then(|view| self.sequence(*view));
        let (offset, end) = match part {
            Some([_, offset, length]) => {
                let (offset, length) = (self.size(*offset)?, self.size(*length)?);
                let end = offset.checked_add(length).filter(|end| *end <= numel);
                (
                    offset,
                    end.ok_or_else(|| damage(format!("a part beyond storage {key}")))?,
                )
            }
            _ => (0, numel),
        };
        Ok(Storage {
            key,
            kind,
            offset,
            end,
            numel,
        })
    }
}
