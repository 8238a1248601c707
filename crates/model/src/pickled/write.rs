//! Writes values as `torch.save` did before PyTorch 1.6, which every version reads.

use std::collections::HashMap;
use std::io::Write;
use tch::{Device, Kind, Tensor};

/// A value of Python to be written.
pub enum Python {
    /// `None`.
    None,
    /// A bool.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Text(String),
    /// A tuple.
    Tuple(Vec<Python>),
    /// A list.
    List(Vec<Python>),
    /// A dict.
    Dict(Vec<(String, Python)>),
    /// What a class or function, as (module, name), makes of arguments, and then the items of
    /// a dict.
    Call(
        (&'static str, &'static str),
        Vec<Python>,
        Vec<(String, Python)>,
    ),
    /// An instance of a class, as (module, name), with these attributes.
    Instance((&'static str, &'static str), Vec<(String, Python)>),
    /// The class itself, as (module, name).
    Class(&'static str, &'static str),
    /// A tensor of f32 or i64.
    Tensor(Tensor),
    /// A parameter that is trained, or not. The same tensor gives the same parameter.
    Parameter(Tensor, bool),
}

/// `collections.OrderedDict` with these items.
pub fn ordered(items: Vec<(String, Python)>) -> Python {
    Python::Call(("collections", "OrderedDict"), Vec::new(), items)
}

/// Writes a file that `torch.load(FILE, weights_only=False)` reads.
///
/// # Errors
/// If writing fails, or a tensor is of another type.
pub fn write(out: &mut impl Write, value: &Python) -> std::io::Result<()> {
    // The magic number, the protocol, the machine.
    out.write_all(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.")?;
    out.write_all(b"\x80\x02M\xe9\x03.")?;
    let sizes = ["short", "int", "long"].map(str::to_owned).into_iter();
    let sizes = sizes.zip([2, 4, 4].map(Python::Int)).collect();
    let machine = Python::Dict(vec![
        ("protocol_version".to_owned(), Python::Int(1001)),
        ("little_endian".to_owned(), Python::Bool(true)),
        ("type_sizes".to_owned(), Python::Dict(sizes)),
    ]);
    let mut pickler = Pickler::default();
    for value in [&machine, value] {
        pickler.pickle(value)?;
    }
    let storages = std::mem::take(&mut pickler.storages);
    let keys = (0..storages.len()).map(|key| Python::Text(key.to_string()));
    pickler.pickle(&Python::List(keys.collect()))?;
    out.write_all(&pickler.out)?;
    for tensor in storages {
        let numel = tensor.numel();
        let mut bytes = vec![0; numel * tensor.kind().elt_size_in_bytes()];
        tensor
            .f_copy_data_u8(&mut bytes, numel)
            .map_err(std::io::Error::other)?;
        out.write_all(&(numel as u64).to_le_bytes())?;
        out.write_all(&bytes)?;
    }
    Ok(())
}

#[derive(Default)]
struct Pickler {
    out: Vec<u8>,
    /// The tensor of each storage, in the order of their keys.
    storages: Vec<Tensor>,
    /// The memo's place of each parameter, by the address of its numbers.
    parameters: HashMap<usize, u32>,
}

impl Pickler {
    fn pickle(&mut self, value: &Python) -> std::io::Result<()> {
        self.out.extend(b"\x80\x02");
        self.put(value)?;
        self.out.push(b'.');
        Ok(())
    }

    fn put(&mut self, value: &Python) -> std::io::Result<()> {
        match value {
            Python::None => self.out.push(b'N'),
            Python::Bool(true) => self.out.push(0x88),
            Python::Bool(false) => self.out.push(0x89),
            Python::Int(int) => {
                self.out.extend(b"\x8a\x08");
                self.out.extend(int.to_le_bytes());
            }
            Python::Float(float) => {
                self.out.push(b'G');
                self.out.extend(float.to_be_bytes());
            }
            Python::Text(text) => self.text(text),
            Python::Tuple(items) => self.sequence(items, b't')?,
            Python::List(items) => self.sequence(items, b'l')?,
            Python::Dict(items) => {
                self.out.push(b'}');
                self.items(items)?;
            }
            Python::Class(module, name) => self.class((module, name)),
            Python::Call(class, arguments, items) => {
                self.class(*class);
                self.sequence(arguments, b't')?;
                self.out.push(b'R');
                if !items.is_empty() {
                    self.items(items)?;
                }
            }
            Python::Instance(class, attributes) => {
                self.class(*class);
                self.out.extend(b")\x81}");
                self.items(attributes)?;
                self.out.push(b'b');
            }
            Python::Tensor(tensor) => self.tensor(tensor)?,
            Python::Parameter(tensor, trained) => {
                let address = tensor.data_ptr() as usize;
                if let Some(place) = self.parameters.get(&address) {
                    self.out.push(b'j');
                    self.out.extend(place.to_le_bytes());
                    return Ok(());
                }
                self.class(("torch.nn.parameter", "Parameter"));
                self.tensor(tensor)?;
                self.put(&Python::Bool(*trained))?;
                let place = self.parameters.len() as u32;
                self.out.extend(b"\x86Rr");
                self.out.extend(place.to_le_bytes());
                self.parameters.insert(address, place);
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &str) {
        self.out.push(b'X');
        self.out.extend((text.len() as u32).to_le_bytes());
        self.out.extend(text.as_bytes());
    }

    fn class(&mut self, (module, name): (&str, &str)) {
        self.out.extend(format!("c{module}\n{name}\n").as_bytes());
    }

    fn sequence(&mut self, items: &[Python], end: u8) -> std::io::Result<()> {
        self.out.push(b'(');
        for item in items {
            self.put(item)?;
        }
        self.out.push(end);
        Ok(())
    }

    fn items(&mut self, items: &[(String, Python)]) -> std::io::Result<()> {
        self.out.push(b'(');
        for (key, value) in items {
            self.text(key);
            self.put(value)?;
        }
        self.out.push(b'u');
        Ok(())
    }

    /// A call of `_rebuild_tensor_v2` with a storage of the tensor's own.
    fn tensor(&mut self, tensor: &Tensor) -> std::io::Result<()> {
        let class = match tensor.kind() {
            Kind::Float => "FloatStorage",
            Kind::Int64 => "LongStorage",
            other => {
                return Err(std::io::Error::other(format!(
                    "type {other:?} is not written"
                )));
            }
        };
        let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
        self.class(("torch._utils", "_rebuild_tensor_v2"));
        self.out.push(b'(');
        let id = [
            Python::Text("storage".to_owned()),
            Python::Class("torch", class),
            Python::Text(self.storages.len().to_string()),
            Python::Text("cpu".to_owned()),
            Python::Int(tensor.numel() as i64),
            Python::None,
        ];
        self.sequence(&id, b't')?;
        self.out.push(b'Q');
        let sizes = |sizes: Vec<i64>| Python::Tuple(sizes.into_iter().map(Python::Int).collect());
        self.put(&Python::Int(0))?;
        self.put(&sizes(tensor.size()))?;
        self.put(&sizes(tensor.stride()))?;
        self.put(&Python::Bool(false))?;
        self.put(&ordered(Vec::new()))?;
        self.out.extend(b"tR");
        self.storages.push(tensor);
        Ok(())
    }
}
