//! The values of a pickle.

use std::borrow::Cow;
use std::io::ErrorKind;

/// Maximum length of a key in bytes.
pub(super) const LONGEST: usize = 4096;

/// Number of a value in its [`Pickle`].
pub(super) type Id = u32;

/// A value of Python.
#[derive(Debug)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Bytes, or an integer of more than 64 bits.
    Other,
    /// A tuple, list or set.
    Sequence(Vec<Id>),
    /// A dict's keys and values, in order.
    Dict(Vec<(Id, Id)>),
    /// A class or function, `MODULE.NAME`.
    Global(String),
    /// What a class or function makes of its arguments.
    Instance(Box<Instance>),
    /// What the file has elsewhere under this id.
    Persistent(Id),
}

/// What a class or function makes of its arguments.
#[derive(Debug)]
pub(super) struct Instance {
    pub(super) class: Id,
    pub(super) arguments: Id,
    /// Its attributes.
    pub(super) state: Option<Id>,
    /// What it holds, if it is a kind of dict.
    pub(super) items: Vec<(Id, Id)>,
}

/// A parsed pickle. It may have cycles.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) values: Vec<Value>,
    pub(super) root: Id,
}

/// Why a file can't be read.
#[derive(Debug)]
pub struct Fault {
    /// What is wrong.
    pub why: String,
    /// Whether bytes are missing or wrong; otherwise it is something that is not read.
    pub damage: bool,
}

/// Bytes are missing or wrong.
pub(super) fn damage(why: impl Into<String>) -> Fault {
    Fault {
        why: why.into(),
        damage: true,
    }
}

/// The file holds something that is not read.
pub(super) fn unread(why: impl Into<String>) -> Fault {
    Fault {
        why: why.into(),
        damage: false,
    }
}

impl From<std::io::Error> for Fault {
    fn from(e: std::io::Error) -> Fault {
        match e.kind() {
            ErrorKind::UnexpectedEof => damage("ends too early"),
            _ => damage(e.to_string()),
        }
    }
}

type Result<T> = std::result::Result<T, Fault>;

impl Pickle {
    /// The value under a text key of a dict.
    pub(super) fn item(&self, dict: Id, key: &str) -> Option<Id> {
        let is_key = |id: Id| matches!(&self.values[id as usize], Value::Text(text) if text == key);
        let items = self.items(dict)?;
        let found = items.iter().rev().find(|(id, _)| is_key(*id));
        found.map(|(_, value)| *value)
    }

    /// The keys and values of a dict, also of an `OrderedDict` and the like.
    pub(super) fn items(&self, dict: Id) -> Option<Cow<'_, [(Id, Id)]>> {
        let instance = match &self.values[dict as usize] {
            Value::Dict(items) => return Some(items.into()),
            Value::Instance(instance) => instance,
            _ => return None,
        };
        let items = &instance.items;
        let is_ordered = self.global(instance.class)? == "collections.OrderedDict";
        // Python 2 gives it its pairs as argument.
        match self.sequence(instance.arguments)? {
            [pairs] if is_ordered => {
                let pairs = self.sequence(*pairs).unwrap_or_default().iter();
                let pair = |id: &Id| match self.sequence(*id) {
                    Some([key, value]) => Some((*key, *value)),
                    _ => None,
                };
                let pairs = pairs.filter_map(pair);
                Some(pairs.chain(items.iter().copied()).collect())
            }
            _ if is_ordered || !items.is_empty() => Some(items.into()),
            _ => None,
        }
    }

    /// The name of a class or function. Before PyTorch 1.6, the class of a module comes with
    /// its source text, as `('module', class, file, text)`.
    pub(super) fn global(&self, id: Id) -> Option<&str> {
        let id = match &self.values[id as usize] {
            Value::Persistent(id) => match self.sequence(*id)? {
                [_, class, _, _] => *class,
                _ => return None,
            },
            _ => id,
        };
        match &self.values[id as usize] {
            Value::Global(name) => Some(name),
            _ => None,
        }
    }

    /// The items of a tuple, list or set.
    pub(super) fn sequence(&self, id: Id) -> Option<&[Id]> {
        let plain = |id: Id| match &self.values[id as usize] {
            Value::Sequence(items) => Some(items.as_slice()),
            _ => None,
        };
        match &self.values[id as usize] {
            Value::Instance(instance) => match self.global(instance.class)? {
                "__builtin__.set" | "builtins.set" | "torch.Size" => {
                    plain(*plain(instance.arguments)?.first()?)
                }
                _ => None,
            },
            _ => plain(id),
        }
    }

    /// A key as text; PyTorch also writes integers. `None` if it is absurdly long.
    pub(super) fn key(&self, id: Id) -> Option<String> {
        match &self.values[id as usize] {
            Value::Text(text) => (text.len() <= LONGEST).then(|| text.clone()),
            Value::Int(int) => Some(int.to_string()),
            _ => None,
        }
    }

    /// A number of elements.
    pub(super) fn size(&self, id: Id) -> Result<usize> {
        match &self.values[id as usize] {
            Value::Int(int) => usize::try_from(*int).map_err(|_| damage(format!("size {int}"))),
            _ => Err(damage("a size that is no integer")),
        }
    }
}
