//! What an operator sees of plug-ins on the real server, and has them do: metrics, the trace, verbs.
//! Knows the program's commands and two plug-ins that use what is watched.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use stagepost_tests::client::Client;
use stagepost_tests::process::Ended;
use stagepost_tests::server::{Site, plugin_section};

const MESSAGE: &str = "Subject: watched\r\n\r\nHello.\r\n";

/// Tests say much that leads nowhere.
const PATIENT: &str = "[limits]\nidle_commands_max = 10000\n\n";

/// A site with the plug-in keeper in C, and further settings of it.
fn keeper(further: &str) -> Site {
    let site = Site::new("");
    let file = site.compile("plugins/keeper.c");
    site.configure(&(PATIENT.to_owned() + &plugin_section("keeper", &file, further)));
    site
}

/// What a command printed; it must have ended well.
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn metrics_tell_of_calls_and_what_plug_ins_count() {
    let site = keeper("");
    let server = site.start();
    let mut client = server.greeted();
    client.deliver("s@c", "b@example.test", MESSAGE);
    client.deliver("much-longer@client.test", "b@example.test", MESSAGE);
    let text = printed(&site.run(&["metrics", "--config", "stagepost.toml"]));
    for wanted in [
        "# TYPE stagepost_sessions_open gauge\nstagepost_sessions_open 1\n",
        "stagepost_queue_accepting 1\n",
        "stagepost_plugin_calls_total{plugin=\"keeper\",event=\"mail\",stage=\"before\",answer=\"continue\"} 2\n",
        "# HELP plugin_keeper_mails_total Mails begun.\n# TYPE plugin_keeper_mails_total counter\nplugin_keeper_mails_total 2\n",
        "plugin_keeper_depth 5\n",
        "plugin_keeper_sender_octets_bucket{le=\"5\"} 1\n",
        "plugin_keeper_sender_octets_bucket{le=\"20\"} 1\n",
        "plugin_keeper_sender_octets_bucket{le=\"+Inf\"} 2\n",
        "plugin_keeper_sender_octets_sum 26\n",
    ] {
        assert!(text.contains(wanted), "{wanted:?} in\n{text}");
    }
    assert!(!text.contains("stagepost_plugin_faults_total{"), "{text}");
    // One name, one family: what a scraper insists on.
    let families: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE ")).collect();
    let names: std::collections::BTreeSet<_> =
        families.iter().map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(names.len(), families.len(), "{families:?}");
    server.stop();
    let gone = site.run(&["metrics", "--config", "stagepost.toml"]);
    assert_eq!(gone.status.code(), Some(1), "{gone:?}");
}

#[test]
fn calls_on_a_pool_are_all_timed() {
    let site = keeper("run = \"pool\"");
    let server = site.start();
    server.greeted().deliver("a@client.test", "b@example.test", MESSAGE);
    let text = printed(&site.run(&["metrics", "--socket", "state/admin.sock"]));
    let labels = "plugin=\"keeper\",event=\"mail\",stage=\"before\"";
    for wanted in [
        format!("stagepost_plugin_call_seconds_count{{{labels}}} 1\n"),
        format!("stagepost_plugin_call_seconds_bucket{{{labels},le=\"+Inf\"}} 1\n"),
    ] {
        assert!(text.contains(&wanted), "{wanted:?} in\n{text}");
    }
    server.stop();
}

/// A trace under way.
struct Tracing {
    command: Ended,
    lines: Receiver<String>,
}

/// How long a line may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

impl Tracing {
    /// Starts a trace, and makes calls with `client` until it shows one: then it is under way.
    fn start(site: &Site, client: &mut Client, arguments: &[&str]) -> Self {
        let base = ["trace", "--socket", "state/admin.sock"];
        let mut command = site.command(&[&base, arguments].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        // It ends with the command's output, or with the test.
        thread::spawn(move || {
            stdout.lines().map_while(Result::ok).try_for_each(|l| sender.send(l))
        });
        let tracing = Self { command: Ended(child), lines };
        for _ in 0..600 {
            client.say("NOOP", 250);
            client.say("RSET", 250);
            client.say("MAIL FROM:<a@client.test>", 250);
            if tracing.lines.recv_timeout(Duration::from_millis(100)).is_ok() {
                client.say("RSET", 250);
                return tracing;
            }
        }
        panic!("the trace shows nothing");
    }

    /// The first line from now on that a test wants.
    fn wait_for(&self, wanted: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).expect("a line that was waited for");
            if wanted(&line) {
                return line;
            }
        }
    }

    /// Waits for the end of the command; what it printed until then.
    fn rest(mut self) -> Vec<String> {
        let rest = self.lines.iter().collect();
        let status = self.command.0.wait().unwrap();
        assert_eq!(status.code(), Some(0));
        rest
    }
}

