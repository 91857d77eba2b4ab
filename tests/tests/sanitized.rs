//! Plug-ins in the real server under those who watch memory: AddressSanitizer and UndefinedBehaviorSanitizer for the plug-ins of C,
//! what the server lends them and what they do with it; Valgrind for the server's own code at the border, which the stable compiler
//! can't instrument. Knows no plug-in in particular but its source.

use stagepost_tests::client::Client;
use stagepost_tests::wire::Trust;

const MESSAGE: &str = "Subject: under a microscope\r\n\r\nHello.\r\n";

/// Says every command that has an event, most of them under TLS.
fn use_every_event(mut client: Client, trust: &Trust) {
    client.expect(220);
    client.say("HELO client.example.test", 250);
    client.say("EHLO client.example.test", 250);
    client.say("STARTTLS", 220);
    let mut client = client.secure(trust, "mx.example.test").expect("a handshake");
    client.say("EHLO client.example.test", 250);
    // Nobody knows bob.
    client.say("AUTH PLAIN AGJvYgBzZXNhbWU=", 535);
    client.say("ETRN example.test", 459);
    client.say("NOOP", 250);
    client.say("RCPT TO:<b@example.test>", 503);
    client.say("MAIL FROM:<>", 250);
    client.say("RSET", 250);
    client.say("XHELLO", 250);
    client.say("XDO MAIL FROM:<> XTAG=1", 250);
    client.say("RCPT TO:<GONE@example.test>", 550);
    client.say("RCPT TO:<u+tag@example.test> XNOTE", 250);
    client.say("RCPT TO:<+u@example.test>", 250);
    client.say("EHLO plain.test", 250);
    client.say("VRFY x", 252);
    client.say("EXPN x", 502);
    client.say("MAIL FROM:<a@client.test>", 250);
    client.say("RCPT TO:<b@example.test>", 250);
    let (first, last) = MESSAGE.split_at(9);
    for (end, octets) in [("", first), (" LAST", last)] {
        client.send(format!("BDAT {}{end}\r\n{octets}", octets.len()).as_bytes());
        client.expect(250);
    }
    let reply = client.deliver("a@client.test", "b@example.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    client.say("QUIT", 221);
    client.expect_close();
}

/// What needs the C compiler's libasan.
mod libasan {
    use std::path::Path;

    use stagepost_tests::client::Client;
    use stagepost_tests::log::{Line, Log};
    use stagepost_tests::peer;
    use stagepost_tests::plugin::compile_c_sanitized;
    use stagepost_tests::server::{Server, Site, plugin_section};
    use stagepost_tests::wire::Trust;

    use super::{MESSAGE, use_every_event};

    /// The section of a plug-in that is compiled for the sanitizers.
    fn sanitized(site: &Site, name: &str, source: &str) -> String {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        plugin_section(name, &compile_c_sanitized(&source, site.path()), "")
    }

    fn start(site: &Site) -> Server {
        let library = peer::libasan();
        let library = library.expect("libasan is missing: `cargo verify` says how to get it");
        let mut command = site.command(&["run", "--config", "stagepost.toml"]);
        // Plug-ins stay loaded and keep what they have until the process ends: that is no leak.
        command.env("LD_PRELOAD", library).env("ASAN_OPTIONS", "detect_leaks=0");
        Server::start(command)
    }

    /// What the sanitizers have said.
    fn reports(log: &Log) -> Vec<Line> {
        log.matching(|line| {
            ["Sanitizer", "runtime error"].iter().any(|word| line.as_str().contains(word))
        })
    }

    #[test]
    fn what_a_plug_in_has_beside_sessions_leaves_no_report() {
        let site = Site::new("");
        let keeper = sanitized(&site, "keeper", "plugins/keeper.c");
        site.configure(&keeper);
        let server = start(&site);
        let mut client = server.greeted();
        let reply = client.deliver("a@client.test", "b@example.test", MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
        let at = ["--socket", "state/admin.sock"];
        for (call, code) in [
            (&["keep"][..], 0),
            (&["keep"], 0),
            (&["echo", "[1]"], 0),
            (&["refuse"], 1),
            (&["nothing", "1"], 1),
            (&["who", "\"b@example.test\""], 0),
        ] {
            let output = site.run(&[&["plugin", "call"], &at[..], &["keeper"], call].concat());
            assert_eq!(output.status.code(), Some(code), "{call:?}: {output:?}");
        }
        for limit in ["5", "-5"] {
            site.configure(&format!("{keeper}[plugin.config]\nlimit = {limit}\n"));
            let output = site.run(&[&["reload"], &at[..]].concat());
            assert_eq!(output.status.success(), limit == "5", "{output:?}");
        }
        let log = server.stop();
        assert!(reports(&log).is_empty(), "{log}");
        assert!(log.matching(|line| line.message().contains("fault")).is_empty(), "{log}");
    }

    #[test]
    fn a_session_with_every_event_leaves_no_report() {
        let site = Site::new("");
        let plugins = sanitized(&site, "example-c", "../plugins/example-c/example.c")
            + &sanitized(&site, "noop", "faults/noop.c")
            + &sanitized(&site, "rewriter", "plugins/rewriter.c")
            + &sanitized(&site, "bad-edits", "faults/bad_edits.c")
            + &sanitized(&site, "greeter", "plugins/greeter.c")
            + &sanitized(&site, "sub-address", "../plugins/examples/sub-address.c")
            + "[plugin.config]\ndomains = \"example.test\"\n"
            + &sanitized(&site, "recipient-list", "../plugins/examples/recipient-list.c")
            + "[plugin.config]\nrefused = \"gone@example.test x\"\n"
            + &sanitized(&site, "greeting-delay", "../plugins/examples/greeting-delay.c")
            + "[plugin.config]\ndelay_ms = 10\n"
            + &sanitized(&site, "lister", "plugins/lister.c")
            + &sanitized(&site, "body-text", "../plugins/examples/body-text.c")
            + "[plugin.config]\ntext = \"ElEL\"\n";
        // No server is there: look-ups are trouble.
        let dns = "[dns]\nservers = [\"127.0.0.1:1\"]\ntimeout = \"1s\"\n";
        let auth = "[auth]\nfailure_delay = \"0s\"\n";
        let trust = Trust::in_file(&site.certify("mx.example.test"));
        site.configure_tls("auth = \"offered\"\n", &format!("{dns}{auth}{plugins}"));
        let server = start(&site);
        use_every_event(Client::connect(server.address()), &trust);
        let delivered = |line: &Line| line.message() == "delivered";
        server.log().wait_for_count("the deliveries", 2, delivered);
        let refused = |line: &Line| line.message() == "all refused";
        assert_eq!(server.log().matching(refused).len(), 2, "{}", server.log());
        let log = server.stop();
        assert!(reports(&log).is_empty(), "{log}");
    }

    #[test]
    fn calls_that_a_thread_answers_leave_no_report() {
        let site = Site::new("");
        site.configure(&sanitized(&site, "clerk", "plugins/clerk.c"));
        let server = start(&site);
        for ends in [true, false] {
            let mut client = server.greeted();
            client.say("MAIL FROM:<>", 250);
            client.say("RCPT TO:<nobody@example.test>", 550);
            client.say("RCPT TO:<polled@example.test>", 550);
            client.say("RCPT TO:<twice@example.test>", 250);
            if ends {
                client.say("QUIT", 221);
                client.expect_close();
            } else {
                client.send(b"RCPT TO:<slow@example.test>\r\n");
                client.abort();
            }
        }
        server.log().wait_for("the answer", |line| line.message() == "told that it is too late");
        let log = server.stop();
        assert!(reports(&log).is_empty(), "{log}");
    }

    /// Nor does what is refused: names, lists and numbers that are none.
    #[test]
    fn what_can_not_be_leaves_no_report() {
        let site = Site::new("");
        site.configure(&sanitized(&site, "odd-names", "faults/odd_names.c"));
        let server = start(&site);
        let mut client = server.greeted();
        for _ in 0..2 {
            client.say("MAIL FROM:<a@client.test>", 250);
            client.say("RSET", 250);
        }
        let call = ["plugin", "call", "--socket", "state/admin.sock", "odd-names", "say"];
        let output = site.run(&call);
        assert!(output.status.success(), "{output:?}");
        let log = server.stop();
        assert!(reports(&log).is_empty(), "{log}");
    }

    #[test]
    fn what_reads_too_far_is_seen() {
        let site = Site::new("");
        site.configure(&sanitized(&site, "overflow", "plugins/overflow.c"));
        let server = start(&site);
        let mut client = server.greeted();
        client.send(b"MAIL FROM:<a@client.test>\r\n");
        let (status, log) = server.wait();
        assert_eq!(status.code(), Some(1), "{log}");
        let seen = log.matching(|line| line.as_str().contains("heap-buffer-overflow"));
        assert!(!seen.is_empty(), "{log}");
    }
}

/// What needs Valgrind.
mod valgrind {
    use std::fs;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use stagepost_tests::client::Client;
    use stagepost_tests::log::Line;
    use stagepost_tests::peer;
    use stagepost_tests::plugin::{build_rust, compile_c};
    use stagepost_tests::server::{Server, Site, plugin_section, program};
    use stagepost_tests::wire::Trust;

    use super::use_every_event;

    /// The server with plug-ins of both languages, none of them instrumented: each load and store of theirs and of the server's is
    /// looked at, in line and on the pool. Not with bad-edits: that one hands back what it was lent too long ago, and the server finds
    /// that out by looking there.
    #[test]
    fn a_session_with_every_event_leaves_no_report() {
        let site = Site::new("");
        let in_c = |name: &str, source: &str, further: &str| {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
            plugin_section(name, &compile_c(&source, site.path(), &[]), further)
        };
        // Far slower than alone.
        let late = "deadline_ms = 100000\n";
        let plugins = in_c("example-c", "../plugins/example-c/example.c", late)
            + &in_c("noop", "faults/noop.c", "run = \"pool\"\ndeadline_ms = 100000\n")
            + &in_c("rewriter", "plugins/rewriter.c", late)
            + &in_c("greeter", "plugins/greeter.c", late)
            + &in_c("sub-address", "../plugins/examples/sub-address.c", late)
            + "[plugin.config]\ndomains = \"example.test\"\n"
            + &in_c("recipient-list", "../plugins/examples/recipient-list.c", late)
            + "[plugin.config]\nrefused = \"gone@example.test x\"\n"
            + &plugin_section("body-text-rust", &build_rust("body-text-rust"), late)
            + "[plugin.config]\ntext = \"ElEL\"\n";
        let trust = Trust::in_file(&site.certify("mx.example.test"));
        let limits = "[plugins]\ninline_warn_ms = 60000\ninline_abort_ms = 0\n";
        let auth = "[auth]\nfailure_delay = \"0s\"\n";
        site.configure_tls("auth = \"offered\"\n", &format!("{auth}{limits}{plugins}"));
        let reports = site.path().join("reports");
        let mut command = Command::new(peer::need("valgrind"));
        command
            .args(["--quiet", "--fair-sched=yes"])
            .arg(format!("--log-file={}", reports.display()))
            .arg(program())
            .args(["run", "--config", "stagepost.toml"])
            .current_dir(site.path())
            .env_remove("STAGEPOST_LOG")
            .stdin(Stdio::null());
        let server = Server::start(command);
        use_every_event(Client::connect(server.address()), &trust);
        let delivered = |line: &Line| line.message() == "delivered";
        server.log().wait_for_count("the deliveries", 2, delivered);
        let log = server.stop();
        let reports = fs::read_to_string(reports).expect("Valgrind has a file");
        assert!(reports.is_empty(), "{reports}\nbeside\n{log}");
    }
}
