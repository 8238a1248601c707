//! Parses pickle into values. Nothing is executed: a call is a value, too.
//!
//! It is the stack machine of Python's `pickletools`, for what `torch.save` writes by any of
//! the binary protocols. Values refer to each other by number, so that sharing and cycles
//! cost nothing.

use super::value::{Fault, Id, Instance, Pickle, Value, damage, unread};
use std::collections::HashMap;
use std::io::{BufRead, Read, copy, sink};

/// Maximum number of opcodes. Each makes at most one value, so this bounds the memory. The
/// pickle of a ResNet-152 with an optimizer has 1 % of it.
const MOST_OPCODES: usize = 1 << 22;

/// Maximum length of a pickle in bytes.
const MOST_BYTES: u64 = 100 << 20;

type Result<T> = std::result::Result<T, Fault>;

/// Parses a pickle, and leaves `input` at the byte after it.
///
/// # Errors
/// The position and what is wrong there.
pub(super) fn read(input: &mut impl BufRead) -> Result<Pickle> {
    let mut machine = Machine {
        input: input.take(MOST_BYTES),
        values: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    let root = machine.run().map_err(|fault| match machine.input.limit() {
        0 => unread(format!("a pickle of more than {} MB", MOST_BYTES >> 20)),
        rest => Fault {
            why: format!("byte {} of its pickle: {}", MOST_BYTES - rest, fault.why),
            ..fault
        },
    })?;
    Ok(Pickle {
        values: machine.values,
        root,
    })
}

struct Machine<R> {
    input: R,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<R: BufRead> Machine<R> {
    fn run(&mut self) -> Result<Id> {
        for _ in 0..MOST_OPCODES {
            let [code] = self.bytes()?;
            match code {
                b'.' => return self.pop(),
                0x80 => match self.bytes()? {
                    [0..=5] => {}
                    [version] => return Err(unread(format!("protocol {version}"))),
                },
                0x95 => drop(self.bytes::<8>()?), // the length of a frame
                b'N' => self.push(Value::None),
                0x88 => self.push(Value::Bool(true)),
                0x89 => self.push(Value::Bool(false)),
                b'K' => self.int::<1>()?,
                b'M' => self.int::<2>()?,
                b'J' => {
                    let int = i32::from_le_bytes(self.bytes()?);
                    self.push(Value::Int(int.into()));
                }
                b'G' => {
                    let float = f64::from_be_bytes(self.bytes()?);
                    self.push(Value::Float(float));
                }
                b'I' | b'L' => {
                    let line = self.line()?;
                    self.push(match line.as_str() {
                        "00" => Value::Bool(false),
                        "01" => Value::Bool(true),
                        text => {
                            (text.trim_end_matches('L').parse()).map_or(Value::Other, Value::Int)
                        }
                    });
                }
                0x8a => self.long::<1>()?,
                0x8b => self.long::<4>()?,
                b'U' | 0x8c => self.text::<1>()?,
                b'T' | b'X' => self.text::<4>()?,
                0x8d => self.text::<8>()?,
                b'C' => self.skip::<1>()?,
                b'B' => self.skip::<4>()?,
                0x8e | 0x96 => self.skip::<8>()?,
                b'(' => self.marks.push(self.stack.len()),
                b')' | b']' | 0x8f => self.push(Value::Sequence(Vec::new())),
                b'}' => self.push(Value::Dict(Vec::new())),
                0x85..=0x87 => {
                    let length = usize::from(code - 0x84);
                    let items = self.last(length)?;
                    self.push(Value::Sequence(items));
                }
                b't' | b'l' | 0x91 => {
                    let items = self.marked()?;
                    self.push(Value::Sequence(items));
                }
                b'd' => {
                    let pairs = pairs(&self.marked()?)?;
                    self.push(Value::Dict(pairs));
                }
                b'a' => {
                    let items = self.last(1)?;
                    self.append(&items)?;
                }
                b'e' | 0x90 => {
                    let items = self.marked()?;
                    self.append(&items)?;
                }
                b's' => {
                    let items = self.last(2)?;
                    self.set(&items)?;
                }
                b'u' => {
                    let items = self.marked()?;
                    self.set(&items)?;
                }
                b'0' if self.marks.last() == Some(&self.stack.len()) => drop(self.marks.pop()),
                b'0' => drop(self.pop()?),
                b'1' => drop(self.marked()?),
                b'2' => self.stack.push(self.top()?),
                b'h' => {
                    let [key] = self.bytes()?;
                    self.get(key.into())?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(self.bytes()?);
                    self.get(key)?;
                }
                b'q' => {
                    let [key] = self.bytes()?;
                    self.put(key.into())?;
                }
                b'r' => {
                    let key = u32::from_le_bytes(self.bytes()?);
                    self.put(key)?;
                }
                0x94 => self.put(self.memo.len() as u32)?,
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.push(Value::Global(format!("{module}.{name}")));
                }
                0x93 => {
                    let names = self.last(2)?;
                    let text = |id: Id| match &self.values[id as usize] {
                        Value::Text(text) => Ok(text.as_str()),
                        _ => Err(damage("a name that is no text")),
                    };
                    let name = format!("{}.{}", text(names[0])?, text(names[1])?);
                    self.push(Value::Global(name));
                }
                b'Q' => {
                    let id = self.pop()?;
                    self.push(Value::Persistent(id));
                }
                b'R' | 0x81 => {
                    let call = self.last(2)?;
                    self.instance(call[0], call[1]);
                }
                0x92 => {
                    let call = self.last(3)?;
                    self.instance(call[0], call[1]);
                }
                b'b' => {
                    let state = self.pop()?;
                    let object = self.top()?;
                    if let Value::Instance(instance) = &mut self.values[object as usize] {
                        instance.state = Some(state);
                    }
                }
                code => return Err(unread(format!("opcode {code:#04x}"))),
            }
        }
        Err(unread(format!("more than {MOST_OPCODES} opcodes")))
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// An unsigned integer of N bytes, at most 8.
    fn unsigned<const N: usize>(&mut self) -> Result<u64> {
        let mut all = [0; 8];
        all[..N].copy_from_slice(&self.bytes::<N>()?);
        Ok(u64::from_le_bytes(all))
    }

    fn int<const N: usize>(&mut self) -> Result<()> {
        let int = self.unsigned::<N>()? as i64;
        self.push(Value::Int(int));
        Ok(())
    }

    /// A line of text, without its end.
    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.input.read_until(b'\n', &mut line)?;
        match line.pop() {
            Some(b'\n') => String::from_utf8(line).map_err(|_| damage("a name that is not UTF-8")),
            _ => Err(damage("ends too early")),
        }
    }

    /// As many bytes as the next N say.
    fn sized<const N: usize>(&mut self) -> Result<Vec<u8>> {
        let length = self.unsigned::<N>()?;
        let mut bytes = Vec::new();
        self.input.by_ref().take(length).read_to_end(&mut bytes)?;
        match bytes.len() as u64 == length {
            true => Ok(bytes),
            false => Err(damage("ends too early")),
        }
    }

    /// An integer in two's complement.
    fn long<const N: usize>(&mut self) -> Result<()> {
        let bytes = self.sized::<N>()?;
        let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut all = [if negative { 0xff } else { 0 }; 8];
        self.push(match all.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(&bytes);
                Value::Int(i64::from_le_bytes(all))
            }
            None => Value::Other,
        });
        Ok(())
    }

    fn text<const N: usize>(&mut self) -> Result<()> {
        let text = String::from_utf8(self.sized::<N>()?);
        self.push(text.map_or(Value::Other, Value::Text));
        Ok(())
    }

    fn skip<const N: usize>(&mut self) -> Result<()> {
        let length = self.unsigned::<N>()?;
        if copy(&mut self.input.by_ref().take(length), &mut sink())? != length {
            return Err(damage("ends too early"));
        }
        self.push(Value::Other);
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len() as Id);
        self.values.push(value);
    }

    fn instance(&mut self, class: Id, arguments: Id) {
        self.push(Value::Instance(Box::new(Instance {
            class,
            arguments,
            state: None,
            items: Vec::new(),
        })));
    }

    /// The lowest height to which values may be taken off the stack.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id> {
        match self.stack.last() {
            Some(id) if self.stack.len() > self.floor() => Ok(*id),
            _ => Err(damage("a value is missing")),
        }
    }

    fn pop(&mut self) -> Result<Id> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    /// The last values, which it takes off the stack.
    fn last(&mut self, count: usize) -> Result<Vec<Id>> {
        match self.stack.len().checked_sub(count) {
            Some(at) if at >= self.floor() => Ok(self.stack.split_off(at)),
            _ => Err(damage("a value is missing")),
        }
    }

    /// The values since the last mark, which it takes off the stack.
    fn marked(&mut self) -> Result<Vec<Id>> {
        let at = self
            .marks
            .pop()
            .ok_or_else(|| damage("a mark is missing"))?;
        Ok(self.stack.split_off(at))
    }

    fn append(&mut self, new: &[Id]) -> Result<()> {
        let object = self.top()?;
        match &mut self.values[object as usize] {
            Value::Sequence(items) => items.extend(new),
            Value::Instance(_) => {} // a kind of list, which nothing here reads
            _ => return Err(damage("items for what is no list")),
        }
        Ok(())
    }

    fn set(&mut self, new: &[Id]) -> Result<()> {
        let object = self.top()?;
        let new = pairs(new)?;
        match &mut self.values[object as usize] {
            Value::Dict(items) => items.extend(new),
            Value::Instance(instance) => instance.items.extend(new),
            _ => return Err(damage("items for what is no dict")),
        }
        Ok(())
    }

    fn get(&mut self, key: u32) -> Result<()> {
        let id = self.memo.get(&key);
        self.stack
            .push(*id.ok_or_else(|| damage("refers to what is not there"))?);
        Ok(())
    }

    fn put(&mut self, key: u32) -> Result<()> {
        let id = self.top()?;
        self.memo.insert(key, id);
        Ok(())
    }
}

fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>> {
    match items.as_chunks() {
        (pairs, []) => Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect()),
        _ => Err(damage("a key without a value")),
    }
}
