//! The database under a table while it is made, or opened after a failure.
//! Knows no row.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::local::folder::{make_folder, parent_of, sync_folder};

/// Makes an empty database under another name first: one that was made in part, before a crash, could not be opened.
pub(super) fn make_with(
    path: &Path,
    open: impl FnOnce(&Path) -> fjall::Result<()>,
) -> fjall::Result<()> {
    let parts = path.with_extension("part");
    if parts.exists() {
        std::fs::remove_dir_all(&parts)?;
    }
    make_folder(&parts)?;
    open(&parts)?;
    std::fs::rename(&parts, path)?;
    sync_folder(&parent_of(path))?;
    Ok(())
}

/// Makes the next opening begin a new journal file.
///
/// After a failed sync nobody knows what of the old journal is on disk behind the last successful sync, though
/// reading it shows everything: octets appended to it could be lost behind a gap. With an empty file of the next number
/// in place, the engine takes the old one for sealed, carries its rows into tables of their own and removes it.
pub(super) fn begin_new_journal(path: &Path) -> io::Result<()> {
    let mut newest = None;
    for entry in std::fs::read_dir(path)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".jnl"));
        newest = newest.max(number.and_then(|number| number.parse::<u64>().ok()));
    }
    let Some(newest) = newest else {
        return Ok(());
    };
    let file = File::create_new(path.join(format!("{}.jnl", newest + 1)))?;
    file.sync_all()?;
    sync_folder(path)
}
