//! The instructions' bytes, and the names of those that are refused.

pub(super) const APPEND: u8 = b'a';
pub(super) const APPENDS: u8 = b'e';
pub(super) const BINFLOAT: u8 = b'G';
pub(super) const BINGET: u8 = b'h';
pub(super) const BININT: u8 = b'J';
pub(super) const BININT1: u8 = b'K';
pub(super) const BININT2: u8 = b'M';
pub(super) const BINPERSID: u8 = b'Q';
pub(super) const BINPUT: u8 = b'q';
pub(super) const BINSTRING: u8 = b'T';
pub(super) const BINUNICODE: u8 = b'X';
pub(super) const BINUNICODE8: u8 = 0x8d;
pub(super) const BUILD: u8 = b'b';
pub(super) const DICT: u8 = b'd';
pub(super) const EMPTY_DICT: u8 = b'}';
pub(super) const EMPTY_LIST: u8 = b']';
pub(super) const EMPTY_TUPLE: u8 = b')';
pub(super) const FRAME: u8 = 0x95;
pub(super) const GET: u8 = b'g';
pub(super) const GLOBAL: u8 = b'c';
pub(super) const INT: u8 = b'I';
pub(super) const LIST: u8 = b'l';
pub(super) const LONG: u8 = b'L';
pub(super) const LONG1: u8 = 0x8a;
pub(super) const LONG_BINGET: u8 = b'j';
pub(super) const LONG_BINPUT: u8 = b'r';
pub(super) const MARK: u8 = b'(';
pub(super) const MEMOIZE: u8 = 0x94;
pub(super) const NEWFALSE: u8 = 0x89;
pub(super) const NEWTRUE: u8 = 0x88;
pub(super) const NONE: u8 = b'N';
pub(super) const POP: u8 = b'0';
pub(super) const POP_MARK: u8 = b'1';
pub(super) const PROTO: u8 = 0x80;
pub(super) const PUT: u8 = b'p';
pub(super) const REDUCE: u8 = b'R';
pub(super) const SETITEM: u8 = b's';
pub(super) const SETITEMS: u8 = b'u';
pub(super) const SHORT_BINSTRING: u8 = b'U';
pub(super) const SHORT_BINUNICODE: u8 = 0x8c;
pub(super) const STACK_GLOBAL: u8 = 0x93;
pub(super) const STOP: u8 = b'.';
pub(super) const TUPLE: u8 = b't';
pub(super) const TUPLE1: u8 = 0x85;
pub(super) const TUPLE2: u8 = 0x86;
pub(super) const TUPLE3: u8 = 0x87;

/// How an error calls an instruction that is not on the list: by its name in `pickletools` where it has one.
pub(super) fn describe(opcode: u8) -> String {
    let name = match opcode {
        b'2' => "DUP",
        b'F' => "FLOAT",
        b'P' => "PERSID",
        b'S' => "STRING",
        b'V' => "UNICODE",
        b'i' => "INST",
        b'o' => "OBJ",
        b'B' => "BINBYTES",
        b'C' => "SHORT_BINBYTES",
        0x81 => "NEWOBJ",
        0x82 => "EXT1",
        0x83 => "EXT2",
        0x84 => "EXT4",
        0x8b => "LONG4",
        0x8e => "BINBYTES8",
        0x8f => "EMPTY_SET",
        0x90 => "ADDITEMS",
        0x91 => "FROZENSET",
        0x92 => "NEWOBJ_EX",
        0x96 => "BYTEARRAY8",
        0x97 => "NEXT_BUFFER",
        0x98 => "READONLY_BUFFER",
        _ => return format!("0x{opcode:02x}"),
    };
    format!("`{name}` (0x{opcode:02x})")
}
