//! The stack machine: one pass over the instructions, none of which calls anything.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::opcode::{self as op, describe};
use super::{Global, Heap, Pickle, PickleError, Value};

/// The length at which a pickle is refused. A state dictionary takes about 200 bytes a tensor, and a value of three bytes
/// may take a hundred in memory.
pub const MOST_BYTES: usize = 4 << 20;

/// The bytes of a name that an error repeats.
const MOST_SHOWN: usize = 200;

/// Reads the pickle that begins at byte `start`.
///
/// # Errors
/// The first instruction or name that is not allowed, or that makes no sense where it stands.
pub fn read(bytes: &[u8], start: usize) -> Result<Pickle, PickleError> {
    let mut machine = Machine {
        cursor: Cursor::new(bytes, start),
        offset: start,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: BTreeMap::new(),
        heap: Heap::default(),
        dimensions: 0,
    };
    loop {
        machine.offset = machine.cursor.position();
        if machine.offset - start > MOST_BYTES {
            return Err(machine.malformed(format!("it is longer than {MOST_BYTES} bytes")));
        }
        let opcode = machine.cursor.byte()?;
        if opcode == op::STOP {
            let root = machine.pop()?;
            return Ok(Pickle { heap: machine.heap, root, end: machine.cursor.position() });
        }
        machine.step(opcode)?;
    }
}

pub(super) struct Machine<'a> {
    cursor: Cursor<'a>,
    /// Where the current instruction stands.
    offset: usize,
    stack: Vec<Value>,
    /// The heights of the stack at which marks were set.
    marks: Vec<usize>,
    memo: BTreeMap<u64, Value>,
    pub(super) heap: Heap,
    /// The dimensions of all tensors so far.
    dimensions: usize,
}

