//! State dicts: tensors by name, from safetensors files and from PyTorch's
//! `.pth` files, without executing pickle.

use crate::pickled::{Fault, Saved};
use crate::{Error, Result};
use safetensors::{Dtype, SafeTensors, View};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use tch::{Kind, Tensor, nn, no_grad};

/// Tensors by name. Floats are f32.
pub type StateDict = BTreeMap<String, Tensor>;

/// Many training scripts put the state dict under one of these keys.
const WRAPPERS: [&str; 2] = ["state_dict.", "model_state_dict."];

const HINT: &str = "expected safetensors, or a .pth of torch.save(model.state_dict(), FILE)";

/// Maximum number of names that an error lists.
const LISTED: usize = 4;

/// Reads a state dict from a file that by its content is safetensors, or a `.pth` by
/// `torch.save` of any version (also with the state dict under the key `state_dict`).
/// Pickle is parsed, never executed. Skips tensors of types that no weight has.
///
/// # Errors
/// [`Error::File`] naming the file and what to do.
pub fn read(path: &Path) -> Result<StateDict> {
    let wrong = |why: String| Error::File(format!("{}: {why}", path.display()));
    let head = head(path).map_err(wrong)?;
    // safetensors begin with the length of a JSON object, then the object.
    if head.get(4..9) == Some(b"\0\0\0\0{") {
        let bytes = std::fs::read(path).map_err(|e| wrong(e.to_string()))?;
        read_safetensors(&bytes).map_err(wrong)
    } else if let Some(what) = not_weights(&head) {
        Err(wrong(what.to_owned()))
    } else {
        read_pth(path, &head).map_err(wrong)
    }
}

/// Recognises common mistakes by a file's first bytes; says what the file is and what to
/// do.
fn not_weights(head: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(head).to_lowercase();
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if head.is_empty() {
        Some("empty; copy or download it again")
    } else if ["<!doctype", "<html", "<head", "<?xml"]
        .iter()
        .any(|tag| text.starts_with(tag))
    {
        Some("a web page, not weights; download the file itself, not the page that shows it")
    } else if text.starts_with("version https://git-lfs") {
        Some("a Git LFS pointer, not weights; get the file itself with `git lfs pull`")
    } else if head.starts_with(&[0x1f, 0x8b]) {
        Some("packed with gzip; unpack it first")
    } else {
        None
    }
}

/// Opens a file of `torch.save` for whatever it holds.
///
/// # Errors
/// What is wrong with the file, and the way out.
pub fn open(path: &Path) -> std::result::Result<Saved, String> {
    let head = head(path)?;
    match not_weights(&head) {
        Some(what) => Err(what.to_owned()),
        None => Saved::open(path, &head).map_err(explained),
    }
}

/// The first bytes of a file.
fn head(path: &Path) -> std::result::Result<Vec<u8>, String> {
    if path.is_dir() {
        return Err("a folder; name the file of weights in it".to_owned());
    }
    let mut head = Vec::new();
    File::open(path)
        .and_then(|file| file.take(512).read_to_end(&mut head))
        .map_err(|e| e.to_string())?;
    Ok(head)
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
    let tensors = file.iter().filter_map(|(name, view)| {
        let tensor = tensor(view.data(), view.shape(), kind(view.dtype())?);
        Some(match tensor {
            Ok(tensor) => Ok((name.to_owned(), tensor)),
            Err(e) => Err(format!("tensor {name}: {e}")),
        })
    });
    tensors.collect()
}

