//! `bench dispatch`: what asking plug-ins costs, through the real loader and the real dispatch.
//! No server: the questions are those of a session, made here.

mod chain;
mod hand_off;
mod questions;

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use stagepost_extmgr::{Asked, Dispatch};
use stagepost_smtp::{Ask, Decision, Verdict};
use tokio::runtime::Runtime;

use crate::fault::Fault;
use crate::latency::Latencies;
use crate::report::{Column, Errors, Report, Round};
use chain::Chain;

/// Questions made at a time, outside the clock.
const BATCH: u32 = 512;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Shared object of a plug-in, registered for what is asked; several are asked in this order
    #[arg(long = "plugin", required = true, value_name = "FILE")]
    plugins: Vec<PathBuf>,
    /// Measure with the first N of them; several take turns. Without it, all of them
    #[arg(long = "chain", value_name = "N")]
    chains: Vec<usize>,
    /// Ask nothing but this: command, mail, after-mail, rcpt, data, headers, body, message
    #[arg(long, value_name = "QUESTION")]
    only: Option<String>,
    /// Time each question until its answer: for handlers that may block, or that answer later. Beside them in the table:
    /// two threads that do nothing but wake each other
    #[arg(long)]
    wait: bool,
    /// Questions of each round and row
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    asks: u32,
    /// How often each row has its turn
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Print a line of JSON for each row instead of the table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    // As the server's: handlers that may block run on its further threads.
    let runtime = Runtime::new().map_err(Fault::system("start a runtime"))?;
    let _inside = runtime.enter();
    let lengths = match &arguments.chains[..] {
        [] => &[arguments.plugins.len()],
        some => some,
    };
    let chains = lengths.iter().map(|&length| Chain::load(&arguments.plugins, length));
    let chains = chains.collect::<Result<Vec<_>, _>>()?;
    let questions = questions::all(arguments.only.as_deref())?;
    let mut rows = Vec::new();
    for (name, ask) in &questions {
        for chain in &chains {
            let plural = if chain.length == 1 { "" } else { "s" };
            let title = format!("{name}, {} plug-in{plural}", chain.length);
            rows.push((chain, ask, Report::new(title)));
        }
    }
    let mut bare = Report::new("two threads that wake each other".to_owned());
    for _ in 0..arguments.rounds {
        if arguments.wait {
            bare.add(percentiles(hand_off::measure(arguments.asks), arguments.asks));
        }
        for (chain, ask, report) in &mut rows {
            report.add(if arguments.wait {
                waited(&runtime, chain, ask, arguments.asks)?
            } else {
                answered(chain, ask, arguments.asks)?
            });
        }
    }
    let bare = arguments.wait.then_some(bare);
    let measured = rows.into_iter().map(|(_, _, report)| report);
    let reports: Vec<Report> = measured.chain(bare).collect();
    let settings = json!({ "asks": arguments.asks, "rounds": arguments.rounds });
    Report::print("dispatch", &settings, &reports, arguments.json)
}

/// A round of questions that are answered in line.
fn answered(chain: &Chain, ask: &Ask, asks: u32) -> Result<Round, Fault> {
    let session = chain.extmgr.session();
    match session.ask(ask.clone()) {
        Asked::Answered(verdict) => check(&verdict)?,
        Asked::Waiting(_) => {
            let reason = "its handlers are not called in line: --wait".to_owned();
            return Err(Fault::Target { target: "plug-ins".to_owned(), reason });
        }
    }
    let per_ask = in_line(&session, ask, asks).as_nanos() as f64 / f64::from(asks);
    let figures = vec![
        (Column { key: "ns_per_ask", title: "ns/question" }, Some(per_ask)),
        (
            Column { key: "ns_per_callback", title: "ns/callback" },
            Some(per_ask / chain.length as f64),
        ),
    ];
    Ok(Round { done: u64::from(asks), figures, errors: Errors::default() })
}

/// A round of questions that are waited for.
fn waited(runtime: &Runtime, chain: &Chain, ask: &Ask, asks: u32) -> Result<Round, Fault> {
    let task = runtime.spawn(waiting(chain.extmgr.session(), ask.clone(), asks));
    let latencies = runtime.block_on(task).map_err(Fault::system("measure"))??;
    Ok(percentiles(latencies, asks))
}

