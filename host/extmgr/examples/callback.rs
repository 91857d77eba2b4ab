//! How long a callback in line takes: loads plug-ins and asks them one question over and over, as a session does.
//! Prints nanoseconds for each callback; the median of several rounds, so that a busy machine shows less.
//!
//!     cargo run --release -p stagepost-extmgr --example callback -- NAME=FILE...
//!
//! FILE is made of tests/faults/noop.c, NAME what `-DNAME` said then.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stagepost_extmgr::{
    Asked, ExtMgr, FaultContract, FaultContracts, Limits, OnFault, OnLoadError, PluginConfig,
    Section,
};
use stagepost_smtp::{Address, Ask, Facts, Peer, Question, ReversePath, Stage};

const QUESTIONS: u32 = 1_000_000;
const ROUNDS: usize = 9;

fn plugin(argument: &str) -> Result<PluginConfig, Box<dyn Error>> {
    let (name, file) = argument.split_once('=').ok_or("usage: callback NAME=FILE...")?;
    let deadline = Duration::from_secs(30);
    let contract = FaultContract { deadline, deadline_max: deadline, on_fault: OnFault::Defer };
    Ok(PluginConfig {
        name: name.to_owned(),
        path: PathBuf::from(file),
        run: None,
        priority: 0,
        contracts: FaultContracts::everywhere(contract),
        on_load_error: OnLoadError::Abort,
        pending_max: 1,
        threads_max: 4,
        sha256: None,
        section: Section::new("none", serde_json::json!({}), Default::default()),
    })
}

fn questions() -> Result<Vec<(&'static str, Question)>, Box<dyn Error>> {
    let recipient = Address::parse("bob@example.org")?;
    let parameters = || "".into();
    Ok(vec![
        ("command", Question::Command { line: b"MAIL FROM:<alice@example.org>"[..].into() }),
        ("mail", Question::Mail { sender: ReversePath::Null, parameters: parameters() }),
        ("rcpt", Question::Rcpt { recipient, parameters: parameters() }),
        ("data", Question::Data),
    ])
}

fn main() -> Result<(), Box<dyn Error>> {
    let plugins =
        std::env::args().skip(1).map(|one| plugin(&one)).collect::<Result<Vec<_>, _>>()?;
    let callbacks = plugins.len() as f64 * f64::from(QUESTIONS);
    let copies = std::env::temp_dir().join(format!("callback-{}", std::process::id()));
    std::fs::create_dir_all(&copies)?;
    let loaded = ExtMgr::load(plugins, Limits::default(), &copies)?;
    let session = loaded.session();
    let address = SocketAddr::from(([127, 0, 0, 1], 4000));
    let facts = Arc::new(Facts::new(7, Arc::new(Peer::new(address, address, "mx"))));
    for (name, question) in questions()? {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let ask = || Ask {
                question: question.clone(),
                stage: Stage::Before,
                reply: None,
                facts: facts.clone(),
                message: None,
            };
            let began = Instant::now();
            for _ in 0..QUESTIONS {
                let Asked::Answered(verdict) = session.ask(std::hint::black_box(ask())) else {
                    return Err("only plug-ins of class inline can be measured so".into());
                };
                std::hint::black_box(verdict);
            }
            rounds.push(began.elapsed().as_nanos() as f64 / callbacks);
        }
        rounds.sort_by(f64::total_cmp);
        println!(
            "{name:8} {:6.1} ns for each callback ({:.1} to {:.1})",
            rounds[ROUNDS / 2],
            rounds[0],
            rounds[ROUNDS - 1]
        );
    }
    std::fs::remove_dir_all(&copies)?;
    Ok(())
}
