//! Other people's mail servers as next hops of the real server, and as servers of mailboxes behind it.
//! A module holds the tests of the program of its name; `cargo verify` skips those that can't be had.

use std::net::SocketAddr;

use stagepost_tests::log::Line;
use stagepost_tests::server::{Server, Site};
use stagepost_tests::sink::Closed;

/// What is tried in vain is tried again soon: a peer may need a moment until it is up.
const RETRY: &str = "[queue]\nretry_first = \"1s\"\nretry_max = \"1s\"\n";

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    Closed::reserve().address()
}

fn delivered(line: &Line) -> bool {
    line.message() == "delivered"
}

/// Hands in one message for some recipients.
fn hand_in(server: &Server, recipients: &[&str], text: &str) {
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@example.test> BODY=8BITMIME", 250);
    for recipient in recipients {
        client.say(&format!("RCPT TO:<{recipient}>"), 250);
    }
    client.say("DATA", 354);
    client.send(text.as_bytes());
    client.say(".", 250);
}

mod postfix {
    use std::fs;

    use stagepost_tests::authority::Authority;
    use stagepost_tests::postfix::{Postfix, Running};

    use super::*;

    const USERS: [&str; 2] = ["b", "c"];

    /// One that keeps the mail of two users, at an address.
    fn keeping(address: SocketAddr, further: &str) -> Postfix {
        let boxes = USERS.map(|user| format!("{{{user}@hop.test = {user}/}}"));
        let main = format!(
            "myhostname = hop.test\nvirtual_mailbox_domains = hop.test\n\
             virtual_mailbox_base = FOLDER/mail\nvirtual_mailbox_maps = inline:{{{}}}\n\
             virtual_uid_maps = static:1\nvirtual_gid_maps = static:1\nvirtual_minimum_uid = 1\n\
             smtpd_relay_restrictions = reject_unauth_destination\nmynetworks =\n{further}",
            boxes.join(", ")
        );
        let services = format!("{address} inet n - n - - smtpd\nvirtual unix - n n - - virtual\n");
        Postfix::new(&main, &services)
    }

    fn mail(postfix: &Postfix, user: &str) -> Vec<String> {
        let entries = fs::read_dir(postfix.path().join("mail").join(user).join("new"));
        let read = |entry: std::io::Result<fs::DirEntry>| {
            let octets = fs::read(entry.expect("an entry").path()).expect("a message");
            String::from_utf8_lossy(&octets).into_owned()
        };
        entries.map_or_else(|_| Vec::new(), |entries| entries.map(read).collect())
    }

    fn kept(postfix: &Running, count: usize) {
        let is_kept = |line: &Line| {
            line.as_str().contains("relay=virtual, ") && line.as_str().contains("status=sent")
        };
        postfix.log.wait_for_count("mail in the boxes", count, is_kept);
    }

    fn routed(address: SocketAddr, further: &str) -> Site {
        let site = Site::new("");
        let route = format!(
            "[[route]]\ndomain = \"hop.test\"\nnext_hop = \"localhost:{}\"\n",
            address.port()
        );
        site.configure(&format!("{RETRY}{route}{further}"));
        site
    }

    /// Small ones by BDAT with their envelope, large ones behind DATA; with dots, 8-bit octets and long lines.
    #[test]
    fn takes_mails_of_any_size() {
        let address = free_port();
        let postfix = keeping(address, "smtputf8_enable = no\n");
        let running = postfix.start();
        let site = routed(address, "");
        let server = site.start();
        let sizes = [0, 10, 5_000, 60_000, 70_000, 3_000_000];
        for (number, size) in sizes.into_iter().enumerate() {
            let line = format!("{}\r\n", "x".repeat(70));
            let text = format!(
                "Subject: number {number}\r\n\r\nGr\u{fc}\u{df}e.\r\n..dot\r\n...two\r\n{}end\r\n",
                line.repeat(size / line.len())
            );
            hand_in(&server, &["b@hop.test", "c@hop.test"], &text);
        }
        server.log().wait_for_count("the deliveries", 2 * sizes.len(), delivered);
        kept(&running, 2 * sizes.len());
        for user in USERS {
            let mut lengths: Vec<usize> = Vec::new();
            for text in mail(&postfix, user) {
                assert!(
                    text.contains("\n\nGr\u{fc}\u{df}e.\n.dot\n..two\n")
                        && text.ends_with("\nend\n"),
                    "{text:.600}"
                );
                lengths.push(text.matches("\nxxxx").count());
            }
            lengths.sort_unstable();
            assert_eq!(lengths, sizes.map(|size| size / 72));
        }
        // It tells of each session what was said in it: no command failed, and chunks were used.
        server.stop();
        let ended = |line: &Line| line.as_str().contains("disconnect from");
        let sessions = running.log.matching(ended);
        assert!(sessions.iter().any(|line| line.as_str().contains(" bdat=")), "{sessions:?}");
        assert!(sessions.iter().any(|line| line.as_str().contains(" data=")), "{sessions:?}");
    }

