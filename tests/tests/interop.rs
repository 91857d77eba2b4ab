//! Other people's mail programs and the real server, both ways. A module holds the tests of the program of its name.
//! `cargo verify` gets the programs, and skips the modules of those that can't be had.

use std::process::{Command, Stdio};

use stagepost_tests::log::Line;
use stagepost_tests::peer::{self, command as program, run};
use stagepost_tests::server::{Server, Site, example_plugins};

const MESSAGE: &str =
    "From: a@client.test\r\nTo: b@example.test\r\nSubject: interop\r\n\r\nHello.\r\n.dot\r\n";

fn delivered(line: &Line) -> bool {
    line.message() == "delivered"
}

/// Waits for one message to `b` that went through both plug-ins.
fn expect_stamped(site: &Site, server: &Server, lines: &[&str]) {
    server.log().wait_for("the delivery", delivered);
    let mail = site.mail("b");
    let [message] = &mail[..] else { panic!("{} messages", mail.len()) };
    let message = String::from_utf8_lossy(message).into_owned();
    for wanted in [&["X-Example-C: ", "X-Example-Rust: "], lines].concat() {
        assert!(message.contains(wanted), "{wanted:?} in\n{message}");
    }
}

mod curl {
    use super::*;

    #[test]
    fn sends_a_mail() {
        let site = Site::new(&example_plugins());
        let server = site.start();
        std::fs::write(site.path().join("message"), MESSAGE).expect("a file of our own");
        run(program("curl")
            .args(["-sS", "--max-time", "30", "--mail-from", "a@client.test"])
            .args(["--mail-rcpt", "b@example.test", "--upload-file", "message"])
            .args(["--url", &format!("smtp://{}/client.example.test", server.address())])
            .current_dir(site.path()));
        expect_stamped(&site, &server, &["Subject: interop\n", "\n\nHello.\n.dot\n"]);
        server.stop();
    }

    /// By STARTTLS, and with TLS from the first octet; curl checks certificate and name.
    #[test]
    fn sends_mails_with_tls() {
        let site = with_tls();
        let server = site.start();
        std::fs::write(site.path().join("message"), MESSAGE).expect("a file of our own");
        for (scheme, address, recipient) in [
            ("smtp", server.address(), "b@example.test"),
            ("smtps", server.listener("submissions"), "c@example.test"),
        ] {
            let port = address.port();
            run(program("curl")
                .args(["-sS", "--max-time", "30", "--mail-from", "a@client.test", "--ssl-reqd"])
                .args(["--cacert", "tls/mx.example.test.crt", "--mail-rcpt", recipient])
                .args(["--resolve", &format!("mx.example.test:{port}:127.0.0.1")])
                .args(["--url", &format!("{scheme}://mx.example.test:{port}/client.example.test")])
                .args(["--upload-file", "message"])
                .current_dir(site.path()));
        }
        server.log().wait_for_count("the deliveries", 2, delivered);
        for user in ["b", "c"] {
            let mail = site.mail(user).concat();
            let mail = String::from_utf8_lossy(&mail);
            assert!(mail.contains("with ESMTPS id ") && mail.contains("tls TLS_"), "{mail}");
        }
        server.stop();
    }

    /// By the mechanism that it takes for the best, and by each one that it knows.
    #[test]
    fn logs_in_with_tls() {
        let (site, server) = with_logins();
        std::fs::write(site.path().join("message"), MESSAGE).expect("a file of our own");
        let ways = [
            ("smtp", server.address(), "AUTH=PLAIN"),
            ("smtp", server.address(), "AUTH=LOGIN"),
            ("smtps", server.listener("submissions"), "AUTH=PLAIN"),
        ];
        for (scheme, address, mechanism) in ways {
            let port = address.port();
            run(program("curl")
                .args(["-sS", "--max-time", "30", "--mail-from", "a@client.test", "--ssl-reqd"])
                .args(["--cacert", "tls/mx.example.test.crt", "--mail-rcpt", "b@example.test"])
                .args(["--user", "alice@example.test:pencil", "--login-options", mechanism])
                .args(["--resolve", &format!("mx.example.test:{port}:127.0.0.1")])
                .args(["--url", &format!("{scheme}://mx.example.test:{port}/client.example.test")])
                .args(["--upload-file", "message"])
                .current_dir(site.path()));
        }
        expect_submitted(&site, &server, ways.len());
        server.stop();
    }

