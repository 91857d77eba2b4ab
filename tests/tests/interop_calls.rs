//! Other people's mail servers that hold mail for a site of ours, which calls them for it.
//! A module holds the tests of the program of its name; `cargo verify` skips those that can't be had.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::net::SocketAddr;

use stagepost_tests::client::Client;
use stagepost_tests::log::{Line, Log};
use stagepost_tests::plugin::build_rust;
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::sink::Closed;

const MESSAGE: &str = "Subject: fetched\r\n\r\nHello.\r\n..dot\r\n";

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    Closed::reserve().address()
}

fn delivered(line: &Line) -> bool {
    line.message() == "delivered"
}

/// A site for branch.test at an address, which asks the server at another one for `request`, and hands over mail for isp.test.
fn branch(own: SocketAddr, isp: SocketAddr, request: &str) -> (Site, Server) {
    let site = Site::new("");
    let connection = format!(
        "[[plugin.config.connection]]\nname = \"isp\"\nkind = \"lan\"\nhost = \"127.0.0.1\"\nport = {}\n\
         method = \"etrn\"\nrouter_type = \"pull push\"\nrequest = [\"{request}\"]\npush = [\"#isp\"]\n\
         route_at_once = 0\nquiet = \"2s\"\npull_timeout = \"50s\"\n",
        isp.port()
    );
    let plugin = plugin_section("pull-delivery", &build_rust("pull-delivery"), &connection);
    site.write_config(&format!(
        "hostname = \"mx.branch.test\"\nstate_dir = \"state\"\n[log]\nformat = \"json\"\n\
         [[listen]]\nname = \"mx\"\naddress = \"{own}\"\n\
         [[local_domain]]\nname = \"branch.test\"\nmailboxes = \"any\"\nmaildir = \"mail\"\n\
         [[route]]\ndomain = \"isp.test\"\nhold = \"30d\"\nqueue = \"isp\"\n{plugin}"
    ));
    let server = site.start();
    (site, server)
}

/// Calls the provider; the last line that is shown.
fn call(site: &Site) -> String {
    let output = site.run(&["pull", "isp", "--now", "--socket", "state/admin.sock"]);
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{said}");
    said.lines().last().unwrap_or_default().to_owned()
}

/// What the provider has answered to the last call.
fn replies(site: &Site) -> String {
    let output = site.run(&["pull", "status", "--json", "--socket", "state/admin.sock"]);
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    all[0]["last"]["done"]["replies"].to_string()
}

fn leave(address: SocketAddr, recipients: &[&str]) {
    let mut client = Client::connect(address);
    client.expect(220);
    client.say("EHLO client.test", 250);
    for recipient in recipients {
        let reply = client.deliver("a@client.test", recipient, MESSAGE);
        assert_eq!(reply.code, 250, "{reply}");
    }
}

/// Waits until somebody listens there.
fn up(address: SocketAddr, log: &Log, line: &str) {
    log.wait_for(&format!("{address}"), |said| said.as_str().contains(line));
}

mod postfix {
    use stagepost_tests::postfix::{CLIENT_SERVICES, Postfix};

    use super::*;

    /// One with fast flush (ETRN_README): mail for branch.test waits for ETRN, and nothing else has it tried.
    fn holding(address: SocketAddr, branch: SocketAddr) -> Postfix {
        let main = format!(
            "myhostname = isp.test\nrelay_domains = branch.test\n\
             virtual_mailbox_domains = isp.test\nvirtual_mailbox_base = FOLDER/mail\n\
             virtual_mailbox_maps = inline:{{{{u@isp.test = u/}}}}\n\
             virtual_uid_maps = static:1\nvirtual_gid_maps = static:1\nvirtual_minimum_uid = 1\n\
             transport_maps = inline:{{{{branch.test = etrn-only:[127.0.0.1]:{}}}}}\n\
             defer_transports = etrn-only\nfast_flush_domains = branch.test\n\
             smtp_host_lookup = native\nsmtpd_peername_lookup = no\n\
             smtpd_relay_restrictions = reject_unauth_destination\nmynetworks =\n",
            branch.port()
        );
        let services = format!(
            "{address} inet n - n - - smtpd\nvirtual unix - n n - - virtual\n\
             flush unix n - n 1000? 0 flush\netrn-only unix - - n - - smtp\n{CLIENT_SERVICES}"
        );
        Postfix::new(&main, &services)
    }

