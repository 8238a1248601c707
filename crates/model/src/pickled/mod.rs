//! Files of `torch.save`: what is in them, without executing pickle.
//!
//! - `value`, `machine`: the values of a pickle, and its parser.
//! - `container`, `stored`, `tar`: where a file has its pickle, and the numbers of its tensors.
//! - `write`: files that PyTorch loads.

mod container;
mod machine;
mod stored;
mod tar;
mod value;
mod write;

pub use stored::Stored;
pub use value::Fault;
pub use write::{Python, ordered, write};

use container::{Container, Storage};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::path::Path;
use tch::Tensor;
use value::{Id, LONGEST, Pickle, Value, damage, unread};

/// Maximum ratio of the tensors' size to the file's. Views can repeat bytes of the file;
/// no state dict does so this many times.
const MOST_REPEATED: u64 = 16;

/// Maximum number of values that a search for tensors looks at, and their greatest depth.
const MOST_VISITS: usize = 1 << 20;
const DEEPEST: usize = 200;

/// Maximum number of entries and modules that are listed.
const MOST_ENTRIES: usize = 1000;

/// Maximum number of axes of a tensor.
const MOST_AXES: usize = 64;

type Result<T> = std::result::Result<T, Fault>;

/// A file of `torch.save`, by any of its versions.
pub struct Saved {
    pickle: Pickle,
    container: Container,
    /// The tensors that the pickle refers to by id, as before PyTorch 0.1.10.
    tensors: HashMap<String, Stored>,
    /// Size of the file.
    bytes: u64,
}

/// A value in the file.
#[derive(Clone, Copy)]
pub struct Object<'a> {
    saved: &'a Saved,
    id: Id,
}

impl Saved {
    /// Opens a file that begins with `head`.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn open(path: &Path, head: &[u8]) -> Result<Saved> {
        let file = File::open(path)?;
        let ((pickle, container), tensors) = match head.get(257..262) == Some(b"ustar") {
            true => tar::open(file)?,
            false => (container::open(file, head)?, HashMap::new()),
        };
        Ok(Saved {
            pickle,
            container,
            tensors,
            bytes: path.metadata()?.len(),
        })
    }

    /// What was saved.
    pub fn root(&self) -> Object<'_> {
        self.at(self.pickle.root)
    }

    /// Reads these tensors. Floats become f32; skips types that no weight has.
    ///
    /// # Errors
    /// Names the tensor that can't be read.
    pub fn read(&self, tensors: Vec<(String, Stored)>) -> Result<BTreeMap<String, Tensor>> {
        let all = tensors.iter().map(|(_, stored)| stored.bytes());
        let all = all.fold(0, u64::saturating_add);
        if all > MOST_REPEATED * (self.bytes + (1 << 20)) {
            return Err(unread(format!(
                "says that its {} bytes are {all} bytes of tensors",
                self.bytes
            )));
        }
        let read = tensors.into_iter().filter_map(|(name, stored)| {
            let tensor = stored.read(&self.container)?;
            Some(match tensor {
                Ok(tensor) => Ok((name, tensor)),
                Err(fault) => Err(Fault {
                    why: format!("tensor {name}: {}", fault.why),
                    ..fault
                }),
            })
        });
        read.collect()
    }

    fn at(&self, id: Id) -> Object<'_> {
        Object { saved: self, id }
    }

    fn stored(&self, mut id: Id) -> Option<Result<Stored>> {
        // A parameter is made of a tensor.
        for _ in 0..3 {
            let instance = match &self.pickle.values[id as usize] {
                Value::Instance(instance) => instance,
                Value::Persistent(id) => {
                    let key = self.pickle.key(*id)?;
                    return self.tensors.get(&key).cloned().map(Ok);
                }
                _ => return None,
            };
            let arguments = self.pickle.sequence(instance.arguments)?;
            match self.pickle.global(instance.class)? {
                "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => {
                    return Some(self.view(arguments));
                }
                // (function, class, arguments, state)
                "torch._tensor._rebuild_from_type_v2" => {
                    return Some(self.view(self.pickle.sequence(*arguments.get(2)?)?));
                }
                "torch._utils._rebuild_parameter"
                | "torch._utils._rebuild_parameter_with_state"
                | "torch.nn.parameter.Parameter" => id = *arguments.first()?,
                _ => return None,
            }
        }
        None
    }

    /// The tensor of the arguments (storage, offset, shape, stride, …).
    fn view(&self, arguments: &[Id]) -> Result<Stored> {
        let pickle = &self.pickle;
        let wrong = || damage("a tensor without its storage or shape");
        let [storage, offset, shape, stride, ..] = arguments else {
            return Err(wrong());
        };
        let storage = match &pickle.values[*storage as usize] {
            Value::Persistent(id) => Storage::of(pickle, *id).ok_or_else(wrong)??,
            _ => return Err(wrong()),
        };
        let sizes = |id: Id| -> Result<Vec<usize>> {
            let sizes = pickle.sequence(id).filter(|sizes| sizes.len() <= MOST_AXES);
            let sizes = sizes.ok_or_else(wrong)?;
            sizes.iter().map(|id| pickle.size(*id)).collect()
        };
        Stored::new(
            storage,
            pickle.size(*offset)?,
            &sizes(*shape)?,
            &sizes(*stride)?,
        )
    }
}

