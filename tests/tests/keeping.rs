//! What plug-ins keep and look up on the real server: durable state, users and groups.
//! Knows the plug-in keeper and its verbs.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;

use stagepost_tests::server::{Site, plugin_section};

/// A site with keeper, and what comes before its section.
fn keeper(before: &str) -> Site {
    let site = Site::new("");
    let file = site.compile("plugins/keeper.c");
    site.configure(&plugin_section("keeper", &file, "[plugin.config]\nlimit = 1"));
    if !before.is_empty() {
        let written = fs::read_to_string(site.path().join("stagepost.toml")).unwrap();
        site.write_config(&format!("{before}\n{written}"));
    }
    site
}

/// Calls a verb of keeper.
fn call(site: &Site, arguments: &[&str]) -> String {
    let base = ["plugin", "call", "--socket", "state/admin.sock", "keeper"];
    let output = site.run(&[&base, arguments].concat());
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// The metrics of the server.
fn metrics(site: &Site) -> String {
    let metrics = site.run(&["metrics", "--socket", "state/admin.sock"]);
    String::from_utf8(metrics.stdout).unwrap()
}

#[test]
fn what_is_kept_outlives_the_server_also_when_it_is_killed() {
    let site = keeper("");
    let server = site.start();
    assert_eq!(call(&site, &["keep"]), "[]");
    assert_eq!(call(&site, &["keep"]), "[\"k/0=a value\"]");
    server.stop();
    let server = site.start();
    assert_eq!(call(&site, &["keep"]), "[\"k/0=a value\", \"k/1=a value\"]");
    // In line it goes without a thread that waits, and the reply comes when it is there.
    let mut client = server.greeted();
    client.say("MAIL FROM:<last@client.test>", 250);
    assert!(metrics(&site).contains("plugin_keeper_kept_total 1\n"));
    server.kill();
    let server = site.start();
    assert_eq!(call(&site, &["last"]), "\"last@client.test\"");
    let wanted = "[\"k/0=a value\", \"k/1=a value\", \"k/2=a value\"]";
    assert_eq!(call(&site, &["keep"]), wanted);
    let said = |line: &stagepost_tests::log::Line| line.message().contains("fault");
    assert!(server.log().matching(said).is_empty(), "{}", server.log());
    server.stop();
}

#[test]
fn users_and_groups_are_those_of_the_configuration() {
    let site = keeper("groups_file = \"groups\"");
    fs::write(
        site.path().join("groups"),
        "staff: Alice@example.test, x@other.test\nall: alice@example.test\n",
    )
    .unwrap();
    let server = site.start();
    for (address, wanted) in [
        ("alice@example.test", "\"user route 1 staff all\""),
        ("ALICE@EXAMPLE.TEST", "\"user route 1 staff all\""),
        ("anybody@example.test", "\"user route 1\""),
        ("x@other.test", "\"nobody route 5 staff\""),
        ("y@other.test", "\"nobody route 5\""),
    ] {
        assert_eq!(call(&site, &["who", &format!("\"{address}\"")]), wanted, "{address}");
    }
    // A reload reads them again; one with a wrong line changes nothing.
    let reload = || {
        let output = site.run(&["reload", "--socket", "state/admin.sock"]);
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let write = |text: &str| fs::write(site.path().join("groups"), text).unwrap();
    let groups = || call(&site, &["who", "\"alice@example.test\""]);
    write("all: alice@example.test\n");
    assert_eq!(reload(), (true, "in force: the groups of groups_file\n".to_owned()));
    assert_eq!(groups(), "\"user route 1 all\"");
    assert_eq!(reload(), (true, "nothing has changed\n".to_owned()));
    write("no colon\n");
    let (done, said) = reload();
    assert!(!done && said.contains("groups:1: there is no colon"), "{said}");
    assert_eq!(groups(), "\"user route 1 all\"");
    server.stop();

    fs::write(site.path().join("groups"), "staff: alice@example.test\nno colon\n").unwrap();
    for said in [
        String::from_utf8(site.run(&["check", "--config", "stagepost.toml"]).stderr).unwrap(),
        site.refused().1,
    ] {
        assert!(said.contains("error: groups_file: "), "{said}");
        assert!(said.contains("groups:2: there is no colon\n --> stagepost.toml:1:15"), "{said}");
    }
}
