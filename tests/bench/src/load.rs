//! `bench load`: messages per second, latency and CPU.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::client::Plan;
use crate::closed_loop::ClosedLoop;
use crate::fault::Fault;
use crate::report::{Column, Round};
use crate::script::{Envelope, Script};
use crate::target::{Target, Targets};

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    #[command(flatten)]
    targets: Targets,
    #[command(flatten)]
    envelope: Envelope,
    #[command(flatten)]
    pub(crate) sessions: Sessions,
    /// Messages in a session before QUIT; without it sessions are kept to the end
    #[arg(long, value_name = "MESSAGES", value_parser = clap::value_parser!(u64).range(1..))]
    per_session: Option<u64>,
}

/// How many at a time, and for how long.
#[derive(Args, Debug)]
pub(crate) struct Sessions {
    /// Sessions at a time
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub(crate) sessions: u32,
    /// Seconds that are measured in each round, after 0.3 s of warm-up
    #[arg(long, default_value = "1.6", value_name = "SECONDS", value_parser = parse_seconds)]
    pub(crate) seconds: Duration,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let script = arguments.envelope.script()?;
    let settings = json!({
        "sessions": arguments.sessions.sessions,
        "seconds": arguments.sessions.seconds.as_secs_f64(),
        "size": arguments.envelope.size,
        "per_session": arguments.per_session,
    });
    arguments.targets.measure("load", &settings, |target| {
        let plan = Plan::Messages(arguments.per_session.unwrap_or(u64::MAX));
        round(target, &script, plan, &arguments.sessions)
    })
}

/// Parses a duration that a person would wait for.
pub(crate) fn parse_seconds(value: &str) -> Result<Duration, String> {
    let seconds: f64 = value.parse().map_err(|_| "not a number of seconds".to_owned())?;
    if (0.05..=600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("not between 0.05 and 600 seconds".to_owned())
    }
}

fn round(
    target: &Target,
    script: &Script,
    plan: Plan,
    sessions: &Sessions,
) -> Result<Round, Fault> {
    let tally = ClosedLoop {
        address: target.address,
        pid: target.pid,
        script,
        plan,
        sessions: sessions.sessions,
        duration: sessions.seconds,
    }
    .run()?;
    let done = tally.accepted;
    let [dot_p50, dot_p99] = tally.body.percentiles_us([50, 99]);
    let [whole_p50, whole_p99] = tally.transaction.percentiles_us([50, 99]);
    let figures = vec![
        (Column { key: "per_second", title: "messages/s" }, tally.spent.per_second(done)),
        (Column { key: "dot_p50_us", title: "dot p50 µs" }, dot_p50),
        (Column { key: "dot_p99_us", title: "dot p99 µs" }, dot_p99),
        (Column { key: "transaction_p50_us", title: "MAIL p50 µs" }, whole_p50),
        (Column { key: "transaction_p99_us", title: "MAIL p99 µs" }, whole_p99),
        (Column { key: "cpu_us", title: "CPU µs/msg" }, tally.spent.target_us_per(done)),
        (Column { key: "own_cpu_us", title: "own CPU µs" }, tally.spent.own_us_per(done)),
    ];
    Ok(Round { done, figures, errors: tally.errors })
}

#[cfg(test)]
mod tests {
    use super::{Duration, parse_seconds};

    #[test]
    fn seconds() {
        assert_eq!(parse_seconds("1.5"), Ok(Duration::from_millis(1500)));
        for value in ["", "0", "-1", "601", "NaN", "inf", "1s"] {
            assert!(parse_seconds(value).is_err(), "{value:?}");
        }
    }
}