    /// The server without a configuration file, on its own port.
    mod development {
        use std::fs;
        use std::io::{BufRead, BufReader};

        use rustix::process::Signal;
        use stagepost_tests::log::Log;
        use stagepost_tests::process::Ended;
        use stagepost_tests::server::program as server;

        use super::*;

        #[test]
        fn a_first_mail_is_sent_as_the_welcome_says() {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let child = Command::new(server())
                .current_dir(folder.path())
                .env_remove("STAGEPOST_LOG")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn();
            let mut child = Ended(child.expect("the program starts"));
            let (log, following) = Log::follow(child.0.stderr.take().expect("stderr is piped"));
            let mut stdout = BufReader::new(child.0.stdout.take().expect("stdout is piped"));
            let mut welcome = String::new();
            while !welcome.contains("Ctrl-C stops it.") {
                if stdout.read_line(&mut welcome).expect("text") == 0 {
                    following.join().expect("the log is read to its end");
                    panic!("it did not start:\n{log}");
                }
            }

            let command = welcome.lines().find(|line| line.contains("curl"));
            let command = command.unwrap_or_else(|| panic!("no curl in:\n{welcome}"));
            run(program("sh").args(["-c", command]).current_dir(folder.path()));
            log.wait_for("the delivery", |line| line.as_str().contains(": delivered "));
            let mailbox = folder.path().join("var/mail/example.test/you/new");
            let mail: Vec<_> = fs::read_dir(mailbox).expect("a mailbox").collect();
            let [Ok(entry)] = &mail[..] else { panic!("{mail:?}") };
            let message = fs::read_to_string(entry.path()).expect("a message");
            let stamps = ["X-Example-C: ", "X-Example-Rust: "];
            for wanted in [&stamps[..], &["Subject: A first mail\n", "\nHello.\n"]].concat() {
                assert!(message.contains(wanted), "{wanted:?} in\n{message}");
            }

            let status = Command::new(server()).arg("status").current_dir(folder.path()).output();
            let status = status.expect("the program runs").stdout;
            let status = String::from_utf8_lossy(&status).into_owned();
            assert!(status.contains("example-c ") && status.contains("example-rust "), "{status}");
            // As Ctrl-C does.
            child.signal(Signal::INT);
            assert!(child.0.wait().expect("it ends").success(), "{log}");
        }
    }
}

/// A site with a certificate for mx.example.test, for STARTTLS and on a listener with TLS from the first octet.
fn with_tls() -> Site {
    let site = Site::new("");
    site.certify("mx.example.test");
    let submissions = "[[listen]]\nname = \"submissions\"\naddress = \"127.0.0.1:0\"\npurpose = \"submissions\"\nauth = \"none\"\ncertificates = [\"mx\"]\n";
    site.configure_tls("", submissions);
    site
}

/// The settings of users, whose file has alice.
const USERS: &str = "[auth]\nusers_file = \"users\"\nfailure_delay = \"0s\"\n";

/// A server that wants a login by STARTTLS, and on a second listener with TLS from the first octet.
fn with_logins() -> (Site, Server) {
    let site = Site::new("");
    site.certify("mx.example.test");
    site.add_user("alice@example.test", "pencil");
    let submissions = "[[listen]]\nname = \"submissions\"\naddress = \"127.0.0.1:0\"\npurpose = \"submissions\"\ncertificates = [\"mx\"]\n";
    site.configure_tls("purpose = \"submission\"\n", &format!("{USERS}{submissions}"));
    let server = site.start();
    (site, server)
}

