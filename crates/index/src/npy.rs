//! The header of a `.npy` file: NumPy's array format, of which versions 1 to 3 are read and version 1 is written.
//!
//! The header written here always takes [`HEADER_BYTES`], so that the number of rows can be put in place once it is
//! known, and the numbers begin at a multiple of 64 bytes. Format:
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>.

use std::fmt;
use std::io::Read;
use std::path::Path;

use crate::error::IndexError;

/// Bytes of the header that this crate writes.
pub(crate) const HEADER_BYTES: u64 = 128;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Headers longer than this are not ones that describe an array of numbers.
const LONGEST_HEADER: usize = 64 * 1024;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for i8 {}
    impl Sealed for u16 {}
    impl Sealed for u64 {}
}

/// A number that an array file can hold: any bit pattern is a value, so that files can be mapped as they are.
pub trait Element: sealed::Sealed + Copy + Send + Sync + 'static {
    /// NumPy's name of the type, little endian.
    const DESCR: &'static str;
}

impl Element for f32 {
    const DESCR: &'static str = "<f4";
}

impl Element for i8 {
    const DESCR: &'static str = "|i1";
}

impl Element for u16 {
    const DESCR: &'static str = "<u2";
}

impl Element for u64 {
    const DESCR: &'static str = "<u8";
}

/// What a row of an array is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One number a row: the array has one dimension.
    Column,
    /// This many numbers a row: the array has two dimensions.
    Matrix(usize),
}

impl Shape {
    /// Numbers a row.
    pub fn columns(self) -> usize {
        match self {
            Self::Column => 1,
            Self::Matrix(columns) => columns,
        }
    }
}

/// What a header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// NumPy's name of the number type.
    pub(crate) descr: String,
    /// The array's dimensions, outermost first.
    pub(crate) dimensions: Vec<u64>,
    /// Where the numbers begin.
    pub(crate) data_offset: u64,
}

impl Header {
    /// Rows and the shape of one, or nothing if the array has neither one dimension nor two.
    pub(crate) fn rows(&self) -> Option<(u64, Shape)> {
        match *self.dimensions {
            [rows] => Some((rows, Shape::Column)),
            [rows, columns] => Some((rows, Shape::Matrix(usize::try_from(columns).ok()?))),
            _ => None,
        }
    }

    /// The shape as NumPy writes it.
    pub(crate) fn shape(&self) -> String {
        tuple(&self.dimensions)
    }
}

/// The header of an array with `rows` rows, padded to [`HEADER_BYTES`].
pub(crate) fn header_bytes(descr: &str, shape: Shape, rows: u64) -> Vec<u8> {
    let dimensions = match shape {
        Shape::Column => vec![rows],
        Shape::Matrix(columns) => vec![rows, columns as u64],
    };
    let text = format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}",
        shape = tuple(&dimensions)
    );
    let prefix = MAGIC.len() + 4;
    let room = HEADER_BYTES as usize - prefix - 1;
    let mut bytes = Vec::with_capacity(HEADER_BYTES as usize);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&[1, 0]);
    bytes.extend_from_slice(&(room as u16 + 1).to_le_bytes());
    bytes.extend_from_slice(format!("{text:room$}\n").as_bytes());
    debug_assert_eq!(bytes.len() as u64, HEADER_BYTES, "two numbers of twenty digits fit");
    bytes
}

/// Reads a header from the beginning of `file`; `path` is for the messages.
///
/// # Errors
/// The file does not begin with a header, or the header describes an array in Fortran's order.
pub(crate) fn read_header(file: &mut impl Read, path: &Path) -> Result<Header, IndexError> {
    let refuse = |reason: String| IndexError::NotNpy { path: path.to_path_buf(), reason };
    let mut start = [0; 8];
    read_exactly(file, &mut start, path)?;
    if &start[..6] != MAGIC {
        return Err(refuse("it does not begin with `\\x93NUMPY`".into()));
    }
    let (prefix, length) = match start[6] {
        1 => {
            let mut length = [0; 2];
            read_exactly(file, &mut length, path)?;
            (10, usize::from(u16::from_le_bytes(length)))
        }
        2 | 3 => {
            let mut length = [0; 4];
            read_exactly(file, &mut length, path)?;
            (12, u32::from_le_bytes(length) as usize)
        }
        other => return Err(refuse(format!("its format version is {other}, and 1 to 3 can be read"))),
    };
    if length > LONGEST_HEADER {
        return Err(refuse(format!("its header would take {length} bytes")));
    }
    let mut text = vec![0; length];
    read_exactly(file, &mut text, path)?;
    let text = String::from_utf8_lossy(&text);
    let field = |key: &str| value_of(&text, key).ok_or_else(|| refuse(format!("its header lacks `{key}`")));

    let descr = field("descr")?;
    let descr = descr
        .strip_prefix(['\'', '"'])
        .and_then(|rest| rest.split(['\'', '"']).next())
        .ok_or_else(|| refuse("it holds records, not numbers".into()))?;
    if !field("fortran_order")?.starts_with("False") {
        return Err(refuse("it is in Fortran's order: save it with `numpy.ascontiguousarray`".into()));
    }
    let shape = field("shape")?;
    let dimensions = shape
        .strip_prefix('(')
        .and_then(|rest| rest.split(')').next())
        .and_then(parse_dimensions)
        .ok_or_else(|| refuse("its shape is not a tuple of whole numbers".into()))?;
    Ok(Header { descr: descr.to_owned(), dimensions, data_offset: (prefix + length) as u64 })
}

