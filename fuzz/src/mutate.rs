//! From a valid file to one that is nearly valid: a few changes, one after the other.
//!
//! Changes know text, numbers and brackets, but no format: what a format calls its parts is in its target's dictionary.

use std::ops::Range;

use crate::random::Random;

/// The length at which an input is cut: what goes wrong with files goes wrong with small ones.
const MOST_BYTES: usize = 128 * 1024;

/// What stands in place of a number.
const NUMBERS: [&str; 20] = [
    "0",
    "-1",
    "-0",
    "1.5",
    "NaN",
    "1e308",
    "1e999",
    "1e-400",
    "255",
    "256",
    "65536",
    "999999",
    "1073741824",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "99999999999999999999999999",
];

/// Numbers of one to eight bytes at which sizes and places overflow.
const INTEGERS: [u64; 14] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    1 << 22,
    1 << 30,
    0x7fff_ffff,
    0xffff_ffff,
    1 << 61,
    i64::MAX as u64,
    u64::MAX,
];

/// What readers of text stumble over: structure where none belongs, and bytes and letters that are not what they seem.
const ODDITIES: [&[u8]; 30] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"'",
    b"\\",
    b"\0",
    b"\r",
    b"\n",
    b"\t",
    b",",
    b":",
    b"#",
    b" ",
    // A byte order mark, a byte alone, a broken pair, half of a surrogate pair, and the same escaped.
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\\u0000",
    // Letters that grow or multiply when their case changes or they are taken apart; blanks that are none of ASCII's.
    "İ".as_bytes(),
    "ﬁ".as_bytes(),
    "e\u{301}\u{327}".as_bytes(),
    "👩\u{200d}🚀".as_bytes(),
    "\u{202e}".as_bytes(),
    "\u{3000}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{85}".as_bytes(),
    "東".as_bytes(),
];

/// What can be opened many times in a row.
const OPENING: [&[u8]; 6] = [b"[", b"{\"a\":", b"{", b"(", b"\"", b"a."];

/// A seed after one to sixteen changes, one of them half of the time: what is read to its end was changed little.
pub fn mutate(random: &mut Random, seeds: &[Vec<u8>], dictionary: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = random.choose(seeds).clone();
    let most = *random.choose(&[1, 1, 1, 1, 3, 3, 3, 16]);
    for _ in 0..=random.below(most) {
        change(random, &mut bytes, seeds, dictionary);
        bytes.truncate(MOST_BYTES);
    }
    bytes
}

fn change(random: &mut Random, bytes: &mut Vec<u8>, seeds: &[Vec<u8>], dictionary: &[Vec<u8>]) {
    let place = random.below(bytes.len() + 1);
    match random.below(17) {
        0 if place < bytes.len() => bytes[place] ^= 1 << random.below(8),
        1 if place < bytes.len() => bytes[place] = random.next() as u8,
        2 => bytes.truncate(place),
        3 => drop(bytes.drain(range(random, bytes.len(), 64))),
        4 => repeat(random, bytes),
        5 => splice(random, bytes, seeds),
        6 | 7 => number(random, bytes),
        8 => integer(random, bytes),
        9 => insert(bytes, place..place, ODDITIES[random.below(ODDITIES.len())]),
        10 | 11 if !dictionary.is_empty() => {
            insert(bytes, place..place, random.choose(dictionary).as_slice())
        }
        12 if !dictionary.is_empty() => {
            let replaced = quoted(bytes, place).unwrap_or(place..place);
            insert(bytes, replaced, random.choose(dictionary).as_slice());
        }
        13 if random.once_in(8) => {
            let many = random.choose(&OPENING).repeat(1 << random.below(16));
            insert(bytes, place..place, &many);
        }
        14 => {
            // A name or value of the same file, at which readers look twice.
            let from = random.below(bytes.len() + 1);
            let (Some(replaced), Some(other)) = (quoted(bytes, place), quoted(bytes, from)) else { return };
            let other = bytes[other].to_vec();
            insert(bytes, replaced, &other);
        }
        _ => {
            let moved = bytes[range(random, bytes.len(), 64)].to_vec();
            insert(bytes, place..place, &moved);
        }
    }
}

/// A range of up to `most` bytes.
fn range(random: &mut Random, length: usize, most: usize) -> Range<usize> {
    let start = random.below(length + 1);
    start..(start + random.below(most)).min(length)
}

fn insert(bytes: &mut Vec<u8>, replaced: Range<usize>, inserted: &[u8]) {
    bytes.splice(replaced, inserted.iter().copied());
}

/// A part once more, or many times.
fn repeat(random: &mut Random, bytes: &mut Vec<u8>) {
    let part = range(random, bytes.len(), 256);
    let times = if random.once_in(8) { 1 << random.below(10) } else { 1 };
    let repeated = bytes[part.clone()].repeat(times);
    insert(bytes, part.end..part.end, &repeated);
}

/// The rest of another seed behind the beginning of this one.
fn splice(random: &mut Random, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let other = random.choose(seeds);
    bytes.truncate(random.below(bytes.len() + 1));
    bytes.extend_from_slice(&other[random.below(other.len() + 1)..]);
}

/// Another number in place of one in digits.
fn number(random: &mut Random, bytes: &mut Vec<u8>) {
    let from = random.below(bytes.len() + 1);
    let Some(start) = bytes[from..].iter().position(u8::is_ascii_digit).map(|place| from + place) else {
        return;
    };
    let digits = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    insert(bytes, start..start + digits, random.choose(&NUMBERS).as_bytes());
}

/// Another number in place of one in bytes, in either order.
fn integer(random: &mut Random, bytes: &mut [u8]) {
    let width = 1 << random.below(4);
    let Some(last) = bytes.len().checked_sub(width) else { return };
    let value = random.choose(&INTEGERS).wrapping_sub(random.below(2) as u64);
    let start = random.below(last + 1);
    let place = &mut bytes[start..start + width];
    place.copy_from_slice(&value.to_le_bytes()[..width]);
    if random.once_in(2) {
        place.reverse();
    }
}

/// The next text between quotes behind a place, quotes included.
fn quoted(bytes: &[u8], from: usize) -> Option<Range<usize>> {
    let quote =
        |start: usize| bytes[start..].iter().position(|byte| *byte == b'"').map(|place| start + place);
    let start = quote(from)?;
    Some(start..quote(start + 1)? + 1)
}