/// Waits for so many messages to `b` that came with a login.
fn expect_submitted(site: &Site, server: &Server, count: usize) {
    server.log().wait_for_count("the deliveries", count, delivered);
    let mail = site.mail("b");
    assert_eq!(mail.len(), count);
    for message in mail {
        let message = String::from_utf8_lossy(&message).into_owned();
        assert!(message.contains("with ESMTPSA id "), "{message}");
    }
    let log = server.log();
    assert_eq!(log.matching(|line| line.message() == "logged in").len(), count);
}

mod swaks {
    use super::*;

    #[test]
    fn logs_in() {
        let site = Site::new("");
        site.add_user("alice@example.test", "pencil");
        let open = "auth = \"required\"\nauth_allow_plaintext = true\n";
        site.configure_listener(open, USERS);
        let server = site.start();
        let alice = ["--auth-user", "alice@example.test", "--auth-password"];
        for mechanism in ["PLAIN", "LOGIN"] {
            let login = [&["--auth", mechanism], &alice[..], &["pencil"]].concat();
            let said = swaks(&server, &login);
            assert!(said.contains("<-  235 2.7.0 "), "{said}");
        }
        let mut command = program("swaks");
        command
            .args(["--server", &server.address().to_string(), "--from", "a@client.test"])
            .args(["--to", "b@example.test", "--timeout", "30", "--auth", "PLAIN"])
            .args(alice)
            .arg("pen");
        let output = command.output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // Its own code for a failed login.
        assert_eq!(output.status.code(), Some(28), "{said}");
        assert!(said.contains("<** 535 5.7.8 "), "{said}");
        server.log().wait_for_count("the deliveries", 2, delivered);
        let mail = String::from_utf8(site.mail("b").concat()).expect("text");
        assert_eq!(mail.matches("with ESMTPA id ").count(), 2, "{mail}");
        server.stop();
    }

    #[test]
    fn logs_in_with_tls() {
        let (site, server) = with_logins();
        for mechanism in ["PLAIN", "LOGIN"] {
            swaks(
                &server,
                &[
                    &["--tls", "--auth", mechanism][..],
                    &["--auth-user", "alice@example.test", "--auth-password", "pencil"],
                ]
                .concat(),
            );
        }
        expect_submitted(&site, &server, 2);
        server.stop();
    }

    fn swaks(server: &Server, further: &[&str]) -> String {
        run(program("swaks")
            .args(["--server", &server.address().to_string(), "--helo", "client.example.test"])
            .args(["--from", "a@client.test", "--to", "b@example.test", "--timeout", "30"])
            .args(["--header", "Subject: swaks", "--body", "Hello.\n.dot"])
            .args(further))
    }

    #[test]
    fn sends_a_mail() {
        let site = Site::new(&example_plugins());
        let server = site.start();
        let said = swaks(&server, &[]);
        assert!(said.contains("250-PIPELINING"), "{said}");
        assert!(said.contains("<-  221 "), "{said}");
        expect_stamped(&site, &server, &["Subject: swaks\n", "Hello.\n.dot\n"]);
        server.stop();
    }

    #[test]
    fn sends_a_pipelined_mail() {
        let site = Site::new(&example_plugins());
        let server = site.start();
        let said = swaks(&server, &["--pipeline"]);
        assert!(said.contains("<-  354 "), "{said}");
        expect_stamped(&site, &server, &["Subject: swaks\n"]);
        server.stop();
    }

    #[test]
    fn sends_a_mail_after_helo() {
        let site = Site::new(&example_plugins());
        let server = site.start();
        swaks(&server, &["--protocol", "SMTP"]);
        expect_stamped(&site, &server, &["with SMTP id "]);
        server.stop();
    }

    #[test]
    fn is_told_that_a_recipient_is_foreign() {
        let site = Site::new("");
        let server = site.start();
        let mut command = program("swaks");
        command
            .args(["--server", &server.address().to_string(), "--from", "a@client.test"])
            .args(["--to", "b@foreign.test", "--timeout", "30"]);
        let output = command.output().expect("the program runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        // Its own code for a refused recipient.
        assert_eq!(output.status.code(), Some(24), "{said}");
        assert!(said.contains("<** 550 5.7.1 "), "{said}");
        server.stop();
    }
}

mod python3 {
    use super::*;