    #[test]
    fn takes_mails_with_tls_from_who_checks_its_certificate() {
        let address = free_port();
        let tls = "smtpd_tls_security_level = encrypt\nsmtpd_tls_cert_file = FOLDER/etc/hop.crt\n\
                   smtpd_tls_key_file = FOLDER/etc/hop.key\nsmtpd_tls_received_header = yes\n\
                   smtpd_tls_loglevel = 1\n";
        let postfix = keeping(address, tls);
        let site =
            routed(address, "tls = \"verified\"\n[delivery]\ntls_roots = \"tls/localhost.crt\"\n");
        site.certify("localhost");
        for end in ["crt", "key"] {
            let file = site.path().join(format!("tls/localhost.{end}"));
            postfix.keep(&file, &format!("hop.{end}"));
        }
        let running = postfix.start();
        let server = site.start();
        for number in 0..3 {
            hand_in(&server, &["b@hop.test"], &format!("Subject: {number}\r\n\r\nHello.\r\n"));
        }
        server.log().wait_for_count("the deliveries", 3, delivered);
        kept(&running, 3);
        let mail = mail(&postfix, "b").concat();
        assert_eq!(mail.matches("(using TLSv1.3 with cipher ").count(), 3, "{mail}");
        assert_eq!(mail.matches("with ESMTPS id ").count(), 3, "{mail}");
        server.stop();
    }

