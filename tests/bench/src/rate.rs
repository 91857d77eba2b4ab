//! `bench rate`: latency when messages come by the clock, whatever the server does.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::client::{Notice, Plan};
use crate::closed_loop::{RETIRE_LIMIT, WARM_UP, note_error};
use crate::fault::Fault;
use crate::latency::Latencies;
use crate::load::parse_seconds;
use crate::meter::Meter;
use crate::report::{Column, Errors, Round};
use crate::script::{Envelope, Script};
use crate::swarm::Swarm;
use crate::target::{Target, Targets};

/// How long an answer may take after the last message was due.
const PATIENCE: Duration = Duration::from_secs(5);

/// Sessions that may be open: a server that falls behind this far has failed.
const OPEN_MAX: usize = 10_000;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    envelope: Envelope,
    /// Messages that are due each second
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    per_second: u32,
    /// Seconds that are measured in each round, after 0.3 s of warm-up
    #[arg(long, default_value = "5", value_name = "SECONDS", value_parser = parse_seconds)]
    seconds: Duration,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let script = arguments.envelope.script()?;
    let settings = json!({
        "per_second": arguments.per_second,
        "seconds": arguments.seconds.as_secs_f64(),
        "size": arguments.envelope.size,
    });
    arguments.targets.measure("rate", &settings, |target| {
        let interval = Duration::from_secs(1) / arguments.per_second;
        round(target, &script, interval, arguments.seconds)
    })
}

fn round(
    target: &Target,
    script: &Script,
    interval: Duration,
    duration: Duration,
) -> Result<Round, Fault> {
    let waiting = || Fault::system(format!("wait for {}", target.address));
    let mut schedule = Schedule::new(target.address, script, interval).map_err(waiting())?;
    let mut latencies = Latencies::default();
    schedule.run_until(schedule.next + WARM_UP, |_| {}).map_err(waiting())?;

    let meter = Meter::start(target.pid)?;
    // An answer to a message of the warm-up is not counted, however late it comes.
    let begin = schedule.next;
    let mut count = |answer: Answer| {
        if answer.due >= begin {
            latencies.push(answer.latency);
        }
    };
    schedule.run_until(begin + duration, &mut count).map_err(waiting())?;
    schedule.finish(&mut count).map_err(waiting())?;
    let spent = meter.stop()?;

    let done = latencies.len();
    let [p50, p99] = latencies.percentiles_us([50, 99]);
    let figures = vec![
        (Column { key: "p50_us", title: "p50 µs" }, p50),
        (Column { key: "p99_us", title: "p99 µs" }, p99),
        (Column { key: "per_second", title: "messages/s" }, spent.per_second(done)),
        (Column { key: "cpu_us", title: "CPU µs/msg" }, spent.target_us_per(done)),
        (Column { key: "own_cpu_us", title: "own CPU µs" }, spent.own_us_per(done)),
    ];
    Ok(Round { done, figures, errors: schedule.errors })
}

/// A message that was answered.
#[derive(Clone, Copy, Debug)]
struct Answer {
    due: Instant,
    latency: Duration,
}

/// Opens a session whenever one is due.
#[derive(Debug)]
struct Schedule<'a> {
    swarm: Swarm<'a>,
    interval: Duration,
    next: Instant,
    /// Sessions whose message is neither answered nor given up.
    unanswered: u64,
    errors: Errors,
}

impl<'a> Schedule<'a> {
    fn new(address: SocketAddr, script: &'a Script, interval: Duration) -> io::Result<Self> {
        let mut swarm = Swarm::new(address, script)?;
        let next = Instant::now();
        swarm.tick_every(interval)?;
        Ok(Self { swarm, interval, next, unanswered: 0, errors: Errors::default() })
    }

    fn run_until(&mut self, end: Instant, mut take: impl FnMut(Answer)) -> io::Result<()> {
        while self.next < end {
            while self.next < end && self.next <= Instant::now() {
                self.open();
            }
            self.turn(self.interval, &mut take)?;
        }
        Ok(())
    }

    /// Waits for what is still to be answered.
    fn finish(&mut self, mut take: impl FnMut(Answer)) -> io::Result<()> {
        let end = Instant::now() + PATIENCE;
        while self.unanswered > 0 && Instant::now() < end {
            self.turn(end.saturating_duration_since(Instant::now()), &mut take)?;
        }
        for _ in 0..self.unanswered {
            self.errors.add(format!("no answer within {PATIENCE:?}"));
        }
        self.swarm.retire(RETIRE_LIMIT)
    }

    fn open(&mut self) {
        if self.swarm.len() < OPEN_MAX {
            self.swarm.open(Plan::Messages(1), self.next);
            self.unanswered += 1;
        } else {
            self.errors.add(format!("not started: {OPEN_MAX} sessions are open"));
        }
        self.next += self.interval;
    }

    fn turn(&mut self, timeout: Duration, take: &mut impl FnMut(Answer)) -> io::Result<()> {
        self.swarm.turn(timeout)?;
        for notice in self.swarm.notices() {
            match notice {
                Notice::Accepted { opened, answered, .. } => {
                    take(Answer { due: opened, latency: answered - opened });
                }
                Notice::Vacant { .. } => self.unanswered -= 1,
                other => note_error(other, &mut self.errors),
            }
        }
        Ok(())
    }
}
