//! What a pickle builds: values on the machine's stack, and the objects they refer to.

use std::rc::Rc;

use safetensors::Dtype;

use super::Global;

/// A finished pickle.
#[derive(Debug)]
pub struct Pickle {
    /// The objects that values refer to.
    pub heap: Heap,
    /// The value that was pickled.
    pub root: Value,
    /// The index of the byte behind the pickle.
    pub end: usize,
}

/// A value: small ones in themselves, objects by their place in the [`Heap`].
#[derive(Clone, Debug)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer that fits 64 bits.
    Int(i64),
    /// An integer beyond them; its digits are of no interest.
    BigInt,
    /// A float.
    Float(f64),
    /// A string.
    Text(Rc<str>),
    /// A name of the allow-list.
    Global(Global),
    /// A storage of elements.
    Storage(Rc<Storage>),
    /// A tensor.
    Tensor(Rc<TensorView>),
    /// A list, at this place of the heap.
    List(usize),
    /// A tuple, at this place of the heap.
    Tuple(usize),
    /// A dictionary, at this place of the heap.
    Dict(usize),
}

/// A storage as a pickle refers to it: the elements stand elsewhere in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// The type of the elements.
    pub dtype: Dtype,
    /// The key under which the file holds the elements of the whole (root) storage.
    pub key: Rc<str>,
    /// The number of elements of the whole storage.
    pub root_elements: usize,
    /// The first element of this view of it.
    pub first: usize,
    /// The number of elements of this view.
    pub elements: usize,
}

/// A tensor as a pickle describes it; nothing is checked against the storage yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorView {
    /// Where its elements are.
    pub storage: Rc<Storage>,
    /// The index of its first element in the storage.
    pub offset: usize,
    /// The extent of each dimension.
    pub shape: Vec<usize>,
    /// The step of each dimension, in elements.
    pub stride: Vec<usize>,
}

/// The lists, tuples, dictionaries and storages of a pickle.
#[derive(Debug, Default)]
pub struct Heap {
    sequences: Vec<Vec<Value>>,
    dicts: Vec<Vec<(Value, Value)>>,
    storages: Vec<Rc<Storage>>,
}

impl Heap {
    /// The elements of a list or tuple; `None` for any other value.
    pub fn sequence(&self, value: &Value) -> Option<&[Value]> {
        match value {
            Value::List(place) | Value::Tuple(place) => Some(&self.sequences[*place]),
            _ => None,
        }
    }

    /// The items of a dictionary in the order of insertion, repeated keys included; `None` for any other value.
    pub fn dict(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match value {
            Value::Dict(place) => Some(&self.dicts[*place]),
            _ => None,
        }
    }

    /// The last value that a dictionary holds under a string.
    pub fn item(&self, dict: &Value, key: &str) -> Option<&Value> {
        let items = self.dict(dict)?;
        items
            .iter()
            .rev()
            .find(|(name, _)| matches!(name, Value::Text(text) if **text == *key))
            .map(|(_, value)| value)
    }

    /// Every storage that the pickle mentions, in order; one that several tensors share may occur several times.
    pub fn storages(&self) -> &[Rc<Storage>] {
        &self.storages
    }

    pub(super) fn new_storage(&mut self, storage: Storage) -> Value {
        let storage = Rc::new(storage);
        self.storages.push(Rc::clone(&storage));
        Value::Storage(storage)
    }

    pub(super) fn new_list(&mut self, elements: Vec<Value>) -> Value {
        self.sequences.push(elements);
        Value::List(self.sequences.len() - 1)
    }

    pub(super) fn new_tuple(&mut self, elements: Vec<Value>) -> Value {
        self.sequences.push(elements);
        Value::Tuple(self.sequences.len() - 1)
    }

    pub(super) fn new_dict(&mut self, items: Vec<(Value, Value)>) -> Value {
        self.dicts.push(items);
        Value::Dict(self.dicts.len() - 1)
    }

    pub(super) fn list_mut(&mut self, value: &Value) -> Option<&mut Vec<Value>> {
        match value {
            Value::List(place) => Some(&mut self.sequences[*place]),
            _ => None,
        }
    }

    pub(super) fn dict_mut(&mut self, value: &Value) -> Option<&mut Vec<(Value, Value)>> {
        match value {
            Value::Dict(place) => Some(&mut self.dicts[*place]),
            _ => None,
        }
    }
}

impl Value {
    /// What the value is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::BigInt => "an integer",
            Self::Float(_) => "a float",
            Self::Text(_) => "a string",
            Self::Global(_) => "a function or class",
            Self::Storage(_) => "a storage",
            Self::Tensor(_) => "a tensor",
            Self::List(_) => "a list",
            Self::Tuple(_) => "a tuple",
            Self::Dict(_) => "a dictionary",
        }
    }
}
