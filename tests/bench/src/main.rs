//! Measures SMTP receivers over loopback: a load generator, and the least possible receivers to
//! set beside a server, so that every figure is a ratio within one run.

#![forbid(unsafe_code)]

mod client;
mod closed_loop;
mod connect;
mod fault;
mod idle;
mod latency;
mod load;
mod message;
mod meter;
mod poll;
mod process;
mod rate;
mod receive;
mod reply;
mod report;
mod script;
mod slab;
mod socket;
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
    /// The least possible receiver, as an upper bound to compare with
    Receive(receive::Arguments),
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
        Command::Receive(arguments) => receive::run(&arguments),
    }
}
