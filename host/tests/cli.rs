//! Runs the program as an operator does: exit codes, what it prints, and where it says an error is.
//! Starts no server.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
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

/// What is written after [`LISTEN`], or instead of it, and what the error has to say.
struct Fault {
    text: &'static str,
    /// Line and column; lines of [`LISTEN`] count.
    place: (u32, u32),
    headline: &'static str,
    remedy: &'static str,
}

const fn fault(
    text: &'static str,
    place: (u32, u32),
    headline: &'static str,
    remedy: &'static str,
) -> Fault {
    Fault { text, place, headline, remedy }
}

/// The faults of a file that begins with [`LISTEN`].
const FAULTS: [Fault; 70] = [
    fault(
        "backlg = 5",
        (5, 1),
        "listen[0].backlg: unknown field `backlg`",
        "write one of `name`, `address`, `backlog`",
    ),
    fault(
        "backlog = 0",
        (5, 11),
        "listen[0].backlog: 0 is out of bounds",
        "write a whole number from 1 to 1000000",
    ),
    fault(
        "backlog = \"1\"",
        (5, 11),
        "listen[0].backlog: invalid type: string \"1\"",
        "write a whole number from 1 to 1000000",
    ),
    fault("name = \"x\"", (5, 1), "not TOML: duplicate key", "remove one of the two"),
    fault("backlog =", (5, 10), "not TOML: ", "expected here: "),
    fault("backlog = 1 2", (5, 11), "not TOML: ", "expected here: "),
    fault(
        "[[listen]]\nname = \"mx\"\naddress = \"[::1]:2525\"",
        (6, 8),
        "listen[1].name: \"mx\" is already used in line 3",
        "choose another name",
    ),
    fault(
        "[[listen]]\nname = \"b\"\naddress = \"127.0.0.1:2525\"",
        (7, 11),
        "listen[1].address: 127.0.0.1:2525 is already taken by 127.0.0.1:2525 in line 4",
        "of its own",
    ),
    fault(
        "[[listen]]\nname = \"b\"\naddress = \"0.0.0.0:2525\"",
        (7, 11),
        "listen[1].address: 0.0.0.0:2525 is already taken",
        "of its own",
    ),
    fault(
        "[[listen]]\nname = \"b\"\naddress = \"localhost:25\"",
        (7, 11),
        "listen[1].address: \"localhost:25\" is not an IP address and port",
        "127.0.0.1:2525",
    ),
    fault(
        "[[listen]]\nname = \"b\"",
        (5, 1),
        "listen[1].address: missing field `address`",
        "add address = ...",
    ),
    fault(
        "[limits]\nmessage_octets_max = \"35XB\"",
        (6, 22),
        "limits.message_octets_max: \"35XB\" is not a size",
        "B, KB, MB, GB",
    ),
    fault(
        "[limits]\nmessage_octets_max = 35000000",
        (6, 22),
        "limits.message_octets_max: invalid type: integer `35000000`",
        "write a size in double quotes from \"64KB\" to \"4GB\"",
    ),
    fault(
        "[limits]\nmessage_octets_max = \"1KB\"",
        (6, 22),
        "limits.message_octets_max: \"1KB\" is out of bounds",
        "write a size in double quotes from \"64KB\" to \"4GB\"",
    ),
    fault(
        "[limits]\nrecipients_max = 99",
        (6, 18),
        "limits.recipients_max: 99 is out of bounds",
        "write a whole number from 100 to 100000\n",
    ),
    fault(
        "[limits]\nsessions_max = 10\nsessions_per_address_max = 11",
        (7, 28),
        "limits.sessions_per_address_max: 11 is more than sessions_max, 10",
        "write at most 10",
    ),
    fault("[[limits]]", (5, 1), "limits: it is one section", "write [limits] once"),
    fault("limits = 5", (5, 1), "listen[0].limits: unknown field", "write one of"),
    fault(
        "[timeouts]\ncommand = \"5 minutes\"",
        (6, 11),
        "timeouts.command: \"5 minutes\" is not a time",
        "ms, s, m, h, d",
    ),
    fault(
        "[timeouts]\ncommand = \"0s\"",
        (6, 11),
        "timeouts.command: \"0s\" is out of bounds",
        "write a time in double quotes from \"1s\" to \"1h\"",
    ),
    fault(
        "[queue]\nretry_first = \"2h\"",
        (6, 15),
        "queue.retry_first: 2h is more than retry_max, 1h",
        "write at most 1h, or raise retry_max",
    ),
    fault(
        "[log]\nlevel = \"loud\"",
        (6, 9),
        "log.level: unknown variant `loud`",
        "`error`, `warn`",
    ),
    fault(
        "[delivery]\nconcurrency = 5\nper_destination = 6",
        (7, 19),
        "delivery.per_destination: 6 is more than concurrency, 5",
        "write at most 5",
    ),
    fault(
        "[[local_domain]]\nname = \"a_b.test\"\nmailboxes = \"any\"",
        (6, 8),
        "local_domain[0].name: \"a_b.test\" is not a domain name",
        "example.org",
    ),
    fault(
        "[[local_domain]]\nname = \"b\u{fc}cher.test\"\nmailboxes = \"any\"",
        (6, 8),
        "local_domain[0].name: \"b\u{fc}cher.test\" is not a domain name",
        "xn--",
    ),
    fault(
        "[[local_domain]]\nname = \"a.test\"\nmailboxes = \"all\"",
        (7, 13),
        "local_domain[0].mailboxes: \"all\" is not \"any\"",
        "write \"any\", or a list",
    ),
    fault(
        "[[local_domain]]\nname = \"a.test\"\nmailboxes = [\"a@a.test\"]",
        (7, 14),
        "local_domain[0].mailboxes[0]: \"a@a.test\" is not a mailbox name",
        "before the @",
    ),
    fault("local_domain = 5", (5, 1), "listen[0].local_domain: unknown field", "write one of"),
    fault(
        "[local_domain]\nname = \"a.test\"",
        (5, 1),
        "local_domain: it is a list of sections",
        "write [[local_domain]]",
    ),
    fault(
        "[[local_domain]]\nname = \"a.test\"\nmailboxes = \"any\"\n[[route]]\ndomain = \"A.test\"\nnext_hop = \"b.test:25\"",
        (9, 10),
        "route[0].domain: a.test is a local domain and a route at once",
        "remove the route",
    ),
    fault(
        "[[route]]\ndomain = \"a.test\"\nnext_hop = \"invalid_host:25\"",
        (7, 12),
        "route[0].next_hop: \"invalid_host:25\" is not host:port",
        "mail.example.org:25",
    ),
    fault(
        "[[route]]\ndomain = \"*\"\nnext_hop = \"127.0.0.1:2525\"",
        (7, 12),
        "route[0].next_hop: 127.0.0.1:2525 is this server's own listener \"mx\"",
        "name the server",
    ),
    fault(
        "[[route]]\ndomain = \"a.test\"\nnext_hop = \"b.test:25\"\n[[route]]\ndomain = \"a.test\"\nnext_hop = \"c.test:25\"",
        (9, 10),
        "route[1].domain: \"a.test\" is already used in line 6",
        "choose another name",
    ),
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
        "[limits]\nmessage_octets_max = \"99999999999GB\"",
        (6, 22),
        "limits.message_octets_max: \"99999999999GB\" is out of bounds",
        "write a size in double quotes from \"64KB\" to \"4GB\"",
    ),
    fault(
        "[limits]\nline_octets_max = \"x\"",
        (6, 19),
        "limits.line_octets_max: \"x\" is not a size",
        "write a size in double quotes from \"512B\" to \"64KB\"",
    ),
    fault(
        "[limits]\ntext_line_octets_max = 5",
        (6, 24),
        "limits.text_line_octets_max: invalid type: integer `5`",
        "from \"1000B\" to \"4GB\" (units B, KB, MB, GB), or \"0B\"",
    ),
    fault(
        "[queue]\nfree_space_min = \"18446744073709551616B\"",
        (6, 18),
        "queue.free_space_min: \"18446744073709551616B\" is out of bounds",
        "from \"0B\" to ",
    ),
    fault(
        "[queue]\nretry_factor = \"2\"",
        (6, 16),
        "queue.retry_factor: invalid type: string \"2\"",
        "write a whole number from 1 to 10\n",
    ),
    fault(
        "[queue]\nretry_factor = 0",
        (6, 16),
        "queue.retry_factor: 0 is out of bounds",
        "write a whole number from 1 to 10\n",
    ),
    fault(
        "[queue]\nexpire = \"3651d\"",
        (6, 10),
        "queue.expire: \"3651d\" is out of bounds",
        "write a time in double quotes from \"1s\" to \"360d\"",
    ),
    fault(
        "[queue]\nexpire = 5",
        (6, 10),
        "queue.expire: invalid type: integer `5`",
        "write a time in double quotes from \"1s\" to \"360d\"",
    ),
    fault(
        "[delivery]\nconcurrency = 10001",
        (6, 15),
        "delivery.concurrency: 10001 is out of bounds",
        "write a whole number from 1 to 10000\n",
    ),
    fault(
        "[delivery]\nconcurrency = 0",
        (6, 15),
        "delivery.concurrency: 0 is out of bounds",
        "write a whole number from 1 to 10000\n",
    ),
    fault(
        "[[plugin]]\nname = \"a\"\npath = \"a\"\nthreads_max = 0",
        (8, 15),
        "plugin[0].threads_max: 0 is out of bounds",
        "write a whole number from 1 to 1000\n",
    ),
    fault(
        "[[local_domain]]\nname = \"a.test\"\nmailboxes = \"any\"\nmaildir = \"x\"\n[[local_domain]]\nname = \"b.test\"\nmailboxes = \"any\"\nmaildir = \"./y/../x/\"",
        (12, 11),
        "local_domain[1].maildir: \"./y/../x/\" is already the maildir of a.test in line 8",
        "give every domain a folder of its own",
    ),
    fault(
        "[[local_domain]]\nname = \"a.test\"\nmailboxes = \"any\"\nmaildir = \"/var/lib/stagepost/mail/b.test\"\n[[local_domain]]\nname = \"b.test\"\nmailboxes = \"any\"",
        (10, 8),
        "local_domain[1].name: \"/var/lib/stagepost/mail/b.test\" is already the maildir of a.test in line 8",
        "give every domain a folder of its own",
    ),
    fault(
        "[[local_domain]]\nname = \"a.test\"\nmailboxes = \"any\"\nmaildir = \"/var/lib/stagepost/spool/body\"",
        (8, 11),
        "local_domain[0].maildir: \"/var/lib/stagepost/spool/body\" lies in /var/lib/stagepost/spool, which is the server's own",
        "choose a folder outside of it",
    ),
    fault(
        "[[local_domain]]\nname = \"a.test\"\nmailboxes = \"any\"\nmaildir = \"/var/lib/stagepost/plugin-copies\"",
        (8, 11),
        "local_domain[0].maildir: \"/var/lib/stagepost/plugin-copies\" lies in /var/lib/stagepost/plugin-copies,",
        "choose a folder outside of it",
    ),
    fault(
        "[[local_domain]]\nname = \"a.test\"\nmailboxes = \"any\"\nmaildir = \"/var/lib/stagepost\"",
        (8, 11),
        "local_domain[0].maildir: \"/var/lib/stagepost\" is state_dir itself",
        "choose a folder of its own",
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
        "write one of `connect`, `command`, `ehlo`, `mail`, `rcpt`, `data`, `headers`, `body`, `message-accept`, `etrn`, `vrfy`, `rset`, `verb`, `quit`, `timeout`, `disconnect`",
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

#[test]
fn a_folder_of_the_servers_own_is_named_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let domain =
        "[[local_domain]]\nname = \"a.test\"\nmailboxes = \"any\"\nmaildir = \"state/spool/x\"\n";
    configuration(folder.path(), &format!("state_dir = \"state\"\n{LISTEN}{domain}"));
    let shown = stderr(&stagepost(folder.path(), &["check", "--config", "test.toml"]));
    let own = folder.path().join("state/spool");
    let wanted = format!(
        "error: local_domain[0].maildir: \"state/spool/x\" lies in {}, which is the server's own (state_dir in line 1)\n --> test.toml:9:11\n",
        own.display()
    );
    assert!(shown.starts_with(&wanted), "{wanted}\nis wanted of\n{shown}");
}