    /// What a Postfix shows, and its clients believe.
    struct Shown {
        names: &'static [&'static str],
        until: i32,
        believed: bool,
        offers_tls: bool,
    }

    /// A mail for such a Postfix, by a route with this `tls`: what the operator is told of it when it waits, and what Postfix has logged then.
    fn sent_to(shown: &Shown, tls: &str) -> Option<(String, String)> {
        let (authority, other) = (Authority::new(), Authority::new());
        let address = free_port();
        let level = if shown.offers_tls { "may" } else { "none" };
        let settings = format!(
            "smtpd_tls_security_level = {level}\nsmtpd_tls_chain_files = FOLDER/etc/hop.pem\n\
             smtpd_tls_received_header = yes\nsmtpd_tls_loglevel = 1\n"
        );
        let postfix = keeping(address, &settings);
        let (chain, key) = authority.pem_until(shown.names, shown.until);
        fs::write(postfix.path().join("etc/hop.pem"), key + &chain).expect("a file of our own");
        let running = postfix.start();
        running.log.wait_for("its start", |line| line.as_str().contains("daemon started"));
        let site =
            routed(address, &format!("tls = \"{tls}\"\n[delivery]\ntls_roots = \"roots.pem\"\n"));
        let roots = if shown.believed { &authority } else { &other };
        fs::write(site.path().join("roots.pem"), roots.pem()).expect("a file of our own");
        let server = site.start();
        hand_in(&server, &["b@hop.test"], "Subject: for one alone\r\n\r\nHello.\r\n");
        let tried = |line: &Line| delivered(line) || line.message() == "deferred";
        let tried = server.log().wait_for("an attempt", tried);
        if delivered(&tried) {
            kept(&running, 1);
            let mail = mail(&postfix, "b").concat();
            assert_eq!(mail.matches("(using TLSv1.3 with cipher ").count(), 1, "{mail}");
            server.stop();
            return None;
        }
        let id = tried.text("id").to_owned();
        let explain = ["queue", "explain", &id, "--socket", "state/admin.sock"];
        let explained = || {
            let output = site.run(&explain);
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        };
        // It is settled a moment after the log has told of it.
        let settled = (0..1000).map(|_| explained()).find(|said| said.contains("4.7."));
        let left = |line: &Line| line.as_str().contains("disconnect from");
        let left = running.log.wait_for("the end of the session", left).as_str().to_owned();
        server.stop();
        Some((settled.unwrap_or_else(explained), left))
    }

    /// Nothing is said of a mail to one that is not who it should be, and the operator reads who wants what of whom.
    #[test]
    fn gets_no_mail_that_is_for_who_shows_another_certificate() {
        let good =
            || Shown { names: &["localhost"], until: 2100, believed: true, offers_tls: true };
        let verified = "wanted by the route (tls = \"verified\")";
        let required = "wanted by the route (tls = \"required\")";
        for (shown, tls, why) in [
            (good(), "verified", None),
            (Shown { believed: false, ..good() }, "required", None),
            (Shown { until: 2010, ..good() }, "opportunistic", None),
            (
                Shown { believed: false, ..good() },
                "verified",
                Some(("nobody who is believed vouches for the server's certificate", verified)),
            ),
            (Shown { until: 2010, ..good() }, "verified", Some(("certificate expired", verified))),
            (
                Shown { names: &["else.test"], ..good() },
                "verified",
                Some(("certificate not valid for name \"localhost\"", verified)),
            ),
            (
                Shown { offers_tls: false, ..good() },
                "required",
                Some(("TLS is required, and the server does not offer it", required)),
            ),
        ] {
            let waits = sent_to(&shown, tls);
            let Some((why, who)) = why else {
                assert_eq!(waits, None, "{tls}");
                continue;
            };
            let (explained, left) = waits.expect("it is delivered");
            for wanted in [why, who, "localhost:"] {
                assert!(explained.contains(wanted), "{wanted:?} is not in {explained}");
            }
            // Postfix counts what was said in a session.
            assert!(left.contains(" ehlo=1 ") && !left.contains("mail="), "{left}");
        }
    }

    /// One of two is refused: its sender is told by whom, the other has the message.
    #[test]
    fn refuses_one_recipient_of_two() {
        let address = free_port();
        let postfix = keeping(address, "");
        let running = postfix.start();
        let site = routed(address, "");
        let server = site.start();
        hand_in(&server, &["nobody@hop.test", "b@hop.test"], "Subject: two\r\n\r\nHello.\r\n");
        kept(&running, 1);
        let told = |line: &Line| delivered(line) && line.text("recipient") == "a@example.test";
        server.log().wait_for("the notification", told);
        let notification = site.mail("a").concat();
        let notification = String::from_utf8_lossy(&notification);
        let wanted = "Final-Recipient: rfc822; nobody@hop.test\nAction: failed\nStatus: 5.1.1\n";
        assert!(notification.contains(wanted), "{notification}");
        assert!(
            notification.contains("Diagnostic-Code: smtp; 550 5.1.1 <nobody@hop.test>: "),
            "{notification}"
        );
        assert_eq!(mail(&postfix, "b").len(), 1);
        server.stop();
    }
}

mod dovecot {
    use stagepost_tests::dovecot::Dovecot;

    use super::*;

    fn behind(lmtp: &str) -> Site {
        let site = Site::new("");
        let domain = format!(
            "[[local_domain]]\nname = \"boxes.test\"\nmailboxes = \"any\"\nlmtp = \"{lmtp}\"\n"
        );
        site.configure(&format!("{RETRY}{domain}"));
        site
    }

    /// Over a port and over a socket, with a reply for each recipient of one message.
    #[test]
    fn keeps_mails_and_answers_for_each_recipient() {
        let address = free_port();
        let dovecot = Dovecot::new(address, &["b", "c", "full"]);
        dovecot.spoil("full");
        let _running = dovecot.start();
        let socket = dovecot.path().join("run/lmtp").display().to_string();
        for (number, lmtp) in [address.to_string(), socket].iter().enumerate() {
            let site = behind(lmtp);
            let server = site.start();
            let recipients =
                ["b@boxes.test", "nobody@boxes.test", "full@boxes.test", "c@boxes.test"];
            hand_in(&server, &recipients, &format!("Subject: {number}\r\n\r\nHello.\r\n..dot\r\n"));
            let outcome = |outcome: &'static str, user: &'static str| {
                move |line: &Line| {
                    line.message() == outcome
                        && line.text("recipient") == format!("{user}@boxes.test")
                }
            };
            for user in ["b", "c"] {
                server.log().wait_for("a delivery", outcome("delivered", user));
                let mail = dovecot.mail(user);
                assert_eq!(mail.len(), number + 1);
                assert!(
                    mail.iter()
                        .all(|text| text.replace("\r\n", "\n").ends_with("\n\nHello.\n.dot\n")),
                    "{mail:?}"
                );
            }
            let refused = server.log().wait_for("a refusal", outcome("undeliverable", "nobody"));
            assert!(refused.text("reply").contains("550 5.1.1 <nobody@boxes.test>"), "{refused:?}");
            let full = server.log().wait_for("a deferral", outcome("deferred", "full"));
            assert!(full.text("reply").contains(" 451 4."), "{full:?}");
            let shown = site.run(&[
                "queue",
                "list",
                "--destination",
                "boxes.test",
                "--config",
                "stagepost.toml",
            ]);
            let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
            assert_eq!(
                shown.lines().count(),
                2,
                "only the message of the full box is left:\n{shown}"
            );
            server.stop();
        }
    }

