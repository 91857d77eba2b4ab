//! Every dialogue script that needs nothing but a connection, on the real server.
//! The same scripts run on the bare session: a difference is a fault of what lies between. Those that need TLS make real handshakes.

use std::path::PathBuf;

use stagepost_tests::dialogue::{LogIn, Need, Played, Script, TcpServer, play};
use stagepost_tests::server::Site;
use stagepost_tests::wire::Trust;

#[test]
fn the_server_keeps_to_every_script_over_tcp() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let scripts = Script::read_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let site = Site::new("");
    let server = site.start();
    let (mut passed, mut failures) = (0, Vec::new());
    for script in &scripts {
        let played = TcpServer::connect(server.address())
            .map_err(|mismatch| format!("{}: {mismatch}", script.name))
            .and_then(|mut player| play(script, &mut player).map_err(|error| error.to_string()));
        match played {
            Ok(Played::Passed) => passed += 1,
            Ok(Played::Skipped(_)) => {}
            Err(failure) => failures.push(failure),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    assert!(passed >= 40, "only {passed} of {} scripts need no more than TCP", scripts.len());
    server.stop();
}

#[test]
fn the_server_keeps_to_every_script_with_xclient_over_tcp() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let scripts = Script::read_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let site = Site::new("");
    site.configure_listener("xclient_from = [\"127.0.0.1\"]\n", "");
    let server = site.start();
    let mut passed = 0;
    for script in scripts.iter().filter(|script| script.needs() == [Need::Xclient]) {
        let player = TcpServer::connect(server.address()).map(TcpServer::with_xclient);
        let mut player = player.unwrap_or_else(|mismatch| panic!("{}: {mismatch}", script.name));
        play(script, &mut player).unwrap_or_else(|error| panic!("{error}"));
        passed += 1;
    }
    assert!(passed >= 2, "only {passed}");
    server.stop();
}

#[test]
fn the_server_keeps_to_every_script_for_atrn_over_tcp() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let scripts = Script::read_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let site = Site::new("");
    site.add_user("user", "pencil");
    let users = "[auth]\nusers_file = \"users\"\nfailure_delay = \"0s\"\n";
    let fields = "purpose = \"odmr\"\nrequire_tls = false\nauth_allow_plaintext = true\n";
    site.configure_listener(fields, users);
    let server = site.start();
    let mut passed = 0;
    let needs = [Need::Auth(LogIn::Clear), Need::Odmr];
    for script in scripts.iter().filter(|script| script.needs() == needs) {
        let player = TcpServer::connect(server.address())
            .map(|player| player.with_auth(LogIn::Clear).with_odmr());
        let mut player = player.unwrap_or_else(|mismatch| panic!("{}: {mismatch}", script.name));
        play(script, &mut player).unwrap_or_else(|error| panic!("{error}"));
        passed += 1;
    }
    assert!(passed >= 1, "only {passed}");
    server.stop();
}

#[test]
fn the_server_keeps_to_every_script_with_tls_over_tcp() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let scripts = Script::read_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let site = Site::new("");
    let trust = Trust::in_file(&site.certify("mx.example.test"));
    for (need, required) in [(Need::OfferedTls, false), (Need::RequiredTls, true)] {
        site.configure_tls(&format!("require_tls = {required}\n"), "");
        let server = site.start();
        let (mut passed, mut failures) = (Vec::new(), Vec::new());
        for script in scripts.iter().filter(|script| script.needs() == [need]) {
            let played = TcpServer::connect(server.address())
                .map(|player| player.with_tls(need, trust.clone()))
                .map_err(|mismatch| format!("{}: {mismatch}", script.name))
                .and_then(|mut player| {
                    play(script, &mut player).map_err(|error| error.to_string())
                });
            match played {
                Ok(_) => passed.push(&*script.name),
                Err(failure) => failures.push(failure),
            }
        }
        assert!(failures.is_empty(), "\n{}", failures.join("\n"));
        assert!(passed.len() >= if required { 1 } else { 4 }, "only {passed:?}");
        server.stop();
    }
}

#[test]
fn the_server_keeps_to_every_script_with_logins_over_tcp() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let scripts = Script::read_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let site = Site::new("");
    let trust = Trust::in_file(&site.certify("mx.example.test"));
    site.add_user("user", "pencil");
    let users = "[auth]\nusers_file = \"users\"\nfailure_delay = \"0s\"\n";
    for (auth, fields, needs) in [
        (
            LogIn::Clear,
            "auth = \"offered\"\nauth_allow_plaintext = true\n",
            vec![Need::Auth(LogIn::Clear)],
        ),
        (
            LogIn::Required,
            "auth = \"required\"\n",
            vec![Need::OfferedTls, Need::Auth(LogIn::Required)],
        ),
    ] {
        if needs.contains(&Need::OfferedTls) {
            site.configure_tls(fields, users);
        } else {
            site.configure_listener(fields, users);
        }
        let server = site.start();
        let (mut passed, mut failures) = (Vec::new(), Vec::new());
        for script in scripts.iter().filter(|script| script.needs() == needs) {
            let played = TcpServer::connect(server.address())
                .map(|player| player.with_auth(auth).with_tls(Need::OfferedTls, trust.clone()))
                .map_err(|mismatch| format!("{}: {mismatch}", script.name))
                .and_then(|mut player| {
                    play(script, &mut player).map_err(|error| error.to_string())
                });
            match played {
                Ok(_) => passed.push(&*script.name),
                Err(failure) => failures.push(failure),
            }
        }
        assert!(failures.is_empty(), "\n{}", failures.join("\n"));
        assert!(passed.len() >= if auth == LogIn::Clear { 4 } else { 1 }, "only {passed:?}");
        server.stop();
    }
}
