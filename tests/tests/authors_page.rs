//! docs/plugin-authors.md: every example on the page compiles without a warning, the first plug-ins of it load and stamp,
//! and no event, status, edit or handler is missing on it.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use stagepost_tests::cargo;
use stagepost_tests::plugin::{compile_c, include};
use stagepost_tests::server::{Site, plugin_section};

const MESSAGE: &str = "Subject: through the first plug-ins\r\n\r\nHello.\r\n";

/// What the page takes for granted around a C example that is no whole plug-in.
const C_AROUND: &str = "#include <stdio.h>\n#include <string.h>\n#include \"extmgr.h\"\n\
    EmHost *our_host;\nconst EmLogService *logging;\nconst EmSessionService *sessions;\n\
    const EmEditsService *edits;\n";

/// The events of a plug-in's own life.
const LIFE: [&str; 3] = ["EM_START", "EM_CONFIG", "EM_STOP"];

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn page() -> String {
    fs::read_to_string(checkout().join("docs/plugin-authors.md")).unwrap()
}

/// The fenced blocks of one language: whole plug-ins, and single handlers.
fn blocks(page: &str, language: &str, whole: &str) -> (Vec<String>, Vec<String>) {
    let opening = format!("```{language}\n");
    let parts = page.split(&opening).skip(1);
    let blocks = parts.map(|part| part.split("```").next().unwrap().to_owned());
    blocks.partition(|block| block.contains(whole))
}

/// A C example on its own: a function that nobody calls would be a warning, so something points to it.
fn around_c(block: &str) -> String {
    let name = block.split_once("static STATUS ").unwrap().1.split('(').next().unwrap();
    let mut text = format!("{C_AROUND}{block}");
    text += &format!("void (*use_it(void))(void)\n{{\n    return (void (*)(void)){name};\n}}\n");
    text
}

#[test]
fn every_example_in_c_compiles_and_the_first_one_stamps() {
    let site = Site::new("");
    let (whole, parts) = blocks(&page(), "c", "em_entry");
    let [first] = &whole[..] else { panic!("{} whole plug-ins in C", whole.len()) };
    assert!(parts.len() > 5, "{parts:?}");
    for (number, part) in parts.iter().enumerate() {
        let source = site.path().join(format!("part{number}.c"));
        fs::write(&source, around_c(part)).unwrap();
        compile_c(&source, site.path(), &[]);
    }
    let source = site.path().join("first_c.c");
    fs::write(&source, first).unwrap();
    let library = compile_c(&source, site.path(), &[]);
    expect_stamp(&site, "first-c", &library, "X-First-C: hello\n");
}

