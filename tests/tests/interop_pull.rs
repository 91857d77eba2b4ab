//! Other people's clients that fetch mail from the real server with the default plug-in for that.
//! A module holds the tests of the program of its name; `cargo verify` skips those that can't be had.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use stagepost_tests::peer::{command as program, run};
use stagepost_tests::plugin::build_rust;
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::sink::Sink;

const MESSAGE: &str = "Subject: fetched\r\n\r\nHello.\r\n";

/// A server that holds two messages for branch.test, and where they go when they are asked for.
fn holding() -> (Site, Server, Sink) {
    let sink = Sink::open();
    let hop = sink.address();
    let route =
        format!("[[route]]\ndomain = \"@branch.test\"\nnext_hop = \"{hop}\"\nhold = \"30d\"\n");
    let node = "[[plugin.config.node]]\nname = \"branch.test\"\nnetworks = [\"127.0.0.1\"]\n\
        domains = [\"@branch.test\"]\nqueues = [\"nightly\"]\n";
    let plugin = plugin_section("pull-delivery", &build_rust("pull-delivery"), node);
    let site = Site::new(&(route + &plugin));
    let server = site.start();
    for recipient in ["x@branch.test", "y@sub.branch.test"] {
        let reply = server.greeted().deliver("a@client.test", recipient, MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
    }
    (site, server, sink)
}

/// The exit code of a client, and what it said.
fn ended(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().expect("the program runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

mod msmtp {
    use super::*;

    fn msmtp(server: &Server, node: &str) -> Command {
        let address = server.address();
        let mut command = program("msmtp");
        command
            .args([&format!("--host={}", address.ip()), &format!("--port={}", address.port())])
            .args(["--timeout=30", "--domain=branch.test", &format!("--rmqs={node}")]);
        command
    }

    #[test]
    fn has_mail_sent_for_every_kind_of_node() {
        let (_site, server, sink) = holding();
        run(&mut msmtp(&server, "branch.test"));
        assert_eq!(sink.wait_for(1)[0].recipients, ["x@branch.test"]);
        run(&mut msmtp(&server, "@sub.branch.test"));
        assert_eq!(sink.wait_for(2)[1].recipients, ["y@sub.branch.test"]);
        let mut client = server.greeted();
        assert_eq!(client.deliver("a@client.test", "z@branch.test", MESSAGE).code, 250);
        run(&mut msmtp(&server, "#nightly"));
        assert_eq!(sink.wait_for(3)[2].recipients, ["z@branch.test"]);
        let (code, said) = ended(&mut msmtp(&server, "other.test"));
        assert_ne!(code, Some(0), "{said}");
        assert!(said.contains("459 4.7.1"), "{said}");
        server.stop();
    }
}

mod fetchmail {
    use super::*;

    fn fetchmail(site: &Site, server: &Server, domains: &str) -> Command {
        let mut command = program("fetchmail");
        command
            .env("FETCHMAILHOME", site.path())
            .args(["--fetchmailrc", "/dev/null", "--nodetach", "--nosyslog", "-v"])
            .args(["--pidfile", "pid"])
            .current_dir(site.path())
            .args(["--protocol", "ETRN", "--port", &server.address().port().to_string()])
            .args(["--sslproto", "", "--timeout", "30", "--fetchdomains", domains, "127.0.0.1"]);
        command
    }

    /// Of ATRN it knows the client's side: what comes is handed on to a server of the same site.
    #[test]
    fn fetches_mail_by_atrn() {
        let (site, sink) = (Site::new(""), Sink::open());
        let secrets = site.path().join("secrets");
        fs::write(&secrets, "# for fetchmail\nbranch@example.test:tanstaaf\n").expect("a file");
        fs::set_permissions(&secrets, Permissions::from_mode(0o600)).expect("a mode");
        let node =
            "[[plugin.config.node]]\nname = \"branch.test\"\nusers = [\"branch@example.test\"]\n";
        let plugin = plugin_section("pull-delivery", &build_rust("pull-delivery"), node);
        let further = "[auth]\nsecrets_file = \"secrets\"\nfailure_delay = \"0s\"\n\
            [[listen]]\nname = \"odmr\"\naddress = \"127.0.0.1:0\"\npurpose = \"odmr\"\n\
            require_tls = false\nauth_allow_plaintext = true\n\
            [[route]]\ndomain = \"branch.test\"\nhold = \"30d\"\n";
        site.configure(&format!("{further}{plugin}"));
        let server = site.start();
        for recipient in ["x@branch.test", "y@branch.test"] {
            let reply = server.greeted().deliver("a@client.test", recipient, MESSAGE);
            assert_eq!(reply.code, 250, "{reply}");
        }
        let fetch = |secret: &str| {
            let (port, to) = (server.listener("odmr").port(), sink.address().port());
            let configuration = format!(
                "poll 127.0.0.1 protocol ODMR port {port} username \"branch@example.test\" \
                 password \"{secret}\" fetchdomains branch.test smtphost \"127.0.0.1/{to}\" sslproto ''\n"
            );
            let file = site.path().join("fetchmailrc");
            fs::write(&file, configuration).expect("a file");
            fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("a mode");
            ended(
                program("fetchmail")
                    .env("FETCHMAILHOME", site.path())
                    .args(["--fetchmailrc", "fetchmailrc", "--nodetach", "--nosyslog", "-v"])
                    .args(["--timeout", "30", "--pidfile", "pid"])
                    .current_dir(site.path()),
            )
        };
        let (code, said) = fetch("wrong");
        assert!(said.contains("535 5.7.8"), "{code:?}: {said}");
        assert_eq!(sink.messages(), []);
        let (code, said) = fetch("tanstaaf");
        assert!(said.contains("250 2.0.0 Ok, now reversing"), "{code:?}: {said}");
        let mut recipients: Vec<_> =
            sink.wait_for(2).into_iter().flat_map(|message| message.recipients).collect();
        recipients.sort();
        assert_eq!(recipients, ["x@branch.test", "y@branch.test"]);
        server.log().wait_for("the end", |line| line.message() == "mail was fetched");
        let (code, said) = fetch("tanstaaf");
        assert!(said.contains("453 4.2.1 You have no mail"), "{code:?}: {said}");
        server.stop();
    }

    #[test]
    fn has_mail_sent_by_etrn() {
        let (site, server, sink) = holding();
        let (code, said) = ended(&mut fetchmail(&site, &server, "branch.test"));
        assert!(said.contains("253 2.0.0 1 pending messages"), "{code:?}: {said}");
        assert_eq!(sink.wait_for(1)[0].recipients, ["x@branch.test"]);
        let (code, said) = ended(&mut fetchmail(&site, &server, "other.test"));
        assert!(said.contains("459 4.7.1"), "{code:?}: {said}");
        server.stop();
    }
}
