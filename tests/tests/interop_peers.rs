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
    use std::fs::{self, File, Permissions};
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use rustix::process::{Pid, Signal, kill_process_group};
    use stagepost_tests::log::Log;
    use stagepost_tests::peer;
    use stagepost_tests::process::Ended;
    use tempfile::TempDir;

    use super::*;

    /// Two accounts that every Debian has, in the place of those that its installation would make.
    const OWNER: (&str, u32) = ("daemon", 1);
    const GROUP: (&str, u32) = ("games", 60);

    const SERVICES: &str = "\
        postlog unix-dgram n - n - 1 postlogd\n\
        pickup unix n - n 1 1 pickup\n\
        cleanup unix n - n - 0 cleanup\n\
        qmgr unix n - n 300 1 qmgr\n\
        rewrite unix - - n - - trivial-rewrite\n\
        bounce unix - - n - 0 bounce\n\
        defer unix - - n - 0 bounce\n\
        trace unix - - n - 0 bounce\n\
        tlsmgr unix - - n 1000? 1 tlsmgr\n\
        smtp unix - - n - - smtp\n\
        error unix - - n - - error\n\
        retry unix - - n - - error\n\
        scache unix - - n - 1 scache\n";

    /// Where its programs are: unpacked somewhere, or installed.
    fn programs() -> PathBuf {
        let found = peer::need("postfix");
        let unpacked = found.parent().and_then(Path::parent).map(|folder| folder.join("usr"));
        let installed = || PathBuf::from("/usr");
        unpacked
            .filter(|usr| usr.join("lib/postfix/sbin/master").exists())
            .unwrap_or_else(installed)
    }

    fn libraries(usr: &Path) -> String {
        let entries = fs::read_dir(usr.join("lib")).expect("libraries");
        let folders =
            entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_dir());
        let folders: Vec<_> = folders.map(|folder| folder.display().to_string()).collect();
        folders.join(":")
    }

    /// A Postfix of its own: everything of it is in one folder.
    struct Postfix {
        folder: TempDir,
        usr: PathBuf,
    }

    impl Postfix {
        /// Relays to `server`, over TLS only, and only to whoever has the certificate of `site`.
        fn new(site: &Site, server: &Server) -> Self {
            let usr = programs();
            // Its programs run as somebody else, who must get there.
            let folder = tempfile::Builder::new().prefix("postfix").tempdir_in("/tmp");
            let folder = folder.expect("a temporary folder");
            let path = folder.path();
            fs::set_permissions(path, Permissions::from_mode(0o755)).expect("our own folder");
            for name in ["etc", "queue", "data"] {
                fs::create_dir(path.join(name)).expect("a folder of our own");
            }
            chown(path.join("data"), Some(OWNER.1), None).expect("we are root");
            let queues = "active bounce corrupt defer deferred flush hold incoming private maildrop public pid saved trace";
            for name in queues.split(' ') {
                let queue = path.join("queue").join(name);
                fs::create_dir(&queue).expect("a folder of our own");
                if name != "pid" {
                    chown(&queue, Some(OWNER.1), Some(GROUP.1)).expect("we are root");
                }
            }
            let certificate = site.path().join("tls/mx.example.test.crt");
            fs::copy(certificate, path.join("etc/trusted.crt")).expect("a certificate");
            let (etc, libraries) = (path.join("etc"), libraries(&usr));
            let main = format!(
                "compatibility_level = 3.7\n\
                 queue_directory = {path}/queue\ndata_directory = {path}/data\nmeta_directory = {path}/etc\n\
                 daemon_directory = {usr}/lib/postfix/sbin\ncommand_directory = {usr}/sbin\n\
                 shlib_directory = {usr}/lib/postfix\n\
                 mail_owner = {}\nsetgid_group = {}\ndefault_privs = nobody\n\
                 import_environment = MAIL_CONFIG LD_LIBRARY_PATH={libraries}\n\
                 export_environment = MAIL_CONFIG LD_LIBRARY_PATH={libraries}\n\
                 inet_interfaces = loopback-only\ninet_protocols = ipv4\n\
                 myhostname = relay.client.test\nmydestination =\nalias_maps =\nlocal_recipient_maps =\n\
                 relayhost = [127.0.0.1]:{}\nsmtp_host_lookup = native\n\
                 smtp_tls_security_level = verify\nsmtp_tls_CAfile = {path}/etc/trusted.crt\n\
                 smtp_tls_verify_cert_match = mx.example.test\nsmtp_tls_loglevel = 1\n\
                 maillog_file = /dev/stdout\n",
                OWNER.0,
                GROUP.0,
                server.address().port(),
                path = path.display(),
                usr = usr.display(),
            );
            for (name, text) in
                [("main.cf", main.as_str()), ("master.cf", SERVICES), ("dynamicmaps.cf", "")]
            {
                fs::write(etc.join(name), text).expect("a file of our own");
            }
            Self { folder, usr }
        }

        fn command(&self, program: &str) -> Command {
            let mut command = Command::new(self.usr.join(program));
            command.env("MAIL_CONFIG", self.folder.path().join("etc"));
            command.env("LD_LIBRARY_PATH", libraries(&self.usr)).current_dir(self.folder.path());
            command
        }

        /// Puts a message into its queue.
        fn submit(&self, text: &str, recipients: &[&str]) {
            let file = self.folder.path().join("message");
            File::create(&file)
                .and_then(|mut file| file.write_all(text.as_bytes()))
                .expect("a file");
            let mut sendmail = self.command("sbin/sendmail");
            sendmail.args(["-f", "a@client.test", "--"]).args(recipients);
            run(sendmail.stdin(File::open(file).expect("a file of our own")));
        }

        /// Starts it; it is ended with all of its processes.
        fn start(&self) -> Running {
            let mut master = self.command("lib/postfix/sbin/master");
            let child = master
                .arg("-d")
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .process_group(0)
                .spawn();
            let mut child = child.expect("the program starts");
            let (log, _) = Log::follow(child.stdout.take().expect("stdout is piped"));
            Running { child: Ended(child), log }
        }
    }

    struct Running {
        child: Ended,
        log: Log,
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let group = i32::try_from(self.child.0.id()).ok().and_then(Pid::from_raw);
            // It leads a group of its own.
            let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        }
    }

    #[test]
    fn relays_mails_with_tls() {
        let site = with_tls();
        let server = site.start();
        let postfix = Postfix::new(&site, &server);
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
