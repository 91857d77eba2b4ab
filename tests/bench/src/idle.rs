//! `bench idle`: what sessions cost that say EHLO and then nothing.

use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::client::{Notice, Plan};
use crate::closed_loop::{ClosedLoop, RETIRE_LIMIT, note_error};
use crate::fault::Fault;
use crate::latency::Latencies;
use crate::load::parse_seconds;
use crate::process;
use crate::report::{Column, Errors, Round};
use crate::script::{Envelope, Script};
use crate::swarm::Swarm;
use crate::target::{Target, Targets};

/// The load that comes before the base is taken: buffers and threads exist then.
const BASE_SESSIONS: u32 = 4;
const BASE_DURATION: Duration = Duration::from_millis(300);

/// Active sessions, one after another, and how long each may take.
const PROBES: u32 = 20;
const PROBE_LIMIT: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    envelope: Envelope,
    /// Sessions to hold
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    sessions: u32,
    /// Connections being made at a time
    #[arg(long, default_value_t = 500, value_name = "SESSIONS", value_parser = clap::value_parser!(u32).range(1..))]
    at_once: u32,
    /// Seconds allowed until all are ready
    #[arg(long, default_value = "40", value_name = "SECONDS", value_parser = parse_seconds)]
    ready_within: Duration,
    /// Seconds the sessions are held before memory is read
    #[arg(long, default_value = "1", value_name = "SECONDS", value_parser = parse_seconds)]
    hold: Duration,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let script = arguments.envelope.script()?;
    let settings = json!({
        "sessions": arguments.sessions,
        "at_once": arguments.at_once,
        "hold": arguments.hold.as_secs_f64(),
        "size": arguments.envelope.size,
    });
    arguments.targets.measure("idle", &settings, |target| round(target, &script, arguments))
}

fn round(target: &Target, script: &Script, arguments: &Arguments) -> Result<Round, Fault> {
    let waiting = || Fault::system(format!("wait for {}", target.address));
    let mut errors = warm_up(target, script)?;
    let alone = probe(target, script, &mut errors).map_err(waiting())?;
    let base = target.pid.map(process::proportional_set).transpose()?;

    let mut crowd = Crowd {
        swarm: Swarm::new(target.address, script).map_err(waiting())?,
        opened: 0,
        ready: 0,
        failed: 0,
        errors,
    };
    let ready_in = crowd.gather(arguments).map_err(waiting())?;
    crowd.hold(arguments.hold).map_err(waiting())?;
    let full = target.pid.map(process::proportional_set).transpose()?;
    let beside = probe(target, script, &mut crowd.errors).map_err(waiting())?;
    let held = crowd.swarm.len() as u64;
    crowd.swarm.retire(RETIRE_LIMIT).map_err(waiting())?;

    let growth = full.zip(base).filter(|_| held > 0);
    let growth = growth.map(|(full, base)| (full as f64 - base as f64) / 1024.0 / held as f64);
    let [alone_p50, alone_max] = alone.percentiles_us([50, 100]);
    let [beside_p50, beside_max] = beside.percentiles_us([50, 100]);
    let figures = vec![
        (Column { key: "held", title: "held" }, Some(held as f64)),
        (Column { key: "ready_s", title: "ready s" }, ready_in.map(|time| time.as_secs_f64())),
        (Column { key: "base_kib", title: "base KiB" }, base.map(|base| base as f64 / 1024.0)),
        (Column { key: "kib_per_session", title: "KiB/session" }, growth),
        (Column { key: "alone_p50_us", title: "alone p50 µs" }, alone_p50),
        (Column { key: "alone_max_us", title: "max" }, alone_max),
        (Column { key: "beside_p50_us", title: "beside p50 µs" }, beside_p50),
        (Column { key: "beside_max_us", title: "max " }, beside_max),
    ];
    Ok(Round { done: held, figures, errors: crowd.errors })
}

fn warm_up(target: &Target, script: &Script) -> Result<Errors, Fault> {
    let load = ClosedLoop {
        address: target.address,
        pid: None,
        script,
        plan: Plan::Messages(u64::MAX),
        sessions: BASE_SESSIONS,
        duration: BASE_DURATION,
    };
    Ok(load.run()?.errors)
}

/// Sends messages one by one, a new session each: from connecting to the 250 after the dot.
fn probe(target: &Target, script: &Script, errors: &mut Errors) -> io::Result<Latencies> {
    let mut latencies = Latencies::default();
    let mut swarm = Swarm::new(target.address, script)?;
    for _ in 0..PROBES {
        let now = Instant::now();
        swarm.open(Plan::Messages(1), now);
        let mut vacant = false;
        while !vacant && now.elapsed() < PROBE_LIMIT {
            swarm.turn(PROBE_LIMIT.saturating_sub(now.elapsed()))?;
            for notice in swarm.notices() {
                match notice {
                    Notice::Accepted { opened, answered, .. } => latencies.push(answered - opened),
                    Notice::Vacant { .. } => vacant = true,
                    other => note_error(other, errors),
                }
            }
        }
        if !vacant {
            errors.add(format!("an active session was not served within {PROBE_LIMIT:?}"));
            break;
        }
    }
    swarm.retire(RETIRE_LIMIT)?;
    Ok(latencies)
}

/// The idle sessions.
#[derive(Debug)]
struct Crowd<'a> {
    swarm: Swarm<'a>,
    opened: u32,
    ready: u32,
    /// Ended before they were ready.
    failed: u32,
    errors: Errors,
}

impl Crowd<'_> {
    /// Opens the sessions. Returns how long it took until all were ready, if they were.
    fn gather(&mut self, arguments: &Arguments) -> io::Result<Option<Duration>> {
        let begin = Instant::now();
        while self.ready + self.failed < arguments.sessions {
            let left = arguments.ready_within.saturating_sub(begin.elapsed());
            if left.is_zero() {
                break;
            }
            let pending = self.opened - self.ready - self.failed;
            let room = arguments.at_once.saturating_sub(pending);
            for _ in 0..room.min(arguments.sessions - self.opened) {
                self.swarm.open(Plan::Idle, Instant::now());
                self.opened += 1;
            }
            self.turn(left)?;
        }
        for _ in self.ready + self.failed..arguments.sessions {
            self.errors.add(format!("not ready within {:?}", arguments.ready_within));
        }
        Ok((self.ready == arguments.sessions).then(|| begin.elapsed()))
    }

    /// Waits, and notices sessions that the server ends.
    fn hold(&mut self, duration: Duration) -> io::Result<()> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.turn(end.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    fn turn(&mut self, timeout: Duration) -> io::Result<()> {
        self.swarm.turn(timeout)?;
        for notice in self.swarm.notices() {
            match notice {
                Notice::Ready => self.ready += 1,
                Notice::Vacant { ready: false, .. } => self.failed += 1,
                other => note_error(other, &mut self.errors),
            }
        }
        Ok(())
    }
}
