//! `bench scan`: how fast a session passes over the octets of a message, looking for its end.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use stagepost_smtp::Interest;

use crate::bare::Bare;
use crate::fault::Fault;
use crate::report::{Column, Errors, Report, Round};

/// What a connection reads at once.
const PIECE_OCTETS: usize = 64 << 10;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// MiB of each message
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    mib: u32,
    /// Octets of each of its lines, with CRLF; several take turns
    #[arg(long = "line", value_name = "OCTETS", value_parser = clap::value_parser!(u32).range(3..=60_000))]
    lines: Vec<u32>,
    /// Begin every line with a dot, which has to be taken out
    #[arg(long)]
    dots: bool,
    /// How often each row has its turn
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Print a line of JSON for each row instead of the table
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let lines = if arguments.lines.is_empty() { &[78, 998][..] } else { &arguments.lines };
    let mut rows = Vec::new();
    for &line in lines {
        let piece = piece(line as usize, arguments.dots);
        rows.push((piece, Report::new(format!("lines of {line}"))));
    }
    let mut copied = Report::new("copied once, for comparison".to_owned());
    let pieces = arguments.mib << 4;
    for _ in 0..arguments.rounds {
        for (piece, report) in &mut rows {
            report.add(figures(pieces, scanned(piece, pieces)?));
        }
        copied.add(figures(pieces, copy(pieces)));
    }
    let reports: Vec<Report> = rows.into_iter().map(|(_, report)| report).chain([copied]).collect();
    let settings =
        json!({ "mib": arguments.mib, "dots": arguments.dots, "rounds": arguments.rounds });
    Report::print("scan", &settings, &reports, arguments.json)
}

/// Lines of so many octets; the last one is shorter, so that it ends with the piece.
fn piece(line: usize, dots: bool) -> Vec<u8> {
    let mut piece = Vec::with_capacity(PIECE_OCTETS);
    while piece.len() < PIECE_OCTETS {
        let octets = line.min(PIECE_OCTETS - piece.len());
        let first = if dots { b'.' } else { b'x' };
        piece.extend((0..octets).map(|at| if at == 0 { first } else { b'x' }));
        let end = piece.len();
        if octets >= 3 {
            piece[end - 2..].copy_from_slice(b"\r\n");
        }
    }
    piece
}

fn scanned(piece: &[u8], pieces: u32) -> Result<Duration, Fault> {
    let mut bare = Bare::new(Arc::new(Bare::settings()), Interest::NONE);
    bare.say(b"EHLO client.example.org\r\nMAIL FROM:<>\r\n");
    bare.say(b"RCPT TO:<recipient@example.test>\r\nDATA\r\n");
    bare.say(b"Subject: long\r\n\r\n");
    let begun = Instant::now();
    for _ in 0..pieces {
        bare.say(piece);
    }
    let spent = begun.elapsed();
    bare.say(b"\r\n.\r\n");
    bare.check(4)?;
    Ok(spent)
}

fn copy(pieces: u32) -> Duration {
    let (from, mut to) = (piece(78, false), vec![0; PIECE_OCTETS]);
    let begun = Instant::now();
    for _ in 0..pieces {
        black_box(&mut to[..]).copy_from_slice(black_box(&from));
    }
    begun.elapsed()
}

fn figures(pieces: u32, spent: Duration) -> Round {
    let octets = f64::from(pieces) * PIECE_OCTETS as f64;
    let column = Column { key: "gb_per_second", title: "GB/s" };
    let figure = octets / spent.as_secs_f64() / 1e9;
    let done = u64::from(pieces);
    Round { done, figures: vec![(column, Some(figure))], errors: Errors::default() }
}
