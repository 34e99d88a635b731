//! Files of vectors: written, resumed, opened, and refused.

use std::path::Path;

use proptest::prelude::*;
use sbmoe_index::{
    Array, ArrayWriter, ByteRows, ByteRowsWriter, FileRecord, IndexError, Shape, VectorWriter, Vectors,
    partial_path,
};

fn write(path: &Path, dim: usize, numbers: &[f32]) -> FileRecord {
    let mut writer = VectorWriter::create(path, dim).unwrap();
    writer.push(numbers).unwrap();
    writer.finish().unwrap()
}

fn refusal(path: &Path) -> String {
    Vectors::open(path).expect_err("the file must be refused").to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_written_is_read(
        dim in 1_usize..9,
        rows in prop::collection::vec(-1e30_f32..1e30, 0..80),
        kept in 0_usize..10,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vectors.npy");
        let numbers = &rows[..rows.len() / dim * dim];
        let kept = kept.min(numbers.len() / dim);

        let record = write(&path, dim, numbers);
        let vectors = Vectors::open(&path).unwrap();
        prop_assert_eq!(vectors.as_slice(), numbers);
        prop_assert_eq!((vectors.dim(), vectors.len()), (dim, numbers.len() / dim));
        prop_assert_eq!(&record, &FileRecord::of(&path).unwrap());
        prop_assert_eq!(vectors.row(vectors.len()), None);
        if kept > 0 {
            prop_assert_eq!(vectors.row(kept - 1), Some(&numbers[(kept - 1) * dim..kept * dim]));
        }

        // Resumed after `kept` rows of an attempt that left more, and half a row.
        let again = folder.path().join("again.npy");
        let mut writer = VectorWriter::create(&again, dim).unwrap();
        writer.push(numbers).unwrap();
        writer.flush().unwrap();
        drop(writer);
        let mut bytes = fs_err::read(partial_path(&again)).unwrap();
        bytes.extend([7, 7]);
        fs_err::write(partial_path(&again), bytes).unwrap();
        let mut writer = VectorWriter::resume(&again, dim, kept as u64).unwrap();
        prop_assert_eq!(writer.rows(), kept as u64);
        writer.push(&numbers[kept * dim..]).unwrap();
        prop_assert_eq!(writer.finish().unwrap(), record);
        prop_assert!(!partial_path(&again).exists());
    }
}

#[test]
fn a_finished_file_can_be_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.npy");
    write(&path, 2, &[1.0, 2.0, 3.0, 4.0]);
    let writer = VectorWriter::resume(&path, 2, 1).unwrap();
    assert!(!path.exists());
    writer.finish().unwrap();
    assert_eq!(Vectors::open(&path).unwrap().as_slice(), [1.0, 2.0]);
}

#[test]
fn resuming_refuses_what_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.npy");
    let missing = VectorWriter::resume(&path, 2, 0).unwrap_err().to_string();
    assert!(missing.contains("vectors.npy"), "{missing}");
    write(&path, 2, &[1.0, 2.0]);
    assert!(matches!(VectorWriter::resume(&path, 3, 1), Err(IndexError::Shape { .. })));
    assert!(matches!(
        VectorWriter::resume(&path, 2, 2),
        Err(IndexError::Size { expected: 144, found: 136, .. })
    ));
    assert!(matches!(
        ArrayWriter::<u16>::resume(&path, Shape::Matrix(2), 1),
        Err(IndexError::ElementType { .. })
    ));
}

#[test]
fn a_number_that_is_not_finite_is_named_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = VectorWriter::create(&folder.path().join("vectors.npy"), 2).unwrap();
    writer.push(&[1.0, 2.0]).unwrap();
    let error = writer.push(&[3.0, 4.0, 5.0, f32::NAN]).unwrap_err();
    assert!(error.to_string().starts_with("the vector of document 2 has NaN at position 1"), "{error}");
    assert_eq!(writer.rows(), 1);
}

#[test]
fn rows_must_be_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.npy");
    assert!(matches!(VectorWriter::create(&path, 0), Err(IndexError::ZeroDimension)));
    let mut writer = VectorWriter::create(&path, 2).unwrap();
    assert!(matches!(writer.push(&[1.0, 2.0, 3.0]), Err(IndexError::RowLength { columns: 2, received: 3 })));
}

#[test]
fn a_truncated_file_says_how_much_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.npy");
    write(&path, 2, &[1.0, 2.0, 3.0, 4.0]);
    let bytes = fs_err::read(&path).unwrap();
    fs_err::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    let message = refusal(&path);
    assert!(message.contains("has 139 bytes where 144 are expected"), "{message}");
}

#[test]
fn an_array_of_something_else_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("experts.npy");
    let mut writer = ArrayWriter::<u16>::create(&path, Shape::Column).unwrap();
    writer.push(&[3, 1, 2]).unwrap();
    writer.finish().unwrap();
    assert!(refusal(&path).contains("type `<u2` where `<f4` is needed"));
    let experts = Array::<u16>::open_as(&path, Shape::Column).unwrap();
    assert_eq!((experts.as_slice(), experts.rows(), experts.path()), (&[3, 1, 2][..], 3, path.as_path()));
    assert!(matches!(Array::<u16>::open_as(&path, Shape::Matrix(1)), Err(IndexError::Shape { .. })));

    let mut writer = ArrayWriter::<f32>::create(&path, Shape::Column).unwrap();
    writer.push(&[1.0]).unwrap();
    writer.finish().unwrap();
    assert!(refusal(&path).contains("shape (rows,) where (documents, dim) is needed"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rows_of_bytes_are_read_as_written(
        rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..30),
        kept in 0_usize..10,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("documents.jsonl");
        let kept = kept.min(rows.len());
        let mut writer = ByteRowsWriter::create(&path).unwrap();
        for row in &rows {
            writer.push(row).unwrap();
        }
        writer.flush().unwrap();
        drop(writer);

        let mut writer = ByteRowsWriter::resume(&path, kept as u64).unwrap();
        prop_assert_eq!(writer.rows(), kept as u64);
        for row in &rows[kept..] {
            writer.push(row).unwrap();
        }
        let [bytes, ends] = writer.finish().unwrap();
        prop_assert_eq!(bytes, FileRecord::of(&path).unwrap());
        prop_assert_eq!(ends, FileRecord::of(&ByteRows::ends_path(&path)).unwrap());

        let read = ByteRows::open(&path).unwrap();
        prop_assert_eq!((read.len(), read.is_empty()), (rows.len(), rows.is_empty()));
        for (row, expected) in rows.iter().enumerate() {
            prop_assert_eq!(read.row(row), Some(expected.as_slice()));
        }
        prop_assert_eq!(read.row(rows.len()), None);
    }
}

#[test]
fn rows_of_bytes_that_were_cut_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("documents.jsonl");
    let mut writer = ByteRowsWriter::create(&path).unwrap();
    writer.push(b"a row").unwrap();
    writer.finish().unwrap();
    fs_err::write(&path, "a r").unwrap();
    assert!(matches!(ByteRows::open(&path), Err(IndexError::Size { expected: 5, found: 3, .. })));
    assert!(matches!(ByteRowsWriter::resume(&path, 1), Err(IndexError::Size { expected: 5, found: 3, .. })));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vectors.npy");
    std::os::unix::fs::symlink("/dev/full", partial_path(&path)).unwrap();
    let mut writer = VectorWriter::create(&path, 2).unwrap();
    writer.push(&[1.0, 2.0]).unwrap();
    let error = writer.flush().unwrap_err().to_string();
    assert!(error.contains("vectors.npy.partial") && error.contains("No space left"), "{error}");
}
