//! Every dialogue script that needs nothing but a connection, on the real server.
//! The same scripts run on the bare session: a difference is a fault of what lies between. Those that need TLS make real handshakes.

use std::path::PathBuf;

use stagepost_tests::dialogue::{LogIn, Need, Played, Script, TcpServer, play};
use stagepost_tests::server::{Server, Site};
use stagepost_tests::wire::Trust;

/// Who logs in, for the configuration.
const USERS: &str = "[auth]\nusers_file = \"users\"\nfailure_delay = \"0s\"\n";

/// Plays the scripts that are `meant`, each on a connection of its own, made `ready` for what they need; how many were played.
fn play_all(
    server: &Server,
    meant: impl Fn(&Script) -> bool,
    ready: impl Fn(TcpServer) -> TcpServer,
) -> usize {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dialogues");
    let scripts = Script::read_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let (mut passed, mut failures) = (0, Vec::new());
    for script in scripts.iter().filter(|script| meant(script)) {
        let played = TcpServer::connect(server.address())
            .map_err(|mismatch| format!("{}: {mismatch}", script.name))
            .and_then(|player| play(script, &mut ready(player)).map_err(|error| error.to_string()));
        match played {
            Ok(Played::Passed) => passed += 1,
            Ok(Played::Skipped(_)) => {}
            Err(failure) => failures.push(failure),
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    passed
}

#[test]
fn the_server_keeps_to_every_script_over_tcp() {
    let site = Site::new("");
    let server = site.start();
    let passed = play_all(&server, |_| true, |player| player);
    assert!(passed >= 40, "only {passed} scripts need no more than TCP");
    server.stop();
}

#[test]
fn the_server_keeps_to_every_script_with_xclient_over_tcp() {
    let site = Site::new("");
    site.configure_listener("xclient_from = [\"127.0.0.1\"]\n", "");
    let server = site.start();
    let passed =
        play_all(&server, |script| script.needs() == [Need::Xclient], TcpServer::with_xclient);
    assert!(passed >= 2, "only {passed}");
    server.stop();
}

#[test]
fn the_server_keeps_to_every_script_for_atrn_over_tcp() {
    let site = Site::new("");
    site.add_user("user", "pencil");
    let fields = "purpose = \"odmr\"\nrequire_tls = false\nauth_allow_plaintext = true\n";
    site.configure_listener(fields, USERS);
    let server = site.start();
    let needs = [Need::Auth(LogIn::Clear), Need::Odmr];
    let ready = |player: TcpServer| player.with_auth(LogIn::Clear).with_odmr();
    let passed = play_all(&server, |script| script.needs() == needs, ready);
    assert!(passed >= 1, "only {passed}");
    server.stop();
}

#[test]
fn the_server_keeps_to_every_script_with_tls_over_tcp() {
    let site = Site::new("");
    let trust = Trust::in_file(&site.certify("mx.example.test"));
    for (need, required, wanted) in [(Need::OfferedTls, false, 4), (Need::RequiredTls, true, 1)] {
        site.configure_tls(&format!("require_tls = {required}\n"), "");
        let server = site.start();
        let ready = |player: TcpServer| player.with_tls(need, trust.clone());
        let passed = play_all(&server, |script| script.needs() == [need], ready);
        assert!(passed >= wanted, "only {passed}");
        server.stop();
    }
}

#[test]
fn the_server_keeps_to_every_script_with_logins_over_tcp() {
    let site = Site::new("");
    let trust = Trust::in_file(&site.certify("mx.example.test"));
    site.add_user("user", "pencil");
    for (auth, fields, needs, wanted) in [
        (
            LogIn::Clear,
            "auth = \"offered\"\nauth_allow_plaintext = true\n",
            vec![Need::Auth(LogIn::Clear)],
            4,
        ),
        (
            LogIn::Required,
            "auth = \"required\"\n",
            vec![Need::OfferedTls, Need::Auth(LogIn::Required)],
            1,
        ),
    ] {
        if needs.contains(&Need::OfferedTls) {
            site.configure_tls(fields, USERS);
        } else {
            site.configure_listener(fields, USERS);
        }
        let server = site.start();
        let ready =
            |player: TcpServer| player.with_auth(auth).with_tls(Need::OfferedTls, trust.clone());
        let passed = play_all(&server, |script| script.needs() == needs, ready);
        assert!(passed >= wanted, "only {passed}");
        server.stop();
    }
}
