//! `bench delivered`: how fast a server gets messages out to smtp-sink of Postfix or to the least possible receiver: those that
//! wait, once a command lets them go, or, without one, those that are sent to it meanwhile.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::fault::Fault;
use crate::meter::{Meter, micros_per};
use crate::process;
use crate::report::{Column, Errors, Round};
use crate::script::{Envelope, Script};
use crate::send;
use crate::target::{Target, Targets, parse_loopback};

/// How long all of a round may take.
const LIMIT: Duration = Duration::from_secs(600);
/// How long a sink may take until it listens.
const START: Duration = Duration::from_secs(10);

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    envelope: Envelope,
    /// The program smtp-sink; without it `bench receive --mode none`, which takes less of the machine
    #[arg(long, value_name = "FILE")]
    sink: Option<PathBuf>,
    /// Where the sink of a target listens: where the target sends what it gets
    #[arg(long = "sink-at", required = true, value_name = "NAME=HOST:PORT", value_parser = parse_sink)]
    sinks: Vec<(String, SocketAddr)>,
    /// What lets go what waits at a target, for a shell; without it mail is expected to go on as it comes
    #[arg(long = "flush", value_name = "NAME=COMMAND", value_parser = named)]
    flushes: Vec<(String, String)>,
    /// What ends when everything waits at a target that was handed to it, for a shell; before the clock begins
    #[arg(long = "settle", value_name = "NAME=COMMAND", value_parser = named)]
    settles: Vec<(String, String)>,
    /// Sessions at a time
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    sessions: u32,
    /// Messages of each session, one after another
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    messages: u64,
}

fn parse_sink(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, address) = named(text)?;
    Ok((name, parse_loopback(&address)?))
}

/// A target's name, and what is said of it.
fn named(text: &str) -> Result<(String, String), String> {
    let (name, rest) = text.split_once('=').ok_or_else(|| format!("{text:?} names no target"))?;
    Ok((name.to_owned(), rest.to_owned()))
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let script = arguments.envelope.script()?;
    let settings = json!({
        "sessions": arguments.sessions,
        "messages": arguments.messages,
        "size": arguments.envelope.size,
        "flushed": !arguments.flushes.is_empty(),
        "sink": if arguments.sink.is_some() { "smtp-sink" } else { "receive" },
    });
    arguments.targets.measure("delivered", &settings, |target| round(target, &script, arguments))
}

fn round(target: &Target, script: &Script, arguments: &Arguments) -> Result<Round, Fault> {
    let of = |name: &String| *name == target.name;
    let Some((_, at)) = arguments.sinks.iter().find(|(name, _)| of(name)) else {
        let reason = "there is no --sink-at for it".to_owned();
        return Err(Fault::Target { target: target.name.clone(), reason });
    };
    let command = |commands: &[(String, String)]| {
        commands.iter().find(|(name, _)| of(name)).map(|(_, command)| command.clone())
    };
    let messages = (arguments.sessions, arguments.messages);
    let wanted = u64::from(arguments.sessions) * arguments.messages;
    let sink = Sink::start(arguments.sink.as_deref(), *at, wanted)?;
    let mut errors = Errors::default();
    let (meter, begin) = match command(&arguments.flushes) {
        Some(flush) => {
            send::all(target, script, messages, &mut errors)?;
            if let Some(settle) = command(&arguments.settles) {
                carry_out("--settle", &settle)?;
            }
            let (meter, begin) = (Meter::start(target.pid)?, Instant::now());
            carry_out("--flush", &flush)?;
            (meter, begin)
        }
        None => {
            let (meter, begin) = (Meter::start(target.pid)?, Instant::now());
            send::all(target, script, messages, &mut errors)?;
            (meter, begin)
        }
    };
    let arrived = sink.wait(begin + LIMIT);
    let (spent, sink_spent) = (meter.stop()?, process::cpu(sink.child.id())?);
    let Arrived { first: Some(first), last: Some(last), .. } = arrived else {
        let reason = format!("{} messages of {wanted} arrived", arrived.count);
        return Err(Fault::Target { target: target.name.clone(), reason });
    };
    let whole = last.saturating_duration_since(begin).as_secs_f64();
    let first_ms = first.saturating_duration_since(begin).as_secs_f64() * 1000.0;
    let figures = vec![
        (Column { key: "per_second", title: "delivered/s" }, Some(wanted as f64 / whole)),
        (Column { key: "first_ms", title: "first ms" }, Some(first_ms)),
        (Column { key: "cpu_us", title: "CPU µs/msg" }, spent.target_us_per(wanted)),
        // What sink and generator take of the machine, the target has not.
        (Column { key: "sink_cpu_us", title: "sink CPU µs" }, micros_per(sink_spent, wanted)),
        (Column { key: "own_cpu_us", title: "own CPU µs" }, spent.own_us_per(wanted)),
    ];
    Ok(Round { done: wanted, figures, errors })
}

