//! What can be wrong with plug-ins: in their sections, and in their files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::fault::{Fault, fault};
use crate::{configuration, stagepost, stderr, stdout};

/// Of a file that begins with [`LISTEN`](crate::LISTEN).
pub(crate) const FAULTS: [Fault; 22] = [
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\n[[plugin]]\nname = \"a\"\npath = \"b\"",
        (9, 8),
        "plugin[1].name: \"a\" is already used in line 6",
        "choose another name",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\nsha256 = \"00\"",
        (8, 10),
        "plugin[0].sha256: \"00\" is not a SHA-256 digest",
        "sha256sum",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\n[plugin.config]\nx = nan",
        (9, 5),
        "plugin[0].config.x: nan is not a finite number",
        "finite",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\nconfig = 5",
        (8, 10),
        "plugin[0].config: invalid type: integer",
        "[plugin.config]",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\nthreads_max = 0",
        (8, 15),
        "plugin[0].threads_max: 0 is out of bounds",
        "write a whole number from 1 to 1000\n",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"/var/lib/stagepost/plugin-copies/00.so\"",
        (7, 8),
        "plugin[0].path: \"/var/lib/stagepost/plugin-copies/00.so\" lies in /var/lib/stagepost/plugin-copies, which is the server's own",
        "name the file that the copy was made of",
    ),
    fault(
        "[plugins]\ninline_abort_ms = -1",
        (6, 19),
        "plugins.inline_abort_ms: -1 is out of bounds",
        "write a whole number from 0 to 3600000",
    ),
    fault(
        "[plugins]\ninline_warn_ms = 60001",
        (6, 18),
        "plugins.inline_warn_ms: 60001 is more than inline_abort_ms, 60000",
        "write at most 60000",
    ),
    fault(
        "[plugins]\nchain_budget_ms = 0",
        (6, 19),
        "plugins.chain_budget_ms: 0 is out of bounds",
        "write a whole number from 1 to 3600000",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\n[plugin.stage.rcpt]\ndeadline_ms = 240001",
        (9, 15),
        "plugin[0].stage.rcpt.deadline_ms: 240001 is more than plugins.chain_budget_ms, 240000",
        "write at most 240000",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\ndeadline_max_ms = 240001",
        (8, 19),
        "plugin[0].deadline_max_ms: 240001 is more than plugins.chain_budget_ms, 240000",
        "write at most 240000",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\npending_max = 0",
        (8, 15),
        "plugin[0].pending_max: 0 is out of bounds",
        "write a whole number from 1 to 1000000",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\n[plugin.stage.mial]\ndeadline_ms = 5",
        (8, 15),
        "plugin[0].stage.mial: unknown field `mial`",
        "write one of `connect`, `command`, `ehlo`, `starttls`, `auth`, `mail`, `rcpt`, `data`, `headers`, `body`, `message-accept`, `etrn`, `atrn`, `vrfy`, `rset`, `verb`, `quit`, `timeout`, `disconnect`",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\n[plugin.stage.mail]\ndeadline = 5",
        (9, 1),
        "plugin[0].stage.mail.deadline: unknown field `deadline`",
        "`deadline_ms`",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\n[plugin.stage.mail]\ndeadline_ms = 0",
        (9, 15),
        "plugin[0].stage.mail.deadline_ms: 0 is out of bounds",
        "write a whole number from 1 to 3600000",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\non_fault = \"reject\"",
        (8, 12),
        "plugin[0].on_fault: unknown variant `reject`",
        "`defer`, `continue`, `hold`",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\non_fault = \"hold\"",
        (8, 12),
        "plugin[0].on_fault: \"hold\" is not possible at every stage",
        "belongs below [plugin.stage.mail]",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\n[plugin.stage.connect]\non_fault = \"hold\"",
        (9, 12),
        "plugin[0].stage.connect.on_fault: \"hold\" is not possible at connect",
        "write \"defer\" or \"continue\" here",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\n[plugin.stage.etrn]\non_fault = \"hold\"",
        (9, 12),
        "plugin[0].stage.etrn.on_fault: \"hold\" is not possible at etrn",
        "[plugin.stage.message-accept]",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\n[plugin.stage.disconnect]\non_fault = \"continue\"",
        (9, 12),
        "plugin[0].stage.disconnect.on_fault: a fault at disconnect",
        "remove it",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\nstage.mail = [5, 5, \"hold\"]",
        (8, 14),
        "plugin[0].stage.mail: a stage is one section",
        "[plugin.stage.NAME]",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\nstage = []",
        (8, 9),
        "plugin[0].stage: it is one section for each stage",
        "[plugin.stage.NAME]",
    ),
];

