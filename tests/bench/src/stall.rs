//! `bench stall`: whether sessions are delayed while others wait for a plug-in that sleeps. Wants a server with such a
//! plug-in (tests/plugins/sleeper.c): it sleeps for one sender until there is mail of another.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::client::{Notice, Plan};
use crate::closed_loop::{ClosedLoop, RETIRE_LIMIT, Tally};
use crate::fault::Fault;
use crate::load::Sessions;
use crate::report::{Column, Round};
use crate::script::{Envelope, Script, word};
use crate::swarm::Swarm;
use crate::target::{Target, Targets};

/// How long the server may take to give a sleeping call up.
const LIMIT: Duration = Duration::from_secs(120);

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    envelope: Envelope,
    #[command(flatten)]
    sessions: Sessions,
    /// Sessions whose call sleeps
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    sleepers: u32,
    /// Their sender
    #[arg(long, default_value = "sleep@client.test", value_name = "ADDRESS", value_parser = word)]
    sleep: String,
    /// The sender who ends their sleep
    #[arg(long, default_value = "wake@client.test", value_name = "ADDRESS", value_parser = word)]
    wake: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let script = arguments.envelope.script()?;
    let settings = json!({
        "sessions": arguments.sessions.sessions,
        "seconds": arguments.sessions.seconds.as_secs_f64(),
        "sleepers": arguments.sleepers,
    });
    arguments.targets.measure("stall", &settings, |target| round(target, &script, arguments))
}

fn round(target: &Target, script: &Script, arguments: &Arguments) -> Result<Round, Fault> {
    let waiting = || Fault::system(format!("wait for {}", target.address));
    let load = ClosedLoop {
        address: target.address,
        pid: target.pid,
        script,
        plan: Plan::Messages(u64::MAX),
        sessions: arguments.sessions.sessions,
        duration: arguments.sessions.seconds,
    };
    let sleep = script.with_sender(&arguments.sleep);
    let wake = script.with_sender(&arguments.wake);
    let alone = load.run()?;
    let (beside, slept) = thread::scope(|scope| {
        let asleep = scope.spawn(|| sleep_through(target, &sleep, arguments.sleepers));
        let beside = load.run();
        (beside, asleep.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))))
    });
    let (beside, slept) = (beside?, slept.map_err(waiting())?);
    wake_up(target, &wake).map_err(waiting())?;
    let done = beside.accepted;
    let mut errors = alone.errors.clone();
    errors.merge(beside.errors.clone());
    let mut figures = Vec::from(figures_of(alone, &ALONE));
    figures.extend(figures_of(beside, &BESIDE));
    figures.push((
        Column { key: "slept_ms", title: "sleepers' delay ms" },
        Some(slept.as_secs_f64() * 1000.0),
    ));
    Ok(Round { done, figures, errors })
}

const ALONE: [Column; 3] = [
    Column { key: "alone_per_second", title: "alone: messages/s" },
    Column { key: "alone_p50_us", title: "p50 µs" },
    Column { key: "alone_p99_us", title: "p99 µs" },
];
const BESIDE: [Column; 3] = [
    Column { key: "beside_per_second", title: "beside: messages/s" },
    Column { key: "beside_p50_us", title: "p50 µs" },
    Column { key: "beside_p99_us", title: "p99 µs" },
];

/// Messages per second, and percentiles from MAIL to the 250 after the dot.
fn figures_of(tally: Tally, columns: &[Column; 3]) -> [(Column, Option<f64>); 3] {
    let per_second = tally.spent.per_second(tally.accepted);
    let [p50, p99] = tally.transaction.percentiles_us([50, 99]);
    let [first, second, third] = *columns;
    [(first, per_second), (second, p50), (third, p99)]
}

/// Opens sessions whose call sleeps, and returns how long the last of them was delayed: until its refusal.
fn sleep_through(target: &Target, script: &Script, sleepers: u32) -> io::Result<Duration> {
    let mut swarm = Swarm::new(target.address, script)?;
    let begin = Instant::now();
    for _ in 0..sleepers {
        swarm.open(Plan::Messages(1), begin);
    }
    let (mut left, mut delay) = (sleepers, Duration::ZERO);
    while left > 0 && begin.elapsed() < LIMIT {
        swarm.turn(LIMIT.saturating_sub(begin.elapsed()))?;
        for notice in swarm.notices() {
            match notice {
                Notice::Refused(text) if text.starts_with("Mail: 451") => {
                    left -= 1;
                    delay = begin.elapsed();
                }
                Notice::Refused(text) => return Err(io::Error::other(text)),
                Notice::Accepted { .. } => {
                    return Err(io::Error::other("no plug-in slept for its sender"));
                }
                _ => {}
            }
        }
    }
    swarm.retire(RETIRE_LIMIT)?;
    if left == 0 { Ok(delay) } else { Err(io::ErrorKind::TimedOut.into()) }
}

/// Ends the sleep, so that the threads are free for the next round.
fn wake_up(target: &Target, script: &Script) -> io::Result<()> {
    let mut swarm = Swarm::new(target.address, script)?;
    let begin = Instant::now();
    swarm.open(Plan::Messages(1), begin);
    while swarm.len() > 0 && begin.elapsed() < LIMIT {
        swarm.turn(LIMIT.saturating_sub(begin.elapsed()))?;
        for notice in swarm.notices() {
            if let Notice::Refused(text) = notice {
                return Err(io::Error::other(text));
            }
        }
    }
    Ok(())
}
