//! Where log lines go and how they look: text for people, JSON for programs, always on stderr.
//! Knows no event. A session's id is always the field `session`.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat, LogLevel};

/// The environment variable that takes the place of the configured level, for example
/// `stagepost=debug,stagepost_queue=trace`.
const VARIABLE: &str = "STAGEPOST_LOG";

/// Why logging can't begin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The environment variable can't be read.
    #[error(
        "error: {VARIABLE}: {value:?} is no filter: {reason}\n  = help: write a level (error, warn, info, debug, trace), or target=level pairs with commas between them"
    )]
    Filter {
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else took the log before.
    #[error("error: the log is set up twice in one process")]
    Twice,
}

/// Begins to log as configured. Once in a process.
pub(crate) fn start(log: Log) -> Result<(), LogError> {
    let filter = filter(log.level, std::env::var(VARIABLE).ok().as_deref())?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match log.format {
        LogFormat::Text => {
            let colours = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(colours).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|_| LogError::Twice)
}

fn filter(level: LogLevel, variable: Option<&str>) -> Result<EnvFilter, LogError> {
    let level = match level {
        LogLevel::Error => "error",
        // What the library for TLS warns of is what strangers send, as much of it as they like.
        LogLevel::Warn => "warn,rustls=error",
        // What the queue's engine does is its own affair unless it goes wrong.
        LogLevel::Info => "info,fjall=warn,lsm_tree=warn,rustls=error",
        LogLevel::Debug => "debug,fjall=warn,lsm_tree=warn",
        LogLevel::Trace => "trace",
    };
    let text = variable.filter(|text| !text.is_empty()).unwrap_or(level);
    EnvFilter::try_new(text)
        .map_err(|error| LogError::Filter { value: text.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_takes_the_place_of_the_level() {
        let cases = [
            (LogLevel::Info, None, Some("lsm_tree=warn,rustls=error,fjall=warn,info")),
            (LogLevel::Warn, Some(""), Some("rustls=error,warn")),
            (LogLevel::Info, Some("trace"), Some("trace")),
            (LogLevel::Info, Some("stagepost=debug"), Some("stagepost=debug")),
            (LogLevel::Info, Some("stagepost=loud"), None),
        ];
        for (level, variable, wanted) in cases {
            let filter = filter(level, variable).ok().map(|filter| filter.to_string());
            assert_eq!(filter.as_deref(), wanted, "{level:?} {variable:?}");
        }
    }
}