/// A configuration with one plug-in, whose path is in line 8.
fn with_plugin(further: &str) -> String {
    format!(
        "\
hostname = \"mx.example.test\"
state_dir = \"state\"
listen = [{{ name = \"mx\", address = \"127.0.0.1:0\" }}]
[plugins]
dir = \"here\"
[[plugin]]
name = \"x\"
path = \"x\"
{further}"
    )
}

#[test]
fn a_refused_plugin_is_shown_at_its_place_in_check_and_in_run() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().canonicalize().unwrap().join("here");
    let file = here.join("libx.so");
    fs::create_dir(&here).unwrap();
    let zeros = "0".repeat(64);
    let refused = |further: &str| {
        configuration(folder.path(), &with_plugin(further));
        let checked = stagepost(folder.path(), &["check", "--config", "test.toml"]);
        assert_eq!(checked.status.code(), Some(2), "{}", stderr(&checked));
        let ran = stagepost(folder.path(), &["run", "--config", "test.toml"]);
        assert_eq!(ran.status.code(), Some(1), "{}", stderr(&ran));
        assert_eq!(stderr(&checked), stderr(&ran));
        stderr(&checked)
    };

    let shown = refused("");
    let wanted = format!(
        "\
error: plugin[0].path: plug-in x refused: {}: No such file or directory (os error 2)
 --> test.toml:8:8
  |
8 | path = \"x\"
  |        ^^^
  = help: ",
        file.display()
    );
    assert!(shown.starts_with(&wanted), "{shown}");
    assert!(shown.contains("on_load_error = \"skip\""), "{shown}");

    fs::write(&file, "text, no code").unwrap();
    let shown = refused("");
    let wanted = "error: plugin[0].path: plug-in x refused: file: wanted a shared object";
    assert!(shown.starts_with(wanted) && shown.contains(&*file.to_string_lossy()), "{shown}");

    // A remedy that leads past a check is none.
    let shown = refused(&format!("sha256 = \"{zeros}\"\n"));
    assert!(shown.starts_with("error: plugin[0].sha256: plug-in x refused: "), "{shown}");
    assert!(shown.contains("--> test.toml:9:10\n"), "{shown}");
    assert!(shown.contains(&format!("wanted {zeros}, found ")), "{shown}");
    assert!(!shown.contains("skip"), "{shown}");

    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let shown = refused("");
    assert!(shown.starts_with("error: plugin[0].path: plug-in x refused: "), "{shown}");
    assert!(shown.contains("mode: wanted no writing by others, found 0666\n"), "{shown}");
    let remedy = format!("= help: chmod go-w {}\n", file.display());
    assert!(shown.contains(&remedy) && !shown.contains("skip"), "{shown}");
}

#[test]
fn a_plugin_that_may_be_skipped_does_not_fail_the_check() {
    let folder = tempfile::tempdir().unwrap();
    configuration(folder.path(), &with_plugin("on_load_error = \"skip\"\n"));
    let output = stagepost(folder.path(), &["check", "--config", "test.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let shown = stdout(&output);
    assert!(shown.contains("--  plug-in x will be skipped: "), "{shown}");
}

#[test]
fn a_file_that_is_no_plugin_is_not_inspected() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.so"), "not a shared object").unwrap();
    let output = stagepost(folder.path(), &["plugin", "inspect", "x.so"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("error: x.so: "), "{}", stderr(&output));
}