#[test]
fn every_example_in_rust_compiles_and_the_first_one_stamps() {
    let site = Site::new("");
    let (whole, parts) = blocks(&page(), "rust", "export_plugin!");
    let [first] = &whole[..] else { panic!("{} whole plug-ins in Rust", whole.len()) };
    assert!(parts.len() > 4, "{parts:?}");
    let folder = site.path().join("first-rust");
    let (checkout, kept) = (checkout(), cargo::target_dir().unwrap().join("new-plugins"));
    let args = ["--lang", "rust", "--sdk", checkout.to_str().unwrap(), "first-rust"];
    let made = site.run(&[&["plugin", "new"], &args[..]].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut text = format!("#![deny(warnings)]\n{first}");
    for (number, part) in parts.iter().enumerate() {
        let start = match part.contains("fn start(") {
            true => "",
            false => "fn start(_: Host) -> Result<Self, StartError> { Ok(Self) }\n",
        };
        text += &format!(
            "\n#[allow(dead_code, unused_imports)]\nmod part{number} {{\nuse stagepost_sdk::*;\nstruct Part;\n\
             impl Plugin for Part {{\n{start}{part}}}\n}}\n"
        );
    }
    fs::write(folder.join("src/lib.rs"), text).unwrap();
    let built = Command::new("cargo")
        .args(["build", "--release", "--offline", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&kept)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let library = kept.join("release/libfirst_rust.so");
    expect_stamp(&site, "first-rust", &library, "X-First-Rust: hello\n");
}

/// Loads one plug-in and sends a mail through it.
fn expect_stamp(site: &Site, name: &str, library: &Path, stamp: &str) {
    site.configure(&plugin_section(name, library, ""));
    let server = site.start();
    let reply = server.greeted().deliver("a@client.test", "b@example.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    server.log().wait_for("the delivery", |line| line.message() == "delivered");
    let mail = site.mail("b");
    let [message] = &mail[..] else { panic!("{} messages", mail.len()) };
    let message = String::from_utf8_lossy(message);
    assert!(message.contains(stamp), "{message}");
    server.stop();
}

/// Every word of a text that satisfies a condition.
fn words(text: &str, condition: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| condition(word)).map(str::to_owned).collect()
}

#[test]
fn nothing_of_the_contract_is_missing_on_the_page_and_nothing_is_made_up() {
    let header = fs::read_to_string(include().join("extmgr.h")).unwrap();
    let page = page();
    let contract = |word: &str| {
        // The groups of names that the page gives one by one, and all that functions return.
        let groups = ["EM_SMTP", "EM_EDIT_", "EM_VERDICT_", "EM_CLASS_", "EM_ERR_", "ERR_"];
        groups.iter().any(|start| word.starts_with(start)) || LIFE.contains(&word)
    };
    let found = words(&page, contract);
    // What ends in a dash is a group of names, in a comment.
    let wanted = words(&header, |word| contract(word) && !word.ends_with('_'));
    let missing: Vec<_> = wanted.difference(&found).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let ours = |word: &str| word.starts_with("EM_") || word.starts_with("ERR_");
    let known = words(&header, ours);
    let made_up: Vec<_> = words(&page, ours)
        .into_iter()
        .filter(|word| !known.contains(word) && !word.ends_with('_'))
        .collect();
    assert!(made_up.is_empty(), "{made_up:?}");
    let plugin = fs::read_to_string(checkout().join("sdk/src/plugin.rs")).unwrap();
    let handler = |word: &str| word.starts_with("before_") || word.starts_with("after_");
    let missing: Vec<_> =
        words(&plugin, handler).difference(&words(&page, handler)).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
    let picture = page.split("\n## The life of a session\n").nth(1).unwrap();
    let picture = picture.split("\n## ").next().unwrap();
    let picture: Vec<_> = picture.lines().filter(|line| line.starts_with("    ")).collect();
    let picture = picture.join("\n");
    let asked = picture.split("before ").skip(1);
    let asked: BTreeSet<_> = asked.filter_map(|rest| rest.split([',', '\n', ' ']).next()).collect();
    let events = words(&header, |word| word.starts_with("EM_SMTP") || LIFE.contains(&word));
    assert!(events.len() > LIFE.len(), "{events:?}");
    for event in &events {
        let name = event.trim_start_matches("EM_SMTP").trim_start_matches("EM_");
        let title = format!("\n### {name}\n");
        assert_eq!(page.matches(&title).count(), 1, "{title:?}");
        assert!(asked.contains(name), "{name} is not in the picture");
    }
    for command in ["BDAT", "EXPN", "XCLIENT"] {
        assert!(picture.contains(command), "{command} is not in the picture");
    }
    // What an event's section shortens to its last part.
    let reasons = words(&header, |word| word.starts_with("EM_DISCONNECT_"));
    for reason in reasons.iter().map(|reason| reason.trim_start_matches("EM_DISCONNECT")) {
        assert!(page.contains(&format!("{reason}`")), "{reason}");
    }
    let descriptor = fs::read_to_string(checkout().join("sdk/src/descriptor.rs")).unwrap();
    let section = page.split("\n## The descriptor\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    for edit in wanted.iter().filter(|word| word.starts_with("EM_EDIT_")) {
        let named = descriptor.lines().find(|line| line.ends_with(&format!("{edit};"))).unwrap();
        let name = named.trim().trim_start_matches("pub const ").split(':').next().unwrap();
        assert!(section.contains(&format!("`{name}`")), "{name}");
    }
}
