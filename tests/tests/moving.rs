//! The queue in plug-ins' hands on the real server: counted, held, released and flushed by destination, from C and from Rust.

use stagepost_tests::client::Client;
use stagepost_tests::plugin::build_rust;
use stagepost_tests::server::{Site, plugin_section};
use stagepost_tests::sink::Closed;

const MESSAGE: &str = "Subject: waits\r\n\r\nHello.\r\n";

fn said(client: &mut Client, line: &str) -> String {
    let reply = client.say(line, 250);
    reply.lines[0].trim_start_matches("2.0.0 ").to_owned()
}

#[test]
fn mail_is_counted_held_released_and_flushed_by_destination() {
    let sources = Site::new("");
    for (name, file) in
        [("mover", sources.compile("plugins/mover.c")), ("mover-rust", build_rust("mover-rust"))]
    {
        let closed = Closed::reserve();
        let route = format!(
            "[[route]]\ndomain = \"@relayed.test\"\nnext_hop = \"{}\"\nqueue = \"Branch\"\n",
            closed.address()
        );
        // What was tried in vain is not tried again by itself while the test lasts.
        let queue = "[queue]\nretry_first = \"1h\"\nretry_max = \"1h\"\n";
        let site = Site::new(&(route + queue + &plugin_section(name, &file, "")));
        let server = site.start();
        let mut client = server.greeted();
        for domain in ["relayed.test", "a.relayed.test", "a.relayed.test"] {
            let reply = client.deliver("s@client.test", &format!("b@{domain}"), MESSAGE);
            assert_eq!(reply.code, 250, "{name}: {reply}");
        }
        // The first was tried in vain, the others may have been put off.
        let settled = || {
            let listed = site.run(&["queue", "list", "--json", "--socket", "state/admin.sock"]);
            let page: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("JSON");
            let messages = page["messages"].as_array().expect("a list");
            messages.iter().all(|message| message["reply"] != "")
        };
        assert!((0..1000).any(|_| settled()), "{name}");
        let count = |client: &mut Client, of: &str| {
            let said = said(client, &format!("XMAIL count {of}"));
            let figures: Vec<u64> =
                said.split(' ').map(|figure| figure.parse().expect("a number")).collect();
            assert_eq!(figures[2] > 0, figures[0] + figures[1] > 0, "{name}: {said}");
            (figures[0], figures[1])
        };
        assert_eq!(count(&mut client, "A.relayed.test"), (2, 0), "{name}");
        assert_eq!(count(&mut client, "@relayed.test"), (3, 0), "{name}");
        assert_eq!(count(&mut client, "relayed.test"), (1, 0), "{name}");
        assert_eq!(count(&mut client, "#branch"), (3, 0), "{name}");
        assert_eq!(count(&mut client, "#elsewhere"), (0, 0), "{name}");
        assert_eq!(count(&mut client, "elsewhere.test"), (0, 0), "{name}");
        assert_eq!(said(&mut client, "XMAIL hold a.relayed.test"), "2", "{name}");
        assert_eq!(count(&mut client, "@relayed.test"), (1, 2), "{name}");
        let is_deferred = |line: &stagepost_tests::log::Line| line.message() == "deferred";
        let tried = server.log().matching(is_deferred).len();
        assert_eq!(said(&mut client, "XMAIL flush @relayed.test"), "1", "{name}");
        server.log().wait_for_count("once more", tried + 1, is_deferred);
        let sink = closed.open();
        assert_eq!(said(&mut client, "XMAIL release #BRANCH"), "2", "{name}");
        assert_eq!(sink.wait_for(2).len(), 2);
        // What is no destination is the plug-in's to tell; this one takes it for a fault.
        client.say("XMAIL count no(w)here\u{7f}", 500);
        client.say("XMAIL count #", 451);
        client.say(&format!("XMAIL count {}", "x".repeat(300)), 451);
        server.stop();
    }
}
