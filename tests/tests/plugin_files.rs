//! The files that plug-ins come as, whatever they are written in: one exported symbol, one descriptor, nothing wanted
//! from the host. Knows no host.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::{Path, PathBuf};
use std::process::Command;

use stagepost_abi::{EM_BASE_DIGEST, EM_DESCRIPTOR_MAGIC, EM_LANGUAGE_RUST, EmDescriptor};
use stagepost_tests::plugin::{build_rust, exports, include};

fn example_c() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/example-c")
}

/// The octets of the file's one `.stagepost` section.
fn descriptor(library: &Path) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let section = folder.path().join("section");
    let output = Command::new("objcopy")
        .args(["-O", "binary", "--only-section=.stagepost"])
        .args([library, &section])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(section).unwrap()
}

#[test]
fn a_rust_plugin_exports_its_entry_and_describes_itself() {
    for (package, name, stages) in
        [("example-rust", "example-rust", 0x0041_u64), ("fault-panicking", "panicking", 0x0008)]
    {
        let library = build_rust(package);
        assert_eq!(exports(&library), ["em_entry"]);
        let octets = descriptor(&library);
        assert_eq!(octets.len(), size_of::<EmDescriptor>());
        assert_eq!(octets[..8], EM_DESCRIPTOR_MAGIC);
        assert_eq!(octets[16..24], EM_BASE_DIGEST.to_ne_bytes());
        assert_eq!(octets[24..32], stages.to_ne_bytes());
        assert_eq!(octets[44..48], EM_LANGUAGE_RUST.to_ne_bytes());
        assert!(octets[48..].starts_with(name.as_bytes()) && octets[48 + name.len()] == 0);
    }
}

#[test]
fn the_makefile_builds_a_copy_of_the_template() {
    if Command::new("make").arg("--version").output().is_err() {
        eprintln!("make is not here; the server does not need it, and authors see to it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for file in ["example.c", "Makefile"] {
        std::fs::copy(example_c().join(file), folder.path().join(file)).unwrap();
    }
    let include = include().canonicalize().unwrap();
    let output = Command::new("make")
        .arg("-C")
        .arg(folder.path())
        .arg("CC=cc")
        .arg(format!("STAGEPOST_INCLUDE={}", include.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let library = folder.path().join("libexample_c.so");
    assert_eq!(exports(&library), ["em_entry"]);
    assert!(descriptor(&library).starts_with(&EM_DESCRIPTOR_MAGIC));
}
