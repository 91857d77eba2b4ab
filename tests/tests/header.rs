//! The C header: cbindgen writes the types, the constants keep the form they have in sdk/abi, and both keep its order.
//! Knows no name of the contract. `BLESS=1` rewrites include/extmgr.h.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The sources of the contract, in the order of the header: C wants a type before its use.
const SOURCES: &[&str] = &[
    "status.rs",
    "text.rs",
    "record.rs",
    "event.rs",
    "behind.rs",
    "descriptor.rs",
    "base.rs",
    "life.rs",
    "service/log.rs",
    "service/config.rs",
    "service/session.rs",
    "service/edits.rs",
    "service/layout.rs",
    "service/message.rs",
    "service/metrics.rs",
    "service/admin.rs",
    "service/extension.rs",
    "service/filter.rs",
    "service/pending.rs",
    "service/directory.rs",
    "service/queue.rs",
    "service/state.rs",
    "service/timers.rs",
    "service/dns.rs",
    "service/submit.rs",
    "service/outbound.rs",
    "digest.rs",
];

/// Sources that declare nothing of their own.
const LISTS: &[&str] = &["lib.rs", "service.rs"];

const GUARD: &str = "STAGEPOST_EXTMGR_H";

/// A public declaration of the contract.
struct Item {
    name: String,
    /// A blank line stands before it in the source.
    apart: bool,
    /// The finished lines of a constant; a type comes from cbindgen.
    constant: Option<String>,
}

struct Section {
    title: String,
    items: Vec<Item>,
}

#[test]
fn the_header_is_fresh() {
    let file = root().join("include/extmgr.h");
    let fresh = header();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    for (line, (committed, fresh)) in (1..).zip(committed.lines().zip(fresh.lines())) {
        assert_eq!(
            committed, fresh,
            "line {line} of include/extmgr.h is stale; BLESS=1 rewrites it"
        );
    }
    assert_eq!(committed, fresh, "include/extmgr.h is stale; BLESS=1 rewrites it");
}

#[test]
fn every_source_is_listed() {
    let mut found: Vec<String> = Vec::new();
    for folder in ["", "service"] {
        for entry in std::fs::read_dir(abi().join("src").join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(abi().join("src")).unwrap();
                found.push(name.to_str().unwrap().to_owned());
            }
        }
    }
    let mut listed: Vec<String> =
        SOURCES.iter().chain(LISTS).map(|name| (*name).to_owned()).collect();
    found.sort();
    listed.sort();
    assert_eq!(found, listed);
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn abi() -> PathBuf {
    root().join("sdk/abi")
}

fn header() -> String {
    let toml = abi().join("cbindgen.toml");
    let mut config = cbindgen::Config::from_file(toml.to_str().unwrap()).unwrap();
    let top = config.header.take().unwrap();
    let after_includes = config.after_includes.take().unwrap();
    let trailer = config.trailer.take().unwrap();

    let sections: Vec<Section> = SOURCES.iter().map(|source| section(source)).collect();
    let mut types = types(config, &sections);
    let mut out = format!(
        "{}\n\n#ifndef {GUARD}\n#define {GUARD}\n\n#include <stddef.h>\n#include <stdint.h>\n\n{after_includes}",
        top.trim(),
    );
    for section in &sections {
        write!(out, "\n/* ---- {} ---- */\n", section.title).unwrap();
        for (index, item) in section.items.iter().enumerate() {
            let text = match &item.constant {
                Some(text) => text.clone(),
                None => types
                    .remove(&item.name)
                    .unwrap_or_else(|| panic!("cbindgen left out {}", item.name)),
            };
            if item.apart || index == 0 {
                out.push('\n');
            }
            out.push_str(&text);
        }
    }
    assert!(types.is_empty(), "cbindgen made {:?} of no item", types.keys());
    format!(
        "{out}\n{trailer}\n{}\n#ifdef __cplusplus\n}}\n#endif\n\n#endif /* {GUARD} */\n",
        asserts()
    )
}

/// Reads the public declarations of one source, with the docs of its constants.
fn section(source: &str) -> Section {
    let text = std::fs::read_to_string(abi().join("src").join(source)).unwrap();
    let title = text.lines().next().and_then(|line| line.strip_prefix("//! "));
    let mut items = Vec::new();
    let mut docs: Vec<&str> = Vec::new();
    let (mut apart, mut blank) = (false, true);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let starts_item = docs.is_empty();
        if let Some(doc) = line.strip_prefix("///") {
            if starts_item {
                apart = blank;
            }
            docs.push(doc.trim());
        } else if let Some(rest) = line.strip_prefix("pub const ") {
            let mut declaration = rest.to_owned();
            while !declaration.ends_with(';') {
                declaration.push_str(lines.next().unwrap().trim());
            }
            let (name, rest) = declaration.split_once(": ").unwrap();
            let (kind, value) = rest.trim_end_matches(';').split_once('=').unwrap();
            let value = c_value(kind.trim(), value.trim());
            let text = format!("{}#define {name} {value}\n", comment("", &docs));
            items.push(Item { name: name.to_owned(), apart, constant: Some(text) });
        } else if let Some(rest) =
            line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub type "))
        {
            let name = rest.split([' ', '{']).next().unwrap().to_owned();
            items.push(Item { name, apart: true, constant: None });
        }
        if !line.starts_with("///") && !line.starts_with("#[") {
            docs.clear();
        }
        blank = line.is_empty();
    }
    assert!(!items.is_empty(), "{source} declares nothing");
    Section { title: title.unwrap().to_owned(), items }
}

