//! Scalars for TensorBoard: one event file, written by hand.
//!
//! A TFRecord is `length u64 · masked crc of the length · data · masked crc of the data`; the data is a protobuf
//! `Event { 1: wall_time double, 2: step int64, 3: file_version string, 5: summary { 1: value { 1: tag, 2: float } } }`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use fs_err::File;

use super::crc32c::masked;

/// What TensorBoard asks of the first event.
const FILE_VERSION: &str = "brain.Event:2";

/// An open event file.
#[derive(Debug)]
pub(super) struct EventFile {
    file: File,
}

impl EventFile {
    /// Starts a file in `folder`, in place of those that are there.
    pub(super) fn replace(folder: &Path, wall_time: f64) -> io::Result<Self> {
        fs_err::create_dir_all(folder)?;
        for old in event_files(folder)? {
            fs_err::remove_file(old)?;
        }
        // TensorBoard reads files in the order of their names, in which the seconds have ten digits.
        let name = format!("events.out.tfevents.{:010}.sbmoe", wall_time as u64);
        let mut own = Self { file: File::create(folder.join(name))? };
        let mut event = Vec::new();
        put_double(&mut event, 1, wall_time);
        put_bytes(&mut event, 3, FILE_VERSION.as_bytes());
        own.record(&event)?;
        Ok(own)
    }

    /// Appends the values of one step.
    pub(super) fn scalars(&mut self, wall_time: f64, step: u64, values: &[(&str, f64)]) -> io::Result<()> {
        self.record(&scalar_event(wall_time, step, values))
    }

    fn record(&mut self, data: &[u8]) -> io::Result<()> {
        let length = (data.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(data.len() + 16);
        record.extend_from_slice(&length);
        record.extend_from_slice(&masked(&length).to_le_bytes());
        record.extend_from_slice(data);
        record.extend_from_slice(&masked(data).to_le_bytes());
        // One write a record: a reader that follows the file never sees half of one for long.
        self.file.write_all(&record)
    }
}

/// The event files of a folder.
fn event_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("events.out.tfevents.") {
            files.push(entry.path());
        }
    }
    Ok(files)
}

fn scalar_event(wall_time: f64, step: u64, values: &[(&str, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in values {
        let mut scalar = Vec::new();
        put_bytes(&mut scalar, 1, tag.as_bytes());
        put_float(&mut scalar, 2, *value as f32);
        put_bytes(&mut summary, 1, &scalar);
    }
    let mut event = Vec::new();
    put_double(&mut event, 1, wall_time);
    put_key(&mut event, 2, 0);
    put_varint(&mut event, step);
    put_bytes(&mut event, 5, &summary);
    event
}

fn put_double(message: &mut Vec<u8>, field: u64, value: f64) {
    put_key(message, field, 1);
    message.extend_from_slice(&value.to_le_bytes());
}

fn put_float(message: &mut Vec<u8>, field: u64, value: f32) {
    put_key(message, field, 5);
    message.extend_from_slice(&value.to_le_bytes());
}

fn put_bytes(message: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    put_key(message, field, 2);
    put_varint(message, bytes.len() as u64);
    message.extend_from_slice(bytes);
}

fn put_key(message: &mut Vec<u8>, field: u64, wire_type: u64) {
    put_varint(message, field << 3 | wire_type);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A protobuf field: its number and its content.
    #[derive(Debug, PartialEq)]
    enum Field {
        Varint(u64),
        Fixed64([u8; 8]),
        Fixed32([u8; 4]),
        Bytes(Vec<u8>),
    }

    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let (byte, rest) = bytes.split_first().unwrap();
            *bytes = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }

    fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
        let (head, rest) = bytes.split_at(count);
        *bytes = rest;
        head
    }

    fn fields(mut bytes: &[u8]) -> Vec<(u64, Field)> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let field = match key & 7 {
                0 => Field::Varint(varint(&mut bytes)),
                1 => Field::Fixed64(take(&mut bytes, 8).try_into().unwrap()),
                5 => Field::Fixed32(take(&mut bytes, 4).try_into().unwrap()),
                2 => {
                    let length = varint(&mut bytes) as usize;
                    Field::Bytes(take(&mut bytes, length).to_vec())
                }
                other => panic!("wire type {other}"),
            };
            fields.push((key >> 3, field));
        }
        fields
    }

    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let length = take(&mut bytes, 8);
            assert_eq!(take(&mut bytes, 4), masked(length).to_le_bytes());
            let data = take(&mut bytes, u64::from_le_bytes(length.try_into().unwrap()) as usize);
            assert_eq!(take(&mut bytes, 4), masked(data).to_le_bytes());
            records.push(data.to_vec());
        }
        records
    }

    #[test]
    fn what_was_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("events.out.tfevents.0000000001.old"), "an older run").unwrap();
        let mut file = EventFile::replace(folder.path(), 1.5e9).unwrap();
        file.scalars(1.5e9 + 0.25, 300, &[("train/loss", 0.5), ("train/accuracy", 1.0)]).unwrap();
        drop(file);

        let files = event_files(folder.path()).unwrap();
        assert_eq!(files, [folder.path().join("events.out.tfevents.1500000000.sbmoe")]);
        let records = records(&fs_err::read(&files[0]).unwrap());
        assert_eq!(records.len(), 2);
        assert_eq!(
            fields(&records[0]),
            [
                (1, Field::Fixed64(1.5e9_f64.to_le_bytes())),
                (3, Field::Bytes(FILE_VERSION.as_bytes().to_vec())),
            ]
        );
        let [time, step, summary] = fields(&records[1]).try_into().unwrap();
        assert_eq!(time, (1, Field::Fixed64((1.5e9_f64 + 0.25).to_le_bytes())));
        assert_eq!(step, (2, Field::Varint(300)));
        let (5, Field::Bytes(summary)) = summary else { panic!("{summary:?}") };
        let value = |tag: &str, value: f32| {
            vec![(1, Field::Bytes(tag.as_bytes().to_vec())), (2, Field::Fixed32(value.to_le_bytes()))]
        };
        let values: Vec<_> = fields(&summary)
            .into_iter()
            .map(|field| match field {
                (1, Field::Bytes(value)) => fields(&value),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(values, [value("train/loss", 0.5), value("train/accuracy", 1.0)]);
    }
}
