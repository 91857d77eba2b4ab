//! Another's directory in LDAP and the real server: who has a mailbox, in which groups they are, and what becomes of mail while
//! the directory is away. `cargo verify` skips what can't be had.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod slapd {
    use std::fs;
    use std::process::Output;

    use stagepost_tests::client::Client;
    use stagepost_tests::log::Line;
    use stagepost_tests::plugin::build_rust;
    use stagepost_tests::scram::base64;
    use stagepost_tests::server::{self, Server, Site, plugin_section};
    use stagepost_tests::slapd::{SUFFIX, Slapd, group, person};

    const DOMAIN: &str = "[[local_domain]]\nname = \"corp.test\"\nmailboxes = \"ldap\"\n";

    /// Two people, in groups that are in groups, and in each other.
    fn entries() -> String {
        [
            person("alice", "mail: a.lice@corp.test\n"),
            person("bob", ""),
            group("staff", &["alice"]),
            group("all", &["cn=staff", "cn=round"]),
            group("round", &["cn=all"]),
        ]
        .concat()
    }

    /// A server whose domain `corp.test` is in a directory; built first, since a directory is ended in time.
    fn started(site: &Site, slapd: &Slapd, further: &str) -> Server {
        site.configure(&format!("{}{DOMAIN}{further}", slapd.section(site.path())));
        site.start()
    }

    /// What RCPT is answered.
    fn rcpt(client: &mut Client, recipient: &str) -> String {
        client.ask(&format!("RCPT TO:<{recipient}>")).to_string()
    }

    fn begun(server: &Server) -> Client {
        let mut client = server.greeted();
        client.say("MAIL FROM:<a@client.test>", 250);
        client
    }

    fn reload(site: &Site) -> Output {
        site.run(&["reload", "--config", "stagepost.toml"])
    }

    #[test]
    fn recipients_are_those_of_the_directory() {
        server::program();
        let (site, mut slapd) = (Site::new(""), Slapd::start(&entries(), None));
        let server = started(&site, &slapd, "");
        let mut client = begun(&server);
        for (recipient, wanted) in [
            ("alice@corp.test", "250 "),
            ("ALICE@Corp.Test", "250 "),
            ("a.lice@corp.test", "250 "),
            ("\"bob\"@corp.test", "250 "),
            ("carol@corp.test", "550 5.1.1"),
            ("postmaster@corp.test", "250 "),
            // What has a meaning in filters is a value here (RFC 4515 section 3).
            ("*@corp.test", "550 5.1.1"),
            ("al*@corp.test", "550 5.1.1"),
            ("\"x)(mail=*\"@corp.test", "550 5.1.1"),
            ("\"x)(|(mail=alice@corp.test)(mail=\"@corp.test", "550 5.1.1"),
            ("\"\\\\2a\"@corp.test", "550 5.1.1"),
        ] {
            let reply = rcpt(&mut client, recipient);
            assert!(reply.starts_with(wanted), "{recipient}: {reply}");
        }
        client.say("DATA", 354);
        client.send(b"Subject: x\r\n\r\nHello.\r\n");
        client.say(".", 250);
        server.log().wait_for("the delivery", |line| line.message() == "delivered");
        server.stop();
        let searches = slapd.end();
        let of = |part: &str| searches.iter().filter(|filter| filter.contains(part)).count();
        // What is known is not asked again, however it is written; the postmaster is not asked about.
        assert_eq!((of("(mail=alice@corp.test)"), of("postmaster")), (1, 0), "{searches:?}");
        assert!(searches.iter().all(|filter| filter.starts_with("(&(objectClass=person)(mail=")));
        assert_eq!(of("mail=*"), 0, "{searches:?}");
    }

    #[test]
    fn trouble_is_no_refusal_and_passes() {
        server::program();
        let (site, mut slapd) = (Site::new(""), Slapd::start(&entries(), None));
        let server = started(&site, &slapd, "");
        let mut client = begun(&server);
        assert!(rcpt(&mut client, "alice@corp.test").starts_with("250 "));
        slapd.end();
        // What it has said stays true for a while.
        assert!(rcpt(&mut client, "alice@corp.test").starts_with("250 "));
        for recipient in ["bob@corp.test", "carol@corp.test"] {
            let reply = rcpt(&mut client, recipient);
            assert!(reply.starts_with("451 4.4.3"), "{recipient}: {reply}");
        }
        server.log().wait_for("trouble", |line| line.message().starts_with("trouble with LDAP: "));
        slapd.add(&person("carol", ""));
        slapd.begin();
        // A reload has it all forgotten.
        let reloaded = reload(&site);
        assert!(reloaded.status.success(), "{}", String::from_utf8_lossy(&reloaded.stderr));
        let mut client = begun(&server);
        for recipient in ["alice@corp.test", "bob@corp.test", "carol@corp.test"] {
            let reply = rcpt(&mut client, recipient);
            assert!(reply.starts_with("250 "), "{recipient}: {reply}");
        }
        server.stop();
    }

    #[test]
    fn a_wrong_password_is_trouble_and_is_told() {
        server::program();
        let (site, slapd) = (Site::new(""), Slapd::start(&entries(), None));
        let section = slapd.section(site.path());
        fs::write(site.path().join("ldap-password"), "wrong\n").unwrap();
        site.configure(&format!("{section}{DOMAIN}"));
        let server = site.start();
        let reply = rcpt(&mut begun(&server), "alice@corp.test");
        assert!(reply.starts_with("451 4.4.3"), "{reply}");
        let line = server.log().wait_for("trouble", |line| line.message().contains("code 49"));
        assert!(!line.as_str().contains("wrong"), "{}", line.as_str());
        server.stop();
    }

    #[test]
    fn tls_is_begun_and_the_certificate_is_checked() {
        server::program();
        let site = Site::new("");
        let certificate = site.certify("localhost");
        let slapd = Slapd::start(&entries(), Some(&certificate));
        let roots = "tls_roots = \"tls/localhost.crt\"\n";
        for (section, wanted) in [
            (slapd.secure_section(site.path(), "localhost") + roots, "250 "),
            (slapd.starttls_section(site.path(), "localhost") + roots, "250 "),
            // Another name than the certificate's, and certificates that do not vouch for it.
            (slapd.secure_section(site.path(), "127.0.0.1") + roots, "451 4.4.3"),
            (slapd.starttls_section(site.path(), "localhost"), "451 4.4.3"),
        ] {
            site.configure(&format!("{section}{DOMAIN}"));
            let server = site.start();
            let reply = rcpt(&mut begun(&server), "alice@corp.test");
            assert!(reply.starts_with(wanted), "{section}: {reply}");
            server.stop();
        }
    }

    fn alias(name: &str, targets: &[&str]) -> String {
        let member = |target: &&str| format!("rfc822MailMember: {target}\n");
        let members: String = targets.iter().map(member).collect();
        format!(
            "dn: cn={name},ou=groups,{SUFFIX}\nobjectClass: nisMailAlias\ncn: {name}\n{members}\n"
        )
    }

    #[test]
    fn an_address_that_several_have_is_refused_or_all_of_theirs() {
        server::program();
        let shared = "mail: both@corp.test\n";
        let entries =
            [person("alice", shared), person("bob", shared), alias("two", &["both", "alice"])];
        let (site, slapd) = (Site::new(""), Slapd::start(&entries.concat(), None));
        let section = slapd.section(site.path())
            + "mailbox_attribute = \"uid\"\nalias_filter = \"(&(objectClass=nisMailAlias)(cn={local}))\"\n";
        for (further, both) in [("", "550 5.1.4"), ("ambiguous = \"all\"\n", "250 ")] {
            site.configure(&format!("{section}{further}{DOMAIN}"));
            let server = site.start();
            let mut client = begun(&server);
            for (recipient, wanted) in
                [("both@corp.test", both), ("two@corp.test", "250 "), ("alice@corp.test", "250 ")]
            {
                let reply = rcpt(&mut client, recipient);
                assert!(reply.starts_with(wanted), "{further}{recipient}: {reply}");
            }
            let explain = ["address", "explain", "both@corp.test", "--config", "stagepost.toml"];
            let output = site.run(&explain);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            match further {
                "" => assert!(said.contains("refused at RCPT (ambiguous)\n"), "{said}"),
                _ => assert!(
                    said.contains("alice@corp.test  gets it")
                        && said.contains("bob@corp.test    gets it"),
                    "{said}"
                ),
            }
            server.stop();
        }
    }

    /// What was said about the first is forgotten before the last is asked about.
    #[test]
    fn an_alias_may_have_more_in_it_than_are_remembered() {
        server::program();
        let names: Vec<String> = (0..130).map(|number| format!("u{number}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let people: String = all.iter().map(|name| person(name, "")).collect();
        let entries = people + &alias("all", &all);
        let (site, mut slapd) = (Site::new(""), Slapd::start(&entries, None));
        let section = slapd.section(site.path())
            + "kept_max = 100\nalias_filter = \"(&(objectClass=nisMailAlias)(cn={local}))\"\n";
        site.configure(&format!("{section}{DOMAIN}"));
        let server = site.start();
        let mut client = begun(&server);
        let reply = rcpt(&mut client, "all@corp.test");
        assert!(reply.starts_with("250 "), "{reply}");
        // Each by two filters, once.
        assert_eq!(slapd.end().len(), 2 * 131);
        server.stop();
    }

    /// What the directory says today makes no file wrong: a reload is as good as a start.
    #[test]
    fn a_circle_that_goes_through_the_directory_is_no_fault_of_the_file() {
        server::program();
        let (site, slapd) = (Site::new(""), Slapd::start(&entries(), None));
        fs::write(site.path().join("aliases"), "sales: lost\n@corp.test: sales\n").unwrap();
        site.configure(&format!("{}{DOMAIN}", slapd.section(site.path())));
        let text = fs::read_to_string(site.path().join("stagepost.toml")).unwrap();
        site.write_config(&format!("aliases_file = \"aliases\"\n{text}"));
        let server = site.start();
        // Nobody is called so, and who has the rest of the domain is behind it again.
        let reply = rcpt(&mut begun(&server), "sales@corp.test");
        assert!(reply.starts_with("451 4.4.3"), "{reply}");
        let reloaded = reload(&site);
        assert!(reloaded.status.success(), "{}", String::from_utf8_lossy(&reloaded.stderr));
        server.stop();
    }

    #[test]
    fn aliases_and_groups_of_the_directory_get_mail() {
        server::program();
        let team = group("team", &["alice", "cn=inner", "gone"]).replace(
            "objectClass: groupOfNames\n",
            "objectClass: groupOfNames\nobjectClass: extensibleObject\nmail: team@corp.test\n",
        );
        let entries = [
            entries(),
            person("carol", "description: c@corp.test\n"),
            alias("info", &["alice", "bob@corp.test", "nobody"]),
            alias("r1", &["r2"]),
            alias("r2", &["r1@corp.test"]),
            team,
            group("inner", &["bob", "cn=team"]),
        ];
        let (site, slapd) = (Site::new(""), Slapd::start(&entries.concat(), None));
        let further = "user_filter = \"(&(objectClass=person)(|(mail={address})(description={address})))\"\n\
            alias_filter = \"(|(&(objectClass=nisMailAlias)(cn={local}))(&(objectClass=groupOfNames)(mail={address})))\"\n";
        let domain = format!("{DOMAIN}sub_address = \"+\"\nmaildir = \"corp\"\n");
        site.configure(&format!("{}{further}{domain}", slapd.section(site.path())));
        let server = site.start();
        let mut client = begun(&server);
        for (recipient, wanted) in [
            ("info@corp.test", "250 "),
            ("team@corp.test", "250 "),
            ("team+x@corp.test", "250 "),
            ("c@corp.test", "250 "),
            ("alice+news@corp.test", "250 "),
            ("r1@corp.test", "451 4.4.3"),
            ("inner@corp.test", "550 5.1.1"),
            ("nobody+x@corp.test", "550 5.1.1"),
        ] {
            let reply = rcpt(&mut client, recipient);
            assert!(reply.starts_with(wanted), "{recipient}: {reply}");
        }
        client.say("DATA", 354);
        client.send(b"Subject: to all\r\n\r\nHello.\r\n");
        client.say(".", 250);
        for name in ["alice", "bob", "carol"] {
            let recipient = format!("{name}@corp.test");
            server.log().wait_for(&recipient, |line| {
                line.message() == "delivered" && line.text("recipient") == recipient
            });
            let mail = fs::read_dir(site.path().join("corp").join(name).join("new")).unwrap();
            assert_eq!(mail.count(), 1, "{name}");
        }
        let said = |address: &str| {
            let output = site.run(&["address", "explain", address, "--config", "stagepost.toml"]);
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        };
        for (address, wanted) in [
            (
                "team@corp.test",
                "team@corp.test   alias in LDAP  -> alice@corp.test\n                                -> bob@corp.test\n",
            ),
            ("c@corp.test", "c@corp.test      mailbox in LDAP  -> carol@corp.test\n"),
            ("info@corp.test", "nobody@corp.test  left out       nobody is behind it\n"),
            (
                "r2@corp.test",
                "aliases go round in a circle: r2@corp.test -> r1@corp.test -> r2@corp.test\ndeferred at RCPT (unavailable)\n",
            ),
        ] {
            let explained = said(address);
            assert!(explained.contains(wanted), "{address}: {wanted}\n{explained}");
        }
        server.stop();
    }

    const LOGINS: &str = "auth = \"offered\"\nauth_allow_plaintext = true\nauth_ldap = true\n";

    /// A server whose users are in a directory.
    fn with_logins(site: &Site, section: &str) -> Server {
        let auth = "[auth]\nfailure_delay = \"0s\"\nfailures_per_user_max = 100\n";
        site.configure_listener(LOGINS, &format!("{section}{auth}"));
        site.start()
    }

    /// What AUTH PLAIN is answered, each time in a session of its own.
    fn plain(server: &Server, name: &str, password: &str) -> u16 {
        let response = base64(format!("\0{name}\0{password}").as_bytes());
        server.greeted().ask(&format!("AUTH PLAIN {response}")).code
    }

    #[test]
    fn users_log_in_as_their_entries() {
        server::program();
        let nobody = person("nobody", "").replace("userPassword: nobody-secret\n", "");
        let twin = person("twin", "uid: alice2\n");
        let twins = format!("{}{twin}", person("alice2", ""));
        let entries = format!("{}{nobody}{twins}", entries());
        let (site, mut slapd) = (Site::new(""), Slapd::start(&entries, None));
        let server = with_logins(&site, &slapd.section(site.path()));
        let offered = server.connect().ask("EHLO client.test").to_string();
        // Nobody has keys of these users, so SCRAM could only be refused.
        assert!(offered.contains("AUTH PLAIN LOGIN") && !offered.contains("SCRAM"), "{offered}");
        for (name, password, wanted) in [
            ("alice", "alice-secret", 235),
            ("ALICE", "alice-secret", 235),
            ("alice", "wrong", 535),
            ("carol", "carol-secret", 535),
            // Two entries: whose would it be?
            ("alice2", "twin-secret", 535),
            ("nobody", "nobody-secret", 535),
            ("*", "alice-secret", 535),
            ("x)(uid=alice", "alice-secret", 535),
            ("alice)(!(cn=x)", "alice-secret", 535),
        ] {
            assert_eq!(plain(&server, name, password), wanted, "{name} {password}");
        }
        // Without a password a directory accepts anybody, as nobody (RFC 4513 section 5.1.2).
        for password in ["", "\u{a0}"] {
            assert!(matches!(plain(&server, "alice", password), 501 | 535), "{password:?}");
        }
        let mut client = server.greeted();
        client.say("AUTH LOGIN", 334);
        client.say(&base64(b"bob"), 334);
        client.say(&base64(b"bob-secret"), 235);
        let logged_in = |line: &Line| line.message() == "logged in";
        let lines = server.log().wait_for_count("the logins", 3, logged_in);
        let names: Vec<_> = lines.iter().map(|line| line.text("identity")).collect();
        assert_eq!(names, ["alice", "alice", "bob"]);
        assert!(slapd.end().iter().all(|filter| !filter.contains("(uid=alice)(!")));
        assert_eq!(plain(&server, "alice", "alice-secret"), 454);
        let log = server.stop();
        assert!(!log.to_string().contains("-secret"), "{log}");
    }

    #[test]
    fn the_name_of_an_entry_can_be_known_without_a_search() {
        server::program();
        let (site, mut slapd) = (Site::new(""), Slapd::start(&entries(), None));
        site.add_user("eve", "pencil");
        let login = format!("login = \"uid={{name}},ou=people,{SUFFIX}\"\n");
        let section = slapd.section(site.path()) + &login;
        let auth = "[auth]\nusers_file = \"users\"\nfailure_delay = \"0s\"\nfailures_per_address_max = 4\n";
        site.configure_listener(LOGINS, &format!("{section}{auth}"));
        let server = site.start();
        for (name, password, wanted) in [
            ("alice", "alice-secret", 235),
            // A user of the file is one of the file's.
            ("eve", "pencil", 235),
            ("eve", "eve-secret", 535),
            ("alice,ou=people", "alice-secret", 535),
            ("carol", "carol-secret", 535),
            ("bob", "wrong", 535),
            // Failed logins count as those of the file's users do: nothing is looked at now.
            ("bob", "bob-secret", 454),
        ] {
            assert_eq!(plain(&server, name, password), wanted, "{name} {password}");
        }
        assert_eq!(slapd.end(), [] as [&str; 0]);
        let metrics = site.run(&["metrics", "--config", "stagepost.toml"]);
        let metrics = String::from_utf8_lossy(&metrics.stdout).into_owned();
        for counted in ["result=\"accepted\"} 2", "result=\"refused\"} 4", "result=\"barred\"} 1"] {
            assert!(metrics.contains(&format!("stagepost_logins_total{{{counted}")), "{metrics}");
        }
        server.stop();
    }

    #[test]
    fn groups_are_those_of_the_directory_through_others_too() {
        let plugin = build_rust("access-control");
        server::program();
        let (site, mut slapd) = (Site::new(""), Slapd::start(&entries(), None));
        let section = "[plugin.config.recipient]\ndeny = [\"ALL\"]\n[plugin.config.sender]\ndeny = [\"round\"]\n";
        let further = plugin_section("access-control", &plugin, section);
        let server = started(&site, &slapd, &further);
        let mut client = begun(&server);
        let reply = rcpt(&mut client, "alice@corp.test");
        assert!(reply.starts_with("550 5.7.1 Recipient rejected"), "{reply}");
        assert!(rcpt(&mut client, "bob@corp.test").starts_with("250 "));
        client.say("RSET", 250);
        client.say("MAIL FROM:<alice@corp.test>", 554);
        client.say("MAIL FROM:<bob@corp.test>", 250);
        let test = ["access", "test", "--ip", "192.0.2.1", "--to"];
        let explained = |to: &str| {
            let output = site.run(&[&test[..], &[to, "--config", "stagepost.toml"]].concat());
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
        };
        let said = explained("alice@corp.test");
        assert!(said.contains("recipient.deny \"ALL\""), "{said}");
        // Each group is looked at once, though they are in each other.
        let searches = slapd.end();
        let of = |part: &str| searches.iter().filter(|filter| filter.contains(part)).count();
        for name in ["uid=alice", "cn=staff", "cn=all", "cn=round"] {
            assert_eq!(of(&format!("(member={name},")), 1, "{name}: {searches:?}");
        }
        // While nobody knows, nobody is refused for good, nor let in.
        assert!(reload(&site).status.success());
        client.say("RSET", 250);
        client.say("MAIL FROM:<carol@corp.test>", 451);
        client.say("MAIL FROM:<>", 250);
        let reply = rcpt(&mut client, "alice@corp.test");
        assert!(reply.starts_with("451 4.3.0 The directory"), "{reply}");
        let log = server.stop();
        let said = log.matching(|line| line.message().contains("refused by recipient.deny"));
        assert_eq!(said.len(), 1, "{log}");
    }
}
