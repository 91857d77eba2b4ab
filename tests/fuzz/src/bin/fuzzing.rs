//! Builds the fuzzer, instrumented, and runs it on one target: `cargo fuzzing TARGET SECONDS`.
//! Knows cargo and the options of libFuzzer; knows no target but by its name.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use stagepost_fuzz::{TARGETS, corpus};

/// What cargo-fuzz passes on a stable compiler, with the checks of a debug build on. No sanitizer: those want nightly.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Cforce-frame-pointers \
     -Cdebug-assertions -Coverflow-checks";

/// Build scripts are not instrumented when a platform is named.
const PLATFORM: &str = if cfg!(target_arch = "aarch64") {
    "aarch64-unknown-linux-gnu"
} else {
    "x86_64-unknown-linux-gnu"
};

/// How long a target is tried when nobody says.
const SECONDS: u32 = 300;

/// An input that makes a session take more than this at once, in MiB, has found something.
const ALLOCATION_MIB_MAX: u32 = 32;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let target = arguments.next().and_then(|name| stagepost_fuzz::target(&name));
    let seconds = arguments.next().map_or(Ok(SECONDS), |seconds| seconds.parse());
    let (Some(target), Ok(seconds)) = (target, seconds) else {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("cargo fuzzing TARGET [SECONDS]; targets: {}", names.join(", "));
        return ExitCode::FAILURE;
    };
    match fuzz(target.name, seconds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("cargo fuzzing: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn fuzz(target: &str, seconds: u32) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let debug =
        program.parent().and_then(Path::parent).ok_or("this program is in no target folder")?;
    let folder = debug.join("fuzz");
    let fuzzer = build(&folder)?;
    let found = folder.join("found").join(target);
    let grown = folder.join("corpus").join(target);
    for folder in [&found, &grown] {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    let status = Command::new(fuzzer)
        .env("STAGEPOST_FUZZ_TARGET", target)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-dict={}", corpus::dictionary(target).display()))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg(format!("-malloc_limit_mb={ALLOCATION_MIB_MAX}"))
        .args(["-timeout=10", "-max_len=4096", "-print_final_stats=1"])
        .args([grown, corpus::folder(target)])
        .status()
        .map_err(|error| error.to_string())?;
    let hint = format!("found in {}; mend it, and keep the file in the corpus", found.display());
    if status.success() { Ok(()) } else { Err(hint) }
}

fn build(folder: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .env("RUSTFLAGS", RUSTFLAGS)
        .env("CARGO_TARGET_DIR", folder)
        .args(["build", "--release", "--package", "stagepost-fuzz", "--bin", "fuzz"])
        .args(["--features", "libfuzzer", "--target", PLATFORM])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .map_err(|error| format!("cargo: {error}"))?;
    if status.success() {
        Ok(folder.join(PLATFORM).join("release").join("fuzz"))
    } else {
        Err("the fuzzer can't be built".to_owned())
    }
}
