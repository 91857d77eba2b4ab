//! Every dialogue script that needs nothing but a connection, on the real server.
//! The same scripts run on the bare session: a difference is a fault of what lies between.

use std::path::PathBuf;

use stagepost_tests::dialogue::{Played, Script, TcpServer, play};
use stagepost_tests::server::Site;

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
