//! Two sites that are not always joined, each with a server of its own in a network of its own: mail gathers while the line is down,
//! and comes when it is up; a line that is cut in the middle of a call loses nothing and brings nothing twice.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

/// Networks of one's own, joined by a line of one's own.
mod veth {
    use std::collections::BTreeMap;
    use std::fs::{self, Permissions};
    use std::net::{SocketAddr, TcpListener};
    use std::os::unix::fs::PermissionsExt;

    use serde_json::Value;
    use stagepost_tests::client::Client;
    use stagepost_tests::line::{FAR, Line, NEAR};
    use stagepost_tests::log;
    use stagepost_tests::plugin::build_rust;
    use stagepost_tests::server::{Server, Site, plugin_section};

    const NEVER: &str =
        "[plugin.config.connection.schedule]\ntimes = [\"00:00-00:01\"]\nzone = \"UTC\"\n";

    /// A server at one end of the line, and a way to it for the test, which is at none.
    struct Place {
        site: Site,
        server: Server,
        door: SocketAddr,
    }

    impl Place {
        fn start(site: Site, inside: &[String]) -> Self {
            let door = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = door.local_addr().unwrap();
            let server = Server::start_passing_inside(inside, &site, vec![door], "door");
            Self { site, server, door: address }
        }

        fn greeted(&self) -> Client {
            let mut client = Client::connect(self.door);
            client.expect(220);
            client.say("EHLO client.test", 250);
            client
        }

        /// Hands in a message for a recipient, whose subject is its sender.
        fn leave(&self, sender: &str, recipient: &str) {
            let message = format!("Subject: {sender}\r\n\r\nHello.\r\n..dot\r\n");
            let reply = self.greeted().deliver(sender, recipient, &message);
            assert_eq!(reply.code, 250, "{reply}");
        }

        fn run(&self, arguments: &[&str]) -> (bool, String) {
            let output = self.site.run(&[arguments, &["--socket", "state/admin.sock"]].concat());
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8(said).unwrap())
        }

        fn json(&self, arguments: &[&str]) -> Value {
            let (good, said) = self.run(arguments);
            assert!(good, "{said}");
            serde_json::from_str(&said).unwrap()
        }

        /// How often each subject was delivered to a user.
        fn subjects(&self, user: &str) -> BTreeMap<String, usize> {
            let mut found = BTreeMap::new();
            for mail in self.site.mail(user) {
                let text = String::from_utf8(mail).unwrap();
                assert!(text.ends_with("\n\nHello.\n.dot\n"), "{text}");
                let subject = text.lines().find_map(|line| line.strip_prefix("Subject: "));
                *found.entry(subject.unwrap().to_owned()).or_default() += 1;
            }
            found
        }

