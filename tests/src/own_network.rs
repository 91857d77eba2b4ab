//! A network of a test's own: loopback alone, where every port can be had.
//! Knows unshare(1) and ip(8); knows no server.

use std::env;
use std::process::Command;

use crate::peer;

/// Says to a process that it is there already.
const MARK: &str = "STAGEPOST_OWN_NETWORK";

/// Whether this process has a network of its own. If not, the test of this name, which asks, is run by a process that has.
///
/// # Panics
///
/// When the system does not let us, or that test fails, with what it said.
pub fn entered(test: &str) -> bool {
    if env::var_os(MARK).is_some() {
        let up = Command::new(peer::need("ip")).args(["link", "set", "lo", "up"]).status();
        assert!(up.expect("it can be run").success());
        return true;
    }
    let output = Command::new(peer::need("unshare"))
        .args(["--map-root-user", "--net"])
        .arg(env::current_exe().expect("this program has a file"))
        .args(["--exact", test, "--nocapture"])
        .env(MARK, "1")
        .output()
        .expect("it can be run");
    let said = String::from_utf8_lossy(&output.stdout);
    let cried = String::from_utf8_lossy(&output.stderr);
    let good = output.status.success() && said.contains(" 1 passed;");
    assert!(good, "{test} in a network of its own:\n{said}\n{cried}");
    false
}
