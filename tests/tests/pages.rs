//! The pages for people against what they speak of: links lead somewhere, commands and their options are the program's, and none
//! of them is left out; metrics and paths are there.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use stagepost_tests::server::program;

/// Options that commands share, told once.
const SHARED: [&str; 5] = ["--help", "--version", "--config", "--socket", "--json"];
/// Crates whose names look like metrics.
const CRATES: [&str; 6] = ["abi", "extmgr", "layout", "queue", "sdk", "smtp"];

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// All pages, by their paths in the checkout.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut pages = BTreeMap::new();
    let mut folders = ["docs", "plugins", "tests"].map(PathBuf::from).to_vec();
    let mut files = vec![PathBuf::from("README.md")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(checkout().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "md") {
                files.push(path);
            }
        }
    }
    for file in files {
        let text = fs::read_to_string(checkout().join(&file)).unwrap();
        pages.insert(file, text);
    }
    assert!(pages.len() > 25, "{pages:?}");
    pages
}

/// The lines of a page that are prose, with their numbers.
fn prose(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    (1..).zip(page.lines()).filter(move |(_, line)| {
        let fence = line.starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// What a heading is found by, as the places that show pages make it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// A path without `.` and `..`, which need not exist.
fn resolved(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for part in path.components() {
        match part.as_os_str().to_str().unwrap() {
            "." => {}
            ".." => assert!(resolved.pop(), "{} leaves the checkout", path.display()),
            name => resolved.push(name),
        }
    }
    resolved
}

#[test]
fn links_lead_somewhere() {
    let pages = pages();
    let (mut lost, mut links) = (Vec::new(), 0);
    for (file, page) in &pages {
        for (number, line) in prose(page) {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                links += 1;
                let (to, heading) = link.split_once('#').unwrap_or((link, ""));
                let to = match to {
                    "" => file.clone(),
                    to => resolved(&file.parent().unwrap().join(to)),
                };
                let there = match pages.get(&to) {
                    Some(page) if !heading.is_empty() => prose(page)
                        .filter_map(|(_, line)| line.strip_prefix('#'))
                        .any(|line| anchor(line.trim_start_matches('#').trim()) == heading),
                    _ => checkout().join(&to).exists(),
                };
                if !there {
                    lost.push(format!("{}:{number}: {link}", file.display()));
                }
            }
        }
    }
    assert!(lost.is_empty(), "\n{}", lost.join("\n"));
    assert!(links > 50, "only {links}");
}

/// Files and folders of the checkout that pages name.
#[test]
fn what_is_named_of_the_checkout_is_there() {
    let ours = ["host/", "sdk/", "plugins/", "tests/", "docs/", "include/"];
    let mut lost = Vec::new();
    for (file, page) in pages() {
        for (number, line) in prose(&page) {
            let marked = line.split('`').skip(1).step_by(2);
            for path in marked.filter(|text| ours.iter().any(|start| text.starts_with(start))) {
                let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
                if path.chars().all(plain) && !checkout().join(path).exists() {
                    lost.push(format!("{}:{number}: {path}", file.display()));
                }
            }
        }
    }
    assert!(lost.is_empty(), "\n{}", lost.join("\n"));
}

/// What a command says of itself.
fn help(command: &[String]) -> String {
    let output = Command::new(program()).args(command).arg("--help").output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// All commands with what they say of themselves, those below a command behind it.
fn commands() -> BTreeMap<Vec<String>, String> {
    let mut commands = BTreeMap::new();
    let mut open = vec![Vec::new()];
    while let Some(command) = open.pop() {
        let help = help(&command);
        let below = help.split_once("\nCommands:\n").map_or("", |(_, below)| below);
        for line in below.lines().take_while(|line| !line.is_empty()) {
            let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '));
            let name = name.and_then(|rest| rest.split_whitespace().next());
            open.extend(name.filter(|name| *name != "help").map(|name| {
                let mut inner = command.clone();
                inner.push(name.to_owned());
                inner
            }));
        }
        commands.insert(command, help);
    }
    assert!(commands.len() > 30, "{commands:?}");
    commands
}

/// The options in a text.
fn options(text: &str) -> BTreeSet<&str> {
    let name = |c: char| !c.is_ascii_lowercase() && c != '-';
    let words = text.split(name).filter(|word| word.len() > 3 && word.starts_with("--"));
    words.filter(|word| word.as_bytes()[2] != b'-').collect()
}

#[test]
fn commands_are_those_of_the_program() {
    let commands = commands();
    let mut pages = pages();
    let example = PathBuf::from("stagepost.example.toml");
    pages.insert(example.clone(), fs::read_to_string(checkout().join(example)).unwrap());
    let (mut wrong, mut told) = (Vec::new(), BTreeSet::new());
    for (file, page) in &pages {
        for (number, line) in (1..).zip(page.lines()) {
            // In the middle of a line only what is marked is a command.
            let whole = line.strip_prefix("    ").map(|line| line.trim_start_matches("$ "));
            let marked = line.split('`').skip(1).step_by(2).chain(whole);
            let command = |c: char| c.is_ascii_lowercase() || c == '-';
            let said = marked.filter_map(|text| text.strip_prefix("stagepost "));
            for text in said.filter(|text| text.starts_with(command)) {
                let mut command = Vec::new();
                for word in text.split_whitespace() {
                    command.push(word.to_owned());
                    if !commands.contains_key(&command) {
                        command.pop();
                        break;
                    }
                }
                let help = &commands[&command];
                let unknown = options(text).into_iter().filter(|option| !help.contains(option));
                let place = format!("{}:{number}: {text}", file.display());
                wrong.extend(unknown.map(|option| format!("{place}: {option}")));
                if command.is_empty() && !text.starts_with('-') {
                    wrong.push(place);
                }
                told.insert(command);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let all: String = pages.into_values().collect();
    let named = options(&all);
    for (command, help) in &commands {
        let leads = help.contains("\nCommands:\n");
        assert!(leads || told.contains(command), "no page tells of {command:?}");
        let untold: Vec<_> = options(help)
            .into_iter()
            .filter(|option| !SHARED.contains(option) && !named.contains(option))
            .collect();
        assert!(untold.is_empty(), "no page tells of {untold:?} of {command:?}");
    }
}

#[test]
fn metrics_on_pages_are_counted() {
    let source = fs::read_to_string(checkout().join("host/src/metrics.rs")).unwrap();
    let (mut found, mut unknown) = (0, Vec::new());
    // What decisions speak of may be gone.
    for (file, page) in
        pages().into_iter().filter(|(file, _)| file.parent() == Some(Path::new("docs")))
    {
        let words = page.split(|c: char| !c.is_ascii_lowercase() && c != '_');
        for metric in words.filter(|word| word.starts_with("stagepost_")) {
            let name = metric.trim_start_matches("stagepost_");
            if CRATES.contains(&name) {
                continue;
            }
            found += 1;
            if !source.contains(metric) {
                unknown.push(format!("{}: {metric}", file.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "\n{}", unknown.join("\n"));
    assert!(found > 10, "only {found}");
}
