//! State dicts: tensors by name, from safetensors files and from PyTorch's
//! `.pth` files, without executing pickle.

use crate::{Error, Result};
use pytorch_reader::{DType, PytorchReader};
use safetensors::{Dtype, SafeTensors, View};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use tch::{Kind, Tensor, nn, no_grad};

/// Tensors by name. Floats are f32.
pub type StateDict = BTreeMap<String, Tensor>;

/// Training scripts like to put the state dict under this key.
const WRAPPER: &str = "state_dict.";

/// How many names an error lists.
const LISTED: usize = 4;

/// Reads a state dict, by content: safetensors, or what `torch.save` wrote of a
/// state dict (also one under the key `state_dict`). Pickle is parsed, never
/// executed.
///
/// # Errors
/// [`Error::File`] naming the file and the way out.
pub fn read(path: &Path) -> Result<StateDict> {
    let wrong = |why: String| Error::File(format!("{}: {why}", path.display()));
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(9).read_to_end(&mut head))
        .map_err(|e| wrong(e.to_string()))?;
    // safetensors begin with the length of a JSON object, then the object.
    if head.get(8) == Some(&b'{') {
        let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
        read_safetensors(&bytes).map_err(wrong)
    } else {
        read_pth(path).map_err(wrong)
    }
}

fn read_safetensors(bytes: &[u8]) -> std::result::Result<StateDict, String> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| format!("damaged safetensors ({e}); copy or download the file again"))?;
    let kind = |dtype: Dtype| match dtype {
        Dtype::F16 => Some(Kind::Half),
        Dtype::BF16 => Some(Kind::BFloat16),
        Dtype::F32 => Some(Kind::Float),
        Dtype::F64 => Some(Kind::Double),
        Dtype::I64 => Some(Kind::Int64),
        Dtype::I32 => Some(Kind::Int),
        Dtype::U8 => Some(Kind::Uint8),
        _ => None,
    };
    let tensors = file.iter().map(|(name, view)| {
        let kind = kind(view.dtype())
            .ok_or_else(|| format!("tensor {name}: type {:?} is not known here", view.dtype()))?;
        Ok((
            name.to_owned(),
            tensor(view.data(), view.shape(), kind).map_err(|e| format!("tensor {name}: {e}"))?,
        ))
    });
    tensors.collect()
}

fn read_pth(path: &Path) -> std::result::Result<StateDict, String> {
    let hint = "expected safetensors, or a .pth of torch.save(model.state_dict(), FILE)";
    let reader = PytorchReader::new(path).map_err(|e| format!("{e}; {hint}"))?;
    if reader.is_empty() {
        return Err(format!("holds no tensors; {hint}"));
    }
    // Beside a wrapped state dict there may be an optimizer's tensors.
    let wrapped = reader.keys().iter().any(|name| name.starts_with(WRAPPER));
    let chosen = reader.tensors().iter().filter_map(|(name, saved)| {
        let chosen = if wrapped {
            name.strip_prefix(WRAPPER)?
        } else {
            name
        };
        Some((chosen, saved))
    });
    let tensors = chosen.map(|(name, saved)| {
        let kind = match saved.dtype() {
            DType::F16 => Kind::Half,
            DType::BF16 => Kind::BFloat16,
            DType::F32 => Kind::Float,
            DType::F64 => Kind::Double,
            DType::I64 => Kind::Int64,
            DType::I32 => Kind::Int,
            DType::U8 => Kind::Uint8,
            other => return Err(format!("tensor {name}: type {other:?} is not known here")),
        };
        let data = saved
            .read()
            .map_err(|e| format!("{e}; the file is damaged"))?;
        let tensor =
            tensor(&data, saved.shape(), kind).map_err(|e| format!("tensor {name}: {e}"))?;
        Ok((name.to_owned(), tensor))
    });
    tensors.collect()
}

