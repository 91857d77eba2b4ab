//! extmgr.h as C and C++ compilers see it: no warning in any standard, and the layout that Rust has.
//! Knows compilers and the golden layout, no plug-in host.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stagepost_abi::*;
use stagepost_tests::peer;
use stagepost_tests::plugin::{compile_c, exports, faults, include};

const WARNINGS: &[&str] = &["-pedantic", "-Wall", "-Wextra", "-Werror"];

/// A compiler with a standard.
struct Compiler {
    name: &'static str,
    arguments: Vec<String>,
}

const C: (&str, &[&str]) = ("c", &["c99", "c11", "c17", "c2x"]);
const CXX: (&str, &[&str]) = ("c++", &["c++11", "c++14", "c++17"]);

/// The system's own compilers.
fn native() -> Vec<Compiler> {
    all(&[("cc", C), ("c++", CXX)])
}

/// Each compiler with every standard that it is asked for.
fn all(compilers: &[(&'static str, (&str, &[&str]))]) -> Vec<Compiler> {
    let mut all = Vec::new();
    for (name, (language, standards)) in compilers {
        peer::need(name);
        let arguments =
            |standard| vec!["-x".into(), (*language).into(), format!("-std={standard}")];
        all.extend(
            standards.iter().map(|standard| Compiler { name, arguments: arguments(standard) }),
        );
    }
    all
}

impl Compiler {
    fn run(&self, source: &Path, more: &[&str], made: &Path) -> Output {
        Command::new(self.name)
            .args(&self.arguments)
            .args(WARNINGS)
            .args(more)
            .arg("-I")
            .arg(include())
            .arg("-o")
            .arg(made)
            .arg(source)
            .output()
            .unwrap()
    }

    /// What was compiled still has the descriptor.
    fn expect_descriptor(&self, made: &Path) {
        let octets = std::fs::read(made).unwrap();
        assert!(
            octets.windows(8).any(|window| window == EM_DESCRIPTOR_MAGIC),
            "{} {:?} lost the descriptor",
            self.name,
            self.arguments
        );
    }

    /// Compiles without a word, or fails the test with what the compiler said.
    fn compile(&self, source: &Path, more: &[&str], made: &Path) {
        let output = self.run(source, more, made);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.is_empty(),
            "{} {:?} on {}:\n{said}",
            self.name,
            self.arguments,
            source.display()
        );
    }
}

fn printed(program: &Path) -> String {
    let output = Command::new(program).output().unwrap();
    assert!(output.status.success(), "{} ended with {}", program.display(), output.status);
    String::from_utf8(output.stdout).unwrap()
}

fn tests() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The golden layout without its heading.
fn golden() -> String {
    let text = std::fs::read_to_string(tests().join("golden/abi-layout.txt")).unwrap();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.join("\n") + "\n"
}

/// Writes the C program that prints the layout of every struct in the golden file, in its form.
fn layout_program(golden: &str) -> String {
    let mut structs = String::new();
    let mut prints = String::new();
    let mut name = "";
    for line in golden.lines() {
        let word = line.split_whitespace().next().unwrap();
        if line.starts_with(' ') {
            writeln!(
                prints,
                "    printf(\"    {word} %u %u\\n\", AT({name}_probe.it, {name}_probe.it.{word}), \
                 (unsigned)sizeof {name}_probe.it.{word});"
            )
            .unwrap();
        } else {
            name = word;
            writeln!(structs, "static struct {{ char first; {name} it; }} {name}_probe;").unwrap();
            writeln!(
                prints,
                "    printf(\"{name} %u %u\\n\", (unsigned)sizeof({name}), AT({name}_probe, {name}_probe.it));"
            )
            .unwrap();
        }
    }
    format!(
        "#include <stdio.h>\n#include \"extmgr.h\"\n\
         #define AT(whole, part) (unsigned)((const char *)&(part) - (const char *)&(whole))\n\
         {structs}int main(void)\n{{\n{prints}    return 0;\n}}\n"
    )
}

fn layouts_agree(compilers: &[Compiler]) {
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("layout.c"), folder.path().join("layout"));
    let golden = golden();
    std::fs::write(&source, layout_program(&golden)).unwrap();
    for compiler in compilers {
        compiler.compile(&source, &[], &program);
        assert_eq!(printed(&program), golden, "{} {:?}", compiler.name, compiler.arguments);
    }
}