impl Machine<'_> {
    fn step(&mut self, opcode: u8) -> Result<(), PickleError> {
        match opcode {
            op::PROTO => {
                let version = self.cursor.byte()?;
                if !(1..=5).contains(&version) {
                    return Err(self.malformed(format!("protocol {version} is unknown")));
                }
            }
            op::FRAME => {
                self.cursor.u64()?;
            }

            op::NONE => self.stack.push(Value::None),
            op::NEWTRUE => self.stack.push(Value::Bool(true)),
            op::NEWFALSE => self.stack.push(Value::Bool(false)),
            op::BININT => {
                let value = self.cursor.u32()?.cast_signed();
                self.stack.push(Value::Int(value.into()));
            }
            op::BININT1 => {
                let value = self.cursor.byte()?;
                self.stack.push(Value::Int(value.into()));
            }
            op::BININT2 => {
                let value = self.cursor.u16()?;
                self.stack.push(Value::Int(value.into()));
            }
            op::LONG1 => {
                let count = self.cursor.byte()?;
                let value = self.cursor.integer(count.into())?;
                self.stack.push(value.map_or(Value::BigInt, Value::Int));
            }
            op::INT | op::LONG => self.decimal()?,
            op::BINFLOAT => {
                let value = f64::from_be_bytes(self.cursor.array()?);
                self.stack.push(Value::Float(value));
            }

            op::SHORT_BINUNICODE | op::SHORT_BINSTRING => {
                let count = self.cursor.byte()?;
                self.text(count.into())?;
            }
            op::BINUNICODE | op::BINSTRING => {
                let count = self.cursor.u32()?;
                self.text(count as usize)?;
            }
            op::BINUNICODE8 => {
                let count = self.cursor.u64()?;
                self.text(usize::try_from(count).unwrap_or(usize::MAX))?;
            }

            op::MARK => self.marks.push(self.stack.len()),
            op::POP => {
                // With nothing above the last mark, the mark itself is popped.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            op::POP_MARK => {
                self.pop_to_mark()?;
            }

            op::EMPTY_LIST => self.push_list(Vec::new()),
            op::LIST => {
                let elements = self.pop_to_mark()?;
                self.push_list(elements);
            }
            op::APPEND => {
                let element = self.pop()?;
                self.extend_list(vec![element])?;
            }
            op::APPENDS => {
                let elements = self.pop_to_mark()?;
                self.extend_list(elements)?;
            }

            op::EMPTY_TUPLE => self.push_tuple(Vec::new()),
            op::TUPLE => {
                let elements = self.pop_to_mark()?;
                self.push_tuple(elements);
            }
            op::TUPLE1 => self.tuple_of(1)?,
            op::TUPLE2 => self.tuple_of(2)?,
            op::TUPLE3 => self.tuple_of(3)?,

            op::EMPTY_DICT => self.push_dict(Vec::new()),
            op::DICT => {
                let elements = self.pop_to_mark()?;
                let items = self.pairs(elements)?;
                self.push_dict(items);
            }
            op::SETITEM => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.extend_dict(vec![(key, value)])?;
            }
            op::SETITEMS => {
                let elements = self.pop_to_mark()?;
                let items = self.pairs(elements)?;
                self.extend_dict(items)?;
            }

            op::BINPUT => {
                let key = self.cursor.byte()?;
                self.remember(key.into())?;
            }
            op::LONG_BINPUT => {
                let key = self.cursor.u32()?;
                self.remember(key.into())?;
            }
            op::PUT => {
                let key = self.memo_key()?;
                self.remember(key)?;
            }
            op::MEMOIZE => self.remember(self.memo.len() as u64)?,
            op::BINGET => {
                let key = self.cursor.byte()?;
                self.recall(key.into())?;
            }
            op::LONG_BINGET => {
                let key = self.cursor.u32()?;
                self.recall(key.into())?;
            }
            op::GET => {
                let key = self.memo_key()?;
                self.recall(key)?;
            }

            op::GLOBAL => {
                let module = self.cursor.line()?;
                let name = self.cursor.line()?;
                self.global(module, name)?;
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let (Value::Text(module), Value::Text(name)) = (module, name) else {
                    return Err(self.malformed("a name to import that is no string"));
                };
                self.global(&module, &name)?;
            }
            op::REDUCE => self.reduce()?,
            op::BUILD => self.build()?,
            op::BINPERSID => self.persistent_id()?,

            other => {
                return Err(PickleError::ForbiddenOpcode { opcode: describe(other), offset: self.offset });
            }
        }
        Ok(())
    }

    // Literals.

    fn text(&mut self, count: usize) -> Result<(), PickleError> {
        let text = self.cursor.text(count)?;
        self.stack.push(Value::Text(text.into()));
        Ok(())
    }

    fn decimal(&mut self) -> Result<(), PickleError> {
        let line = self.cursor.line()?;
        self.stack.push(match line {
            "00" => Value::Bool(false),
            "01" => Value::Bool(true),
            digits => match digits.strip_suffix('L').unwrap_or(digits).parse() {
                Ok(value) => Value::Int(value),
                Err(_) => return Err(self.malformed("an integer that cannot be read")),
            },
        });
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), PickleError> {
        let Some(global) = Global::find(module, name) else {
            let name: String = format!("{module}.{name}").chars().take(MOST_SHOWN).collect();
            return Err(PickleError::ForbiddenGlobal { name, offset: self.offset });
        };
        self.stack.push(Value::Global(global));
        Ok(())
    }

    // Containers.

    fn push_list(&mut self, elements: Vec<Value>) {
        let list = self.heap.new_list(elements);
        self.stack.push(list);
    }

    fn push_tuple(&mut self, elements: Vec<Value>) {
        let tuple = self.heap.new_tuple(elements);
        self.stack.push(tuple);
    }

    fn push_dict(&mut self, items: Vec<(Value, Value)>) {
        let dict = self.heap.new_dict(items);
        self.stack.push(dict);
    }

    fn tuple_of(&mut self, count: usize) -> Result<(), PickleError> {
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(self.pop()?);
        }
        elements.reverse();
        self.push_tuple(elements);
        Ok(())
    }

    fn extend_list(&mut self, elements: Vec<Value>) -> Result<(), PickleError> {
        let top = self.top()?;
        let kind = top.kind();
        match self.heap.list_mut(&top) {
            Some(list) => list.extend(elements),
            None => return Err(self.malformed(format!("elements appended to {kind}"))),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: Vec<(Value, Value)>) -> Result<(), PickleError> {
        let top = self.top()?;
        let kind = top.kind();
        match self.heap.dict_mut(&top) {
            Some(dict) => dict.extend(items),
            None => return Err(self.malformed(format!("items set in {kind}"))),
        }
        Ok(())
    }

    fn pairs(&self, elements: Vec<Value>) -> Result<Vec<(Value, Value)>, PickleError> {
        let mut items = Vec::with_capacity(elements.len() / 2);
        let mut elements = elements.into_iter();
        while let Some(key) = elements.next() {
            let Some(value) = elements.next() else {
                return Err(self.malformed("a dictionary's key without a value"));
            };
            items.push((key, value));
        }
        Ok(items)
    }

    // The stack and the memo.

    pub(super) fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    /// Removes the topmost value; those under the last mark are out of reach.
    pub(super) fn pop(&mut self) -> Result<Value, PickleError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.malformed("a value is missing from the stack"));
        }
        Ok(self.stack.pop().expect("the stack is higher than its floor"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, PickleError> {
        let Some(mark) = self.marks.pop() else {
            return Err(self.malformed("a mark is missing from the stack"));
        };
        Ok(self.stack.split_off(mark))
    }

    pub(super) fn top(&self) -> Result<Value, PickleError> {
        self.stack.last().cloned().ok_or_else(|| self.malformed("the stack is empty"))
    }

    fn memo_key(&mut self) -> Result<u64, PickleError> {
        let line = self.cursor.line()?;
        line.parse().map_err(|_| self.malformed("a memo key that is no number"))
    }

    fn remember(&mut self, key: u64) -> Result<(), PickleError> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u64) -> Result<(), PickleError> {
        let Some(value) = self.memo.get(&key).cloned() else {
            return Err(self.malformed(format!("memo {key} is read before it is written")));
        };
        self.stack.push(value);
        Ok(())
    }

    /// Counts a tensor's dimensions. Each takes a byte or more where it is written, but a tuple may be mentioned any
    /// number of times, and every tensor copies it.
    pub(super) fn count_dimensions(&mut self, count: usize) -> Result<(), PickleError> {
        self.dimensions += count;
        if self.dimensions > self.cursor.position() {
            return Err(self.malformed("its tensors have more dimensions than it has bytes"));
        }
        Ok(())
    }

    pub(super) fn malformed(&self, reason: impl Into<String>) -> PickleError {
        PickleError::Malformed { offset: self.offset, reason: reason.into() }
    }
}