fn percentiles(latencies: Latencies, asks: u32) -> Round {
    let [p50, p99] = latencies.percentiles_us([50, 99]);
    let figures = vec![
        (Column { key: "p50_us", title: "p50 µs" }, p50),
        (Column { key: "p99_us", title: "p99 µs" }, p99),
    ];
    Round { done: u64::from(asks), figures, errors: Errors::default() }
}

/// How long so many questions take that are answered in line. The questions are there when the clock starts and still there
/// when it stops, since they are the session's own: to make and to free them is part of a message, not of a call.
fn in_line(session: &Dispatch, ask: &Ask, asks: u32) -> Duration {
    let mut spent = Duration::ZERO;
    let mut batch = Vec::with_capacity(BATCH as usize);
    let mut left = asks;
    while left > 0 {
        let size = left.min(BATCH);
        batch.extend((0..size).map(|_| Arc::new(ask.clone())));
        let began = Instant::now();
        ask_each(session, &batch);
        spent += began.elapsed();
        batch.clear();
        left -= size;
    }
    spent
}

/// What is timed, and nothing else: a function of its own, so that instructions can be counted in it.
#[inline(never)]
fn ask_each(session: &Dispatch, batch: &[Arc<Ask>]) {
    for ask in batch {
        if let Asked::Answered(verdict) = session.ask(Arc::clone(ask)) {
            black_box(verdict);
        }
    }
}

/// How long each of so many questions takes, one after another, as a session asks them.
async fn waiting(session: Dispatch, ask: Ask, asks: u32) -> Result<Latencies, Fault> {
    let mut latencies = Latencies::default();
    for _ in 0..asks {
        let ask = ask.clone();
        let began = Instant::now();
        let asked = session.ask(ask);
        let verdict = match asked {
            Asked::Answered(verdict) => verdict,
            Asked::Waiting(answer) => answer.await,
        };
        latencies.push(began.elapsed());
        check(&verdict)?;
    }
    Ok(latencies)
}

/// A plug-in that does anything is not what is measured here; least of all one at fault.
fn check(verdict: &Verdict) -> Result<(), Fault> {
    if verdict.decision == Decision::Continue && verdict.edits.is_empty() {
        return Ok(());
    }
    let reason = format!("wanted continue and no edits, found {verdict:?}");
    Err(Fault::Target { target: "plug-ins".to_owned(), reason })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::{Arguments, Fault, PathBuf, run};

    /// Compiles a no-op plug-in of a class.
    fn no_op(name: &str, class: &str, folder: &Path) -> PathBuf {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let made = folder.join(format!("lib{name}.so"));
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let compiled = Command::new(compiler)
            .args(["-fPIC", "-shared", "-I"])
            .arg(tests.join("../include"))
            .args([format!("-DNAME=\"{name}\""), format!("-DCLASS={class}")])
            .arg("-o")
            .args([made.clone(), tests.join("faults/noop.c")])
            .status();
        assert!(compiled.expect("there is a C compiler").success());
        made
    }

    fn measure(plugins: Vec<PathBuf>, chains: Vec<usize>, wait: bool) -> Result<(), Fault> {
        let (only, asks, rounds, json) = (None, 600, 1, true);
        run(&Arguments { plugins, chains, only, wait, asks, rounds, json })
    }

    #[test]
    fn calls_in_line_and_on_the_pool_are_measured() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let one = no_op("noop-1", "EM_CLASS_INLINE", folder.path());
        let two = no_op("noop-2", "EM_CLASS_INLINE", folder.path());
        let pool = no_op("noop-pool", "EM_CLASS_BLOCKING", folder.path());
        measure(vec![one.clone(), two], vec![1, 2], false).expect("two no-ops");
        measure(vec![one.clone(), pool.clone()], vec![], true).expect("one of each");
        let fault = measure(vec![pool], vec![], false).expect_err("one waits").to_string();
        assert!(fault.contains("--wait"), "{fault}");
        let fault = measure(vec![one.clone()], vec![2], false).expect_err("only one").to_string();
        assert_eq!(fault, "--chain 2: there are 1 plug-ins");
        let fault = measure(vec![one.clone(), one], vec![], false).expect_err("twice").to_string();
        assert!(fault.starts_with("--plugin noop-1: "), "{fault}");
    }
}