fn carry_out(option: &'static str, command: &str) -> Result<(), Fault> {
    let output = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).output();
    let output = output.map_err(Fault::system(format!("run {command}")))?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Fault::Option { option, value: command.to_owned(), reason })
}

/// What a sink has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Arrived {
    count: u64,
    /// When the first message came.
    first: Option<Instant>,
    /// When all had come.
    last: Option<Instant>,
}

/// A running sink, ended with this.
struct Sink {
    child: Child,
    arrived: Receiver<Arrived>,
}

impl Sink {
    fn start(program: Option<&Path>, at: SocketAddr, wanted: u64) -> Result<Self, Fault> {
        let mut command = match program {
            Some(program) => smtp_sink(program, at),
            None => least_receiver(at)?,
        };
        let program = command.get_program().to_string_lossy().into_owned();
        let starting = || Fault::system(format!("start {program}"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(starting())?;
        let counters = child.stdout.take();
        let (tell, arrived) = mpsc::channel();
        let sink = Self { child, arrived };
        if let Some(counters) = counters {
            thread::spawn(move || follow(counters, wanted, |arrived| tell.send(arrived).is_ok()));
        }
        let begin = Instant::now();
        while begin.elapsed() < START {
            if TcpStream::connect(at).is_ok() {
                return Ok(sink);
            }
            thread::sleep(Duration::from_millis(20));
        }
        Err(Fault::Option {
            option: "--sink-at",
            value: at.to_string(),
            reason: "nobody listens there".to_owned(),
        })
    }

    /// Waits until all have come, or for so long.
    fn wait(&self, until: Instant) -> Arrived {
        let mut last = Arrived::default();
        loop {
            match self.arrived.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(arrived) if arrived.last.is_some() => return arrived,
                Ok(arrived) => last = arrived,
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return last,
            }
        }
    }
}

/// smtp-sink of Postfix, whose running counters are what is measured by. It warns of each connection that ends without a word.
fn smtp_sink(program: &Path, at: SocketAddr) -> Command {
    let mut command = Command::new(program);
    if rustix::process::geteuid().is_root() {
        // It asks for a user then.
        command.args(["-u", "root"]);
    }
    command.arg("-c").arg(at.to_string()).arg("1024");
    command
}

/// The least possible receiver, with the same counters.
fn least_receiver(at: SocketAddr) -> Result<Command, Fault> {
    let this = std::env::current_exe().map_err(Fault::system("find this program"))?;
    let mut command = Command::new(this);
    command.args(["receive", "--mode", "none", "--counters", "--listen"]).arg(at.to_string());
    Ok(command)
}

impl Drop for Sink {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the counters of a sink: `... mesg=N` again and again.
fn follow(mut counters: impl Read, wanted: u64, mut tell: impl FnMut(Arrived) -> bool) {
    let (mut arrived, mut left, mut piece) = (Arrived::default(), Vec::new(), [0; 65_536]);
    while let Ok(count @ 1..) = counters.read(&mut piece) {
        let now = Instant::now();
        left.extend_from_slice(&piece[..count]);
        let Some(count) = last_count(&left) else { continue };
        let keep = left.len().saturating_sub(64);
        left.drain(..keep);
        if count == 0 || arrived.last.is_some() {
            continue;
        }
        arrived.first.get_or_insert(now);
        arrived.count = count;
        arrived.last = (count >= wanted).then_some(now);
        if !tell(arrived) {
            return;
        }
    }
}

/// The last whole number of messages in what a sink has printed.
fn last_count(printed: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(printed).ok()?;
    let whole = text.rfind(['\r', '\n'])?;
    let (_, count) = text[..whole].rsplit_once("mesg=")?;
    count.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_read_wherever_they_are_cut() {
        assert_eq!(last_count(b"sess=1 quit=0 mesg=0\rsess=2 quit=1 mesg=17\rsess=3 qu"), Some(17));
        assert_eq!(last_count(b"sess=1 quit=0 mesg=17"), None);
        assert_eq!(last_count(b"mesg=x\r"), None);
        for cut in 1..20 {
            let printed: Vec<u8> =
                (1..=40).flat_map(|n| format!("sess=1 quit=0 mesg={n}\r").into_bytes()).collect();
            let mut told = Arrived::default();
            let reader = Pieces { reader: std::io::Cursor::new(printed), cut };
            follow(reader, 40, |arrived| {
                told = arrived;
                true
            });
            assert!(told.count == 40 && told.first < told.last, "{told:?}");
        }
    }

    struct Pieces {
        reader: std::io::Cursor<Vec<u8>>,
        cut: usize,
    }

    impl Read for Pieces {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let cut = self.cut.min(out.len());
            self.reader.read(&mut out[..cut])
        }
    }
}
