//! Add-ins for Domino's Extension Manager, made for a test: a source in, a shared object out that knows nothing of this server.
//! Knows the compilers and how such add-ins are linked.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo;
use crate::peer;
use crate::plugin::include;

/// The bridge, built; libnotes.so is in the same folder.
///
/// # Panics
///
/// When it can't be built, with what cargo said.
pub fn bridge() -> PathBuf {
    cargo::build(&["domino-bridge"]).join("libdomino_bridge.so")
}

/// How an add-in is made.
#[derive(Clone, Copy, Debug)]
pub struct Making<'a> {
    /// The compiler, and what it is to take the source for.
    pub compiler: &'a str,
    /// `c` or `c++`.
    pub language: &'a str,
    /// What is given to it beside: `-O2`, `-DREAD=2`.
    pub flags: &'a [&'a str],
    /// Linked with `-lnotes`, as makefiles for Domino do.
    pub linked: bool,
}

impl Default for Making<'_> {
    fn default() -> Self {
        Self { compiler: "cc", language: "c", flags: &["-O2"], linked: true }
    }
}

impl Making<'_> {
    /// Makes the add-in of a source of `tests/addins`, under a name of its own.
    ///
    /// # Panics
    ///
    /// When the compiler is not there, or has anything to say.
    pub fn make(&self, source: &str, folder: &Path, name: &str) -> PathBuf {
        let made = folder.join(format!("lib{name}.so"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("addins").join(source);
        let notes = bridge();
        let mut command = Command::new(peer::need(self.compiler));
        command
            .args(["-x", self.language, "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror"])
            // Texts are `char *` in the headers, as they always were.
            .args(if self.language == "c++" { &["-Wno-write-strings"][..] } else { &[] })
            // What makefiles of such add-ins pass.
            .args([
                "-DUNIX",
                "-DLINUX",
                "-DLINUX64",
                "-DND64",
                "-DGCC3",
                "-DW",
                "-DLONGIS64BIT",
                "-DHANDLE_IS_32BITS",
            ])
            .args(self.flags)
            .arg("-I")
            .arg(include().join("domino"))
            .arg("-o")
            .arg(&made)
            .arg(source);
        if self.linked {
            command.arg("-L").arg(notes.parent().expect("a file is in a folder")).arg("-lnotes");
        }
        peer::run(&mut command);
        made
    }
}
