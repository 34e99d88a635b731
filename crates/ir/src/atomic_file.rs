//! Files that appear whole or not at all.
//!
//! A regular file is written under a temporary name in the same folder, synchronised and renamed. Anything else that
//! already exists under the name (a pipe, a device) is written to directly, since renaming would replace it.

use std::{
    io::{self, BufWriter, Write},
    path::Path,
};

use crate::Error;

/// Writes `path` by `write`; on an error the previous file, if any, stays as it was.
pub(crate) fn write_atomically(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Error> {
    if let Ok(metadata) = fs_err::metadata(path)
        && !metadata.is_file()
    {
        let mut writer = BufWriter::new(fs_err::OpenOptions::new().write(true).open(path)?);
        write(&mut writer)?;
        return Ok(writer.flush()?);
    }
    // A symbolic link keeps pointing to the file that it points to.
    let target = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{}.partial", std::process::id()));
    let partial = target.with_file_name(name);
    let written = write_and_rename(&partial, &target, write);
    if written.is_err() {
        // The first error is the one worth reporting; the partial file may not even exist.
        let _ = fs_err::remove_file(&partial);
    }
    Ok(written?)
}

fn write_and_rename(
    partial: &Path,
    target: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let mut writer = BufWriter::new(fs_err::File::create(partial)?);
    write(&mut writer)?;
    writer.flush()?;
    writer.get_ref().sync_all()?;
    fs_err::rename(partial, target)
}