/// What the header has by hand: macros and functions.
fn values_agree(compilers: &[Compiler]) {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("macros");
    let mut name = [0; 64];
    name[..8].copy_from_slice(b"a-name_1");
    let mut version = [0; 32];
    version[..5].copy_from_slice(b"1.2.3");
    let mut descriptor = Vec::new();
    descriptor.extend_from_slice(&EM_DESCRIPTOR_MAGIC);
    descriptor.extend_from_slice(&(size_of::<EmDescriptor>() as u32).to_ne_bytes());
    descriptor.extend_from_slice(&EM_ABI_MAJOR.to_ne_bytes());
    descriptor.extend_from_slice(&0u16.to_ne_bytes());
    descriptor.extend_from_slice(&EM_BASE_DIGEST.to_ne_bytes());
    descriptor.extend_from_slice(&(EM_STAGE_CONNECT | EM_STAGE_DISCONNECT).to_ne_bytes());
    descriptor.extend_from_slice(&(EM_EDIT_VERDICT | EM_EDIT_DISCARD).to_ne_bytes());
    descriptor.extend_from_slice(&EM_CLASS_INLINE.to_ne_bytes());
    descriptor.extend_from_slice(&EM_LANGUAGE_C.to_ne_bytes());
    descriptor.extend_from_slice(&name);
    descriptor.extend_from_slice(&version);
    descriptor.extend_from_slice(&[0; 32]);
    let mut wanted = String::new();
    for octet in &descriptor {
        write!(wanted, "{octet:02x}").unwrap();
    }
    let text = |id: &std::ffi::CStr| id.to_str().unwrap().to_owned();
    writeln!(wanted, "\nsome 4, 0 1").unwrap();
    writeln!(
        wanted,
        "{} {} {}",
        text(EM_LOG_ID),
        text(EM_EDITS_ID),
        text(EM_ATTRIBUTE_RELAY_GRANTED)
    )
    .unwrap();
    writeln!(wanted, "{ERR_EM_CONTINUE} {EM_SMTPCONNECT} {EM_SMTPETRN} {NOERROR}").unwrap();

    for compiler in compilers {
        compiler.compile(&tests().join("c/macros.c"), &[], &program);
        assert_eq!(printed(&program), wanted, "{} {:?}", compiler.name, compiler.arguments);
    }
}

/// The example compiles and exports its entry alone.
fn example_is_a_plugin(compilers: &[Compiler]) {
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("example.so");
    let source = tests().join("../plugins/example-c/example.c");
    for compiler in compilers {
        for more in [
            ["-shared", "-fPIC", "-fvisibility=hidden", "-O0"].as_slice(),
            // Dropped by the linker unless retained: nobody refers to the descriptor.
            &[
                "-shared",
                "-fPIC",
                "-fvisibility=hidden",
                "-O2",
                "-fdata-sections",
                "-Wl,--gc-sections",
            ],
        ] {
            compiler.compile(&source, more, &library);
            assert_eq!(
                exports(&library),
                ["em_entry"],
                "{} {:?}",
                compiler.name,
                compiler.arguments
            );
            compiler.expect_descriptor(&library);
        }
    }
}

#[test]
fn c_and_cxx_lay_the_structs_out_as_rust_does() {
    layouts_agree(&native());
}

#[test]
fn what_is_written_by_hand_has_the_values_of_the_contract() {
    values_agree(&native());
}

#[test]
fn the_example_compiles_and_exports_its_entry_alone() {
    example_is_a_plugin(&native());
}

mod clang {
    use super::*;

    #[test]
    fn agrees_and_makes_a_plugin() {
        let compilers = all(&[("clang", C), ("clang++", CXX)]);
        layouts_agree(&compilers);
        values_agree(&compilers);
        example_is_a_plugin(&compilers);
    }
}

/// The C++ compiler for Windows comes with the one for C.
mod x86_64_w64_mingw32_gxx {
    use super::*;

    #[test]
    fn the_example_compiles_for_windows() {
        let folder = tempfile::tempdir().unwrap();
        let (library, program) =
            (folder.path().join("example.dll"), folder.path().join("macros.exe"));
        let source = tests().join("../plugins/example-c/example.c");
        for compiler in all(&[("x86_64-w64-mingw32-gcc", C), ("x86_64-w64-mingw32-g++", CXX)]) {
            compiler.compile(&source, &["-shared", "-fvisibility=hidden", "-O2"], &library);
            compiler.expect_descriptor(&library);
            compiler.compile(&tests().join("c/macros.c"), &[], &program);
        }
    }
}

#[test]
fn the_two_extmgr_headers_refuse_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("never");
    for compiler in native() {
        let output = compiler.run(&tests().join("c/macros.c"), &["-DEXMGR_DEFS"], &made);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("not both"), "{said}");
    }
}

#[test]
fn every_bad_plugin_compiles() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources: Vec<PathBuf> = std::fs::read_dir(faults())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "c"))
        .collect();
    sources.sort();
    assert!(sources.len() > 10, "{sources:?}");
    for source in &sources {
        assert!(compile_c(source, folder.path(), &[]).is_file());
    }
    let noop = faults().join("noop.c");
    let named = compile_c(&noop, folder.path(), &["NAME=\"noop-2\""]);
    let octets = std::fs::read(&named).unwrap();
    assert!(octets.windows(7).any(|window| window == b"noop-2\0"));
    assert_ne!(named, compile_c(&noop, folder.path(), &[]));
}