    const SCRIPT: &str = r#"
import smtplib, sys
with smtplib.SMTP(sys.argv[1], int(sys.argv[2]), local_hostname="client.example.test", timeout=30) as smtp:
    smtp.ehlo()
    assert smtp.has_extn("pipelining") and smtp.has_extn("8bitmime") and smtp.has_extn("size")
    text = "Subject: smtplib\r\n\r\n.dot\r\nGr\u00fc\u00dfe\r\n".encode("latin-1")
    refused = smtp.sendmail("a@client.test", ["b@example.test", "c@foreign.test"], text, ["BODY=8BITMIME"])
    assert list(refused) == ["c@foreign.test"] and refused["c@foreign.test"][0] == 550, refused
    for number in range(20):
        smtp.sendmail("a@client.test", ["c@example.test"], b"Subject: %d\r\n\r\n" % number)
    assert smtp.verify("b@example.test")[0] == 252
"#;

    const TLS_SCRIPT: &str = r#"
import smtplib, ssl, sys
context = ssl.create_default_context(cafile="tls/mx.example.test.crt")
# The certificate is for the name, not for the address.
context.check_hostname = False
with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example.test", timeout=30) as smtp:
    smtp.ehlo()
    assert smtp.has_extn("starttls")
    assert smtp.starttls(context=context)[0] == 220
    smtp.ehlo()
    assert not smtp.has_extn("starttls")
    assert smtp.sock.version() == "TLSv1.3", smtp.sock.version()
    for number in range(5):
        smtp.sendmail("a@client.test", ["b@example.test"], b"Subject: %d\r\n\r\n%s\r\n" % (number, b"x" * 900))
    assert smtp.quit()[0] == 221
with smtplib.SMTP_SSL("127.0.0.1", int(sys.argv[2]), local_hostname="client.example.test", timeout=30, context=context) as smtp:
    smtp.sendmail("a@client.test", ["b@example.test"], b"Subject: implicit\r\n\r\n")
"#;

    #[test]
    fn sends_mails_with_tls() {
        let site = with_tls();
        let server = site.start();
        let port = |address: std::net::SocketAddr| address.port().to_string();
        run(program("python3")
            .args(["-c", TLS_SCRIPT, &port(server.address())])
            .arg(port(server.listener("submissions")))
            .current_dir(site.path()));
        server.log().wait_for_count("the deliveries", 6, delivered);
        assert_eq!(site.mail("b").len(), 6);
        server.stop();
    }

    const LOGIN_SCRIPT: &str = r#"
import smtplib, ssl, sys
context = ssl.create_default_context(cafile="tls/mx.example.test.crt")
# The certificate is for the name, not for the address.
context.check_hostname = False
for first in (True, False):
    for method in ("auth_plain", "auth_login"):
        with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example.test", timeout=30) as smtp:
            smtp.ehlo()
            assert not smtp.has_extn("auth")
            smtp.starttls(context=context)
            smtp.ehlo()
            assert smtp.esmtp_features["auth"].split()[0] == "SCRAM-SHA-256-PLUS", smtp.esmtp_features
            assert smtp.mail("a@client.test")[0] == 530
            smtp.user, smtp.password = "alice@example.test", "pencil"
            code, words = smtp.auth(method[5:].upper(), getattr(smtp, method), initial_response_ok=first)
            assert code == 235, (code, words)
            smtp.sendmail("a@client.test", ["b@example.test"], b"Subject: login\r\n\r\n")
with smtplib.SMTP_SSL("127.0.0.1", int(sys.argv[2]), local_hostname="client.example.test", timeout=30, context=context) as smtp:
    try:
        smtp.login("alice@example.test", "pen")
        assert False, "logged in"
    except smtplib.SMTPAuthenticationError as error:
        assert error.smtp_code == 535, error
"#;