/// Writes a constant's value as C does; numbers keep their base.
fn c_value(kind: &str, value: &str) -> String {
    if let Some(text) = value.strip_prefix("c\"") {
        return format!("\"{text}");
    }
    if let Some(text) = value.strip_prefix("*b\"") {
        let octets: Vec<String> =
            text.trim_end_matches('"').chars().map(|octet| format!("'{octet}'")).collect();
        return format!("{{{}}}", octets.join(", "));
    }
    let digits = value.replace('_', "");
    let number = digits.trim_start_matches("0x");
    assert!(
        !number.is_empty() && number.chars().all(|digit| digit.is_ascii_hexdigit()),
        "a constant of the contract is a literal, not {value}"
    );
    if kind == "u64" { format!("{digits}ULL") } else { digits }
}

fn comment(indent: &str, lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    let joined = lines.join(&format!("\n{indent} * ")).replace(" * \n", " *\n");
    format!("{indent}/** {joined} */\n")
}

/// Has cbindgen write the types, and tells them apart by name.
fn types(mut config: cbindgen::Config, sections: &[Section]) -> BTreeMap<String, String> {
    use cbindgen::ItemType::{OpaqueItems, Structs, Typedefs};
    config.export.item_types = vec![Structs, OpaqueItems, Typedefs];
    let names: Vec<&String> = sections
        .iter()
        .flat_map(|section| &section.items)
        .filter(|item| item.constant.is_none())
        .map(|item| &item.name)
        .collect();
    config.export.include = names.iter().map(|name| (*name).clone()).collect();
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(abi().join("src").join(source));
    }
    let mut written = Vec::new();
    builder.generate().unwrap().write(&mut written);
    let written = String::from_utf8(written).unwrap();

    let mut types = BTreeMap::new();
    for block in written.trim().split("\n\n") {
        let declares = |name: &str| {
            block.ends_with(&format!(" {name};"))
                || block.lines().any(|line| {
                    line.starts_with("typedef ") && line.contains(&format!("(*{name})("))
                })
        };
        let name = names
            .iter()
            .find(|name| declares(name))
            .unwrap_or_else(|| panic!("nothing in sdk/abi declares this:\n{block}"));
        types.insert((*name).clone(), tidy(block));
    }
    types
}

/// Shortens cbindgen's comments, and sets members with long ones apart.
fn tidy(block: &str) -> String {
    let mut out = String::new();
    let mut long_before = false;
    let mut lines = block.lines();
    while let Some(line) = lines.next() {
        let Some(indent) = line.strip_suffix("/**") else {
            out.push_str(line);
            out.push('\n');
            continue;
        };
        let docs: Vec<&str> = lines
            .by_ref()
            .map(|line| line.trim_start())
            .take_while(|line| *line != "*/")
            .map(|line| line.strip_prefix("* ").unwrap_or_default())
            .collect();
        let long = docs.len() > 1;
        if (long || long_before) && !indent.is_empty() && !out.ends_with("{\n") {
            out.push('\n');
        }
        long_before = long && !indent.is_empty();
        out.push_str(&comment(indent, &docs));
    }
    out
}

/// Makes compile-time checks of the golden layout: each struct's size and the offset of its last member.
fn asserts() -> String {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/abi-layout.txt");
    let golden = std::fs::read_to_string(golden).unwrap();
    let mut structs: Vec<(&str, &str, &str, &str)> = Vec::new();
    for line in golden.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.starts_with(' ') {
            let last = structs.last_mut().unwrap();
            (last.2, last.3) = (words[0], words[1]);
        } else {
            structs.push((words[0], words[1], "", ""));
        }
    }
    let mut out = String::from(
        "/* ---- The layout that the host has, checked by compilers that can ---- */\n\n\
         #if defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L && UINTPTR_MAX == UINT64_MAX\n",
    );
    for (name, size, member, offset) in structs {
        writeln!(
            out,
            "_Static_assert(sizeof({name}) == {size} && offsetof({name}, {member}) == {offset}, \"{name}\");",
        )
        .unwrap();
    }
    out + "#endif\n"
}