        fn wait_for_delivered(&self, count: usize) {
            let delivered = |line: &log::Line| line.message() == "delivered";
            self.server.log().wait_for_count("all", count, delivered);
        }
    }

    fn secret(site: &Site, name: &str, text: &str) {
        let path = site.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }

    /// Who holds the mail of branch.test.
    fn provider(line: &Line) -> Place {
        let site = Site::new("");
        site.add_user("branch@example.test", "pencil");
        let node = format!(
            "[[plugin.config.node]]\nname = \"branch.test\"\nnetworks = [\"{FAR}\"]\n\
             users = [\"branch@example.test\"]\n"
        );
        let plugin = plugin_section("pull-delivery", &build_rust("pull-delivery"), &node);
        site.write_config(&format!(
            "hostname = \"mx.example.test\"\nstate_dir = \"state\"\n[log]\nformat = \"json\"\n\
             [[listen]]\nname = \"door\"\nsocket = \"door\"\n\
             [[listen]]\nname = \"mx\"\naddress = \"{NEAR}:25\"\n\
             [[listen]]\nname = \"odmr\"\naddress = \"{NEAR}:366\"\npurpose = \"odmr\"\n\
             require_tls = false\nauth_allow_plaintext = true\n\
             [auth]\nusers_file = \"users\"\nfailure_delay = \"0s\"\n\
             [[local_domain]]\nname = \"example.test\"\nmailboxes = \"any\"\nmaildir = \"mail\"\n\
             [[route]]\ndomain = \"branch.test\"\nnext_hop = \"{FAR}:25\"\nhold = \"30d\"\n{plugin}"
        ));
        Place::start(site, &line.near())
    }

    /// Who fetches it, and hands over mail of its own, by connections `etrn` and `atrn`.
    fn branch(line: &Line, further: &str) -> Place {
        let site = Site::new("");
        secret(&site, "secret", "pencil\n");
        let sleeper = plugin_section("sleeper", &site.compile("plugins/sleeper.c"), "");
        configure(&site, &(further.to_owned() + &sleeper));
        Place::start(site, &line.far())
    }

    fn configure(site: &Site, further: &str) {
        let connection = |fields: &str| {
            format!(
                "[[plugin.config.connection]]\nhost = \"{NEAR}\"\ntls = \"none\"\njitter = \"0s\"\n\
                 route_at_once = 0\nconnect_timeout = \"5s\"\nkind = \"lan\"\nrequest = [\"branch.test\"]\n{fields}{NEVER}"
            )
        };
        let connections = [
            connection(
                "name = \"etrn\"\nmethod = \"etrn\"\nrouter_type = \"pull push\"\npush = [\"#isp\"]\n",
            ),
            connection(
                "name = \"atrn\"\nmethod = \"atrn\"\nrouter_type = \"pull only\"\n\
                 user = \"branch@example.test\"\nsecret_file = \"secret\"\n",
            ),
        ];
        let plugin =
            plugin_section("pull-delivery", &build_rust("pull-delivery"), &connections.concat());
        site.write_config(&format!(
            "hostname = \"mx.branch.test\"\nstate_dir = \"state\"\n[log]\nformat = \"json\"\n\
             [[listen]]\nname = \"door\"\nsocket = \"door\"\n\
             [[listen]]\nname = \"mx\"\naddress = \"{FAR}:25\"\n\
             [[local_domain]]\nname = \"branch.test\"\nmailboxes = \"any\"\nmaildir = \"mail\"\n\
             [[route]]\ndomain = \"example.test\"\nhold = \"30d\"\nqueue = \"isp\"\n{further}{plugin}"
        ));
    }

    #[test]
    fn mail_gathers_while_the_line_is_down_and_comes_when_it_is_up() {
        let line = Line::new();
        let (provider, branch) = (provider(&line), branch(&line, ""));
        line.cut();
        for sender in ["1@client.test", "2@client.test"] {
            provider.leave(sender, "a@branch.test");
        }
        branch.leave("3@branch.test", "u@example.test");
        for connection in ["etrn", "atrn"] {
            let (good, said) = branch.run(&["pull", connection, "--now"]);
            assert!(!good && said.contains("came to nothing"), "{said}");
        }
        let waiting = provider.json(&["queue", "count", "branch.test", "--json"]);
        assert_eq!(waiting["queued"], 2);
        line.join();
        let (good, said) = branch.run(&["pull", "etrn", "--now"]);
        assert!(good, "{said}\n{}", branch.server.log());
        assert!(said.ends_with("over: 1 of 1 handed over, 2 of 2 came\n"), "{said}");
        branch.wait_for_delivered(2);
        provider.wait_for_delivered(3);
        assert_eq!(provider.subjects("u")["3@branch.test"], 1);
        provider.leave("4@client.test", "a@branch.test");
        let (good, said) = branch.run(&["pull", "atrn", "--now"]);
        assert!(good && said.ends_with("1 came\n"), "{said}");
        branch.wait_for_delivered(3);
        let came = branch.subjects("a");
        assert_eq!(came.values().copied().collect::<Vec<_>>(), [1, 1, 1], "{came:?}");
        branch.server.stop();
        provider.server.stop();
    }

    /// Three messages wait, and the branch falls asleep over the second.
    fn begun(provider: &Place, branch: &Place) {
        for sender in ["first@client.test", "sleep@client.test", "third@client.test"] {
            provider.leave(sender, "a@branch.test");
        }
        let wish = "{\"name\": \"atrn\", \"now\": true}";
        let (good, said) = branch.run(&["plugin", "call", "pull-delivery", "pull", wish]);
        assert!(good, "{said}");
        let asleep = |line: &log::Line| line.message() == "falling asleep";
        branch.server.log().wait_for("the second message", asleep);
    }

    fn wake(branch: &Place) {
        branch.greeted().say("MAIL FROM:<wake@client.test>", 250);
        branch.server.log().wait_for("the end", |line| line.message() == "woken up");
    }

    /// How often each came, once nothing is in a queue any more.
    fn all_came(provider: &Place, branch: &Place) -> Vec<usize> {
        let left = |place: &Place| place.json(&["queue", "list", "--json"])["messages"].clone();
        for place in [provider, branch] {
            assert!((0..1000).any(|_| left(place) == Value::Array(Vec::new())), "{}", left(place));
        }
        let came = branch.subjects("a");
        ["first", "sleep", "third"].map(|name| came[&format!("{name}@client.test")]).into()
    }

    /// Cut and joined in the middle of a call: it goes on.
    #[test]
    fn a_short_cut_is_made_good_by_the_line_itself() {
        let line = Line::new();
        let (provider, branch) = (provider(&line), branch(&line, ""));
        begun(&provider, &branch);
        line.cut();
        wake(&branch);
        line.join();
        let over = |line: &log::Line| line.message().contains("connection atrn: the call is over");
        let line = branch.server.log().wait_for("the end", over);
        assert!(line.message().ends_with("3 came"), "{}", line.as_str());
        provider.server.log().wait_for("its end", |line| line.message() == "mail was fetched");
        assert_eq!(all_came(&provider, &branch), [1, 1, 1]);
        branch.server.stop();
        provider.server.stop();
    }

    /// Cut in the middle of a call until it is given up: the next one brings the rest.
    #[test]
    fn a_call_that_is_cut_off_is_resumed_by_the_next() {
        let line = Line::new();
        let provider = provider(&line);
        let branch = branch(&line, "[timeouts]\ncommand = \"2s\"\n");
        begun(&provider, &branch);
        line.cut();
        wake(&branch);
        let nothing = |line: &log::Line| line.message().contains("the call came to nothing");
        branch.server.log().wait_for("that it was given up", nothing);
        branch.server.stop();
        line.join();
        let fetched = |line: &log::Line| line.message() == "mail was fetched";
        let ended = provider.server.log().wait_for("that it has learned of it", fetched);
        assert!(ended.as_str().contains("\"broken_off\":true"), "{}", ended.as_str());
        let open = || provider.json(&["status", "--json"])["sessions"]["open"].as_u64();
        assert!((0..1000).any(|_| open() == Some(0)));
        // It comes back, and still knows.
        configure(&branch.site, "");
        let branch = Place::start(branch.site, &line.far());
        let status = branch.json(&["pull", "status", "--json"]);
        let atrn = status.as_array().unwrap().iter().find(|one| one["name"] == "atrn").unwrap();
        assert_eq!((&atrn["failures"], &atrn["last"]["reason"]), (&1.into(), &"operator".into()));
        let error = "it ended without QUIT: timeout";
        assert_eq!(atrn["last"]["error"], error, "{atrn}");
        let (good, said) = branch.run(&["pull", "atrn", "--now"]);
        assert!(good, "{said}\n{}", branch.server.log());
        // The acknowledgement of the second was under way when the line was cut (RFC 1047).
        let came = all_came(&provider, &branch);
        let [first, second, third] = came[..] else { panic!("{came:?}") };
        assert!((first, third) == (1, 1) && (1..=2).contains(&second), "{came:?}");
        branch.server.stop();
        provider.server.stop();
    }
}