    #[test]
    fn sends_what_it_holds_when_it_is_called() {
        let (own, isp) = (free_port(), free_port());
        let postfix = holding(isp, own);
        let running = postfix.start();
        up(isp, &running.log, "daemon started");
        leave(isp, &["a@branch.test", "b@branch.test"]);
        let held = |line: &Line| line.as_str().contains("status=deferred (deferred transport)");
        running.log.wait_for_count("mail that is held", 2, held);
        let (site, server) = branch(own, isp, "branch.test");
        leave(own, &["u@isp.test"]);
        let last = call(&site);
        assert!(last.ends_with("1 of 1 handed over, 2 came"), "{last}\n{}", running.log);
        assert!(replies(&site).contains("ETRN branch.test: 250 Queuing started"));
        server.log().wait_for_count("both", 2, delivered);
        assert_eq!((site.mail("a").len(), site.mail("b").len()), (1, 1));
        let kept = |line: &Line| line.as_str().contains("relay=virtual, ");
        running.log.wait_for("ours", kept);
        server.stop();
    }
}

mod exim4 {
    use std::fs;
    use std::sync::Arc;

    use stagepost_tests::exim::Exim;

    use super::*;

    /// One that queues mail for branch.test until somebody asks for what has that in its recipients (`#branch.test`), as it knows
    /// no other form of ETRN.
    fn holding(branch: SocketAddr) -> Exim {
        Exim::new(&format!(
            "primary_hostname = isp.test\nacl_smtp_rcpt = accept\nacl_smtp_data = accept\nacl_smtp_etrn = accept\n\
             queue_domains = branch.test\n\
             begin routers\n\
             branch:\n driver = manualroute\n domains = branch.test\n route_list = * 127.0.0.1::{}\n self = send\n transport = smtp\n\
             ours:\n driver = accept\n domains = isp.test\n transport = box\n\
             begin transports\n\
             smtp:\n driver = smtp\n\
             box:\n driver = appendfile\n file = FOLDER/mail/${{lookup{{$local_part}}lsearch,ret=full{{FOLDER/users}}}}\n user = Debian-exim\n group = Debian-exim\n mode_fail_narrower = false\n\
             begin retry\n* * F,1h,5m\n",
            branch.port()
        ))
    }

    #[test]
    fn sends_what_it_holds_when_it_is_called() {
        let own = free_port();
        let exim = Arc::new(holding(own));
        fs::write(exim.path().join("users"), "u\n").unwrap();
        let serving = exim.serve();
        leave(serving.address(), &["a@branch.test", "b@branch.test"]);
        let (site, server) = branch(own, serving.address(), "#branch.test");
        leave(own, &["u@isp.test"]);
        let last = call(&site);
        assert!(last.ends_with("1 of 1 handed over, 2 came"), "{last}\n{}", exim.log());
        assert!(replies(&site).contains("ETRN #branch.test: 250 "), "{}", replies(&site));
        server.log().wait_for_count("both", 2, delivered);
        assert_eq!((site.mail("a").len(), site.mail("b").len()), (1, 1));
        server.stop();
    }
}

mod sendmail {
    use std::sync::Arc;
    use std::thread;
    use std::time::{Duration, Instant};

    use stagepost_tests::sendmail::Sendmail;

    use super::*;

    /// Waits until it holds just the mail for these; it forks, and works on its queue behind our back.
    fn wait_for_queue(sendmail: &Sendmail, recipients: &[&str]) {
        let until = Instant::now() + Duration::from_secs(30);
        while sendmail.queued() != recipients {
            assert!(Instant::now() < until, "{:?}", sendmail.queued());
            thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn sends_what_it_holds_when_it_is_called() {
        let own = free_port();
        let sendmail = Arc::new(Sendmail::holding(own));
        let serving = sendmail.serve();
        leave(serving.address(), &["a@branch.test", "b@branch.test"]);
        wait_for_queue(&sendmail, &["a@branch.test", "b@branch.test"]);
        let (site, server) = branch(own, serving.address(), "branch.test");
        leave(own, &["u@isp.test"]);
        let last = call(&site);
        assert!(last.ends_with("1 of 1 handed over, 2 came"), "{last}");
        let asked = "ETRN branch.test: 250 2.0.0 Queuing for node branch.test started";
        assert!(replies(&site).contains(asked), "{}", replies(&site));
        server.log().wait_for_count("both", 2, delivered);
        assert_eq!((site.mail("a").len(), site.mail("b").len()), (1, 1));
        wait_for_queue(&sendmail, &["u@isp.test"]);
        server.stop();
    }
}
