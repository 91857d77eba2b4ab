//! Domains that say over HTTPS who their servers are (MTA-STS), and reports to them of how TLS fared (TLS-RPT), through the whole program: in a
//! network of its own, where the DNS, the servers of policies and those for mail have the ports that they have everywhere.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

/// A network of one's own.
mod veth {
    use std::fs;
    use std::net::{Ipv4Addr, SocketAddr};
    use std::path::PathBuf;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use flate2::read::GzDecoder;
    use serde_json::{Value, json};
    use stagepost_tests::authority::Authority;
    use stagepost_tests::log::Line;
    use stagepost_tests::name_server::{MadeRecord, NameServer, a, cname, mx, txt};
    use stagepost_tests::own_network;
    use stagepost_tests::server::{Server, Site};
    use stagepost_tests::sink::{Closed, Sink};
    use stagepost_tests::web_site::{Page, WebSite};

    const MESSAGE: &str = "Subject: for nobody else\r\n\r\nHello.\r\n";
    /// Where all policies are.
    const POLICIES: [u8; 4] = [127, 0, 0, 2];
    /// Where nobody listens.
    const NOBODY: [u8; 4] = [127, 0, 0, 3];

    fn at(address: [u8; 4], port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::from(address), port))
    }

    fn policy(mode: &str, mx: &str) -> Page {
        let text = format!("version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: 86400\n");
        Page::of("text/plain", &text)
    }

    /// The DNS, an authority, the server of all policies, and a server of ours that sends.
    struct Rig {
        names: NameServer,
        authority: Authority,
        web: WebSite,
        site: Site,
        server: Server,
    }

    impl Rig {
        /// `domains`: those whose policies there can be.
        fn new(domains: &[&str]) -> Self {
            Self::waiting(domains, "1s")
        }

        /// The same, which waits so long for policies.
        fn waiting(domains: &[&str], timeout: &str) -> Self {
            let authority = Authority::new();
            let hosts: Vec<String> = domains.iter().map(|name| policy_host(name)).collect();
            let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
            let web = WebSite::start(at(POLICIES, 443), authority.server(&hosts));
            let names = NameServer::start_at(at([127, 0, 0, 1], 53), Vec::new());
            let site = Site::new("");
            fs::write(site.path().join("roots.pem"), authority.pem()).unwrap();
            site.configure(&format!(
                "[dns]\nservers = [\"127.0.0.1\"]\ntimeout = \"2s\"\n\
                 [delivery]\ntls_roots = \"roots.pem\"\nmta_sts_timeout = \"{timeout}\"\n\
                 [tls_report]\norganization = \"Example\"\ncontact = \"tls@example.test\"\n\
                 [[route]]\ndomain = \"@test\"\nnext_hop = \"mx\"\n\
                 [[route]]\ndomain = \"named.test\"\nnext_hop = \"127.0.1.1:25\"\n",
            ));
            let server = site.start();
            Self { names, authority, web, site, server }
        }

        /// Tells of a domain whose mail goes to `mx.DOMAIN` at an address, and which has a policy of this name.
        fn tell(&self, domain: &str, id: &str, address: [u8; 4]) {
            let host = format!("mx.{domain}");
            self.names.tell(domain, vec![mx(domain, &host)]);
            self.names.tell(&host, vec![a(&host, address)]);
            self.tell_id(domain, Some(id));
            self.tell_host(domain, POLICIES);
        }

        /// Tells of the name of a domain's policy, or that it has none.
        fn tell_id(&self, domain: &str, id: Option<&str>) {
            let name = format!("_mta-sts.{domain}");
            let record = |id| txt(&name, &format!("v=STSv1; id={id};"));
            let records: Vec<MadeRecord> = id.map(record).into_iter().collect();
            self.names.tell(&name, records);
        }

        /// Tells where a domain's policy is.
        fn tell_host(&self, domain: &str, address: [u8; 4]) {
            let host = policy_host(domain);
            self.names.tell(&host, vec![a(&host, address)]);
        }

        fn show(&self, domain: &str, page: Page) {
            self.web.show(&policy_host(domain), page);
        }

        /// How often a domain's policy was asked for.
        fn fetched(&self, domain: &str) -> usize {
            self.web.asked(&policy_host(domain)).len()
        }

        /// A server for mail with a certificate for this name.
        fn secured(&self, address: [u8; 4], name: &str) -> Sink {
            Closed::reserve_at(at(address, 25)).open_with(Some(self.authority.server(&[name])))
        }

        /// Hands in a message for a domain; its id.
        fn send(&self, domain: &str) -> String {
            let to = format!("b@{domain}");
            let reply = self.server.greeted().deliver("a@client.test", &to, MESSAGE);
            assert_eq!(reply.code, 250, "{reply}");
            reply.lines[0].rsplit(' ').next().unwrap().to_owned()
        }

        /// Waits until a message has come to this, and gives the line that says so.
        fn outcome(&self, id: &str, wanted: &str) -> Line {
            let ended = |line: &Line| {
                let message = line.message();
                line.text("id") == id
                    && ["delivered", "deferred", "undeliverable"].contains(&message)
            };
            let line = self.server.log().wait_for(&format!("{id} is {wanted}"), ended);
            assert_eq!(line.message(), wanted, "{}", self.server.log());
            line
        }

        fn delivered(&self, domain: &str) {
            let id = self.send(domain);
            self.outcome(&id, "delivered");
        }

        /// What an operator reads of a message that has to wait.
        fn deferred(&self, domain: &str) -> (String, String) {
            let id = self.send(domain);
            self.outcome(&id, "deferred");
            let explained = self.explained(&id, 1);
            (id, explained)
        }

        /// The same when it has been tried once more: somebody orders it, so that it is, however its servers stand.
        fn deferred_again(&self, id: &str, tries: usize) -> String {
            self.run(&["queue", "flush", "--id", id]);
            let deferred = |line: &Line| line.text("id") == id && line.message() == "deferred";
            self.server.log().wait_for_count("another try", tries, deferred);
            self.explained(id, tries)
        }

        fn explained(&self, id: &str, tries: usize) -> String {
            // It is settled a moment after the log has told of it.
            let explained = || self.run(&["queue", "explain", id]);
            let tried = format!("  {tries}      4.7.");
            let settled = (0..1000).map(|_| explained()).find(|said| said.contains(&tried));
            settled.unwrap_or_else(explained)
        }

        fn run(&self, arguments: &[&str]) -> String {
            let output = self.site.run(&[arguments, &["--socket", "state/admin.sock"]].concat());
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8(said).unwrap();
            assert!(output.status.success(), "{said}");
            said
        }

        fn restart(self) -> Self {
            let Self { names, authority, web, site, server } = self;
            server.stop();
            let server = site.start();
            Self { names, authority, web, site, server }
        }

        /// How often the log has told that a policy can't be had, and why.
        fn faults(&self, domain: &str) -> Vec<String> {
            let of = |line: &Line| {
                line.message() == "the policy of MTA-STS can't be had"
                    && line.text("domain") == domain
            };
            let lines = self.server.log().matching(of);
            lines.iter().map(|line| line.text("fault")).collect()
        }
    }

    fn policy_host(domain: &str) -> String {
        format!("mta-sts.{domain}")
    }

    /// What must never be heard in clear text.
    fn is_of_the_mail(line: &str) -> bool {
        ["MAIL", "RCPT", "DATA", "BDAT"].iter().any(|verb| line.starts_with(verb))
    }

    #[test]
    fn a_policy_is_kept_to() {
        if !own_network::entered("veth::a_policy_is_kept_to") {
            return;
        }
        let rig = Rig::new(&["good.test", "unlisted.test", "misnamed.test", "clear.test"]);
        for (number, domain) in
            [(1, "good.test"), (2, "unlisted.test"), (3, "misnamed.test"), (4, "clear.test")]
        {
            rig.tell(domain, "1", [127, 0, 1, number]);
            rig.show(domain, policy("enforce", &format!("mx.{domain}")));
        }
        rig.show("unlisted.test", policy("enforce", "other.unlisted.test"));
        let good = rig.secured([127, 0, 1, 1], "mx.good.test");
        let unlisted = rig.secured([127, 0, 1, 2], "mx.unlisted.test");
        let misnamed = rig.secured([127, 0, 1, 3], "else.test");
        let clear = Closed::reserve_at(at([127, 0, 1, 4], 25)).open();

        rig.delivered("good.test");
        let [message] = &good.messages()[..] else { panic!() };
        assert!(message.secured && message.octets.ends_with(b"Hello.\r\n"));
        let asked = &rig.web.asked("mta-sts.good.test")[0];
        assert_eq!(asked.line, "GET /.well-known/mta-sts.txt HTTP/1.1");

        for (domain, sink, status, why) in [
            (
                "unlisted.test",
                &unlisted,
                "4.7.5",
                "it is none of the servers that the policy of the domain (MTA-STS) names",
            ),
            ("misnamed.test", &misnamed, "4.7.5", "not valid for name \"mx.misnamed.test\""),
            ("clear.test", &clear, "4.7.4", "TLS is required, and the server does not offer it"),
        ] {
            let (_, explained) = rig.deferred(domain);
            for wanted in [status, why, &format!("mx.{domain}[127.0.1.")] {
                assert!(explained.contains(wanted), "{domain}: {wanted} is not in {explained}");
            }
            sink.wait_until_left();
            assert_eq!(sink.messages(), [], "{domain}");
        }
        assert_eq!(unlisted.heard(), [""; 0], "it is not even talked to");
        for sink in [&good, &misnamed, &clear] {
            let heard = sink.heard();
            assert!(!heard.iter().any(|line| is_of_the_mail(line)), "{heard:?}");
        }
        rig.server.stop();
    }

    #[test]
    fn a_policy_that_is_wrong_or_out_of_reach_holds_nobody_up() {
        if !own_network::entered("veth::a_policy_that_is_wrong_or_out_of_reach_holds_nobody_up") {
            return;
        }
        let good = "version: STSv1\nmode: enforce\nmx: other.test\nmax_age: 86400\n";
        let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n";
        let found = "Location: https://mta-sts.elsewhere.test/.well-known/mta-sts.txt\r\n";
        let endless = |first: &str, again: &str| {
            Page::Endless(first.as_bytes().to_vec(), again.repeat(100).into_bytes())
        };
        let cases = [
            ("moved.test", Page::status("301 Moved", found), "it answers 301"),
            ("foul.test", Page::of("text/\u{1b}[31mplain", good), "its answer can't be read: "),
            ("html.test", Page::of("text/html", good), "it is \"text/html\", and not text/plain"),
            (
                "large.test",
                endless(&format!("{head}Content-Length: 4294967296\r\n\r\n{good}"), "x: y\n"),
                "its answer has more than 65536 octets",
            ),
            ("slow.test", Page::Silence, "no answer in time"),
            ("head.test", endless(head, "X: y\r\n"), "its answer can't be read: "),
            ("early.test", endless("", "HTTP/1.1 103 Early Hints\r\n\r\n"), "no answer in time"),
        ];
        let domains: Vec<&str> = cases.iter().map(|(domain, ..)| *domain).collect();
        let rig = Rig::new(&[&domains[..], &["elsewhere.test"]].concat());
        rig.tell_host("elsewhere.test", POLICIES);
        rig.show("elsewhere.test", policy("enforce", "other.test"));
        let sink = Closed::reserve_at(at([127, 0, 1, 1], 25)).open();
        for (domain, page, _) in &cases {
            rig.tell(domain, "1", [127, 0, 1, 1]);
            rig.show(domain, page.clone());
        }
        for (number, (domain, _, why)) in cases.iter().enumerate() {
            rig.delivered(domain);
            let shown = rig.run(&["tls", "policy", domain]);
            assert!(shown.contains(&format!("MTA-STS  the policy can't be had: {why}")), "{shown}");
            assert!(!shown.contains(|c: char| c != '\n' && c.is_control()), "{shown:?}");
            // The second look did not ask again, nor does a further message.
            rig.delivered(domain);
            let faults = rig.faults(domain);
            assert!(faults.len() == 1 && faults[0].starts_with(why), "{domain}: {faults:?}");
            assert_eq!(rig.fetched(domain), 1, "{domain}");
            assert_eq!(sink.messages().len(), 2 * (number + 1), "{domain}");
        }
        assert_eq!(rig.fetched("elsewhere.test"), 0, "no redirect is followed");
        rig.server.stop();
    }
    #[test]
    fn a_policy_is_fetched_again_when_it_is_another_and_kept_when_it_is_out_of_reach() {
        let name =
            "veth::a_policy_is_fetched_again_when_it_is_another_and_kept_when_it_is_out_of_reach";
        if !own_network::entered(name) {
            return;
        }
        let rig = Rig::new(&["x.test"]);
        rig.tell("x.test", "1", [127, 0, 1, 1]);
        rig.show("x.test", policy("testing", "other.test"));
        let sink = rig.secured([127, 0, 1, 1], "mx.x.test");
        rig.delivered("x.test");
        rig.delivered("x.test");
        assert_eq!(rig.fetched("x.test"), 1, "once is enough");

        // Another name.
        rig.show("x.test", policy("enforce", "other.test"));
        rig.delivered("x.test");
        rig.tell_id("x.test", Some("2"));
        let (id, explained) = rig.deferred("x.test");
        let why = "it is none of the servers that the policy of the domain (MTA-STS) names";
        assert_waits(&explained, why);
        assert_eq!(rig.fetched("x.test"), 2);

        // Nobody answers, and later there is no record either; and so after a restart.
        rig.tell_host("x.test", NOBODY);
        rig.tell_id("x.test", Some("3"));
        assert_waits(&rig.deferred_again(&id, 2), why);
        let shown = rig.run(&["tls", "policy", "x.test"]);
        let why_not = "a newer policy can't be had: 127.0.0.3:443: Connection refused";
        for wanted in ["MTA-STS  enforce, policy 2, fetched ", why_not] {
            assert!(shown.contains(wanted), "{shown}");
        }
        assert_eq!(rig.faults("x.test").len(), 1);
        rig.tell_id("x.test", None);
        assert_waits(&rig.deferred_again(&id, 3), why);
        let rig = rig.restart();
        assert_waits(&rig.deferred("x.test").1, why);
        assert_eq!((rig.fetched("x.test"), rig.faults("x.test").len()), (2, 0));

        // It is put right, and what has waited goes.
        rig.tell_host("x.test", POLICIES);
        rig.show("x.test", policy("enforce", "*.x.test"));
        rig.tell_id("x.test", Some("4"));
        let before = sink.messages().len();
        rig.run(&["queue", "flush", "x.test"]);
        let came = sink.wait_for(before + 2);
        assert!(came.iter().all(|message| message.secured));
        let heard = sink.heard();
        assert!(!heard.iter().any(|line| is_of_the_mail(line)), "{heard:?}");
        rig.server.stop();
    }

    /// A provider can have the policies of its customers, and who leads nowhere has none.
    #[test]
    fn a_policy_is_found_by_other_names() {
        if !own_network::entered("veth::a_policy_is_found_by_other_names") {
            return;
        }
        let rig = Rig::new(&["customer.test", "looped.test"]);
        for domain in ["customer.test", "looped.test"] {
            rig.tell(domain, "1", [127, 0, 1, 1]);
            rig.show(domain, policy("enforce", "other.test"));
        }
        let (record, host) = ("_mta-sts.customer.test", "mta-sts.customer.test");
        rig.names.tell(record, vec![cname(record, "_mta-sts.provider.test")]);
        rig.names.tell(host, vec![cname(host, "mta-sts.provider.test")]);
        rig.tell_id("provider.test", Some("7"));
        rig.tell_host("provider.test", POLICIES);
        let looped = "_mta-sts.looped.test";
        rig.names.tell(looped, vec![cname(looped, looped)]);
        let _sink = Closed::reserve_at(at([127, 0, 1, 1], 25)).open();

        let (_, explained) = rig.deferred("customer.test");
        assert_waits(&explained, "it is none of the servers that the policy of the domain");
        let shown = rig.run(&["tls", "policy", "customer.test"]);
        assert!(shown.contains("MTA-STS  enforce, policy 7, fetched "), "{shown}");
        rig.delivered("looped.test");
        // Nobody else has a say where the operator has named the server, and it is said so.
        rig.delivered("named.test");
        let shown = rig.run(&["tls", "policy", "named.test"]);
        let why = "MTA-STS  not asked: the route names its servers itself\n";
        assert!(shown.contains(why), "{shown}");
        rig.server.stop();
    }

    /// A few of them, that is: each delivery that waits is one of those that may be made at once.
    #[test]
    fn slow_policies_hold_up_no_other_domain() {
        if !own_network::entered("veth::slow_policies_hold_up_no_other_domain") {
            return;
        }
        let slow = ["a.test", "b.test", "c.test", "d.test"];
        let rig = Rig::waiting(&[&slow[..], &["quick.test"]].concat(), "60s");
        for domain in slow {
            rig.tell(domain, "1", [127, 0, 1, 1]);
            rig.show(domain, Page::Silence);
            (0..10).for_each(|_| drop(rig.send(domain)));
        }
        rig.tell("quick.test", "1", [127, 0, 1, 2]);
        rig.show("quick.test", policy("enforce", "mx.quick.test"));
        let sink = rig.secured([127, 0, 1, 2], "mx.quick.test");
        rig.delivered("quick.test");
        assert!(sink.messages()[0].secured);
        let ended = |line: &Line| line.message() == "delivered" || line.message() == "deferred";
        assert_eq!(rig.server.log().matching(ended).len(), 1, "{}", rig.server.log());
        assert!(slow.iter().all(|domain| rig.fetched(domain) <= 1), "one asks for all");
        rig.server.kill();
    }

    fn assert_waits(explained: &str, why: &str) {
        assert!(explained.contains(why), "{explained}");
    }

    /// The day ends: what is counted of today has been counted yesterday.
    fn end_day(site: &Site) {
        let folder = site.path().join("state/tls-reports");
        let files: Vec<PathBuf> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        let [today] = &files[..] else { panic!("{files:?}") };
        let date = today.file_stem().unwrap().to_str().unwrap();
        fs::rename(today, folder.join(format!("{}.json", day_before(date)))).unwrap();
    }

    fn day_before(date: &str) -> String {
        let mut command = std::process::Command::new("date");
        let output =
            command.args(["-u", "-d", &format!("{date} - 1 day"), "+%F"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    #[test]
    fn what_came_of_tls_is_reported_to_who_asks_for_it() {
        if !own_network::entered("veth::what_came_of_tls_is_reported_to_who_asks_for_it") {
            return;
        }
        let rig = Rig::new(&["mailed.test", "posted.test", "reports.test"]);
        let mailed = Closed::reserve_at(at([127, 0, 1, 1], 25)).open();
        let posted = rig.secured([127, 0, 1, 2], "mx.posted.test");
        let reports = Closed::reserve_at(at([127, 0, 1, 3], 25)).open();
        for (number, domain, mode) in [
            (1, "mailed.test", "testing"),
            (2, "posted.test", "enforce"),
            (3, "reports.test", "enforce"),
        ] {
            rig.tell(domain, "1", [127, 0, 1, number]);
            rig.show(domain, policy(mode, &format!("mx.{domain}")));
        }
        for (domain, rua) in [
            ("mailed.test", "mailto:tlsrpt@reports.test"),
            ("posted.test", "https://mta-sts.posted.test/v1/tlsrpt"),
        ] {
            let name = format!("_smtp._tls.{domain}");
            rig.names.tell(&name, vec![txt(&name, &format!("v=TLSRPTv1; rua={rua}"))]);
        }
        // One without TLS, where it is only tried out; one with; one to a server that is not named any more; one whose policy is gone.
        rig.delivered("mailed.test");
        rig.delivered("posted.test");
        rig.show("posted.test", policy("enforce", "other.test"));
        rig.tell_id("posted.test", Some("2"));
        let (id, _) = rig.deferred("posted.test");
        rig.show("posted.test", Page::status("500 No", ""));
        rig.tell_id("posted.test", Some("3"));
        rig.deferred_again(&id, 2);
        let shown = rig.run(&["tls", "report", "posted.test"]);
        for wanted in
            ["validation-failure", "2  mx.posted.test[127.0.1.2]", "sts-policy-fetch-error"]
        {
            assert!(shown.contains(wanted), "{shown}");
        }
        let none = rig.run(&["tls", "report", "--send"]);
        assert!(none.starts_with("no report is due"), "{none}");

        let Rig { names, authority, web, site, server } = rig;
        server.stop();
        end_day(&site);
        web.show("mta-sts.posted.test", Page::status("201 Made", ""));
        let server = site.start();
        let rig = Rig { names, authority, web, site, server };
        // It may go by itself before: then it is not sent once more.
        rig.run(&["tls", "report", "--send"]);
        let came = reports.wait_for(1);
        let asked = rig.web.asked("mta-sts.posted.test");
        let handed: Vec<_> = asked.iter().filter(|asked| asked.line.starts_with("POST")).collect();
        let ([message], [handed]) = (&came[..], &handed[..]) else { panic!("{came:?} {handed:?}") };
        assert_eq!(handed.line, "POST /v1/tlsrpt HTTP/1.1");
        assert!(handed.fields.contains(&"content-type: application/tlsrpt+gzip".to_owned()));

        // RFC 8460 section 3: it goes although the policy of where it goes wants TLS, and there is none.
        assert_eq!(
            (message.secured, &*message.recipients),
            (false, &["tlsrpt@reports.test".to_owned()][..])
        );
        assert_eq!(message.sender, "tls@example.test");
        let text = String::from_utf8(message.octets.clone()).unwrap();
        for wanted in [
            "\r\nFrom: <tls@example.test>\r\n",
            "\r\nTLS-Report-Domain: mailed.test\r\nTLS-Report-Submitter: mx.example.test\r\n",
            "Content-Type: multipart/report; report-type=\"tlsrpt\"",
            "Content-Type: application/tlsrpt+gzip\r\n",
        ] {
            assert!(text.contains(wanted), "{wanted:?} is not in {text}");
        }
        let policies = |report: &Value| report["policies"].clone();
        let by_mail = unpacked(&attached(&text));
        assert_eq!(by_mail["organization-name"], "Example");
        assert_eq!(by_mail["contact-info"], "tls@example.test");
        assert_eq!(
            policies(&by_mail),
            json!([{
                "policy": of_policy("mailed.test", "testing", "mx.mailed.test"),
                "summary": sessions(0, 1),
                "failure-details": [failure("starttls-not-supported", 1, Some(("mailed.test", 1)))],
            }])
        );
        let of_fault =
            json!({ "policy-type": "sts", "policy-string": [], "policy-domain": "posted.test" });
        assert_eq!(
            policies(&unpacked(&handed.body)),
            json!([
                {
                    "policy": of_policy("posted.test", "enforce", "mx.posted.test"),
                    "summary": sessions(1, 0),
                },
                {
                    "policy": of_policy("posted.test", "enforce", "other.test"),
                    "summary": sessions(0, 2),
                    "failure-details": [failure("validation-failure", 2, Some(("posted.test", 2)))],
                },
                {
                    "policy": of_fault,
                    "summary": sessions(0, 1),
                    "failure-details": [failure("sts-policy-fetch-error", 1, None)],
                },
            ])
        );
        // They are told of once, and of the report's own way nothing is counted.
        let shown = rig.run(&["tls", "report"]);
        assert!(shown.starts_with("no session with another server"), "{shown}");
        rig.server.stop();
        assert_eq!((mailed.messages().len(), posted.messages().len()), (1, 1));
    }

    fn sessions(good: u64, failed: u64) -> Value {
        json!({ "total-successful-session-count": good, "total-failure-session-count": failed })
    }

    fn of_policy(domain: &str, mode: &str, mx: &str) -> Value {
        let lines =
            ["version: STSv1", &format!("mode: {mode}"), &format!("mx: {mx}"), "max_age: 86400"];
        json!({ "policy-type": "sts", "policy-string": lines, "policy-domain": domain, "mx-host": [mx] })
    }

    /// `server`: the domain that it is of, and the end of its address.
    fn failure(kind: &str, count: u64, server: Option<(&str, u8)>) -> Value {
        let mut failure = json!({ "result-type": kind, "failed-session-count": count });
        if let Some((domain, last)) = server {
            failure["receiving-mx-hostname"] = json!(format!("mx.{domain}"));
            failure["receiving-ip"] = json!(format!("127.0.1.{last}"));
        }
        if kind == "starttls-not-supported" {
            failure["sending-mta-ip"] = json!("127.0.0.1");
        }
        failure
    }

    /// The octets in the second part of a message.
    fn attached(text: &str) -> Vec<u8> {
        let (_, part) = text.split_once("Content-Type: application/tlsrpt+gzip\r\n").unwrap();
        let (_, body) = part.split_once("\r\n\r\n").unwrap();
        let (encoded, _) = body.split_once("\r\n--").unwrap();
        STANDARD.decode(encoded.replace("\r\n", "")).unwrap()
    }

    fn unpacked(gzip: &[u8]) -> Value {
        serde_json::from_reader(GzDecoder::new(gzip)).unwrap()
    }
}