impl<'a> Object<'a> {
    fn value(self) -> &'a Value {
        &self.saved.pickle.values[self.id as usize]
    }

    /// The class of an instance, `MODULE.NAME`.
    pub fn class(self) -> Option<&'a str> {
        let pickle = &self.saved.pickle;
        let Value::Instance(instance) = self.value() else {
            return None;
        };
        let class = match pickle.global(instance.class)? {
            "copy_reg._reconstructor" | "copyreg._reconstructor" => {
                *pickle.sequence(instance.arguments)?.first()?
            }
            _ => instance.class,
        };
        pickle.global(class)
    }

    /// An attribute of an instance.
    pub fn attribute(self, name: &str) -> Option<Object<'a>> {
        let pickle = &self.saved.pickle;
        let Value::Instance(instance) = self.value() else {
            return None;
        };
        pickle
            .item(instance.state?, name)
            .map(|id| self.saved.at(id))
    }

    /// The value of a key of a dict.
    pub fn get(self, key: &str) -> Option<Object<'a>> {
        let id = self.saved.pickle.item(self.id, key)?;
        Some(self.saved.at(id))
    }

    /// The first text keys of a dict and their values, in order; none if it is no dict.
    pub fn entries(self) -> Vec<(&'a str, Object<'a>)> {
        let pickle = &self.saved.pickle;
        let items = pickle.items(self.id).unwrap_or_default();
        let entry = |(key, value): &(Id, Id)| match &pickle.values[*key as usize] {
            Value::Text(text) => Some((text.as_str(), self.saved.at(*value))),
            _ => None,
        };
        items.iter().take(MOST_ENTRIES).filter_map(entry).collect()
    }

    /// The first modules of a `torch.nn.Module` and their names, in order.
    pub fn modules(self) -> Vec<(&'a str, Object<'a>)> {
        let modules = self.attribute("_modules");
        let modules = modules.map(Object::entries).unwrap_or_default().into_iter();
        modules
            .filter(|(_, module)| module.class().is_some())
            .collect()
    }

    /// The module of this name, with dots between the names of modules in modules.
    pub fn module(self, name: &str) -> Option<Object<'a>> {
        let step = |at: Object<'a>, name| at.attribute("_modules")?.get(name);
        name.split('.').try_fold(self, step)
    }

    /// A number.
    pub fn number(self) -> Option<f64> {
        match self.value() {
            Value::Int(int) => Some(*int as f64),
            Value::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// An integer, or several in a tuple or list.
    pub fn integers(self) -> Option<Vec<i64>> {
        let integer = |id: &Id| match &self.saved.pickle.values[*id as usize] {
            Value::Int(int) => Some(*int),
            _ => None,
        };
        match self.saved.pickle.sequence(self.id) {
            Some(items) => items.iter().map(integer).collect(),
            None => integer(&self.id).map(|int| vec![int]),
        }
    }

    /// All tensors in it by name: in a dict by its keys, in a list by its positions, in a
    /// module as in its `state_dict()`, with dots between.
    ///
    /// # Errors
    /// What is wrong with a tensor, or that the search comes to no end.
    pub fn tensors(self) -> Result<Vec<(String, Stored)>> {
        let mut search = Search {
            pickle: &self.saved.pickle,
            saved: self.saved,
            path: Vec::new(),
            visits: 0,
            found: Vec::new(),
        };
        search.visit(self.id)?;
        Ok(search.found)
    }
}

/// A search for tensors.
struct Search<'a> {
    pickle: &'a Pickle,
    saved: &'a Saved,
    path: Vec<String>,
    visits: usize,
    found: Vec<(String, Stored)>,
}

impl Search<'_> {
    fn visit(&mut self, id: Id) -> Result<()> {
        self.visits += 1;
        if self.visits > MOST_VISITS || self.path.len() > DEEPEST {
            return Err(unread("its values contain each other without end"));
        }
        if let Some(stored) = self.saved.stored(id) {
            let name = self.path.join(".");
            if name.len() > LONGEST {
                return Err(unread(format!("a tensor's name has {} bytes", name.len())));
            }
            self.found.push((name, stored?));
        } else if let Some(items) = self.pickle.items(id) {
            self.entries(&items, &[])?;
        } else if let Some(items) = self.pickle.sequence(id) {
            for (index, item) in items.iter().enumerate() {
                self.enter(index.to_string(), *item)?;
            }
        } else {
            let module = self.saved.at(id);
            let kept = module.attribute("_non_persistent_buffers_set");
            let kept = kept.and_then(|set| self.pickle.sequence(set.id));
            for table in ["_parameters", "_buffers", "_modules"] {
                let items = module
                    .attribute(table)
                    .and_then(|at| self.pickle.items(at.id));
                let left = if table == "_buffers" { kept } else { None };
                self.entries(&items.unwrap_or_default(), left.unwrap_or_default())?;
            }
        }
        Ok(())
    }

    /// Visits the values of these entries, but not those of the keys `left`.
    fn entries(&mut self, entries: &[(Id, Id)], left: &[Id]) -> Result<()> {
        self.visits += entries.len() + left.len();
        let left: HashSet<_> = left.iter().filter_map(|id| self.pickle.key(*id)).collect();
        for (key, value) in entries {
            if let Some(key) = self.pickle.key(*key).filter(|key| !left.contains(key)) {
                self.enter(key, *value)?;
            }
        }
        Ok(())
    }

    fn enter(&mut self, name: String, id: Id) -> Result<()> {
        self.path.push(name);
        self.visit(id)?;
        self.path.pop();
        Ok(())
    }
}
