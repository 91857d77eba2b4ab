//! A server's log as it is written, and waiting for a line of it.
//! Knows the JSON form of a line; knows not whose log it is.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a line may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// One line.
#[derive(Clone, Debug)]
pub struct Line {
    text: String,
    json: Value,
}

impl Line {
    /// The line as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What happened.
    pub fn message(&self) -> &str {
        self.json["message"].as_str().unwrap_or_default()
    }

    /// A field as text; empty when the line has none of this name.
    pub fn text(&self, field: &str) -> String {
        match &self.json[field] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

#[derive(Default)]
struct Lines {
    lines: Vec<Line>,
    ended: bool,
}

/// All lines so far; clones share them.
#[derive(Clone, Default)]
pub struct Log {
    shared: Arc<(Mutex<Lines>, Condvar)>,
}

impl Log {
    /// Takes lines from a process until it closes its end; the thread that does so ends then.
    pub fn follow(stream: impl Read + Send + 'static) -> (Self, JoinHandle<()>) {
        let log = Self::default();
        let following = log.clone();
        let thread = thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { break };
                following.push(line);
            }
            following.end();
        });
        (log, thread)
    }

    /// The lines that satisfy a condition.
    pub fn matching(&self, condition: impl Fn(&Line) -> bool) -> Vec<Line> {
        self.lock().lines.iter().filter(|line| condition(line)).cloned().collect()
    }

    /// Waits for a line; `what` tells a person which.
    ///
    /// # Panics
    ///
    /// When it does not come in time, or the log ends without it.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&Line) -> bool) -> Line {
        let mut lines = self.wait_for_count(what, 1, condition);
        lines.swap_remove(0)
    }

    /// Waits for this many lines.
    ///
    /// # Panics
    ///
    /// As for [`Log::wait_for`].
    pub fn wait_for_count(
        &self,
        what: &str,
        count: usize,
        condition: impl Fn(&Line) -> bool,
    ) -> Vec<Line> {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.lock();
        loop {
            let found: Vec<Line> =
                lines.lines.iter().filter(|line| condition(line)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if lines.ended || left.is_zero() {
                drop(lines);
                panic!("{} of {count} lines came: {what}. The log:\n{self}", found.len());
            }
            let waited = self.shared.1.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn push(&self, text: String) {
        let json = serde_json::from_str(&text).unwrap_or_default();
        self.lock().lines.push(Line { text, json });
        self.shared.1.notify_all();
    }

    fn end(&self) {
        self.lock().ended = true;
        self.shared.1.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Log {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lock().lines {
            writeln!(out, "{}", line.text)?;
        }
        Ok(())
    }
}