#[test]
fn a_trace_shows_calls_live_without_secrets_and_ends_with_the_server() {
    let site = Site::new("");
    let (noop, keeper) = (site.compile("faults/noop.c"), site.compile("plugins/keeper.c"));
    let sections = plugin_section("noop", &noop, "") + &plugin_section("keeper", &keeper, "");
    site.configure(&(PATIENT.to_owned() + &sections));
    let server = site.start();
    let mut client = server.greeted();
    let all = Tracing::start(&site, &mut client, &["--json"]);
    let keepers = Tracing::start(&site, &mut client, &["--plugin", "keeper"]);

    client.send(b"AUTH PLAIN c2VjcmV0\r\n");
    assert!(client.reply().code >= 500);
    let line = all.wait_for(|line| line.contains("AUTH") && line.contains("before"));
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["arguments"]["line"], "AUTH PLAIN *");
    client.say("MAIL FROM:<traced@client.test> SIZE=5", 250);
    let line = all.wait_for(|line| line.contains("traced@") && line.contains("keeper"));
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["event"], "mail");
    assert_eq!(line["stage"], "before");
    assert_eq!(line["answer"], "continue");
    assert_eq!(line["arguments"]["sender"], "traced@client.test");
    assert_eq!(line["arguments"]["parameters"], "SIZE=5");
    assert!(line["took_ns"].as_u64() > Some(0), "{line}");
    let session = line["session"].to_string();
    let shown = keepers.wait_for(|line| line.contains("traced@"));
    assert!(shown.contains(&format!(" {session} keeper before mail: continue in ")), "{shown}");
    assert!(shown.ends_with("; parameters \"SIZE=5\"; sender \"traced@client.test\""), "{shown}");

    let mut other = server.greeted();
    let one = Tracing::start(&site, &mut client, &["--session", &session, "--json"]);
    other.say("MAIL FROM:<other@client.test>", 250);
    client.say("MAIL FROM:<mine@client.test>", 250);
    one.wait_for(|line| line.contains("mine@client.test") && line.contains("keeper"));

    server.stop();
    for line in all.rest() {
        assert!(!line.contains("c2VjcmV0"), "{line}");
    }
    assert!(keepers.rest().iter().all(|line| line.contains(" keeper ")));
    assert!(one.rest().iter().all(|line| !line.contains("other@")));
}

#[test]
fn a_trace_of_nothing_is_refused_and_one_that_leaves_makes_room() {
    let site = keeper("");
    let server = site.start();
    let refused = site.run(&["trace", "--socket", "state/admin.sock", "--plugin", "nobody"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.starts_with("error: there is no plug-in \"nobody\"\n  = help: "), "{said}");
    let mut client = server.greeted();
    // More than may watch at once, one after the other.
    for _ in 0..20 {
        let tracing = Tracing::start(&site, &mut client, &[]);
        tracing.command.signal(rustix::process::Signal::INT);
        assert!(tracing.lines.iter().count() < 1000);
    }
    server.stop();
}

#[test]
fn verbs_are_listed_with_their_help_and_called() {
    let site = keeper("");
    let server = site.start();
    let at = ["--socket", "state/admin.sock"];
    let list = printed(&site.run(&[&["plugin", "list"], &at[..]].concat()));
    let wanted = "keeper 1.0\n  echo     gives back what it takes\n  refuse   fails\n  nothing  takes nothing\n";
    assert!(list.starts_with(wanted), "{list}");
    let json = printed(&site.run(&[&["plugin", "list", "--json"], &at[..]].concat()));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["plugins"][0]["verbs"][1]["help"], "fails");

    let call = |arguments: &[&str]| {
        site.run(&[&["plugin", "call"], &at[..], &["keeper"], arguments].concat())
    };
    assert_eq!(
        printed(&call(&["echo", "{\"a\": [1, \"\\u00e4\"]}"])),
        "{\"a\": [1, \"\\u00e4\"]}\n"
    );
    assert_eq!(printed(&call(&["echo"])), "null\n");
    assert_eq!(printed(&call(&["nothing"])), "null\n");
    let cases: [(&[&str], &str); 5] = [
        (&["refuse"], "error: keeper: not today\n"),
        (&["nothing", "1"], "error: keeper: the plug-in answers status 0x0495\n"),
        (&["echo", "{"], "error: the arguments are not JSON\n"),
        (&["none"], "error: plug-in keeper has no verb \"none\"\n"),
        (&["../echo"], "error: there is no plug-in or verb \"../echo\"\n"),
    ];
    for (arguments, wanted) in cases {
        let refused = call(arguments);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.starts_with(wanted), "{wanted:?} in {said}");
    }
    server.stop();
}
