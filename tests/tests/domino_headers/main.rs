//! include/domino as C and C++ compilers see it: no warning in any standard and under any makefile's macros, the sizes and
//! values that sources for Domino count on, and arguments read in each of their idioms. Knows compilers, no server.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod published;
mod texts;

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

/// What the program of the records must print.
const RECORDS: &str = "\
copy fedcba98 192.0.2.1  1 NULL 0
list fedcba98 192.0.2.1
2d5
record fedcba98 192.0.2.1  2 220 hello 800
0
va_arg fedcba98 192.0.2.1  3 220 hello 800
327
copy fedcba98 192.0.2.1  4 NULL 0
list fedcba98 192.0.2.1
2d5
record fedcba98 192.0.2.1  5 220 hello 800
0
va_arg fedcba98 192.0.2.1  6 220 hello 800
327
narrow ffff ff -2 x
246
";

/// Records that the bridge's own C code makes are read in every way, at every level of optimisation, under sanitizers.
///
/// - run: what runs the program; nothing: the system.
fn records_are_read(compilers: &[Compiler], c: &'static str, flags: &[&[&str]], run: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let (object, program) = (folder.path().join("record.o"), folder.path().join("records"));
    let notes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/domino-bridge/notes");
    for flags in flags {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let maker = Compiler { name: c, language: "c", standard: "gnu11" };
        maker.compile(&notes.join("record.c"), &[&["-c".to_owned()][..], &flags].concat(), &object);
        for compiler in compilers {
            let mut more = flags.clone();
            // Behind the source's own language.
            more.extend(["-Wl,".to_owned() + &object.display().to_string()]);
            compiler.compile(&source("domino_records.c"), &more, &program);
            let mut words: Vec<&str> = run.to_vec();
            let place = program.display().to_string();
            words.push(&place);
            let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(printed, RECORDS, "{} {flags:?}: {said}", compiler.name);
        }
    }
}

const LEVELS: &[&[&str]] = &[&["-O0"], &["-O2"], &["-O3", "-DGCC3"]];

#[test]
fn records_are_read_in_every_way() {
    let compilers = all(&[("cc", ("c", &["gnu11"])), ("c++", ("c++", &["c++98", "c++17"]))]);
    records_are_read(&compilers, "cc", LEVELS, &[]);
}

/// What needs the C compiler's libasan.
mod libasan {
    use super::*;

    #[test]
    fn sees_nothing_odd_in_how_records_are_read() {
        let flags: &[&[&str]] =
            &[&["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]];
        records_are_read(&all(&[("cc", ("c", &["gnu11"]))]), "cc", flags, &[]);
    }
}

mod aarch64_linux_gnu_gxx {
    mod qemu_aarch64 {
        use super::super::*;

        /// A record is 40 octets there, and its list is another struct.
        #[test]
        fn the_headers_and_records_are_the_same_on_aarch64() {
            let compilers = all(&[
                ("aarch64-linux-gnu-gcc", ("c", &["gnu11", "c2x"])),
                ("aarch64-linux-gnu-g++", ("c++", &["c++98", "c++20"])),
            ]);
            let emulator = peer::need("qemu-aarch64").display().to_string();
            let folder = tempfile::tempdir().unwrap();
            let program = folder.path().join("values");
            for compiler in &compilers {
                compiler.compile(&source("domino_values.c"), &["-static".to_owned()], &program);
                let output = Command::new(&emulator).arg(&program).output().unwrap();
                let printed = String::from_utf8(output.stdout).unwrap();
                assert_eq!(printed, wanted(40), "{} -std={}", compiler.name, compiler.standard);
            }
            let flags: &[&[&str]] = &[&["-O0", "-static"], &["-O2", "-static"]];
            records_are_read(&compilers, "aarch64-linux-gnu-gcc", flags, &[&emulator]);
        }
    }
}

mod clang {
    use super::*;

    #[test]
    fn sees_the_same() {
        values_agree(&super::clang());
        makefiles_change_nothing(&all(&[("clang", ("c", &["gnu11"]))]));
        let compilers = all(&[("clang", ("c", &["gnu11"])), ("clang++", ("c++", &["c++11"]))]);
        records_are_read(&compilers, "clang", LEVELS, &[]);
        each_header_stands_alone(&all(&[("clang++", ("c++", &["c++11"]))]));
    }
}
