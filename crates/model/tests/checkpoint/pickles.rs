//! The pickle machine: what it builds, and what it refuses by name and place.

use proptest::prelude::*;
use sbmoe_model::checkpoint::pickle::{PickleError, Value, read};

fn refuse(bytes: &[u8], message: &str) {
    let error = read(bytes, 0).unwrap_err();
    assert!(error.to_string().contains(message), "`{error}` does not contain `{message}`");
}

#[test]
fn numbers_and_strings_are_built() {
    // pickle.dumps([None, True, 7, 300, -1, 2**40, -2**40, 1.5, "é"], protocol=2)
    let bytes = b"\x80\x02]q\x00(N\x88K\x07M,\x01J\xff\xff\xff\xff\x8a\x06\x00\x00\x00\x00\x00\x01\x8a\x06\x00\x00\x00\x00\x00\xffG?\xf8\x00\x00\x00\x00\x00\x00X\x02\x00\x00\x00\xc3\xa9q\x01e.";
    let pickle = read(bytes, 0).unwrap();
    assert_eq!(pickle.end, bytes.len());
    let elements = pickle.heap.sequence(&pickle.root).unwrap();
    let integers: Vec<i64> = elements
        .iter()
        .filter_map(|value| if let Value::Int(value) = value { Some(*value) } else { None })
        .collect();
    assert_eq!(integers, [7, 300, -1, 1 << 40, -(1 << 40)]);
    assert!(matches!(elements[0], Value::None));
    assert!(matches!(elements[1], Value::Bool(true)));
    assert!(matches!(elements[7], Value::Float(1.5)));
    assert!(matches!(&elements[8], Value::Text(text) if **text == *"é"));
}

#[test]
fn integers_beyond_64_bits_are_told_apart() {
    // pickle.dumps([2**63 - 1, 2**63], protocol=2)
    let bytes =
        b"\x80\x02](\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00e.";
    let pickle = read(bytes, 0).unwrap();
    let elements = pickle.heap.sequence(&pickle.root).unwrap();
    assert!(matches!(elements, [Value::Int(i64::MAX), Value::BigInt]));
}

#[test]
fn a_list_may_hold_itself() {
    // l = []; l.append(l); pickle.dumps(l, protocol=2)
    let pickle = read(b"\x80\x02]q\x00h\x00a.", 0).unwrap();
    let [Value::List(inner)] = pickle.heap.sequence(&pickle.root).unwrap() else {
        panic!("one list is expected")
    };
    assert!(matches!(pickle.root, Value::List(outer) if outer == *inner));
}

#[test]
fn deep_nesting_is_no_recursion() {
    let mut bytes = b"\x80\x02".to_vec();
    bytes.extend(vec![b']'; 100_000]);
    bytes.extend(vec![b'a'; 99_999]);
    bytes.push(b'.');
    assert!(read(&bytes, 0).is_ok());
}

#[test]
fn an_ordered_dictionary_of_python_2_is_a_list_of_pairs() {
    // cPickle.dumps(OrderedDict([("a", 1)]), protocol=2) in Python 2
    let bytes = b"\x80\x02ccollections\nOrderedDict\nq\x01]q\x02]q\x03(U\x01aK\x01ea\x85Rq\x04.";
    let pickle = read(bytes, 0).unwrap();
    assert!(matches!(pickle.heap.item(&pickle.root, "a"), Some(Value::Int(1))));
}

#[test]
fn the_last_of_repeated_keys_counts() {
    let pickle = read(b"\x80\x02}(U\x01aK\x01U\x01aK\x02u.", 0).unwrap();
    assert!(matches!(pickle.heap.item(&pickle.root, "a"), Some(Value::Int(2))));
}

#[test]
fn names_that_are_not_listed_are_refused_where_they_are_imported() {
    refuse(b"\x80\x02cos\nsystem\n.", "asks to import `os.system` at byte 2,");
    refuse(b"\x80\x02cbuiltins\neval\n.", "`builtins.eval`");
    refuse(b"\x80\x02ctorch\nload\n.", "`torch.load`");
    refuse(b"\x80\x02ccollections\nOrderedDict.__init__\n.", "`collections.OrderedDict.__init__`");
    refuse(b"\x80\x04\x8c\x05posix\x8c\x06system\x93.", "asks to import `posix.system` at byte 17,");
}

#[test]
fn instructions_that_are_not_listed_are_refused_by_name() {
    refuse(b"\x80\x02(ios\nsystem\n.", "the instruction `INST` (0x69) at byte 3,");
    refuse(b"\x80\x02))\x81.", "`NEWOBJ` (0x81) at byte 4");
    refuse(b"\x80\x02\x82\x01.", "`EXT1` (0x82)");
    refuse(b"\x80\x02\xff.", "the instruction 0xff at byte 2");
}

