//! Runs the program as an operator does: exit codes, what it prints, and where it says an error is.
//! Starts no server.

mod fault;
mod folder;
mod import;
mod plugins;
mod settings;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const LISTEN: &str = "\
hostname = \"mx.example.test\"
[[listen]]
name = \"mx\"
address = \"127.0.0.1:2525\"
";

fn stagepost(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_stagepost"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("STAGEPOST_LOG")
        .output()
        .expect("the program was built")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

fn configuration(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("test.toml");
    fs::write(&file, text).expect("a folder of our own");
    file
}

#[test]
fn a_good_file_gets_one_line_for_each_thing() {
    let folder = tempfile::tempdir().unwrap();
    let file = configuration(folder.path(), &format!("state_dir = \"state\"\n{LISTEN}"));
    let file = file.to_str().unwrap();
    let output = stagepost(folder.path(), &["check", "--config", file]);
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(0));
    let state = folder.path().join("state");
    let wanted = format!(
        "OK  configuration {file}\nOK  state_dir {}\nOK  listener mx on 127.0.0.1:2525\n",
        state.display()
    );
    assert_eq!(stdout(&output), wanted);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "a check makes nothing");
}

#[test]
fn status_without_a_server_names_the_socket_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    configuration(folder.path(), &format!("state_dir = \"state\"\n{LISTEN}"));
    let state = folder.path().join("state/admin.sock");
    let cases: [(&[&str], &str); 3] = [
        (&["status"], "var/admin.sock"),
        (&["status", "--socket", "other.sock"], "other.sock"),
        (&["status", "--config", "test.toml", "--json"], state.to_str().unwrap()),
    ];
    for (command, socket) in cases {
        let output = stagepost(folder.path(), command);
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert_eq!(stdout(&output), "");
        let wanted = format!(
            "error: no server answers on {socket}\n  = help: start it with `stagepost run`"
        );
        assert!(stderr(&output).starts_with(&wanted), "{}", stderr(&output));
    }
}

#[test]
fn the_command_line_explains_itself() {
    let folder = tempfile::tempdir().unwrap();
    let version = stagepost(folder.path(), &["--version"]);
    assert_eq!(stdout(&version), format!("stagepost {}\n", env!("CARGO_PKG_VERSION")));
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["status", "--help"],
        &["tls", "self-signed", "--help"],
        &["plugin", "inspect", "--help"],
    ] {
        let help = stagepost(folder.path(), arguments);
        assert_eq!(help.status.code(), Some(0), "{arguments:?}");
        assert!(stdout(&help).contains("Usage: stagepost"), "{arguments:?}");
        assert!(stdout(&help).lines().all(|line| line.chars().count() <= 100), "{}", stdout(&help));
    }
    for arguments in [
        &["serve"][..],
        &["check"],
        &["status", "--config", "a", "--socket", "b"],
        &["run", "--port", "25"],
    ] {
        let refused = stagepost(folder.path(), arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&refused).starts_with("error: "), "{}", stderr(&refused));
    }
}
