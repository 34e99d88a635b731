//! What `torch.save` wrote before PyTorch 1.6: five pickles in a row, then the storages.
//!
//! The pickles are a magic number, a protocol version, facts about the machine, the object, and the list of the
//! storages' keys; then follows, for each key in turn, the number of elements (i64) and the elements.
//! Source of the layout: `_legacy_save` in PyTorch's `torch/serialization.py`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use super::CheckpointError;
use super::entry::Entry;
use super::mapped::MappedFile;
use super::pickle::{self, Pickle, PickleError, Storage, Value};
use super::state_dict;

/// The first pickle: protocol 2, the number 0x1950a86a20f9469cfc6c, stop.
pub(super) const MAGIC: [u8; 15] =
    [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];

/// The only protocol version there ever was.
const PROTOCOL: i64 = 1001;

/// The bytes before each storage: its number of elements.
const COUNT_BYTES: usize = 8;

/// Reads the pickles and places the storages.
pub(super) fn entries(file: &MappedFile) -> Result<BTreeMap<String, Entry>, CheckpointError> {
    let version = read(file, MAGIC.len())?;
    if !matches!(version.root, Value::Int(PROTOCOL)) {
        return Err(file.malformed(format!("its protocol version is not {PROTOCOL}")));
    }
    let machine = read(file, version.end)?;
    if let Some(Value::Bool(false)) = machine.heap.item(&machine.root, "little_endian") {
        return Err(CheckpointError::BigEndian { path: file.path().to_owned() });
    }
    let object = read(file, machine.end)?;
    let tensors = state_dict::tensors(file, &object)?;
    let keys = read(file, object.end)?;

    let sizes: BTreeMap<Rc<str>, Rc<Storage>> =
        object.heap.storages().iter().map(|storage| (Rc::clone(&storage.key), Rc::clone(storage))).collect();
    let roots = place_storages(file, &keys, &sizes)?;
    state_dict::place(file, tensors, |storage| match roots.get(&storage.key) {
        Some(range) if state_dict::root_bytes(storage) == Some(range.len()) => Ok(range.clone()),
        Some(_) => Err(file.malformed(format!("the storage `{}` is given two sizes", storage.key))),
        None => Err(file.malformed(format!("it does not hold the storage `{}`", storage.key))),
    })
}

/// The bytes of each storage, in the order of the list of keys.
fn place_storages(
    file: &MappedFile,
    keys: &Pickle,
    sizes: &BTreeMap<Rc<str>, Rc<Storage>>,
) -> Result<BTreeMap<Rc<str>, Range<usize>>, CheckpointError> {
    let Some(list) = keys.heap.sequence(&keys.root) else {
        return Err(file.malformed("its list of storages is no list"));
    };
    let bytes = file.bytes();
    let mut counts = Vec::new();
    let mut roots = BTreeMap::new();
    let mut place = keys.end;
    for key in list {
        let Value::Text(key) = key else {
            return Err(file.malformed("its list of storages holds something other than names"));
        };
        let Some(storage) = sizes.get(key) else {
            return Err(file.malformed(format!("it lists the storage `{key}`, which no tensor uses")));
        };
        let start = place.saturating_add(COUNT_BYTES);
        let Some(end) = state_dict::root_bytes(storage).and_then(|length| start.checked_add(length)) else {
            return Err(file.malformed(format!("the size of the storage `{key}` overflows")));
        };
        counts.push((place, storage));
        if roots.insert(Rc::clone(key), start..end).is_some() {
            return Err(file.malformed(format!("it lists the storage `{key}` twice")));
        }
        place = end;
    }
    // The sizes are known from the pickle, so that a file cut anywhere is told with its whole length.
    if place > bytes.len() {
        return Err(file.truncated(place as u64));
    }
    for (place, storage) in counts {
        let count = bytes[place..].first_chunk::<COUNT_BYTES>().expect("the length was checked");
        let (found, expected) = (u64::from_le_bytes(*count), storage.root_elements as u64);
        if found != expected {
            let key = &storage.key;
            return Err(file.malformed(format!("the storage `{key}` has {found} elements, not {expected}")));
        }
    }
    Ok(roots)
}

fn read(file: &MappedFile, start: usize) -> Result<Pickle, CheckpointError> {
    pickle::read(file.bytes(), start).map_err(|source| match source {
        // Where the pickles themselves are cut, the length of what is missing is not known: at least one byte.
        PickleError::Truncated { offset } => file.truncated(offset as u64 + 1),
        source => CheckpointError::Pickle { path: file.path().to_owned(), part: None, source },
    })
}
