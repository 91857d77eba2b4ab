//! Everything that `cargo verify` does, in its order.
//! Knows which steps there are; how one is run, counted or set up is told below.

mod binaries;
mod peers;
mod step;
mod tally;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use step::{Ended, Runner, Step};
use tally::Tally;

/// A test program that takes longer hangs.
const TEST_LIMIT: Duration = Duration::from_secs(600);
/// A build from nothing on a small machine takes minutes.
const BUILD_LIMIT: Duration = Duration::from_secs(1800);
/// Everything else is done in seconds.
const SHORT_LIMIT: Duration = Duration::from_secs(300);
/// The path of a socket has 107 octets at most (unix(7)), and tests have folders of their own below.
const TEMPORARY_OCTETS_MAX: usize = 64;

/// Runs every step and prints `N passed, N failed, N skipped` as the last line.
///
/// Each step that is no test program counts as one; a test program counts with each of its tests.
pub fn run() -> ExitCode {
    let begun = Instant::now();
    let places = match Places::find() {
        Ok(places) => places,
        Err(reason) => {
            eprintln!("cargo verify: {reason}");
            println!("0 passed, 1 failed, 0 skipped");
            return ExitCode::FAILURE;
        }
    };
    let mut tally = Tally::default();
    match Runner::new(&places.root, &places.logs) {
        Ok(runner) => steps(&places, &runner, &mut tally),
        Err(error) => tally.failed("set-up", format!("{}: {error}", places.logs.display())),
    }
    println!("took {:.0} s; logs are in {}", begun.elapsed().as_secs_f32(), places.logs.display());
    tally.explain();
    println!("{tally}");
    if tally.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The folders of a run.
struct Places {
    /// The checkout.
    root: PathBuf,
    /// Where programs that are peers of the tests are unpacked.
    peers: PathBuf,
    /// Where each step's output is kept.
    logs: PathBuf,
    /// Where tests write.
    temporary: PathBuf,
}

impl Places {
    fn find() -> Result<Self, String> {
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = package.parent().ok_or("the tests package has no workspace around it")?;
        let target = crate::cargo::target_dir().ok_or("this program is in no target folder")?;
        let places = Self {
            root: root.to_owned(),
            peers: target.join("peers"),
            logs: target.join("verify"),
            temporary: target.join("tmp"),
        };
        for folder in [&places.peers, &places.logs, &places.temporary] {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        Ok(places)
    }
}

fn steps(places: &Places, runner: &Runner, tally: &mut Tally) {
    let missing = peers::set_up(&places.peers, runner, tally);
    let check = |name, limit, args: &[&str]| cargo(places, name, limit, args);
    let lints = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    // Each with the component that it needs.
    let whole = [
        (
            Some("rustfmt"),
            check(
                "formatting",
                SHORT_LIMIT,
                &["fmt", "--all", "--check", "--", "--color", "never"],
            ),
        ),
        // What plain `cargo run` builds: the server and every plug-in beside it.
        (None, check("building the server and its plug-ins", BUILD_LIMIT, &["build"])),
        (Some("clippy"), check("clippy", BUILD_LIMIT, &lints)),
        (
            None,
            check("documentation", BUILD_LIMIT, &["doc", "--workspace", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings"),
        ),
        (
            None,
            check("examples in the documentation", BUILD_LIMIT, &["test", "--workspace", "--doc"]),
        ),
    ];
    for (needs, step) in &whole {
        if missing.iter().any(|one| Some(one.name()) == *needs) {
            tally.skipped();
            continue;
        }
        count(step, &runner.run(step), tally);
        if runner.interrupted() {
            return;
        }
    }
    let build = check(
        "building the tests",
        BUILD_LIMIT,
        &["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"],
    );
    let built = runner.run(&build);
    count(&build, &built, tally);
    for program in binaries::of(&built.output) {
        if runner.interrupted() {
            return;
        }
        let step = test(places, &program, &missing);
        tally.add_tests(&step.name, &runner.run(&step));
    }
}

fn count(step: &Step, ended: &Ended, tally: &mut Tally) {
    match &ended.failure {
        Some(reason) => tally.failed(&step.name, reason.clone()),
        None => tally.passed(),
    }
}

fn cargo(places: &Places, name: &str, limit: Duration, args: &[&str]) -> Step {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // Logs are read without a terminal.
    Step::new(name, program, limit).args(args).folder(&places.root).env("CARGO_TERM_COLOR", "never")
}

/// Runs a test program as `cargo test` does, without the tests whose peers are missing.
fn test(places: &Places, program: &binaries::TestProgram, missing: &[peers::Requirement]) -> Step {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut step = Step::new(&format!("tests: {}", program.name), &program.file, TEST_LIMIT)
        .folder(package_folder(&places.root, program))
        .env("CARGO", cargo)
        .env("CARGO_MANIFEST_DIR", package_folder(&places.root, program));
    // Tests have sockets in there; in a deep checkout the system's own folder must do.
    if places.temporary.as_os_str().len() <= TEMPORARY_OCTETS_MAX {
        step = step.env("TMPDIR", &places.temporary);
    }
    // Unit tests know nothing of peers, and a name of theirs may look like one.
    if program.is_integration {
        for requirement in missing {
            step = step.args(&["--skip", &requirement.tests()]);
        }
    }
    step
}

fn package_folder<'p>(root: &'p Path, program: &'p binaries::TestProgram) -> &'p Path {
    program.manifest.parent().unwrap_or(root)
}
