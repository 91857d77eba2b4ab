//! Other people's programs against the real server: scanners that look for open doors, and whole mail servers as clients.
//! A module holds the tests of the program of its name; `cargo verify` skips those that can't be had.

use stagepost_tests::peer::{command as program, run};
use stagepost_tests::server::{Server, Site};

/// A site with a certificate for mx.example.test.
fn with_tls() -> Site {
    let site = Site::new("");
    site.certify("mx.example.test");
    site.configure_tls("", "");
    site
}

/// Waits for so many deliveries, and returns the mail of a user.
fn delivered(site: &Site, server: &Server, count: usize, user: &str) -> String {
    let log = server.log();
    log.wait_for_count("the deliveries", count, |line| line.message() == "delivered");
    String::from_utf8_lossy(&site.mail(user).concat()).into_owned()
}

mod nmap {
    use super::*;

    /// The scripts are for well-known ports; a plus sign has them run on ours.
    fn scan(server: &Server, script: &str) -> String {
        let port = server.address().port().to_string();
        run(program("nmap").args(["-n", "-Pn", "-p", &port, "--script", script, "127.0.0.1"]))
    }

    #[test]
    fn reads_the_commands() {
        let site = with_tls();
        let server = site.start();
        let said = scan(&server, "+smtp-commands");
        let wanted = "smtp-commands: mx.example.test, PIPELINING, 8BITMIME, ENHANCEDSTATUSCODES";
        assert!(said.contains(wanted) && said.contains("STARTTLS"), "{said}");
        server.stop();
    }

    #[test]
    fn finds_no_open_relay() {
        let site = Site::new("");
        let server = site.start();
        let said = scan(&server, "+smtp-open-relay");
        assert!(said.contains("doesn't seem to be an open relay, all tests failed"), "{said}");
        server.stop();
    }

    /// Else nobody could tell that the scan looks at all: here the domain that it asks for is ours.
    #[test]
    fn finds_mail_taken_for_its_own_domain() {
        let further = "[[local_domain]]\nname = \"nmap.scanme.org\"\nmailboxes = \"any\"\nmaildir = \"theirs\"\n";
        let site = Site::new(further);
        let server = site.start();
        let said = scan(&server, "+smtp-open-relay");
        assert!(said.contains("Server is an open relay ("), "{said}");
        server.stop();
    }
}

mod swaks {
    /// Perl's module for TLS.
    mod net_ssleay {
        use super::super::*;

        fn swaks(server: &Server, further: &[&str]) -> String {
            run(program("swaks")
                .args(["--server", &server.address().to_string(), "--helo", "client.example.test"])
                .args(["--from", "a@client.test", "--to", "b@example.test", "--timeout", "30"])
                .args(["--header", "Subject: swaks", "--body", "Hello.\n.dot"])
                .args(further))
        }

        #[test]
        fn sends_mails_with_tls() {
            let site = with_tls();
            let server = site.start();
            for further in [&["--tls"][..], &["--tls", "--pipeline"]] {
                let said = swaks(&server, further);
                assert!(said.contains("=== TLS started with cipher TLSv1.3:"), "{said}");
            }
            let mail = delivered(&site, &server, 2, "b");
            assert_eq!(mail.matches("with ESMTPS id ").count(), 2, "{mail}");
            assert_eq!(mail.matches("\n.dot\n").count(), 2, "{mail}");
            server.stop();
        }
    }
}

mod msmtp {
    use std::fs::{self, File};

    use super::*;

    /// It checks certificate and name, and says nothing in clear text but EHLO and STARTTLS.
    #[test]
    fn sends_a_mail_with_tls() {
        let site = with_tls();
        let server = site.start();
        let message = site.path().join("message");
        fs::write(&message, "Subject: msmtp\n\nHello.\n.dot\n").expect("a file of our own");
        run(program("msmtp")
            .args(["--host=127.0.0.1", &format!("--port={}", server.address().port())])
            .args(["--tls=on", "--tls-starttls=on", "--tls-host-override=mx.example.test"])
            .args(["--tls-trust-file=tls/mx.example.test.crt", "--auth=off", "--timeout=30"])
            .args(["--domain=client.example.test", "--from=a@client.test", "--", "b@example.test"])
            .current_dir(site.path())
            .stdin(File::open(message).expect("a file of our own")));
        let mail = delivered(&site, &server, 1, "b");
        assert!(mail.contains("with ESMTPS id ") && mail.contains("\nHello.\n.dot\n"), "{mail}");
        server.stop();
    }
}

/// The whole mail server as a client that relays everything to ours.
mod postfix {
    use stagepost_tests::postfix::{CLIENT_SERVICES, Postfix};

    use super::*;

    /// Relays to `server`, over TLS only, and only to whoever has the certificate of `site`.
    fn relaying(site: &Site, server: &Server) -> Postfix {
        let trusted = site.path().join("tls/mx.example.test.crt");
        let main = format!(
            "myhostname = relay.client.test\n\
             relayhost = [127.0.0.1]:{}\nsmtp_host_lookup = native\n\
             smtp_tls_security_level = verify\nsmtp_tls_CAfile = FOLDER/etc/trusted.crt\n\
             smtp_tls_verify_cert_match = mx.example.test\nsmtp_tls_loglevel = 1\n",
            server.address().port(),
        );
        let postfix = Postfix::new(&main, CLIENT_SERVICES);
        postfix.keep(&trusted, "trusted.crt");
        postfix
    }

    #[test]
    fn relays_mails_with_tls() {
        let site = with_tls();
        let server = site.start();
        let postfix = relaying(&site, &server);
        let long = "x".repeat(900);
        for number in 0..3 {
            let text = format!("Subject: number {number}\n\nHello.\n.dot\n{long}\n");
            postfix.submit(&text, &["b@example.test", "c@example.test"]);
        }
        postfix.submit("Subject: foreign\n\nHello.\n", &["d@foreign.test"]);
        let running = postfix.start();
        let mail = delivered(&site, &server, 6, "b");
        assert_eq!(mail.matches("with ESMTPS id ").count(), 3, "{mail}");
        assert_eq!(mail.matches("\n.dot\n").count(), 3, "{mail}");
        assert!(mail.contains("from relay.client.test "), "{mail}");
        assert_eq!(site.mail("c").len(), 3);
        // Refused for good, so it knows what to tell the sender.
        let refused = |line: &stagepost_tests::log::Line| {
            let line = line.as_str();
            line.contains("to=<d@foreign.test>") && line.contains("dsn=5.7.1, status=bounced")
        };
        running.log.wait_for("the refusal", refused);
        server.stop();
    }
}