/// A copy of `data` as a tensor. Both readers checked the lengths; libtorch
/// would read beyond the end of too short a slice, so they are checked here too.
fn tensor(data: &[u8], shape: &[usize], kind: Kind) -> std::result::Result<Tensor, String> {
    let shape: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
    let size = shape.iter().try_fold(kind.elt_size_in_bytes(), |size, n| {
        size.checked_mul(usize::try_from(*n).ok()?)
    });
    if size != Some(data.len()) {
        return Err(format!("{} bytes for shape {shape:?}", data.len()));
    }
    let tensor = Tensor::f_from_data_size(data, &shape, kind).map_err(|e| e.to_string())?;
    if matches!(kind, Kind::Half | Kind::BFloat16 | Kind::Double) {
        tensor.f_to_kind(Kind::Float).map_err(|e| e.to_string())
    } else {
        Ok(tensor)
    }
}

/// Writes a state dict as safetensors, sorted by name: the same tensors give
/// the same bytes.
///
/// # Errors
/// [`Error::File`] where the file can't be written.
pub fn write(path: &Path, dict: &StateDict) -> Result<()> {
    let views = dict.iter().map(|(name, tensor)| (name, Bytes::of(tensor)));
    let wrong = |why: String| Error::File(format!("{}: {why}", path.display()));
    let views = views.map(|(name, bytes)| {
        bytes
            .map(|b| (name, b))
            .map_err(|e| wrong(format!("tensor {name}: {e}")))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    // It makes a file for the owner alone; ours is for those whom the umask leaves.
    let _ = std::fs::File::create_new(path);
    let permissions = path.metadata().map(|meta| meta.permissions());
    safetensors::serialize_to_file(views, None, path).map_err(|e| wrong(e.to_string()))?;
    permissions
        .and_then(|permissions| std::fs::set_permissions(path, permissions))
        .map_err(|e| wrong(e.to_string()))
}

/// A tensor's numbers in memory.
struct Bytes {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Bytes {
    fn of(tensor: &Tensor) -> std::result::Result<Bytes, String> {
        let (dtype, size) = match tensor.kind() {
            Kind::Float => (Dtype::F32, 4),
            Kind::Half => (Dtype::F16, 2),
            Kind::Int64 => (Dtype::I64, 8),
            other => return Err(format!("type {other:?} is not written")),
        };
        let mut data = vec![0; tensor.numel() * size];
        let tensor = tensor.detach().to_device(tch::Device::Cpu).contiguous();
        tensor
            .f_copy_data_u8(&mut data, tensor.numel())
            .map_err(|e| e.to_string())?;
        Ok(Bytes {
            dtype,
            shape: tensor.size().iter().map(|n| *n as usize).collect(),
            data,
        })
    }
}

impl View for Bytes {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// Copies a state dict into the variables of the same names. A name that the
/// variables lack is an error unless `may_be_left` says otherwise.
///
/// # Errors
/// [`Error::Mismatch`] naming the first few missing, superfluous and misshapen
/// tensors; nothing is copied then.
pub fn assign(
    vars: &nn::VarStore,
    dict: &StateDict,
    may_be_left: &dyn Fn(&str) -> bool,
) -> Result<()> {
    let variables: StateDict = vars.variables().into_iter().collect();
    let missing = variables
        .keys()
        .filter(|name| !dict.contains_key(*name))
        .cloned();
    let superfluous = dict
        .keys()
        .filter(|name| !variables.contains_key(*name) && !may_be_left(name))
        .cloned();
    let misshapen = variables.iter().filter_map(|(name, variable)| {
        let given = dict.get(name)?.size();
        (given != variable.size())
            .then(|| format!("{name} {given:?} instead of {:?}", variable.size()))
    });
    let lists: [(&str, Vec<String>); 3] = [
        ("missing", missing.collect()),
        ("superfluous", superfluous.collect()),
        ("misshapen", misshapen.collect()),
    ];
    let complaints: Vec<String> = lists
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| list(what, names))
        .collect();
    if !complaints.is_empty() {
        return Err(Error::Mismatch(complaints.join("; ")));
    }
    no_grad(|| {
        for (name, mut variable) in variables {
            if let Some(value) = dict.get(&name) {
                variable
                    .f_copy_(value)
                    .map_err(|e| Error::Mismatch(format!("{name}: {e}")))?;
            }
        }
        Ok(())
    })
}

fn list(what: &str, names: &[String]) -> String {
    let shown = names
        .iter()
        .take(LISTED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    let more = if names.len() > LISTED { ", …" } else { "" };
    format!("{} {what} ({shown}{more})", names.len())
}