#[test]
fn senseless_pickles_are_refused() {
    refuse(b"", "ends at byte 0");
    refuse(b"\x80\x02X\xff\xff\xff\xffabc", "ends at byte 10");
    refuse(b"\x80\x02.", "a value is missing from the stack");
    refuse(b"\x80\x02N(\x85.", "at byte 4: a value is missing from the stack");
    refuse(b"\x80\x02e.", "a mark is missing");
    refuse(b"\x80\x02h\x05.", "memo 5 is read before it is written");
    refuse(b"\x80\x02N)R.", "a call of None");
    refuse(b"\x80\x02ctorch\nFloatStorage\n)R.", "called with other arguments");
    refuse(b"\x80\x02NN\x86Q.", "something other than a storage");
    refuse(b"\x80\x02}(Nu.", "key without a value");
    refuse(b"\x80\x02NNa.", "elements appended to None");
    refuse(b"\x80\x02NNb.", "state set on None");
    refuse(b"\x80\x09N.", "protocol 9 is unknown");
}

#[test]
fn a_short_pickle_cannot_multiply_what_it_holds() {
    // One list of pairs is made into a dictionary again and again; only the first call finds pairs.
    let mut bytes = b"\x80\x02ccollections\nOrderedDict\nq\x00]q\x01(".to_vec();
    bytes.extend(b"NN\x86".repeat(1000));
    bytes.extend(b"e");
    bytes.extend(b"h\x00h\x01\x85R".repeat(1000));
    bytes.push(b'.');
    let pickle = read(&bytes, 0).unwrap();
    assert_eq!(pickle.heap.dict(&pickle.root).map(<[_]>::len), Some(0));
}

#[test]
fn a_name_that_was_refused_is_an_error_of_its_own_kind() {
    let error = read(b"\x80\x02cos\nsystem\n.", 0).unwrap_err();
    assert_eq!(error, PickleError::ForbiddenGlobal { name: "os.system".to_owned(), offset: 2 });
}

proptest! {
    #[test]
    fn random_instructions_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&[b"\x80\x02".as_slice(), &bytes].concat(), 0);
    }

    #[test]
    fn likely_instructions_never_panic(
        parts in proptest::collection::vec(
            proptest::sample::select(vec![
                &b"("[..], b"N", b"]", b"}", b")", b"e", b"a", b"u", b"s", b"t", b"\x85", b"\x86", b"R", b"Q", b"b", b"0",
                b"1", b"K\x03", b"J\xff\xff\xff\xff", b"\x8a\x01\x80", b"U\x07storage", b"q\x00", b"h\x00", b"\x94",
                b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n",
            ]),
            0..60,
        )
    ) {
        let _ = read(&[b"\x80\x02", parts.concat().as_slice(), b"."].concat(), 0);
    }
}

/// A storage of one element, which is left on the stack.
const STORAGE: &[u8] =
    b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ";

#[test]
fn tensors_that_share_a_long_shape_do_not_fill_the_memory() {
    let dimensions = [b"(".as_slice(), &b"K\x01".repeat(64), b"t"].concat();
    let arguments =
        [b"(", STORAGE, b"K\x00", &dimensions, &dimensions, b"\x89ccollections\nOrderedDict\n)Rt"].concat();
    let tensors = |count: usize| {
        let start =
            [b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nq\x010", arguments.as_slice(), b"q\x020("].concat();
        [start, b"h\x01h\x02R".repeat(count), b"l.".to_vec()].concat()
    };
    assert!(read(&tensors(3), 0).is_ok());
    refuse(&tensors(10_000), "its tensors have more dimensions than it has bytes");
}

#[test]
fn what_is_mentioned_many_times_is_short() {
    let key = |length: u32| {
        let name = [b"X", length.to_le_bytes().as_slice(), &b"k".repeat(length as usize)].concat();
        [
            b"\x80\x02(X\x07\x00\x00\x00storagectorch\nFloatStorage\n",
            name.as_slice(),
            b"X\x03\x00\x00\x00cpuK\x01tQ.",
        ]
        .concat()
    };
    assert!(read(&key(200), 0).is_ok());
    refuse(&key(300), "a storage whose key has 300 bytes");
    let module = [b"\x80\x02c".as_slice(), &b"m".repeat(100_000), b"\nname\n."].concat();
    assert!(read(&module, 0).unwrap_err().to_string().len() < 600);
}
