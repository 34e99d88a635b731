//! From the objects of a pickle to a state dictionary: names and the views of storages that they stand for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use super::CheckpointError;
use super::entry::{Entry, MOST_REPEATED_ELEMENTS, element_count, element_size};
use super::mapped::MappedFile;
use super::pickle::{Pickle, Storage, TensorView, Value};

/// The keys under which training programs keep the state dictionary beside the optimiser's.
const NESTED: [&str; 2] = ["state_dict", "model_state_dict"];

/// The bytes of the longest name of a tensor: a name that is mentioned many times is copied and compared each time.
const LONGEST_NAME: usize = 512;

/// How many bytes of `f32` a file's tensors may be, for each of its bytes: four where tensors of f16 all occur twice. What
/// many views of one storage add up to would otherwise know no bound.
const MOST_EXPANSION: usize = 8;

/// The tensors by name.
///
/// A key of [`NESTED`] that holds a dictionary is looked into; otherwise the pickled dictionary is the state
/// dictionary. Items that are not tensors (counters, flags) are passed over.
pub(super) fn tensors(
    file: &MappedFile,
    pickle: &Pickle,
) -> Result<BTreeMap<String, Rc<TensorView>>, CheckpointError> {
    let nested = NESTED.iter().find_map(|key| {
        let value = pickle.heap.item(&pickle.root, key)?;
        pickle.heap.dict(value)
    });
    let Some(items) = nested.or_else(|| pickle.heap.dict(&pickle.root)) else {
        let kind = pickle.root.kind();
        return Err(file.malformed(format!("it holds {kind}, not a dictionary of tensors")));
    };
    let mut tensors = BTreeMap::new();
    for (key, value) in items {
        if let (Value::Text(name), Value::Tensor(tensor)) = (key, value) {
            if name.len() > LONGEST_NAME {
                return Err(file.malformed(format!("the name of a tensor has {} bytes", name.len())));
            }
            tensors.insert(name.to_string(), Rc::clone(tensor));
        }
    }
    if tensors.is_empty() {
        let keys: Vec<String> = items
            .iter()
            .filter_map(|(key, _)| match key {
                Value::Text(name) if name.len() <= LONGEST_NAME => Some(format!("`{name}`")),
                _ => None,
            })
            .take(8)
            .collect();
        let keys = if keys.is_empty() { "no names".to_owned() } else { keys.join(", ") };
        return Err(file.malformed(format!(
            "it holds no tensors, neither at its top nor under `{}` (found {keys})",
            NESTED.join("` or `")
        )));
    }
    Ok(tensors)
}

/// Places the tensors in the file, given where it holds each root storage's bytes.
pub(super) fn place(
    file: &MappedFile,
    tensors: BTreeMap<String, Rc<TensorView>>,
    root: impl Fn(&Storage) -> Result<Range<usize>, CheckpointError>,
) -> Result<BTreeMap<String, Entry>, CheckpointError> {
    let mut entries = BTreeMap::new();
    let most = file.bytes().len().saturating_mul(MOST_EXPANSION) / size_of::<f32>();
    let most = most.saturating_add(MOST_REPEATED_ELEMENTS);
    let mut elements = 0_usize;
    for (name, tensor) in tensors {
        elements = elements.saturating_add(element_count(&tensor.shape).unwrap_or(usize::MAX));
        if elements > most {
            return Err(file.malformed(format!(
                "its tensors, up to `{name}`, have {elements} elements, far more than its {} bytes hold",
                file.bytes().len()
            )));
        }
        let storage = &tensor.storage;
        let bytes = root(storage)?;
        let entry = view(storage, bytes)
            .and_then(|bytes| {
                Entry::strided(
                    storage.dtype,
                    tensor.shape.clone(),
                    tensor.stride.clone(),
                    bytes,
                    tensor.offset,
                )
            })
            .map_err(|reason| file.malformed(format!("tensor `{name}`: {reason}")))?;
        entries.insert(name, entry);
    }
    Ok(entries)
}

/// The bytes that a whole storage takes; `None` where the number overflows.
pub(super) fn root_bytes(storage: &Storage) -> Option<usize> {
    element_size(storage.dtype)?.checked_mul(storage.root_elements)
}

/// The bytes of a view of a storage, within the storage's.
fn view(storage: &Storage, bytes: Range<usize>) -> Result<Range<usize>, String> {
    let Storage { root_elements, first, elements, .. } = storage;
    if first.checked_add(*elements).is_none_or(|end| end > *root_elements) {
        return Err(format!("{elements} elements from {first} reach beyond a storage of {root_elements}"));
    }
    let size = element_size(storage.dtype).expect("storages have whole bytes");
    let start = bytes.start + first * size;
    Ok(start..start + elements * size)
}
