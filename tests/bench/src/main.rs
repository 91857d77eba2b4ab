//! Measures SMTP receivers over loopback: a load generator, and the least possible receivers to
//! set beside a server, so that every figure is a ratio within one run. And what plug-ins cost.

#![forbid(unsafe_code)]

mod bare;
mod client;
mod closed_loop;
mod connect;
mod delivered;
mod dispatch;
mod fault;
mod idle;
mod latency;
mod load;
mod message;
mod meter;
mod milter;
mod peers;
mod poll;
mod process;
mod rate;
mod receive;
mod reply;
mod report;
mod scan;
mod script;
mod send;
mod session;
mod slab;
mod socket;
mod stall;
mod swarm;
mod target;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use fault::Fault;

/// Measures SMTP receivers over loopback.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Closed loop: every session sends its next message as soon as the last one is answered
    Load(load::Arguments),
    /// Open loop: messages start by the clock, each in a session of its own
    Rate(rate::Arguments),
    /// Memory of idle sessions, and whether an active one is served beside them
    Idle(idle::Arguments),
    /// Connect, EHLO and QUIT, no message
    Connect(connect::Arguments),
    /// Whether sessions are delayed while others wait for a plug-in that sleeps
    Stall(stall::Arguments),
    /// A number of messages, one after another in each session: for counting what they cost
    Send(send::Arguments),
    /// How fast messages get out to a sink: those that wait, once they are flushed, or those that come meanwhile
    Delivered(delivered::Arguments),
    /// All tables of docs/performance.md that have servers beside each other, by one command
    Peers(peers::Arguments),
    /// The least possible receiver, as an upper bound to compare with
    Receive(receive::Arguments),
    /// A filter in a process of its own that lets everything pass, to compare plug-ins with
    Milter(milter::Arguments),
    /// What parsing and session logic cost for each command, without a server
    Session(session::Arguments),
    /// How fast a session passes over the octets of a message, without a server
    Scan(scan::Arguments),
    /// What asking plug-ins costs, without a server
    Dispatch(dispatch::Arguments),
}

fn main() -> ExitCode {
    match run(Program::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("bench: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Fault> {
    process::raise_open_files_limit()?;
    match command {
        Command::Load(arguments) => load::run(&arguments),
        Command::Rate(arguments) => rate::run(&arguments),
        Command::Idle(arguments) => idle::run(&arguments),
        Command::Connect(arguments) => connect::run(&arguments),
        Command::Stall(arguments) => stall::run(&arguments),
        Command::Send(arguments) => send::run(&arguments),
        Command::Delivered(arguments) => delivered::run(&arguments),
        Command::Peers(arguments) => peers::run(&arguments),
        Command::Receive(arguments) => receive::run(&arguments),
        Command::Milter(arguments) => milter::run(&arguments),
        Command::Session(arguments) => session::run(&arguments),
        Command::Scan(arguments) => scan::run(&arguments),
        Command::Dispatch(arguments) => dispatch::run(&arguments),
    }
}
