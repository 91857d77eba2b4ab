//! Faults of a configuration file, each with the place and the words that it is shown with.

use std::fs;

use crate::{LISTEN, configuration, stagepost, stderr, stdout};

/// What is written after [`LISTEN`], or instead of it, and what the error has to say.
pub(crate) struct Fault {
    pub(crate) text: &'static str,
    /// Line and column; lines of [`LISTEN`] count.
    pub(crate) place: (u32, u32),
    pub(crate) headline: &'static str,
    pub(crate) remedy: &'static str,
}

pub(crate) const fn fault(
    text: &'static str,
    place: (u32, u32),
    headline: &'static str,
    remedy: &'static str,
) -> Fault {
    Fault { text, place, headline, remedy }
}

#[test]
fn every_fault_is_shown_at_its_place_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for case in crate::settings::FAULTS.iter().chain(&crate::plugins::FAULTS) {
        let text = format!("{LISTEN}{}\n", case.text);
        configuration(folder.path(), &text);
        let output = stagepost(folder.path(), &["check", "--config", "test.toml"]);
        let shown = stderr(&output);
        let context = format!("{}\nis answered\n{shown}", case.text);
        assert_eq!(output.status.code(), Some(2), "{context}");
        assert_eq!(stdout(&output), "", "{context}");
        let (line, column) = case.place;
        let headline = format!("error: {}", case.headline);
        assert!(shown.starts_with(&headline), "{headline}\nis wanted of\n{context}");
        assert!(
            shown.contains(&format!("--> test.toml:{line}:{column}\n")),
            "{line}:{column} is wanted of\n{context}"
        );
        let remedy = shown.split(" = help: ").nth(1).unwrap_or_default();
        assert!(remedy.contains(case.remedy), "{}\nis wanted of\n{context}", case.remedy);
    }
}

#[test]
fn a_fault_is_shown_like_a_compiler_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    configuration(
        folder.path(),
        &format!("{LISTEN}[limits]\n\tmessage_octets_max = \"35XB\"  # \u{e9}\n"),
    );
    let wanted = "\
error: limits.message_octets_max: \"35XB\" is not a size
 --> test.toml:6:23
  |
6 |  message_octets_max = \"35XB\"  # \u{e9}
  |                       ^^^^^^
  = help: write a size in double quotes from \"64KB\" to \"4GB\" (units B, KB, MB, GB)
";
    let asking: [&[&str]; 13] = [
        &["status"],
        &["metrics"],
        &["trace"],
        &["reload"],
        &["plugin", "list"],
        &["plugin", "call", "name", "verb"],
        &["queue", "list"],
        &["queue", "explain", "ID"],
        &["queue", "show", "ID"],
        &["queue", "hold", "ID"],
        &["queue", "release", "ID"],
        &["queue", "remove", "ID"],
        &["queue", "flush", "a.test"],
    ];
    let asking = asking.into_iter().map(|words| (words, 1));
    for (words, code) in [(&["check"][..], 2), (&["run"], 2)].into_iter().chain(asking) {
        let command = [words, &["--config", "test.toml"]].concat();
        let output = stagepost(folder.path(), &command);
        assert_eq!(output.status.code(), Some(code), "{command:?}");
        assert_eq!(stderr(&output), wanted, "{command:?}");
    }
}

#[test]
fn what_is_missing_altogether_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("", "error: hostname: missing field `hostname`", "add hostname = ..."),
        (
            "hostname = \"mx.example.test\"",
            "error: listen: nothing is configured",
            "add [[listen]]",
        ),
        (
            "hostname = \"[192.0.2.1]\"",
            "error: hostname: \"[192.0.2.1]\" is an address literal",
            "write a domain name",
        ),
    ];
    for (text, headline, remedy) in cases {
        configuration(folder.path(), text);
        let output = stagepost(folder.path(), &["check", "--config", "test.toml"]);
        let shown = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(shown.starts_with(headline) && shown.contains(remedy), "{text}: {shown}");
        assert!(shown.contains("--> test.toml:1:"), "{text}: {shown}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("latin1.toml"), b"\nhostname = \"b\xfccher\"\n").unwrap();
    for (file, reason) in
        [("none.toml", "No such file"), (".", "directory"), ("latin1.toml", "line 2 is not UTF-8")]
    {
        let output = stagepost(folder.path(), &["check", "--config", file]);
        let shown = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{shown}");
        assert!(
            shown.starts_with(&format!("error: cannot read the configuration file {file}: ")),
            "{shown}"
        );
        assert!(shown.contains(reason) && shown.contains("help: "), "{shown}");
    }
}