    /// Many messages of many clients, some of them too large for a batch.
    #[test]
    fn keeps_many_mails() {
        let address = free_port();
        let dovecot = Dovecot::new(address, &["b", "c"]);
        let _running = dovecot.start();
        let site = behind(&address.to_string());
        let server = site.start();
        let mut client = server.greeted();
        for number in 0..60 {
            let size = if number % 20 == 0 { 200_000 } else { 2000 };
            let line = format!("{}\r\n", "x".repeat(70));
            let text = format!("Subject: {number}\r\n\r\n{}", line.repeat(size / line.len()));
            let user = if number % 2 == 0 { "b" } else { "c" };
            let reply = client.deliver("a@client.test", &format!("{user}@boxes.test"), &text);
            assert_eq!(reply.code, 250, "{reply}");
        }
        server.log().wait_for_count("the deliveries", 60, delivered);
        for user in ["b", "c"] {
            assert_eq!(dovecot.mail(user).len(), 30);
        }
        server.stop();
    }
}

mod smtp_sink {
    use std::process::Command;
    use std::thread;

    use stagepost_tests::peer;
    use stagepost_tests::process::Ended;

    use super::*;

    fn sink(further: &[&str], address: SocketAddr) -> Ended {
        let mut sink = Command::new(peer::need("smtp-sink"));
        if rustix::process::geteuid().is_root() {
            // It asks for a user then.
            sink.args(["-u", "root"]);
        }
        sink.args(further).args([&address.to_string(), "64"]);
        Ended(sink.spawn().expect("the program runs"))
    }

    /// Pipelined; on connections that serve many messages, and no more of them at once than the route lets.
    #[test]
    fn takes_a_thousand_mails() {
        const MESSAGES: usize = 1000;
        let address = free_port();
        let _sink = sink(&[], address);
        let route =
            format!("{RETRY}[[route]]\ndomain = \"@relayed.test\"\nnext_hop = \"{address}\"\n");
        let site = Site::new(&route);
        let server = site.start();
        let clients: Vec<_> = (0..8)
            .map(|part| {
                let mut client = server.greeted();
                thread::spawn(move || {
                    for number in (part..MESSAGES).step_by(8) {
                        let recipient = format!("b@d{}.relayed.test", number % 50);
                        let text = format!("Subject: {number}\r\n\r\nHello.\r\n");
                        let reply = client.deliver("a@client.test", &recipient, &text);
                        assert_eq!(reply.code, 250, "{reply}");
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().expect("a client of the test"));
        server.log().wait_for_count("the deliveries", MESSAGES, delivered);
        let status = site.run(&["status", "--config", "stagepost.toml"]);
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        assert!(status.contains("queue     0 messages"), "{status}");
        server.stop();
    }

    /// It says 451 to every message: there are fewer attempts at once, and nothing is lost.
    #[test]
    fn gets_less_when_it_wants_less() {
        let address = free_port();
        let busy = sink(&["-r", "DATA"], address);
        let route = format!("[[route]]\ndomain = \"relayed.test\"\nnext_hop = \"{address}\"\n");
        let site = Site::new(&route);
        let server = site.start();
        let mut client = server.greeted();
        for number in 0..20 {
            let text = format!("Subject: {number}\r\n\r\nHello.\r\n");
            client.deliver("a@client.test", "b@relayed.test", &text);
        }
        server.log().wait_for("a deferral", |line| line.message() == "deferred");
        let allowed = || {
            let metrics = site.run(&["metrics", "--config", "stagepost.toml"]);
            let metrics = String::from_utf8_lossy(&metrics.stdout).into_owned();
            let name = format!("stagepost_lane_allowed{{lane=\"{address}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&name)).map(str::to_owned);
            line.expect("a figure of the lane")
        };
        assert!((0..1000).any(|_| allowed() == "1"), "{}", allowed());
        drop(busy);
        server.stop();
    }
}
