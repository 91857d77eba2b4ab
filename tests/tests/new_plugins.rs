//! New plug-ins as an author makes them: `plugin new`, the command that it prints, the section that it prints, and mail
//! through the real server.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use stagepost_tests::cargo;
use stagepost_tests::plugin::exports;
use stagepost_tests::server::{Site, program};

const MESSAGE: &str = "Subject: through new plug-ins\r\n\r\nHello.\r\n";

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The indented lines of what was printed, one text for each block.
fn blocks(printed: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in printed.lines() {
        match (line.strip_prefix("    "), blocks.last_mut().unwrap()) {
            (Some(text), block) => *block += &format!("{text}\n"),
            (None, block) if !block.is_empty() => blocks.push(String::new()),
            (None, _) => {}
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// Makes a plug-in and builds it as it says; its section for the configuration, and the whole one to try it with.
fn make(site: &Site, folder: &Path, args: &[&str]) -> (String, String) {
    let output = site.run(&[&["plugin", "new"], args].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    let blocks = blocks(&printed);
    let [build, inspect, attempt, section] = &blocks[..] else { panic!("{printed}") };
    // What cargo has built of the SDK stays for the next time.
    let kept = cargo::target_dir().unwrap().join("new-plugins");
    fs::create_dir_all(&kept).unwrap();
    std::os::unix::fs::symlink(&kept, folder.join("target")).unwrap();
    let built = Command::new("sh")
        .args(["-c", build.trim()])
        .current_dir(site.path())
        // What the checkout was built with is there; nothing else is looked for.
        .env("CARGO_NET_OFFLINE", "true")
        .output()
        .unwrap();
    assert!(built.status.success(), "{build}:\n{}", String::from_utf8_lossy(&built.stderr));
    let library = section.lines().find_map(|line| line.strip_prefix("path = ")).unwrap();
    let library = library.trim_matches('"');
    assert!(inspect.contains(" plugin inspect ") && inspect.contains(library), "{inspect}");
    let trial = folder.join("try.toml");
    for wanted in [" run --config ", " trace --config ", "curl "] {
        assert!(attempt.contains(wanted), "{wanted:?} in {attempt}");
    }
    assert_eq!(attempt.matches(trial.to_str().unwrap()).count(), 2, "{attempt}");
    assert_eq!(exports(Path::new(library)), ["em_entry"]);
    let inspected = site.run(&["plugin", "inspect", library]);
    assert!(inspected.status.success(), "{}", String::from_utf8_lossy(&inspected.stderr));
    (section.clone(), fs::read_to_string(trial).unwrap())
}

#[test]
fn new_plug_ins_in_c_and_rust_build_load_and_stamp() {
    let site = Site::new("");
    // Without --dir the folder has the name and lies in the working folder.
    let (c, trial) = make(&site, &site.path().join("my-filter"), &["--lang", "c", "my-filter"]);
    let (checkout, rust) = (checkout(), site.path().join("in rust"));
    let (checkout, folder) = (checkout.to_str().unwrap(), rust.to_str().unwrap());
    let args = ["--lang", "rust", "--sdk", checkout, "--dir", folder, "rusty_1"];
    let (rust, _) = make(&site, &rust, &args);
    assert!(trial.ends_with(&c), "{trial}");
    // The configuration to try it with, at a port that is free and with a log that programs read.
    let (listens, log) = ("\"127.0.0.1:2525\"", "\n[log]\nformat = \"json\"\n");
    assert!(trial.contains(listens), "{trial}");
    let trial = trial.replace(listens, "\"127.0.0.1:0\"").replace("var/mail", "mail");
    site.write_config(&(trial + &rust + log));
    let checked = site.run(&["check", "--config", "stagepost.toml"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));

    let server = site.start();
    let reply = server.greeted().deliver("a@client.test", "b@example.test", MESSAGE);
    assert_eq!(reply.code, 250, "{reply}");
    server.log().wait_for("the delivery", |line| line.message() == "delivered");
    let mail = site.mail("b");
    let [message] = &mail[..] else { panic!("{} messages", mail.len()) };
    let message = String::from_utf8_lossy(message);
    assert!(message.contains("X-My-Filter: seen by my-filter, session "), "{message}");
    assert!(message.contains("X-Rusty_1: seen by rusty_1, session "), "{message}");
    server.stop();
}

#[test]
fn a_name_that_can_not_be_and_a_folder_that_is_there_are_refused() {
    let site = Site::new("");
    // The folder for tests may lie in the checkout.
    let elsewhere = tempfile::tempdir_in("/tmp").unwrap();
    let moved = elsewhere.path().join("moved");
    fs::copy(program(), &moved).unwrap();
    for (args, wanted) in [
        (["--lang", "c", "My-Filter"].as_slice(), "can't be the name of a plug-in"),
        (&["--lang", "c", "--dir", ".", "a"], ". is there already"),
        (&["--lang", "rust", "--sdk", ".", "a"], ". is no checkout of Stagepost"),
        // Not where it was built.
        (&["--lang", "rust", "a"], "--sdk"),
    ] {
        let output = Command::new(&moved)
            .args([&["plugin", "new"], args].concat())
            .current_dir(site.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.starts_with("error: ") && said.contains(wanted), "{wanted:?} in {said}");
        assert!(!site.path().join("a").exists());
    }
}
