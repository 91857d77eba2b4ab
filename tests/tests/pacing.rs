//! How much the real server gives to next hops at a time, and what an operator sees of it.

use serde_json::Value;
use stagepost_tests::server::Site;
use stagepost_tests::sink::{Closed, Sink};

const MESSAGE: &str = "Subject: paced\r\n\r\nHello.\r\n";

fn route(domain: &str, next_hop: impl std::fmt::Display, further: &str) -> String {
    format!("[[route]]\ndomain = \"{domain}\"\nnext_hop = \"{next_hop}\"\n{further}\n")
}

/// What the admin socket says of destinations, each by its name.
fn destinations(site: &Site) -> Value {
    let shown = site.run(&["queue", "destinations", "--config", "stagepost.toml", "--json"]);
    let page: Value = serde_json::from_slice(&shown.stdout).expect("JSON");
    page["destinations"].clone()
}

#[test]
fn a_dead_next_hop_is_left_alone_until_somebody_wants_it_tried() {
    let closed = Closed::reserve();
    let dead = closed.address();
    let site = Site::new(&route("@dead.test", dead, ""));
    let server = site.start();
    let mut client = server.greeted();
    client.deliver("a@client.test", "b@dead.test", MESSAGE);
    let is_left_alone = "no server could be talked to: its mail waits";
    server.log().wait_for("a lane that is shut", |line| line.message() == is_left_alone);
    // Another domain of the same route has the same servers.
    for _ in 0..10 {
        client.deliver("a@client.test", "b@below.dead.test", MESSAGE);
    }
    let replies = || {
        let arguments = ["queue", "list", "--config", "stagepost.toml", "--json"];
        let listed = site.run(&[&arguments[..], &["--destination", "below.dead.test"]].concat());
        let page: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        let messages = page["messages"].as_array().cloned().unwrap_or_default();
        messages.iter().map(|message| message["reply"].to_string()).collect::<Vec<_>>()
    };
    let is_put_off = |reply: &String| reply.starts_with("\"4.4.1 not tried, ");
    assert!((0..1000).any(|_| replies().iter().filter(|reply| is_put_off(reply)).count() == 10));
    // Whoever asks is told of each; the log has a line for the lane alone.
    let of_one = |line: &stagepost_tests::log::Line| line.text("destination") == "below.dead.test";
    assert_eq!(server.log().matching(of_one).len(), 0);

    let shown = destinations(&site);
    for (at, (name, queued)) in [("dead.test", 1), ("below.dead.test", 10)].iter().enumerate() {
        let (one, lane) = (&shown[at], &shown[at]["lane"]);
        assert_eq!(
            (one["destination"].as_str(), one["queued"].as_i64()),
            (Some(*name), Some(*queued))
        );
        assert_eq!(lane["lane"], dead.to_string(), "{shown}");
        assert_eq!((&lane["allowed"], &lane["failing"]), (&0.into(), &true.into()), "{shown}");
        assert!(lane["next_attempt"].is_string(), "{shown}");
        let reply = lane["last_reply"].as_str().expect("a reply");
        assert!(reply.starts_with(&format!("4.4.1 {dead}: Connection refused")), "{reply}");
    }
    let list = |which: &[&str]| {
        let arguments = ["queue", "list", "--config", "stagepost.toml", "--json", "--limit", "7"];
        let listed = site.run(&[&arguments, which].concat());
        let page: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        (page["messages"].as_array().map_or(0, Vec::len), page["next"].clone())
    };
    let (first, next) = list(&["--destination", "@dead.test"]);
    let next = next.as_str().expect("there are more");
    let (second, end) = list(&["--destination", "@dead.test", "--after", next]);
    assert_eq!((first, second, end), (7, 4, Value::Null));
    assert_eq!(list(&["--destination", "dead.test"]).0, 1);
    assert_eq!(list(&["--sender", "@client.test"]).0, 7);
    assert_eq!(list(&["--sender", "<>"]), (0, Value::Null));
    assert_eq!(list(&["--destination", "@dead.test", "--held"]), (0, Value::Null));

    let shown = site.run(&["queue", "destinations", "--config", "stagepost.toml"]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.starts_with("DESTINATION      QUEUED  HELD  LANE "), "{shown}");
    let status = site.run(&["status", "--config", "stagepost.toml"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("delivery  servers of 1 lanes can't be reached"), "{status}");
    let metrics = site.run(&["metrics", "--config", "stagepost.toml"]);
    let metrics = String::from_utf8_lossy(&metrics.stdout).into_owned();
    let failing = format!("stagepost_lane_failing{{lane=\"{dead}\"}} 1\n");
    assert!(metrics.contains(&failing), "{metrics}");
    assert!(metrics.contains("stagepost_deliveries_total{standing=\"put_off\"} 10\n"), "{metrics}");

    // One flush of one domain finds out, and the rest goes on by itself.
    let sink = closed.open();
    site.run(&["queue", "flush", "dead.test", "--config", "stagepost.toml"]);
    sink.wait_for(11);
    let goes_on = "there is a server again: its mail goes on";
    let line = server.log().wait_for("it goes on", |line| line.message() == goes_on);
    assert_eq!((line.text("lane"), line.text("put_off")), (dead.to_string(), "10".to_owned()));
    server.stop();
}

#[test]
fn a_route_has_as_many_connections_as_it_says() {
    let sink = Sink::open();
    let limits = "per_destination = 1\nrate_per_minute = 6000";
    let site = Site::new(&route("@slow.test", sink.address(), limits));
    let server = site.start();
    let mut client = server.greeted();
    for n in 0..20 {
        client.deliver("a@client.test", &format!("b@d{n}.slow.test"), MESSAGE);
    }
    sink.wait_for(20);
    let shown = site.run(&["metrics", "--config", "stagepost.toml"]);
    let metrics = String::from_utf8_lossy(&shown.stdout).into_owned();
    let allowed = format!("stagepost_lane_allowed{{lane=\"{}\"}} 1\n", sink.address());
    assert!(metrics.contains(&allowed), "{metrics}");
    server.stop();
}
