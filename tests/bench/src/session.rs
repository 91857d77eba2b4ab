//! `bench session`: what parsing and session logic cost for each command, without socket, plug-ins and store.

use std::sync::Arc;
use std::time::Instant;

use clap::Args;
use serde_json::json;
use stagepost_smtp::Interest;

use crate::bare::Bare;
use crate::fault::Fault;
use crate::report::{Column, Errors, Report, Round};

/// What is said over and over, and how many commands that is; the dot counts as one.
const ROWS: [(&str, &[&str], u32); 5] = [
    ("NOOP", &["NOOP\r\n"], 1),
    ("EHLO", &["EHLO client.example.org\r\n"], 1),
    ("MAIL, RCPT, RSET", &[MAIL, RCPT, "RSET\r\n"], 3),
    (
        "the same in one piece",
        &[
            "MAIL FROM:<sender@example.org> SIZE=1000\r\nRCPT TO:<recipient@example.test>\r\nRSET\r\n",
        ],
        3,
    ),
    ("MAIL, RCPT, DATA, dot", &[MAIL, RCPT, "DATA\r\n", TEXT], 4),
];
const MAIL: &str = "MAIL FROM:<sender@example.org> SIZE=1000\r\n";
const RCPT: &str = "RCPT TO:<recipient@example.test>\r\n";
const TEXT: &str = "From: sender@example.org\r\nSubject: short\r\n\r\nOne line.\r\n.\r\n";

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Say only what begins so: NOOP, EHLO, MAIL
    #[arg(long, value_name = "COMMAND")]
    only: Option<String>,
    /// How often it is said in each round
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    times: u32,
    /// How often each row has its turn
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Print a line of JSON for each row instead of the table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let mut rows = Vec::new();
    for (name, said, commands) in ROWS {
        if arguments.only.as_deref().is_some_and(|only| !name.starts_with(only)) {
            continue;
        }
        for (asked, interest) in [("nobody asked", Interest::NONE), ("all asked", Interest::ALL)] {
            rows.push((said, commands, interest, Report::new(format!("{name}, {asked}"))));
        }
    }
    for _ in 0..arguments.rounds {
        for (said, commands, interest, report) in &mut rows {
            report.add(round(said, *commands, *interest, arguments.times)?);
        }
    }
    let reports: Vec<Report> = rows.into_iter().map(|(.., report)| report).collect();
    let settings = json!({ "times": arguments.times, "rounds": arguments.rounds });
    Report::print("session", &settings, &reports, arguments.json)
}

fn round(said: &[&str], commands: u32, interest: Interest, times: u32) -> Result<Round, Fault> {
    let settings = Arc::new(Bare::settings());
    let mut bare = Bare::new(settings, interest);
    bare.say(b"EHLO client.example.org\r\n");
    let begun = Instant::now();
    for _ in 0..times {
        for piece in said {
            bare.say(piece.as_bytes());
        }
    }
    let spent = begun.elapsed();
    bare.check(u64::from(times) * u64::from(commands))?;
    let per_command = spent.as_nanos() as f64 / f64::from(times) / f64::from(commands);
    let column = Column { key: "ns_per_command", title: "ns/command" };
    let done = u64::from(times) * u64::from(commands);
    Ok(Round { done, figures: vec![(column, Some(per_command))], errors: Errors::default() })
}
