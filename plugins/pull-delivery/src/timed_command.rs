//! Commands that are run before and behind a call, such as those that make and end a line.
//! Knows no call; each is ended when its time is over.

use std::io;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::connection::TimedCommand;

/// How often it is looked whether a command has ended.
const LOOK: Duration = Duration::from_millis(50);

/// Why a command did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("{program} can't be run: {error}")]
    Start { program: Box<str>, error: io::Error },
    #[error("{program} ended with {status}")]
    Failed { program: Box<str>, status: ExitStatus },
    #[error("{0} did not end in its time, and was ended")]
    Late(Box<str>),
    #[error("{0} was ended with the server")]
    Stopped(Box<str>),
}

/// Runs a command to its end. It reads nothing, and what it says on stderr goes where the server's own goes.
///
/// - stopped: whether it is to be ended before.
pub(crate) fn run(command: &TimedCommand, stopped: impl Fn() -> bool) -> Result<(), CommandError> {
    let program = || command.program.clone();
    let mut child = Command::new(&*command.program)
        .args(&command.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| CommandError::Start { program: program(), error })?;
    let deadline = Instant::now() + command.timeout;
    let ended = loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(CommandError::Failed { program: program(), status }),
            Ok(None) if stopped() => break CommandError::Stopped(program()),
            Ok(None) if Instant::now() >= deadline => break CommandError::Late(program()),
            Ok(None) => thread::sleep(LOOK),
            Err(error) => break CommandError::Start { program: program(), error },
        }
    };
    // One that has ended meanwhile needs no end.
    let _ = child.kill();
    let _ = child.wait();
    Err(ended)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(script: &str, timeout: Duration) -> TimedCommand {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        TimedCommand { program: "/bin/sh".into(), arguments, timeout }
    }

    #[test]
    fn a_command_has_its_time() {
        let long = Duration::from_secs(60);
        assert!(run(&command("exit 0", long), || false).is_ok());
        let failed = run(&command("exit 3", long), || false).unwrap_err().to_string();
        assert_eq!(failed, "/bin/sh ended with exit status: 3");
        let late = run(&command("sleep 60", Duration::from_millis(100)), || false).unwrap_err();
        assert!(matches!(late, CommandError::Late(_)));
        assert!(matches!(run(&command("sleep 60", long), || true), Err(CommandError::Stopped(_))));
        let none = TimedCommand { program: "/none".into(), arguments: Vec::new(), timeout: long };
        assert!(matches!(run(&none, || false), Err(CommandError::Start { .. })));
    }
}
