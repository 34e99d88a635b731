//! What the allowed names stand for: dictionaries, tensors and storages are built from their arguments.

use std::rc::Rc;

use super::machine::Machine;
use super::{Global, PickleError, Storage, TensorView, Value};

/// More arguments than any allowed function takes.
const MOST_ARGUMENTS: usize = 16;

/// The bytes of the longest key of a storage; PyTorch's are numbers.
const LONGEST_KEY: usize = 256;

/// PyTorch's own limit.
const MOST_DIMENSIONS: usize = 64;

impl Machine<'_> {
    pub(super) fn reduce(&mut self) -> Result<(), PickleError> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let Value::Global(function) = function else {
            return Err(self.malformed(format!("a call of {}", function.kind())));
        };
        let arguments = match (&arguments, self.heap.sequence(&arguments)) {
            (Value::Tuple(_), Some(elements)) if elements.len() <= MOST_ARGUMENTS => elements.to_vec(),
            _ => return Err(self.malformed(format!("{function:?} called with other arguments"))),
        };
        let built = match (function, arguments.as_slice()) {
            (Global::OrderedDict, []) => self.heap.new_dict(Vec::new()),
            (Global::OrderedDict, [items]) => {
                let items = self.items(items)?;
                self.heap.new_dict(items)
            }
            (Global::RebuildTensor, [storage, offset, shape, stride])
            | (Global::RebuildTensorV2, [storage, offset, shape, stride, ..]) => {
                self.tensor(storage, offset, shape, stride)?
            }
            (Global::RebuildParameter, [tensor @ Value::Tensor(_), ..]) => tensor.clone(),
            (Global::Size, [extents]) => extents.clone(),
            (function, _) => return Err(self.malformed(format!("{function:?} called with other arguments"))),
        };
        self.push(built);
        Ok(())
    }

    /// The items of a dictionary that Python 2 wrote as a list of pairs. The list is emptied: it serves this purpose
    /// only, and copying it at every mention would let a short pickle fill the memory.
    fn items(&mut self, list: &Value) -> Result<Vec<(Value, Value)>, PickleError> {
        let Some(pairs) = self.heap.list_mut(list).map(std::mem::take) else {
            return Err(self.malformed(format!("a dictionary made of {}", list.kind())));
        };
        pairs
            .iter()
            .map(|pair| match self.heap.sequence(pair) {
                Some([key, value]) => Ok((key.clone(), value.clone())),
                _ => Err(self.malformed("a dictionary's item that is no pair")),
            })
            .collect()
    }

    fn tensor(
        &mut self,
        storage: &Value,
        offset: &Value,
        shape: &Value,
        stride: &Value,
    ) -> Result<Value, PickleError> {
        let Value::Storage(storage) = storage else {
            return Err(self.malformed(format!("a tensor over {}", storage.kind())));
        };
        let offset = self.count(offset)?;
        let (shape, stride) = (self.counts(shape)?, self.counts(stride)?);
        self.count_dimensions(shape.len() + stride.len())?;
        Ok(Value::Tensor(Rc::new(TensorView { storage: Rc::clone(storage), offset, shape, stride })))
    }

    /// State set on a dictionary (`_metadata` of a state dictionary) says nothing about its items.
    pub(super) fn build(&mut self) -> Result<(), PickleError> {
        self.pop()?;
        match self.top()? {
            Value::Dict(_) => Ok(()),
            other => Err(self.malformed(format!("state set on {}", other.kind()))),
        }
    }

    /// `('storage', class, key, device, elements[, view])`, where a view is `None` or `(key, first, elements)`.
    pub(super) fn persistent_id(&mut self) -> Result<(), PickleError> {
        let identity = self.pop()?;
        let storage = match self.heap.sequence(&identity) {
            Some(
                [Value::Text(tag), Value::Global(Global::Storage(dtype)), key, _device, elements, rest @ ..],
            ) if **tag == *"storage" => {
                let key: Rc<str> = match key {
                    Value::Text(key) if key.len() <= LONGEST_KEY => Rc::clone(key),
                    Value::Text(key) => {
                        return Err(self.malformed(format!("a storage whose key has {} bytes", key.len())));
                    }
                    Value::Int(key) => key.to_string().into(),
                    other => return Err(self.malformed(format!("a storage whose key is {}", other.kind()))),
                };
                let root_elements = self.count(elements)?;
                let (first, elements) = match rest {
                    [] | [Value::None] => (0, root_elements),
                    [view] => match self.heap.sequence(view) {
                        Some([_key, first, elements]) => (self.count(first)?, self.count(elements)?),
                        _ => return Err(self.malformed("a view of a storage that is no triple")),
                    },
                    _ => return Err(self.malformed("a storage with more than six properties")),
                };
                Storage { dtype: *dtype, key, root_elements, first, elements }
            }
            Some([Value::Text(tag), ..]) if **tag == *"module" => {
                return Err(self.malformed("it holds a whole module, not a state dictionary"));
            }
            _ => return Err(self.malformed("a reference to something other than a storage")),
        };
        let storage = self.heap.new_storage(storage);
        self.push(storage);
        Ok(())
    }

    fn counts(&self, value: &Value) -> Result<Vec<usize>, PickleError> {
        match self.heap.sequence(value) {
            Some(elements) if elements.len() > MOST_DIMENSIONS => {
                Err(self.malformed(format!("a tensor of {} dimensions", elements.len())))
            }
            Some(elements) => elements.iter().map(|element| self.count(element)).collect(),
            None => Err(self.malformed(format!("{} in place of a tuple of integers", value.kind()))),
        }
    }

    fn count(&self, value: &Value) -> Result<usize, PickleError> {
        match value {
            Value::Int(count) => {
                usize::try_from(*count).map_err(|_| self.malformed(format!("{count} in place of a count")))
            }
            other => Err(self.malformed(format!("{} in place of a count", other.kind()))),
        }
    }
}
