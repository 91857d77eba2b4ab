//! include/domino as C and C++ compilers see it: no warning in any standard and under any makefile's macros, the sizes and
//! values that sources for Domino count on, and arguments read in each of their idioms. Knows compilers, no server.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod published;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use published::{SIZES, VALUES};
use stagepost_tests::peer;
use stagepost_tests::plugin::include;

const WARNINGS: &[&str] = &["-pedantic", "-Wall", "-Wextra", "-Werror"];

const C: (&str, &[&str]) = ("c", &["c99", "c11", "c17", "c2x", "gnu11"]);
const CXX: (&str, &[&str]) = ("c++", &["c++98", "c++11", "c++14", "c++17", "c++20"]);

/// What makefiles of add-ins pass, none of which may matter.
const MAKEFILES: &[&str] = &[
    "GCC3",
    "GCC4",
    "UNIX",
    "LINUX",
    "LINUX86",
    "LINUX64",
    "LINUX86_64",
    "ND64",
    "NDUNIX",
    "NDUNIX64",
    "LONGIS64BIT",
    "W",
    "W32",
    "DTRACE",
    "PTHREAD_KERNEL",
    "HANDLE_IS_32BITS",
    "HAS_BOOL",
    "HAS_DLOPEN",
    "HAS_IOCP",
    "LARGE64_FILES",
    "USE_THREADSAFE_INTERFACES",
    "USE_PTHREAD_INTERFACES",
    "PRODUCTION_VERSION",
    "OVERRIDEDEBUG",
    "GCC_LBLB_NOT_SUPPORTED",
];

/// A compiler with a standard.
struct Compiler {
    name: &'static str,
    language: &'static str,
    standard: &'static str,
}

/// Each compiler with every standard of its language.
fn all(compilers: &[(&'static str, (&'static str, &'static [&'static str]))]) -> Vec<Compiler> {
    let with = |&(name, (language, standards)): &(
        &'static str,
        (&'static str, &'static [&'static str]),
    )| {
        peer::need(name);
        standards.iter().map(move |standard| Compiler { name, language, standard })
    };
    compilers.iter().flat_map(with).collect()
}

fn native() -> Vec<Compiler> {
    all(&[("cc", C), ("c++", CXX)])
}

fn clang() -> Vec<Compiler> {
    all(&[("clang", C), ("clang++", CXX)])
}

impl Compiler {
    fn run(&self, source: &Path, more: &[String], made: &Path) -> Output {
        Command::new(self.name)
            .args(["-x", self.language, &format!("-std={}", self.standard)])
            .args(WARNINGS)
            .args(more)
            .arg("-I")
            .arg(domino())
            .arg("-o")
            .arg(made)
            .arg(source)
            .output()
            .unwrap()
    }

    /// Compiles without a word, or fails the test with what the compiler said.
    fn compile(&self, source: &Path, more: &[String], made: &Path) {
        let output = self.run(source, more, made);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.is_empty(),
            "{} -std={} {more:?} on {}:\n{said}",
            self.name,
            self.standard,
            source.display()
        );
    }
}

/// The folder of the headers.
fn domino() -> PathBuf {
    include().join("domino")
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c").join(name)
}

/// What the program of the values must print where EMRECORD has this size.
fn wanted(record_octets: u32) -> String {
    let mut wanted = String::new();
    for (name, value) in SIZES.iter().chain(&[("EMRECORD", record_octets)]).chain(VALUES) {
        writeln!(wanted, "{name} {value}").unwrap();
    }
    wanted
}

/// The size of EMRECORD, by what a va_list is (x86-64 and AArch64).
const RECORD_OCTETS: u32 = if cfg!(target_arch = "aarch64") { 40 } else { 32 };

fn values_agree(compilers: &[Compiler]) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("values");
    for compiler in compilers {
        compiler.compile(&source("domino_values.c"), &[], &program);
        let output = Command::new(&program).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(printed, wanted(RECORD_OCTETS), "{} -std={}", compiler.name, compiler.standard);
    }
}

fn makefiles_change_nothing(compilers: &[Compiler]) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("values");
    let each = MAKEFILES.iter().map(|name| vec![format!("-D{name}")]);
    let together = MAKEFILES.iter().map(|name| format!("-D{name}")).collect();
    for macros in each.chain([together]) {
        for compiler in compilers {
            compiler.compile(&source("domino_values.c"), &macros, &program);
            let output = Command::new(&program).output().unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            assert_eq!(printed, wanted(RECORD_OCTETS), "{} {macros:?}", compiler.name);
        }
    }
}

/// Each header can be the first or the only one that a source includes, and the last.
fn each_header_stands_alone(compilers: &[Compiler]) {
    let folder = tempfile::tempdir().unwrap();
    let (file, made) = (folder.path().join("alone.c"), folder.path().join("alone.o"));
    let mut text = String::new();
    for entry in std::fs::read_dir(domino()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let guard = name.replace('.', "_");
        text += &format!(
            "#ifdef ONLY_{guard}\n#include \"{name}\"\n#include \"extmgr.h\"\n#include \"{name}\"\n#endif\n"
        );
    }
    std::fs::write(&file, format!("{text}int nothing;\n")).unwrap();
    let onlys: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#ifdef ")).collect();
    assert!(onlys.len() >= 32, "{onlys:?}");
    for only in onlys {
        for compiler in compilers {
            compiler.compile(&file, &["-c".into(), format!("-D{only}")], &made);
        }
    }
}

#[test]
fn sizes_and_values_are_those_that_sources_count_on() {
    values_agree(&native());
}

#[test]
fn macros_of_makefiles_are_harmless() {
    makefiles_change_nothing(&all(&[("cc", ("c", &["gnu11"])), ("c++", ("c++", &["c++98"]))]));
}

#[test]
fn each_header_can_be_included_first_and_again() {
    each_header_stands_alone(&all(&[("cc", ("c", &["c99"])), ("c++", ("c++", &["c++98"]))]));
}

#[test]
fn the_native_header_refuses_to_stand_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let (file, made) = (folder.path().join("both.c"), folder.path().join("both.o"));
    let native = include().join("extmgr.h").display().to_string();
    for (first, second) in [(native.as_str(), "extmgr.h"), ("extmgr.h", native.as_str())] {
        std::fs::write(&file, format!("#include \"{first}\"\n#include \"{second}\"\n")).unwrap();
        for compiler in native_oldest() {
            let output = compiler.run(&file, &["-c".into()], &made);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success() && said.contains("not both"), "{said}");
        }
    }
}

fn native_oldest() -> Vec<Compiler> {
    all(&[("cc", ("c", &["c99"])), ("c++", ("c++", &["c++11"]))])
}

mod clang {
    use super::*;

    #[test]
    fn sees_the_same() {
        values_agree(&super::clang());
        makefiles_change_nothing(&all(&[("clang", ("c", &["gnu11"]))]));
        each_header_stands_alone(&all(&[("clang++", ("c++", &["c++11"]))]));
    }
}
