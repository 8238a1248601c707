//! Files of before PyTorch 0.1.10, such as torchvision's first weights: a tar archive of
//! `sys_info`, `storages`, `tensors` and `pickle`, which refers to tensors by id.

use super::container::{Container, Storage, check_order, kind};
use super::machine;
use super::stored::Stored;
use super::value::{Fault, Id, Pickle, damage, unread};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use tar::Archive;

type Result<T> = std::result::Result<T, Fault>;

/// The pickle with the place of its storages, and the tensors by their ids.
type Opened = ((Pickle, Container), HashMap<String, Stored>);

/// Reads the archive, except for the numbers.
pub(super) fn open(file: File) -> Result<Opened> {
    let mut parts = HashMap::new();
    for entry in Archive::new(&file).entries()? {
        let entry = entry?;
        let name = entry
            .path()?
            .to_string_lossy()
            .trim_start_matches("./")
            .to_owned();
        parts.insert(name, (entry.raw_file_position(), entry.size()));
    }
    let at = |name: &str| -> Result<BufReader<File>> {
        let (place, _) = parts
            .get(name)
            .ok_or_else(|| unread(format!("a tar archive without {name}")))?;
        let mut input = BufReader::new(file.try_clone()?);
        input.seek(SeekFrom::Start(*place))?;
        Ok(input)
    };
    check_order(&machine::read(&mut at("sys_info")?)?)?;
    // These share the file's position, so that one is read after the other.
    let end = file.metadata()?.len();
    let (places, storages) = storages(&mut at("storages")?, end)?;
    let tensors = tensors(&mut at("tensors")?, &storages)?;
    let pickle = machine::read(&mut at("pickle")?)?;
    Ok(((pickle, Container::Stream(file, places)), tensors))
}

/// Each storage, after a count: (key, device, class), the number of elements, the numbers.
/// Then parts of others: (key, key of the whole, offset, number of elements).
fn storages(
    input: &mut BufReader<File>,
    end: u64,
) -> Result<(HashMap<String, u64>, HashMap<String, Storage>)> {
    let (mut places, mut storages) = (HashMap::new(), HashMap::new());
    for _ in 0..count(input)? {
        let about = machine::read(input)?;
        let [key, _, class] = fields(&about, about.root)?;
        let class = about
            .global(class)
            .ok_or_else(|| damage("a storage without a class"))?;
        let kind = kind(class)?;
        let numel = long(input)?;
        let place = input.stream_position()?;
        let bytes = numel
            .checked_mul(kind.elt_size_in_bytes())
            .map(|bytes| bytes as u64);
        let next = bytes.and_then(|bytes| place.checked_add(bytes));
        let next = next
            .filter(|next| *next <= end)
            .ok_or_else(|| damage("ends too early"))?;
        input.seek(SeekFrom::Start(next))?;
        let key = text(&about, key)?;
        places.insert(key.clone(), place);
        let storage = Storage {
            key: key.clone(),
            kind,
            offset: 0,
            end: numel,
            numel,
        };
        storages.insert(key, storage);
    }
    let parts = machine::read(input)?;
    for part in parts.sequence(parts.root).unwrap_or_default() {
        let [key, whole, offset, numel] = fields(&parts, *part)?;
        let whole = storages.get(&text(&parts, whole)?).cloned();
        let whole = whole.ok_or_else(|| damage("a part of no storage"))?;
        let offset = parts.size(offset)?;
        let end = offset
            .checked_add(parts.size(numel)?)
            .filter(|end| *end <= whole.numel);
        let end = end.ok_or_else(|| damage(format!("a part beyond storage {}", whole.key)))?;
        storages.insert(
            text(&parts, key)?,
            Storage {
                offset,
                end,
                ..whole
            },
        );
    }
    Ok((places, storages))
}

/// Each tensor, after a count: (key, storage's key, class), the number of axes in 8 bytes, of
/// which 4 count, sizes, strides, offset.
fn tensors(
    input: &mut BufReader<File>,
    storages: &HashMap<String, Storage>,
) -> Result<HashMap<String, Stored>> {
    let mut tensors = HashMap::new();
    for _ in 0..count(input)? {
        let about = machine::read(input)?;
        let [key, storage, _] = fields(&about, about.root)?;
        let storage = storages.get(&text(&about, storage)?).cloned();
        let storage = storage.ok_or_else(|| damage("a tensor of no storage"))?;
        let axes = long(input)? & 0xffff_ffff;
        if axes > 64 {
            return Err(damage(format!("a tensor of {axes} axes")));
        }
        let mut longs = || (0..axes).map(|_| long(input)).collect::<Result<Vec<_>>>();
        let (shape, stride) = (longs()?, longs()?);
        let offset = long(input)?;
        let stored = Stored::new(storage, offset, &shape, &stride)?;
        tensors.insert(text(&about, key)?, stored);
    }
    Ok(tensors)
}

fn count(input: &mut BufReader<File>) -> Result<usize> {
    let count = machine::read(input)?;
    count.size(count.root)
}

fn long(input: &mut BufReader<File>) -> Result<usize> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    usize::try_from(u64::from_le_bytes(bytes)).map_err(|_| damage("a size of more than 64 bits"))
}

fn fields<const N: usize>(pickle: &Pickle, id: Id) -> Result<[Id; N]> {
    let fields = pickle
        .sequence(id)
        .and_then(|fields| fields.try_into().ok());
    fields.ok_or_else(|| damage(format!("not the {N} fields of a tensor")))
}

fn text(pickle: &Pickle, id: Id) -> Result<String> {
    pickle
        .key(id)
        .ok_or_else(|| damage("a key that is no text"))
}
