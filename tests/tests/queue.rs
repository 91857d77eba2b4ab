//! The queue in an operator's hands on the real server: what is listed, explained and shown, and what becomes of it.

use std::process::{Output, Stdio};

use serde_json::Value;
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::sink::Sink;

const MESSAGE: &str = "From: a\r\nX-Secret: 1\r\n 2\r\nSubject: plain\r\n\r\nHello.\r\n";

/// What a command prints, which must succeed.
fn said(site: &Site, args: &[&str]) -> String {
    let output = run(site, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn run(site: &Site, args: &[&str]) -> Output {
    site.run(&[&["queue"], args, &["--socket", "state/admin.sock"]].concat())
}

/// What a command that must fail says on stderr.
fn refused(site: &Site, args: &[&str]) -> String {
    let output = run(site, args);
    assert_eq!(output.status.code(), Some(1), "{args:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// Sends the message to two users; its id.
fn send(server: &Server) -> String {
    let mut client = server.greeted();
    client.say("MAIL FROM:<a@client.test> SIZE=99", 250);
    client.say("RCPT TO:<b@example.test>", 250);
    client.say("RCPT TO:<gone@example.test>", 250);
    client.say("DATA", 354);
    client.send(MESSAGE.as_bytes());
    let reply = client.say(".", 250);
    reply.lines[0].rsplit(' ').next().expect("an id").to_owned()
}

/// A site with a plug-in that edits every message and one that holds it.
fn editing_site() -> Site {
    let site = Site::new("");
    let config = "[plugin.config]\nadd = \"archive@example.test\"\n";
    let editor = plugin_section("editor", &site.compile("plugins/editor.c"), config);
    let hold = plugin_section("hold", &site.compile("plugins/hold.c"), "");
    site.configure(&(editor + &hold));
    site
}

#[test]
fn a_message_is_explained_with_every_edit() {
    let site = editing_site();
    let server = site.start();
    let id = send(&server);
    let queued = server.log().wait_for("the commit", |line| line.message() == "message queued");
    assert!(queued.as_str().contains("\"edits\":7"), "{}", queued.as_str());

    let explained: Value =
        serde_json::from_str(&said(&site, &["explain", &id, "--json"])).expect("JSON");
    assert_eq!(explained["came"]["sender"], "a@client.test");
    assert_eq!(explained["is"]["sender"], "new@client.test");
    assert_eq!(explained["is"]["parameters"], "SIZE=99");
    let of = |side: &str| {
        let recipients = explained[side]["recipients"].as_array().expect("a list");
        let address = |recipient: &Value| recipient["address"].as_str().map(str::to_owned);
        recipients.iter().filter_map(address).collect::<Vec<_>>()
    };
    assert_eq!(of("came"), ["b@example.test", "gone@example.test"]);
    assert_eq!(of("is"), ["b@example.test", "archive@example.test"]);
    let lines = explained["ledger"].as_array().expect("a list");
    let short = |line: &Value| {
        let text = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
        assert_eq!((text("event"), text("stage")), ("message-accept".into(), "before".into()));
        assert!(line["spent_us"].is_u64(), "{line}");
        format!("{} {} {} -> {}", text("plugin"), text("what"), text("from"), text("to"))
    };
    let wanted = [
        "editor header_add - -> X-Top: folded\r\n here\r\n",
        "editor header_change Subject: plain\r\n -> Subject: changed\r\n",
        "editor header_delete X-Secret: 1\r\n 2\r\n -> -",
        "editor sender a@client.test -> new@client.test",
        "editor recipient_add - -> archive@example.test",
        "editor recipient_remove gone@example.test -> -",
        "hold hold - -> measured",
    ];
    assert_eq!(lines.iter().map(short).collect::<Vec<_>>(), wanted);

    let table = said(&site, &["explain", &id]);
    for part in [
        "sender     <new@client.test> SIZE=99\n",
        "  came as  <a@client.test> SIZE=99\n",
        "<b@example.test>        held   example.test",
        "hold: measured\n",
        "editor   before message-accept  header_delete     X-Secret: 1 2",
    ] {
        assert!(table.contains(part), "{part:?} is not in:\n{table}");
    }
    let octets = said(&site, &["show", &id]);
    assert!(octets.starts_with("Received: from client.example.test "), "{octets}");
    let edited = "X-Top: folded\r\n here\r\nFrom: a\r\nSubject: changed\r\n\r\nHello.\r\n";
    assert!(octets.ends_with(edited), "{octets}");

    // As it was, after a restart too.
    server.stop();
    let server = site.start();
    assert_eq!(said(&site, &["explain", &id]), table);
    server.stop();
}

#[test]
fn messages_are_held_released_and_removed() {
    let site = editing_site();
    let server = site.start();
    let ids = [send(&server), send(&server), send(&server)];
    let listed = said(&site, &["list", "--limit", "2"]);
    assert!(listed.contains(&format!("There are more: go on with --after {}", ids[1])), "{listed}");
    let rest = said(&site, &["list", "--after", &ids[1], "--json"]);
    let rest: Value = serde_json::from_str(&rest).expect("JSON");
    assert_eq!(rest["messages"][0]["id"], ids[2].as_str());
    assert_eq!(
        (&rest["messages"][0]["held"], &rest["messages"][0]["edits"]),
        (&2.into(), &7.into())
    );
    assert_eq!((rest["messages"].as_array().map(Vec::len), &rest["next"]), (Some(1), &Value::Null));

    let removed = said(&site, &["remove", &ids[0], &ids[1]]);
    assert_eq!(
        removed,
        format!("{}: deliveries removed: 1\n{}: deliveries removed: 1\n", ids[0], ids[1])
    );
    let gone = refused(&site, &["remove", &ids[0], &ids[1]]);
    assert_eq!(gone.matches("error: there is no message").count(), 2, "{gone}");
    assert!(gone.contains("  = help: `stagepost queue list` shows what is there"), "{gone}");

    let held = said(&site, &["hold", &ids[2], "--reason", "let us see"]);
    assert_eq!(held, format!("{}: deliveries on hold now: 1\n", ids[2]));
    assert!(said(&site, &["explain", &ids[2]]).contains("let us see"));
    assert_eq!(said(&site, &["flush", "example.test"]), "example.test: deliveries due now: 0\n");
    count_and_hold_by_destination(&site, &ids[2]);
    let released = said(&site, &["release", &ids[2]]);
    assert_eq!(released, format!("{}: deliveries released: 1\n", ids[2]));
    server.log().wait_for_count("both", 2, |line| line.message() == "delivered");
    for user in ["b", "archive"] {
        assert_eq!(site.mail(user).len(), 1, "{user}");
    }
    // Delivered is told before the settlement is on disk.
    let gone = || said(&site, &["list"]) == "no messages\n";
    assert!((0..1000).any(|_| gone()), "{}", said(&site, &["list"]));
    for (args, wrong) in [
        (&["explain", &ids[2]][..], "error: there is no message"),
        (&["show", &ids[2]], "error: there is no message"),
        (&["explain", "../../etc"], "is no queue id"),
        (&["flush", "@not a domain"], "is no destination"),
        (&["count", "not a/../domain"], "is no destination"),
        (&["hold", "--destination", "two words", "--reason", "x"], "is no destination"),
        (&["hold", &ids[2], "--reason", "two\nlines"], "a reason is one line"),
        (&["explain", ""], "error: \"\" is no queue id"),
        (&["show", "\u{1b}[31m\u{202e}"], "error: \"\\u{1b}[31m\\u{202e}\" is no queue id"),
        (&["remove", &"7".repeat(100_000)], "is no queue id"),
        (&["list", "--after", &"7".repeat(100_000)], "is no queue id"),
        (&["count", &"7".repeat(100_000)], "is no destination"),
    ] {
        let said = refused(&site, args);
        assert!(said.contains(wrong) && said.contains("\n  = help: "), "{args:?}: {said}");
    }
    server.stop();
    let alone = refused(&site, &["list"]);
    assert!(alone.starts_with("error: no server answers on state/admin.sock"), "{alone}");
}

#[test]
fn the_held_are_listed_among_others_that_wait() {
    let site = Site::new("[[route]]\ndomain = \"branch.test\"\nhold = \"30d\"\n");
    let server = site.start();
    let ids: Vec<String> = (0..4)
        .map(|_| {
            let mut client = server.greeted();
            client.say("MAIL FROM:<a@client.test>", 250);
            client.say("RCPT TO:<b@branch.test>", 250);
            client.say("DATA", 354);
            let reply = client.say(".", 250);
            reply.lines[0].rsplit(' ').next().expect("an id").to_owned()
        })
        .collect();
    assert_eq!(said(&site, &["list", "--held"]), "no messages\n");
    said(&site, &["hold", &ids[0], &ids[2], &ids[3], "--reason", "let us see"]);
    let page = |args: &[&str]| {
        let listed = said(&site, &[&["list", "--json"], args].concat());
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        let lines = listed["messages"].as_array().expect("a list");
        let id = |line: &Value| line["id"].as_str().expect("an id").to_owned();
        (lines.iter().map(id).collect::<Vec<_>>(), listed["next"].as_str().map(str::to_owned))
    };
    assert_eq!(page(&[]), (ids.clone(), None));
    let held = [&ids[0], &ids[2], &ids[3]].map(Clone::clone);
    assert_eq!(page(&["--held"]), (held.to_vec(), None));
    assert_eq!(page(&["--held", "--limit", "2"]), (held[..2].to_vec(), Some(ids[2].clone())));
    assert_eq!(page(&["--held", "--after", &ids[2]]), (held[2..].to_vec(), None));
    said(&site, &["release", &ids[2]]);
    let told = said(&site, &["list", "--held"]);
    assert!(told.contains("let us see") && !told.contains(&ids[2]), "{told}");
    assert_eq!(page(&["--held"]).0, [ids[0].clone(), ids[3].clone()]);
    server.stop();
}

/// Hands in a message from this sender to this recipient; its id.
fn hand_in(server: &Server, from: &str, to: &str) -> String {
    let reply = server.greeted().deliver(from, to, "Subject: x\r\n\r\nHello.\r\n");
    assert_eq!(reply.code, 250, "{reply}");
    reply.lines[0].rsplit(' ').next().expect("an id").to_owned()
}

#[test]
fn mail_is_ordered_about_by_destination_queue_sender_and_id() {
    let sink = Sink::open();
    let site = Site::new(&format!(
        "[[route]]\ndomain = \"@branch.test\"\nhold = \"30d\"\nqueue = \"branch\"\n\
         [[route]]\ndomain = \"other.test\"\nnext_hop = \"{}\"\n",
        sink.address()
    ));
    let server = site.start();
    let first = hand_in(&server, "a@client.test", "b@branch.test");
    hand_in(&server, "a@client.test", "b@sub.branch.test");
    hand_in(&server, "b@client.test", "b@branch.test");
    hand_in(&server, "bounces@example.test", "gone@branch.test");
    let count = |of: &str| {
        let counted = said(&site, &["count", of, "--json"]);
        let counted: Value = serde_json::from_str(&counted).expect("JSON");
        (counted["queued"].as_u64(), counted["held"].as_u64())
    };
    assert_eq!(count("#branch"), (Some(4), Some(0)));
    let all = said(&site, &["count", "--limit", "1"]);
    assert!(
        all.starts_with("DESTINATION  QUEUED  HELD  OCTETS\n#branch      4       0     "),
        "{all}"
    );
    assert!(all.ends_with("\nThere are more: go on with --after '#branch'\n"), "{all}");
    assert_eq!(count("@"), (Some(4), Some(0)));
    let largest = said(&site, &["count", "--largest", "--limit", "2"]);
    let names = largest.lines().map(|line| line.split(' ').next().unwrap_or_default());
    let names: Vec<&str> = names.take(3).collect();
    assert_eq!(names, ["DESTINATION", "#branch", "branch.test"], "{largest}");
    assert!(largest.ends_with("\nThere is 1 other with less mail or as much\n"), "{largest}");
    let by_lane = said(&site, &["destinations", "--largest", "--limit", "1"]);
    assert!(by_lane.ends_with("\nThere are 2 others with less mail or as much\n"), "{by_lane}");
    let rest = said(&site, &["count", "--after", "#branch", "--json"]);
    let rest: Value = serde_json::from_str(&rest).expect("JSON");
    let names =
        rest["destinations"].as_array().expect("a list").iter().map(|it| &it["destination"]);
    assert_eq!(names.collect::<Vec<_>>(), ["branch.test", "sub.branch.test"]);
    assert_eq!(rest["next"], Value::Null);
    let told = |args: &[&str], wanted: &str| assert_eq!(said(&site, args), wanted, "{args:?}");
    told(&["hold", "--sender", "A@client.test"], "A@client.test: deliveries on hold now: 2\n");
    assert_eq!(count("#Branch"), (Some(2), Some(2)));
    told(
        &["release", "--sender", "@client.test", "--json"],
        "{\"of\":\"@client.test\",\"count\":2}\n",
    );
    told(&["remove", "--sender", "b@client.test"], "b@client.test: deliveries removed: 1\n");
    told(&["remove", "--sender", "<>"], "<>: deliveries removed: 0\n");

    // Not delivered, and told of to its sender.
    let args = ["remove", "--destination", "branch.test", "--sender", "x@y"];
    assert_eq!(run(&site, &args).status.code(), Some(2));
    told(
        &["remove", "--sender", "bounces@example.test", "--bounce", "--reason", "we moved"],
        "bounces@example.test: deliveries given up: 1\n",
    );
    server.log().wait_for("the notification", |line| line.message() == "the sender is told");
    server.log().wait_for("its delivery", |line| line.message() == "delivered");
    let [notice] = &site.mail("bounces")[..] else { panic!("one notification") };
    let notice = String::from_utf8_lossy(notice);
    for part in ["we moved", "Action: failed", "Status: 5.7.0", "gone@branch.test"] {
        assert!(notice.contains(part), "{part:?} is not in {notice}");
    }

    // By the route of another domain.
    let wrong = refused(&site, &["requeue", &first, "--route", "nowhere.test"]);
    assert!(wrong.contains("there is no route") && wrong.contains("  = help: "), "{wrong}");
    assert!(sink.messages().is_empty());
    told(
        &["requeue", &first, "--route", "other.test"],
        &format!("{first}: deliveries requeued: 1\n"),
    );
    assert_eq!(sink.wait_for(1)[0].recipients, ["b@branch.test"]);
    told(&["requeue", "--destination", "#branch"], "#branch: deliveries requeued: 1\n");
    told(&["hold", "--destination", "@"], "@: deliveries on hold now: 1\n");
    told(&["remove", "--destination", "@"], "@: deliveries removed: 1\n");
    server.stop();
}

/// One message waits, for two recipients at one destination, on hold.
fn count_and_hold_by_destination(site: &Site, id: &str) {
    let count = |destination: &str| {
        let counted = said(site, &["count", destination, "--json"]);
        let counted: Value = serde_json::from_str(&counted).expect("JSON");
        assert_eq!(counted["destination"], destination);
        (counted["queued"].as_u64(), counted["held"].as_u64(), counted["octets"].as_u64() > Some(0))
    };
    assert_eq!(count("example.test"), (Some(0), Some(1), true));
    assert_eq!(count("@test"), (Some(0), Some(1), true));
    assert_eq!(count("[192.0.2.1]"), (Some(0), Some(0), false));
    let told = said(site, &["count", "elsewhere.test"]);
    assert_eq!(told, "elsewhere.test: deliveries queued: 0, on hold: 0, octets: 0\n");
    let held = said(site, &["hold", "--destination", "@test", "--reason", "all of it"]);
    assert_eq!(held, "@test: deliveries on hold now: 0\n", "it was before");
    assert_eq!(
        said(site, &["release", "--destination", "b.test"]),
        "b.test: deliveries released: 0\n"
    );
    let flushed = said(site, &["flush", "example.test", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&flushed).expect("JSON")["count"], 0);
    assert_eq!(run(site, &["hold", id, "--destination", "example.test"]).status.code(), Some(2));
    assert_eq!(run(site, &["release"]).status.code(), Some(2));
}

/// Runs a command with its output on a disk that is full; exit code and what it says on stderr.
fn on_a_full_disk(site: &Site, args: &[&str]) -> (Option<i32>, String) {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full device");
    let mut command = site.command(&[&["queue"], args, &["--socket", "state/admin.sock"]].concat());
    let output = command.stdout(full).stderr(Stdio::piped()).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_can_not_be_written_is_no_success() {
    let site = Site::new("[[route]]\ndomain = \"branch.test\"\nhold = \"30d\"\n");
    let server = site.start();
    let id = hand_in(&server, "a@client.test", "b@branch.test");
    for args in
        [&["show", &id][..], &["list"], &["explain", &id, "--json"], &["count"], &["flush", "@"]]
    {
        let (code, said) = on_a_full_disk(&site, args);
        assert_eq!(code, Some(1), "{args:?}: {said}");
        assert!(said.contains("No space left on device"), "{args:?}: {said}");
    }
    server.stop();
}

/// Nobody is told what became of mail without a sender; it is gone all the same.
#[test]
fn mail_without_a_sender_is_given_up_without_a_word() {
    let site = Site::new("[[route]]\ndomain = \"branch.test\"\nhold = \"30d\"\n");
    let server = site.start();
    let id = hand_in(&server, "", "b@branch.test");
    let told = said(&site, &["remove", &id, "--bounce", "--reason", "we moved"]);
    assert_eq!(told, format!("{id}: deliveries given up: 1\n"));
    let gone = || said(&site, &["list"]) == "no messages\n";
    assert!((0..1000).any(|_| gone()), "{}\n{}", said(&site, &["list"]), server.log());
    let told = |line: &stagepost_tests::log::Line| line.message() == "the sender is told";
    assert!(server.log().matching(told).is_empty());
    server.stop();
}

/// A route that an operator has chosen, and that the next start does not have.
#[test]
fn mail_on_a_route_that_is_gone_goes_by_that_of_its_domain() {
    let closed = stagepost_tests::sink::Closed::reserve();
    let own = "[[route]]\ndomain = \"branch.test\"\nhold = \"30d\"\n";
    let hop = closed.address();
    let site = Site::new(&format!("{own}[[route]]\ndomain = \"old.test\"\nnext_hop = \"{hop}\"\n"));
    let server = site.start();
    let id = hand_in(&server, "a@client.test", "b@branch.test");
    said(&site, &["requeue", &id, "--route", "old.test"]);
    let line = server.log().wait_for("an attempt", |line| line.message() == "deferred");
    assert_eq!(line.text("id"), id);
    server.stop();
    site.configure(own);
    let server = site.start();
    said(&site, &["flush", "--id", &id]);
    let line = server.log().wait_for("an attempt", |line| line.message() == "deferred");
    assert!(line.text("reply").starts_with("4.4.7 nobody has come"), "{}", line.as_str());
    said(&site, &["requeue", &id]);
    let listed = said(&site, &["explain", &id, "--json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["recipients"][0]["route"], Value::Null);
    server.stop();
}
