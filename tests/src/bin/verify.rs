//! `cargo verify`: sets everything up, runs every check and test, and prints one closing line.
//! Holds nothing but the way into the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    stagepost_tests::verify::run()
}
