//! A plug-in of C, compiled when a target first wants it.
//! Knows the compiler; what the plug-in does is for the target to say.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The shared object of a source, named as from the root of the repository, and the folder that it lasts as long as.
///
/// # Panics
/// There is no C compiler (`$CC`, else `cc`), or it is not content.
pub(crate) fn compiled(source: &str) -> (TempDir, PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = tempfile::tempdir().expect("a folder of our own");
    let made = folder.path().join("plugin.so");
    let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
    let status = Command::new(&compiler)
        .args(["-std=c11", "-fPIC", "-shared", "-fvisibility=hidden", "-O2", "-s"])
        .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-I"])
        .arg(root.join("include"))
        .arg("-o")
        .arg(&made)
        .arg(root.join(source))
        .status();
    assert!(status.as_ref().is_ok_and(|status| status.success()), "{compiler:?}: {status:?}");
    (folder, made)
}