fn read_pth(path: &Path, head: &[u8]) -> std::result::Result<StateDict, String> {
    let wrong = |fault: Fault| match fault.damage {
        true => explained(fault),
        false => format!("{}; {HINT}", fault.why),
    };
    let saved = Saved::open(path, head).map_err(wrong)?;
    let tensors = saved.root().tensors().map_err(wrong)?;
    if tensors.is_empty() {
        return Err(format!("holds no tensors; {HINT}"));
    }
    // Next to a wrapped state dict there may be an optimizer's tensors.
    let is_there = |key: &&&str| tensors.iter().any(|(name, _)| name.starts_with(**key));
    let wrapper = WRAPPERS.iter().find(is_there).copied().unwrap_or_default();
    let chosen = tensors.into_iter().filter_map(|(name, stored)| {
        let name = name.strip_prefix(wrapper)?;
        Some((name.to_owned(), stored))
    });
    saved.read(chosen.collect()).map_err(wrong)
}

/// What is wrong with a file, and the way out if it is damaged.
fn explained(fault: Fault) -> String {
    match fault.damage {
        true => format!(
            "{}; the file is cut short or damaged: copy or download it again",
            fault.why
        ),
        false => fault.why,
    }
}

/// A copy of `data` as a tensor. The reader checked the lengths; libtorch
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
/// [`Error::File`] if writing fails.
pub fn write(path: &Path, dict: &StateDict) -> Result<()> {
    let views = dict.iter().map(|(name, tensor)| (name, Bytes::new(tensor)));
    let wrong = |why: String| Error::File(format!("{}: {why}", path.display()));
    let views = views.map(|(name, bytes)| {
        bytes
            .map(|b| (name, b))
            .map_err(|e| wrong(format!("tensor {name}: {e}")))
    });
    let views = views.collect::<Result<Vec<_>>>()?;
    // safetensors creates files with mode 600; give this one the permissions of the umask.
    let _ = std::fs::File::create_new(path);
    let permissions = path.metadata().map(|meta| meta.permissions());
    safetensors::serialize_to_file(views, None, path).map_err(|e| wrong(e.to_string()))?;
    permissions
        .and_then(|permissions| std::fs::set_permissions(path, permissions))
        .map_err(|e| wrong(e.to_string()))
}

/// A tensor's numbers as bytes, for safetensors.
struct Bytes {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Bytes {
    fn new(tensor: &Tensor) -> std::result::Result<Bytes, String> {
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

/// Copies a state dict into the variables of the same names. A name that the variables lack
/// is an error unless `may_be_left` returns true for it.
///
/// # Errors
/// [`Error::Mismatch`] naming the first few tensors that are missing, superfluous,
/// misshapen, of another type, or with NaN, infinite numbers or a negative variance; then
/// nothing is copied.
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
    let given = |name: &String| dict.get(name).map(|tensor| (name.clone(), tensor));
    let other_type = (variables.keys().filter_map(given))
        .filter(|(_, tensor)| tensor.kind() != Kind::Float)
        .map(|(name, tensor)| format!("{name} {:?}", tensor.kind()));
    refuse([
        ("missing", missing.collect()),
        ("superfluous", superfluous.collect()),
        ("misshapen", misshapen.collect()),
        ("of another type", other_type.collect()),
    ])?;
    let named = |wrong: &dyn Fn(&str, &Tensor) -> bool| {
        let wrong = (variables.keys().filter_map(given)).filter(|(name, given)| wrong(name, given));
        wrong.map(|(name, _)| name).collect()
    };
    // In f64, the sum of so many finite f32 numbers is finite.
    let not_finite =
        |_: &str, given: &Tensor| !given.sum(Kind::Double).double_value(&[]).is_finite();
    let negative = |name: &str, given: &Tensor| {
        name.ends_with("running_var") && given.numel() > 0 && given.min().double_value(&[]) < 0.0
    };
    refuse([
        ("with NaN or infinite numbers", named(&not_finite)),
        ("with a negative variance", named(&negative)),
    ])?;
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

/// Fails with the listed names, if there are any.
fn refuse<const N: usize>(lists: [(&str, Vec<String>); N]) -> Result<()> {
    let complaints: Vec<String> = lists
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(what, names)| list(what, names))
        .collect();
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(Error::Mismatch(complaints.join("; "))),
    }
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
