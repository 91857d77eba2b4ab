//! `stagepost import`: what another server's file becomes is a configuration that this one takes.

use std::fs;

use crate::{LISTEN, stagepost, stderr, stdout};

#[test]
fn what_a_notes_ini_says_is_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    // Not UTF-8, as such files are.
    fs::write(folder.path().join("notes.ini"), b"[Notes]\r\nCity=K\xf6ln\r\nSMTPMaxSessions=50\r\nSMTPErrorLimit=7\r\nSMTPTimeoutMultiplier=2\r\n").unwrap();
    let output = stagepost(folder.path(), &["import", "notes-ini", "notes.ini"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let written = stdout(&output);
    assert!(written.contains("# line 3: SMTPMaxSessions=50\nsessions_max = 50\n"), "{written}");
    let file = format!("state_dir = \"state\"\n{LISTEN}{written}");
    fs::write(folder.path().join("stagepost.toml"), file).unwrap();
    let output = stagepost(folder.path(), &["check", "--config", "stagepost.toml"]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
    let output = stagepost(folder.path(), &["import", "notes-ini", "missing.ini"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("error: missing.ini: "), "{}", stderr(&output));
}
