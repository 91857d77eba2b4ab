//! `bench connect`: what a session costs that sends nothing.

use clap::Args;
use serde_json::json;

use crate::client::Plan;
use crate::closed_loop::ClosedLoop;
use crate::fault::Fault;
use crate::load::Sessions;
use crate::report::{Column, Round};
use crate::script::{Script, word};
use crate::target::{Target, Targets};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    sessions: Sessions,
    /// Argument of EHLO
    #[arg(long, default_value = "bench.invalid", value_name = "NAME", value_parser = word)]
    helo: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let script = Script::greeting_only(&arguments.helo);
    let sessions = &arguments.sessions;
    let settings =
        json!({ "sessions": sessions.sessions, "seconds": sessions.seconds.as_secs_f64() });
    arguments.targets.measure("connect", &settings, |target| round(target, &script, sessions))
}

/// A session counts when QUIT is answered.
fn round(target: &Target, script: &Script, sessions: &Sessions) -> Result<Round, Fault> {
    let tally = ClosedLoop {
        address: target.address,
        pid: target.pid,
        script,
        plan: Plan::Messages(0),
        sessions: sessions.sessions,
        duration: sessions.seconds,
    }
    .run()?;
    let done = tally.closed;
    let figures = vec![
        (Column { key: "per_second", title: "sessions/s" }, tally.spent.per_second(done)),
        (Column { key: "cpu_us", title: "CPU µs/session" }, tally.spent.target_us_per(done)),
        (Column { key: "own_cpu_us", title: "own CPU µs" }, tally.spent.own_us_per(done)),
    ];
    Ok(Round { done, figures, errors: tally.errors })
}
