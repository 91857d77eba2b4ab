//! `bench send`: a number of messages and then nothing, so that what counts without a clock (instructions, system
//! calls, allocations) can be divided by it. The difference of two runs of different length leaves out start and end.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use crate::client::{Notice, Plan};
use crate::closed_loop::note_error;
use crate::fault::Fault;
use crate::meter::Meter;
use crate::report::{Column, Errors, Round};
use crate::script::{Envelope, Script};
use crate::swarm::Swarm;
use crate::target::{Target, Targets};

/// How long all of it may take: a server whose instructions are counted is a hundred times slower.
const LIMIT: Duration = Duration::from_secs(900);

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    envelope: Envelope,
    /// Sessions at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    sessions: u32,
    /// Messages of each session, one after another
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    messages: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let script = arguments.envelope.script()?;
    let settings = json!({
        "sessions": arguments.sessions,
        "messages": arguments.messages,
        "size": arguments.envelope.size,
    });
    arguments.targets.measure("send", &settings, |target| round(target, &script, arguments))
}

fn round(target: &Target, script: &Script, arguments: &Arguments) -> Result<Round, Fault> {
    let meter = Meter::start(target.pid)?;
    let mut errors = Errors::default();
    let accepted = all(target, script, (arguments.sessions, arguments.messages), &mut errors)?;
    let spent = meter.stop()?;
    let figures = vec![
        (Column { key: "messages", title: "messages" }, Some(accepted as f64)),
        (Column { key: "cpu_us", title: "CPU µs/msg" }, spent.target_us_per(accepted)),
    ];
    Ok(Round { done: accepted, figures, errors })
}

/// Sends so many messages in each of so many sessions at a time; how many that were, since no fewer will do.
pub(crate) fn all(
    target: &Target,
    script: &Script,
    (sessions, messages): (u32, u64),
    errors: &mut Errors,
) -> Result<u64, Fault> {
    let waiting = || Fault::system(format!("wait for {}", target.address));
    let mut swarm = Swarm::new(target.address, script).map_err(waiting())?;
    let (mut accepted, begin) = (0, Instant::now());
    for _ in 0..sessions {
        swarm.open(Plan::Messages(messages), begin);
    }
    while swarm.len() > 0 && begin.elapsed() < LIMIT {
        swarm.turn(LIMIT.saturating_sub(begin.elapsed())).map_err(waiting())?;
        for notice in swarm.notices() {
            match notice {
                Notice::Accepted { .. } => accepted += 1,
                other => note_error(other, errors),
            }
        }
    }
    let wanted = u64::from(sessions) * messages;
    if accepted == wanted {
        return Ok(accepted);
    }
    let reason = format!("{accepted} messages of {wanted} were accepted");
    Err(Fault::Target { target: target.name.clone(), reason })
}