/// Fills `buffer`; a file that ends before it is no array file.
fn read_exactly(file: &mut impl Read, buffer: &mut [u8], path: &Path) -> Result<(), IndexError> {
    file.read_exact(buffer).map_err(|error| {
        if error.kind() == std::io::ErrorKind::UnexpectedEof {
            IndexError::NotNpy { path: path.to_path_buf(), reason: "it ends within its header".into() }
        } else {
            error.into()
        }
    })
}

/// What follows `'key':` in the header's dictionary.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    ['\'', '"'].iter().find_map(|quote| {
        let (_, rest) = text.split_once(&format!("{quote}{key}{quote}"))?;
        Some(rest.trim_start().strip_prefix(':')?.trim_start())
    })
}

fn parse_dimensions(text: &str) -> Option<Vec<u64>> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(|part| part.parse().ok()).collect()
}

fn tuple(dimensions: &[u64]) -> String {
    match dimensions {
        [only] => format!("({only},)"),
        _ => format!("({})", dimensions.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column => formatter.write_str("(rows,)"),
            Self::Matrix(columns) => write!(formatter, "(rows, {columns})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<(&str, &[u64]), &str>) {
        let read = read_header(&mut &bytes[..], Path::new("v.npy"));
        match (read, expected) {
            (Ok(header), Ok((descr, dimensions))) => {
                assert_eq!(header.descr, descr);
                assert_eq!(header.dimensions, dimensions);
            }
            (Err(error), Err(words)) => assert!(error.to_string().contains(words), "{error}"),
            (read, expected) => panic!("{read:?} where {expected:?} was expected"),
        }
    }

    fn version_one(text: &str) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    #[test]
    fn written_headers_read_back() {
        check(&header_bytes("<f4", Shape::Matrix(384), 5183), Ok(("<f4", &[5183, 384])));
        check(&header_bytes("<u8", Shape::Column, 0), Ok(("<u8", &[0])));
        check(&header_bytes("<f4", Shape::Matrix(usize::MAX), u64::MAX), Ok(("<f4", &[u64::MAX, u64::MAX])));
    }

    #[test]
    fn the_numbers_begin_at_a_multiple_of_64() {
        let bytes = header_bytes("<f4", Shape::Matrix(3), 7);
        let header = read_header(&mut &bytes[..], Path::new("v.npy")).unwrap();
        assert_eq!((bytes.len() as u64, header.data_offset), (HEADER_BYTES, HEADER_BYTES));
        assert_eq!(bytes.last(), Some(&b'\n'));
    }

    #[test]
    fn headers_of_other_writers_are_read() {
        check(
            &version_one("{\"shape\": (2, 3), \"fortran_order\": False, \"descr\": \"<f4\"}"),
            Ok(("<f4", &[2, 3])),
        );
        let mut second = b"\x93NUMPY\x02\x00".to_vec();
        let text = "{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }  \n";
        second.extend_from_slice(&(text.len() as u32).to_le_bytes());
        second.extend_from_slice(text.as_bytes());
        check(&second, Ok(("<f8", &[4])));
    }

    #[test]
    fn other_files_are_refused() {
        check(b"PK\x03\x04 and more", Err("does not begin"));
        check(b"\x93NUMPY\x01\x00\xff\x00{'descr'", Err("ends within its header"));
        check(b"\x93NUMPY\x09\x00\x00\x00", Err("version is 9"));
        check(&version_one("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3)}"), Err("Fortran"));
        check(&version_one("{'descr': '<f4', 'fortran_order': False}"), Err("lacks `shape`"));
        check(
            &version_one("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}"),
            Err("records"),
        );
        check(&version_one("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}"), Err("tuple"));
    }
}
