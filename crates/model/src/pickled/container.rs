//! Where a file by `torch.save` has its pickle and its storages: in a zip archive, or one
//! after the other, as before PyTorch 1.6.

use super::machine;
use super::value::{Fault, Id, Pickle, Value, damage, unread};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{BufReader, Read, Seek, copy, sink};
use std::os::unix::fs::FileExt;
use tch::Kind;
use zip::ZipArchive;
use zip::read::{ArchiveOffset, Config, ZipFile, ZipReadOptions};
use zip::result::ZipResult;

type Archive = ZipArchive<BufReader<File>>;

/// Where the storages are.
pub(super) enum Container {
    Zip {
        archive: RefCell<Archive>,
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

const BIG_ENDIAN: &str = "written by a big-endian machine";

type Result<T> = std::result::Result<T, Fault>;

/// Reads the pickle of a file that begins with `head`.
pub(super) fn open(file: File, head: &[u8]) -> Result<(Pickle, Container)> {
    if head.starts_with(b"PK") {
        open_zip(file)
    } else if head.windows(MAGIC.len()).any(|bytes| bytes == MAGIC) {
        open_stream(file)
    } else {
        Err(unread("no file of torch.save"))
    }
}

fn open_zip(file: File) -> Result<(Pickle, Container)> {
    // Not `Detect`, which takes the directory's second entry for its first if that one is as
    // long as the zip64 records behind the directory: in files with names of 21 letters.
    let config = Config {
        archive_offset: ArchiveOffset::Known(0),
    };
    let archive = ZipArchive::with_config(config, BufReader::new(file));
    let mut archive = archive.map_err(|e| damage(e.to_string()))?;
    let names = archive.file_names().collect::<ZipResult<Vec<_>>>();
    let names = names.map_err(|e| damage(e.to_string()))?;
    let folders = names
        .iter()
        .filter_map(|name| name.strip_suffix("data.pkl"));
    let folders = folders.filter(|folder| folder.is_empty() || folder.ends_with('/'));
    let folder = folders.min_by_key(|folder| folder.len()).map(str::to_owned);
    let folder = folder.ok_or_else(|| unread("a zip archive without data.pkl"))?;
    let order = format!("{folder}byteorder");
    if archive.index_for_name(&order).is_some() {
        let mut text = String::new();
        entry(&mut archive, &order)?
            .take(16)
            .read_to_string(&mut text)?;
        if text.trim() != "little" {
            return Err(unread(BIG_ENDIAN));
        }
    }
    let mut input = BufReader::new(entry(&mut archive, &format!("{folder}data.pkl"))?);
    let pickle = machine::read(&mut input)?;
    copy(&mut input, &mut sink())?; // to its checksum
    drop(input);
    let archive = RefCell::new(archive);
    Ok((pickle, Container::Zip { archive, folder }))
}

/// An entry, whose checksum is compared at its end; torch.save without checksums writes 0.
fn entry<'a>(archive: &'a mut Archive, name: &str) -> Result<ZipFile<'a, BufReader<File>>> {
    let wrong = |e: &dyn Display| damage(format!("{name}: {e}"));
    let index = archive
        .index_for_name(name)
        .ok_or_else(|| wrong(&"missing"))?;
    let unchecked = archive.by_index_raw(index).map_err(|e| wrong(&e))?.crc32() == 0;
    let options = ZipReadOptions::new().ignore_crc32(unchecked);
    archive
        .by_index_with_options(index, options)
        .map_err(|e| wrong(&e))
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
    check_order(&machine::read(&mut input)?)?;
    let pickle = machine::read(&mut input)?;
    let keys = machine::read(&mut input)?;
    let mut storages = HashMap::new();
    for value in &pickle.values {
        if let Value::Persistent(id) = value
            && let Some(storage) = Storage::of(&pickle, *id)
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
        match self {
            Container::Stream(file, places) => {
                let absent = || damage(format!("storage {} is missing", storage.key));
                let place = places.get(&storage.key).ok_or_else(absent)?;
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, place + first as u64)?;
                Ok(bytes)
            }
            Container::Zip { archive, folder } => {
                let mut archive = archive.borrow_mut();
                let mut entry = entry(&mut archive, &format!("{folder}data/{}", storage.key))?;
                let mut bytes = Vec::new();
                copy(&mut entry.by_ref().take(first as u64), &mut sink())?;
                entry.by_ref().take(length as u64).read_to_end(&mut bytes)?;
                let _ = entry.read(&mut [0])?; // at the end to its checksum
                match bytes.len() == length {
                    true => Ok(bytes),
                    false => Err(damage("ends too early")),
                }
            }
        }
    }
}

impl Storage {
    /// The storage of a persistent id
    /// `('storage', class, key, device, numel, (view key, offset, numel) or None)`.
    /// `None` if the id is of something else.
    pub(super) fn of(pickle: &Pickle, id: Id) -> Option<Result<Storage>> {
        let [tag, class, key, _, numel, view @ ..] = pickle.sequence(id)? else {
            return None;
        };
        let class = pickle.global(*class)?;
        match &pickle.values[*tag as usize] {
            Value::Text(tag) if tag == "storage" => {
                Some(Storage::read(pickle, class, *key, *numel, view))
            }
            _ => None,
        }
    }

    fn read(pickle: &Pickle, class: &str, key: Id, numel: Id, view: &[Id]) -> Result<Storage> {
        let key = pickle
            .key(key)
            .ok_or_else(|| damage("a storage without a key"))?;
        let numel = pickle.size(numel)?;
        if numel > isize::MAX as usize / 8 {
            return Err(damage(format!("storage {key} of {numel} elements")));
        }
        let part = view.first().and_then(|view| pickle.sequence(*view));
        let (offset, end) = match part {
            Some([_, offset, length]) => {
                let (offset, length) = (pickle.size(*offset)?, pickle.size(*length)?);
                let end = offset.checked_add(length).filter(|end| *end <= numel);
                let beyond = || damage(format!("a part beyond storage {key}"));
                (offset, end.ok_or_else(beyond)?)
            }
            _ => (0, numel),
        };
        Ok(Storage {
            kind: kind(class)?,
            key,
            offset,
            end,
            numel,
        })
    }
}

/// The type of the numbers in a storage of this class.
pub(super) fn kind(class: &str) -> Result<Kind> {
    Ok(match class.rsplit('.').next().unwrap_or(class) {
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
    })
}

/// Refuses a file of a big-endian machine by its description of the machine.
pub(super) fn check_order(machine: &Pickle) -> Result<()> {
    let little = machine.item(machine.root, "little_endian");
    match little.map(|id| &machine.values[id as usize]) {
        Some(Value::Bool(true)) => Ok(()),
        _ => Err(unread(BIG_ENDIAN)),
    }
}