    #[test]
    fn logs_in_with_and_without_first_words() {
        let (site, server) = with_logins();
        run(program("python3")
            .args(["-c", LOGIN_SCRIPT, &server.address().port().to_string()])
            .arg(server.listener("submissions").port().to_string())
            .current_dir(site.path()));
        expect_submitted(&site, &server, 4);
        server.stop();
    }

    #[test]
    fn sends_mails_in_one_session() {
        let site = Site::new(&example_plugins());
        let server = site.start();
        let address = server.address();
        run(program("python3").args([
            "-c",
            SCRIPT,
            &address.ip().to_string(),
            &address.port().to_string(),
        ]));
        server.log().wait_for_count("the deliveries", 21, delivered);
        let mail = site.mail("b");
        let [message] = &mail[..] else { panic!("{} messages", mail.len()) };
        // Octets are octets.
        assert!(
            message.ends_with(b"\n\n.dot\nGr\xfc\xdfe\n"),
            "{}",
            String::from_utf8_lossy(message)
        );
        assert_eq!(site.mail("c").len(), 20);
        server.stop();
    }
}

mod smtp_source {
    use super::*;

    #[test]
    fn sends_fifty_mails_in_five_sessions() {
        let site = Site::new(&example_plugins());
        let server = site.start();
        run(program("smtp-source")
            .args(["-c", "-m", "50", "-s", "5", "-l", "4000", "-M", "client.example.test"])
            .args(["-f", "a@client.test", "-t", "b@example.test"])
            .arg(format!("inet:{}", server.address())));
        server.log().wait_for_count("the deliveries", 50, delivered);
        let mail = site.mail("b");
        assert_eq!(mail.len(), 50);
        assert!(mail.iter().all(|message| message.len() > 4000));
        server.stop();
    }

    /// One message for each session, which is what most of the mail of the world does.
    #[test]
    fn sends_fifty_mails_in_fifty_sessions() {
        let site = Site::new("");
        let server = site.start();
        run(program("smtp-source")
            .args(["-d", "-m", "50", "-s", "10", "-M", "client.example.test"])
            .args(["-f", "a@client.test", "-t", "b@example.test"])
            .arg(format!("inet:{}", server.address())));
        server.log().wait_for_count("the deliveries", 50, delivered);
        assert_eq!(site.mail("b").len(), 50);
        server.stop();
    }
}

mod smtp_sink {
    use std::{fs, thread};

    use stagepost_tests::process::Ended;
    use stagepost_tests::sink::Closed;

    use super::*;