#[test]
fn every_fault_is_shown_at_its_place_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for case in &FAULTS {
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
    for command in [
        ["check", "--config", "test.toml"],
        ["run", "--config", "test.toml"],
        ["status", "--config", "test.toml"],
    ] {
        let output = stagepost(folder.path(), &command);
        assert_eq!(output.status.code(), Some(2), "{command:?}");
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
fn a_state_dir_that_cannot_be_had_is_shown_at_its_place_in_check_and_in_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(folder.path().join("file"), "").unwrap();
    fs::create_dir(folder.path().join("shared")).unwrap();
    fs::set_permissions(folder.path().join("shared"), fs::Permissions::from_mode(0o777)).unwrap();
    symlink("nowhere", folder.path().join("link")).unwrap();
    let (file, shared, link) = (path("file"), path("shared"), path("link"));
    let cases = [
        ("file", format!("{file} is not a folder"), "choose another folder".to_owned()),
        ("file/below", format!("{file} is not a folder"), "choose another folder".to_owned()),
        ("link/below", format!("{link} is a link to nowhere"), "remove the link".to_owned()),
        (
            "shared",
            format!("others can write to {shared} (mode 0777)"),
            format!("chmod 700 {shared}\n"),
        ),
    ];
    for (state_dir, problem, remedy) in cases {
        configuration(folder.path(), &format!("state_dir = \"{state_dir}\"\n{LISTEN}"));
        let checked = stagepost(folder.path(), &["check", "--config", "test.toml"]);
        assert_eq!(checked.status.code(), Some(2), "{}", stderr(&checked));
        let ran = stagepost(folder.path(), &["run", "--config", "test.toml"]);
        assert_eq!(ran.status.code(), Some(1), "{}", stderr(&ran));
        assert_eq!(stderr(&checked), stderr(&ran));
        let shown = stderr(&checked);
        let headline = format!("error: state_dir: {problem}\n --> test.toml:1:13\n");
        assert!(shown.starts_with(&headline), "{headline}\nis wanted of\n{shown}");
        let help = shown.split(" = help: ").nth(1).unwrap_or_default();
        assert!(help.starts_with(&remedy), "{remedy}\nis wanted of\n{shown}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4, "nothing is made");
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
