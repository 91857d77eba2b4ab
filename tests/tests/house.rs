//! How the house is built: which package may know which, and what each file says of itself. The picture is in README.md.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The packages, and which of ours each may know. Plug-ins that come with the server know the SDK alone.
const ARROWS: [(&str, &[&str]); 7] = [
    ("sdk/abi", &[]),
    ("sdk/layout", &["abi"]),
    ("sdk", &["abi", "layout"]),
    ("host/smtp", &[]),
    ("host/extmgr", &["abi", "layout", "smtp"]),
    ("host/queue", &["smtp"]),
    ("host", &["extmgr", "queue", "smtp"]),
];
/// What the protocol must not know, since it has no socket, no clock and no thread.
const OUTSIDE: [&str; 5] = ["hickory", "mio", "rustix", "socket2", "tokio"];
/// Packages whose code may be unsafe; the bridge is where pointers of add-ins cross (docs/decisions/010).
const UNSAFE: [&str; 4] = ["sdk/", "host/extmgr/", "plugins/domino-bridge/", "tests/"];

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The names below `[dependencies]` of a package; those of its tests are its own affair.
fn dependencies(package: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(checkout().join(package).join("Cargo.toml")).unwrap();
    let (_, below) = manifest.split_once("\n[dependencies]\n").unwrap_or_default();
    let lines = below.lines().take_while(|line| !line.starts_with('['));
    let names = lines.map(|line| line.split(['.', ' ', '=']).next().unwrap_or_default());
    names.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn arrows_point_down() {
    let ours = |names: &BTreeSet<String>| -> BTreeSet<String> {
        names.iter().filter_map(|name| name.strip_prefix("stagepost-")).map(str::to_owned).collect()
    };
    for (package, allowed) in ARROWS {
        let known = ours(&dependencies(package));
        let allowed: BTreeSet<_> = allowed.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(known, allowed, "{package}");
    }
    let smtp = dependencies("host/smtp");
    let outside = |name: &&String| OUTSIDE.iter().any(|start| name.starts_with(start));
    assert_eq!(smtp.iter().find(outside), None);
    let mut plugins = 0;
    for entry in fs::read_dir(checkout().join("plugins")).unwrap() {
        let package = Path::new("plugins").join(entry.unwrap().file_name());
        if checkout().join(&package).join("Cargo.toml").exists() {
            let known = ours(&dependencies(package.to_str().unwrap()));
            assert!(known.iter().all(|name| name == "sdk"), "{package:?}: {known:?}");
            plugins += 1;
        }
    }
    assert!(plugins >= 5, "only {plugins}");
}

/// All Rust sources of the packages, by their paths in the checkout.
fn sources() -> Vec<PathBuf> {
    let mut folders = ["host", "plugins", "sdk", "tests"].map(PathBuf::from).to_vec();
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(checkout().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                // What fuzzing builds is below it.
                folders.extend(Some(path).filter(|path| !path.ends_with("target")));
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                files.push(path);
            }
        }
    }
    assert!(files.len() > 500, "only {}", files.len());
    files
}

#[test]
fn files_say_what_they_hold() {
    let mut silent = Vec::new();
    for file in sources() {
        let text = fs::read_to_string(checkout().join(&file)).unwrap();
        if !text.lines().any(|line| line.starts_with("//!")) {
            silent.push(file);
        }
    }
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn unsafe_code_stays_where_it_may_be() {
    let mut loose = Vec::new();
    for file in sources() {
        let may = UNSAFE.iter().any(|start| file.starts_with(start));
        let text = fs::read_to_string(checkout().join(&file)).unwrap();
        let says =
            |line: &str| ["unsafe {", "unsafe fn", "unsafe impl"].map(|words| line.contains(words));
        if !may && text.lines().any(|line| says(line).contains(&true)) {
            loose.push(file);
        }
    }
    assert!(loose.is_empty(), "{loose:?}");
}