    #[test]
    fn gets_relayed_mail_as_it_was_sent() {
        const MESSAGES: usize = 20;
        // A port that was free a moment ago; a next hop that is not up yet is tried again.
        let address = Closed::reserve().address();
        let site = Site::new(&format!(
            "[queue]\nretry_first = \"1s\"\nretry_max = \"1s\"\n\
             [[route]]\ndomain = \"relayed.test\"\nnext_hop = \"{address}\"\n"
        ));
        let dumps = site.path().join("dumps");
        fs::create_dir(&dumps).expect("a folder of our own");
        let mut sink = Command::new(peer::need("smtp-sink"));
        if rustix::process::geteuid().is_root() {
            // It asks for a user then.
            sink.args(["-u", "root"]);
        }
        // Every message into a file of its own.
        sink.args(["-d", "dumps/%Y.", "-h", "sink.example.test", &address.to_string(), "64"]);
        let _sink = Ended(sink.current_dir(site.path()).spawn().expect("the program runs"));

        let server = site.start();
        let clients: Vec<_> = (0..4)
            .map(|part| {
                let mut client = server.greeted();
                thread::spawn(move || {
                    for number in (part..MESSAGES).step_by(4) {
                        let text = format!("Subject: number {number}\r\n\r\nHello.\r\n..dot\r\n");
                        let reply = client.deliver("a@client.test", "b@relayed.test", &text);
                        assert_eq!(reply.code, 250, "{reply}");
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().expect("a client of the test"));
        server.log().wait_for_count("the deliveries", MESSAGES, delivered);
        server.stop();

        let read = |entry: std::io::Result<fs::DirEntry>| {
            fs::read_to_string(entry.expect("an entry").path()).expect("a dump")
        };
        let dumped: Vec<String> = fs::read_dir(&dumps)
            .expect("the dumps")
            .map(read)
            .map(|dump| dump.replace("\r\n", "\n"))
            .collect();
        assert_eq!(dumped.len(), MESSAGES);
        for number in 0..MESSAGES {
            let text = format!("Subject: number {number}\n\nHello.\n.dot\n");
            let times = dumped.iter().filter(|dump| dump.contains(&text)).count();
            assert_eq!(times, 1, "message {number} in\n{}", dumped[0]);
        }
        let to_recipient = |dump: &String| dump.contains("X-Rcpt-Args: <b@relayed.test>\n");
        assert!(dumped.iter().all(to_recipient), "{}", dumped[0]);
    }
}

mod msmtp {
    use super::*;

    fn msmtp(server: &Server) -> Command {
        let address = server.address();
        let mut command = program("msmtp");
        command
            .args([&format!("--host={}", address.ip()), &format!("--port={}", address.port())])
            .args(["--timeout=30", "--domain=client.example.test"]);
        command
    }

    #[test]
    fn sends_a_mail() {
        let site = Site::new(&example_plugins());
        let server = site.start();
        let message = site.path().join("message");
        std::fs::write(&message, MESSAGE.replace("\r\n", "\n")).expect("a file of our own");
        run(msmtp(&server)
            .args(["--from=a@client.test", "--", "b@example.test"])
            .stdin(std::fs::File::open(message).expect("a file of our own")));
        expect_stamped(&site, &server, &["Subject: interop\n", "\n\nHello.\n.dot\n"]);
        server.stop();
    }

    /// By what it would choose itself, which is SCRAM, and by the others.
    #[test]
    fn logs_in_with_tls() {
        let (site, server) = with_logins();
        let message = site.path().join("message");
        std::fs::write(&message, MESSAGE.replace("\r\n", "\n")).expect("a file of our own");
        let ways = ["on", "scram-sha-256", "plain", "login"];
        for mechanism in ways {
            run(msmtp(&server)
                .args(["--host=127.0.0.1", "--tls=on", "--tls-starttls=on"])
                .args(["--tls-trust-file=tls/mx.example.test.crt"])
                .args(["--tls-host-override=mx.example.test", &format!("--auth={mechanism}")])
                .args(["--user=alice@example.test", "--passwordeval=echo pencil"])
                .args(["--from=a@client.test", "--", "b@example.test"])
                .current_dir(site.path())
                .stdin(std::fs::File::open(&message).expect("a file of our own")));
        }
        expect_submitted(&site, &server, ways.len());
        server.stop();
    }

    /// A keyword is announced only where it works.
    #[test]
    fn is_not_promised_etrn_while_nobody_holds_mail() {
        let site = Site::new("");
        let server = site.start();
        let output = msmtp(&server).arg("--rmqs=@example.test").output();
        let output = output.expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("does not support Remote Message Queue Starting"), "{said}");
        server.stop();
    }
}

mod gsasl {
    use super::*;

    /// The library that most programs speak SCRAM with. Its program begins TLS before EHLO, so in clear text.
    #[test]
    fn logs_in_by_every_mechanism() {
        let site = Site::new("");
        site.add_user("alice@example.test", "pencil");
        let open = "auth = \"required\"\nauth_allow_plaintext = true\n";
        site.configure_listener(open, USERS);
        let server = site.start();
        let address = server.address();
        for mechanism in ["SCRAM-SHA-256", "PLAIN", "LOGIN"] {
            let said = run(program("gsasl")
                .args(["--smtp", "--no-starttls", "--mechanism", mechanism])
                .args(["--authentication-id", "alice@example.test", "--password", "pencil"])
                .args(["--connect", &format!("{}:{}", address.ip(), address.port())]));
            assert!(said.contains("235 2.7.0"), "{mechanism}: {said}");
        }
        let log = server.stop();
        assert_eq!(log.matching(|line| line.message() == "logged in").len(), 3);
    }
}
