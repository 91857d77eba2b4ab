//! What an operator sees of plug-ins on the real server: figures, metrics.
//! Knows the program's commands and two plug-ins that use what is watched.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::process::Output;

use stagepost_tests::server::{Site, plugin_section};

const MESSAGE: &str = "Subject: watched\r\n\r\nHello.\r\n";

/// A site with the plug-in keeper in C, and further settings of it.
fn keeper(further: &str) -> Site {
    let site = Site::new("");
    let file = site.compile("plugins/keeper.c");
    site.configure(&plugin_section("keeper", &file, further));
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
