//! Runs one program after the other, each bounded in time, and keeps what it says.
//! Knows processes; knows nothing of what a step is for.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::signal::unix::{SignalKind, signal};

/// How much of a failed step's output is shown; all of it is in its log.
const SHOWN_OCTETS: usize = 32 * 1024;

/// One program to run.
#[derive(Debug)]
pub(super) struct Step {
    /// What it does, for people.
    pub(super) name: String,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    limit: Duration,
}

impl Step {
    pub(super) fn new(name: &str, program: impl Into<OsString>, limit: Duration) -> Self {
        let (args, env) = (Vec::new(), Vec::new());
        Self { name: name.to_owned(), program: program.into(), args, env, folder: None, limit }
    }

    pub(super) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(OsString::from));
        self
    }

    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    pub(super) fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }
}

/// What became of a step.
#[derive(Debug)]
pub(super) struct Ended {
    /// All it said, on stdout and stderr.
    pub(super) output: String,
    /// Why it is no success.
    pub(super) failure: Option<String>,
}

enum Told {
    Exited(io::Result<ExitStatus>),
    Interrupted,
}

/// Runs steps; on Ctrl-C or SIGTERM it ends the one under way, and starts no other.
pub(super) struct Runner {
    root: PathBuf,
    logs: PathBuf,
    steps: AtomicUsize,
    interrupted: Arc<AtomicBool>,
    /// To whoever waits for a step.
    waiting: Arc<Mutex<Option<Sender<Told>>>>,
}

impl Runner {
    /// Begins: forgets the logs of an earlier run.
    pub(super) fn new(root: &Path, logs: &Path) -> io::Result<Self> {
        for entry in fs::read_dir(logs)? {
            let path = entry?.path();
            if path.extension() == Some(OsStr::new("log")) {
                fs::remove_file(path)?;
            }
        }
        let runner = Self {
            root: root.to_owned(),
            logs: logs.to_owned(),
            steps: AtomicUsize::new(1),
            interrupted: Arc::default(),
            waiting: Arc::default(),
        };
        runner.watch_signals()?;
        Ok(runner)
    }

    /// Whether somebody wants it to end.
    pub(super) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Runs a step to its end or its limit; says what it does, and how long that took.
    pub(super) fn run(&self, step: &Step) -> Ended {
        let begun = Instant::now();
        say(&format!("{} ... ", step.name));
        let ended = self.run_silently(step);
        let verdict = if ended.failure.is_none() { "ok" } else { "FAILED" };
        println!("{verdict} ({:.1} s)", begun.elapsed().as_secs_f32());
        if let Some(reason) = &ended.failure {
            println!("{}", shown(&ended.output));
            println!("--- {}: {reason}", step.name);
        }
        ended
    }

    /// Runs a step without a word.
    pub(super) fn run_silently(&self, step: &Step) -> Ended {
        let number = self.steps.fetch_add(1, Ordering::Relaxed);
        let name: String =
            step.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let log = self.logs.join(format!("{number:02}-{name}.log"));
        let failure = match self.run_to_log(step, &log) {
            Ok(failure) => failure,
            Err(error) => Some(format!("{}: {error}", step.program.to_string_lossy())),
        };
        let output = fs::read(&log).unwrap_or_default();
        Ended { output: String::from_utf8_lossy(&output).into_owned(), failure }
    }

    fn run_to_log(&self, step: &Step, log: &Path) -> io::Result<Option<String>> {
        let out = File::create(log)?;
        let (told, waited) = mpsc::channel();
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(told.clone());
        let mut child = Command::new(&step.program)
            .args(&step.args)
            .envs(step.env.iter().map(|(name, value)| (name, value)))
            .current_dir(step.folder.as_deref().unwrap_or(&self.root))
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            // So that whatever it starts ends with it.
            .process_group(0)
            .spawn()?;
        let group = Group::of(&child);
        if self.interrupted() {
            group.kill();
        }
        thread::spawn(move || {
            // Whoever waited has gone only after a kill.
            let _ = told.send(Told::Exited(child.wait()));
        });
        let failure = await_end(&waited, step.limit, &group);
        group.kill();
        failure
    }

    fn watch_signals(&self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut interrupt, mut terminate, mut hangup) = runtime.block_on(async {
            io::Result::Ok((
                signal(SignalKind::interrupt())?,
                signal(SignalKind::terminate())?,
                signal(SignalKind::hangup())?,
            ))
        })?;
        let (interrupted, waiting) = (self.interrupted.clone(), self.waiting.clone());
        thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            interrupted.store(true, Ordering::Relaxed);
            if let Some(step) = &*waiting.lock().unwrap_or_else(PoisonError::into_inner) {
                // A step that has ended by itself needs no word.
                let _ = step.send(Told::Interrupted);
            }
        });
        Ok(())
    }
}

/// Waits for a step; the reason why it is no success.
fn await_end(
    waited: &Receiver<Told>,
    limit: Duration,
    group: &Group,
) -> io::Result<Option<String>> {
    let failure = match waited.recv_timeout(limit) {
        Ok(Told::Exited(status)) => return status.map(failure_of),
        Ok(Told::Interrupted) => "interrupted".to_owned(),
        Err(RecvTimeoutError::Timeout) => {
            format!("killed: it was not done after {} s", limit.as_secs())
        }
        Err(RecvTimeoutError::Disconnected) => "nobody waited for it".to_owned(),
    };
    group.kill();
    Ok(Some(failure))
}

fn failure_of(status: ExitStatus) -> Option<String> {
    if status.success() {
        return None;
    }
    Some(match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => status.to_string(),
    })
}

/// The process group of one step.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(i32::try_from(child.id()).ok().and_then(Pid::from_raw))
    }

    /// Ends every process that is left of it.
    fn kill(&self) {
        if let Some(group) = self.0 {
            // Usually nobody is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Prints without a line end, at once.
fn say(text: &str) {
    print!("{text}");
    // A closed stdout is no reason not to test.
    let _ = io::stdout().flush();
}

/// The end of an output, without what cargo says to programs.
fn shown(output: &str) -> String {
    let mut from = output.len().saturating_sub(SHOWN_OCTETS);
    while !output.is_char_boundary(from) {
        from += 1;
    }
    let lines = output[from..].lines().filter(|line| !line.starts_with("{\"reason\":"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str, limit: Duration) -> Ended {
        let folder = tempfile::tempdir().unwrap();
        let runner = Runner::new(folder.path(), folder.path()).unwrap();
        runner.run_silently(&Step::new("a step", "sh", limit).args(&["-c", script]))
    }

    #[test]
    fn a_step_ends_with_its_output_and_its_failure() {
        let minute = Duration::from_secs(60);
        let cases = [
            ("echo out; echo err >&2", None, "out\nerr\n"),
            ("echo gone; exit 3", Some("exit code 3"), "gone\n"),
            ("kill -9 $$", Some("ended by signal 9"), ""),
        ];
        for (script, failure, output) in cases {
            let ended = run(script, minute);
            assert_eq!(ended.failure.as_deref(), failure, "{script}");
            assert_eq!(ended.output, output, "{script}");
        }
    }

    #[test]
    fn a_hang_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
        let heard = thread::spawn({
            let pipe = pipe.clone();
            move || fs::read_to_string(pipe)
        });
        let script = format!("(sleep 30; echo survived) > {} & wait", pipe.display());
        let ended = run(&script, Duration::from_millis(300));
        assert_eq!(ended.failure.as_deref(), Some("killed: it was not done after 0 s"));
        // The pipe ends when the last of them has gone.
        assert_eq!(heard.join().unwrap().unwrap(), "");
    }
}
