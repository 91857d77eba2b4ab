//! `bench receive`: the least possible receivers. They do nothing that a server could leave out,
//! so what they reach is the bound for a server that promises the same about the disk.

mod committer;
mod end_of_data;
mod log;
mod receiver;
mod session;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::fault::Fault;
use crate::target::parse_loopback;

pub(crate) use receiver::Receiver;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// What a 250 after the dot means
    #[arg(long, value_enum)]
    mode: Mode,
    /// Loopback address to listen on; port 0 takes a free one, which is printed
    #[arg(long, value_name = "HOST:PORT", value_parser = parse_loopback)]
    listen: SocketAddr,
    /// File that messages are appended to; overwritten, and removed at the end
    #[arg(long, value_name = "FILE")]
    spool: Option<PathBuf>,
    /// Size at which that file is begun again: a measurement must not fill the disk
    #[arg(long, default_value_t = 512, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    spool_max: u64,
    /// Seconds after which the receiver ends
    #[arg(long, default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Print how many messages have come, again and again, as smtp-sink does it
    #[arg(long)]
    counters: bool,
}

/// How a message is stored before its 250.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Not at all
    None,
    /// Appended to a log, a sync for each
    Each,
    /// Appended to a log, a sync for all that wait
    Group,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let spool = arguments.spool.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("stagepost-bench-{}.log", std::process::id()))
    });
    let receiver =
        Receiver::open(arguments.mode, arguments.listen, &spool, arguments.spool_max << 20)?;
    println!("listening on {}", receiver.address());
    let mut stdout = std::io::stdout();
    let counters = arguments.counters.then_some(&mut stdout as &mut dyn std::io::Write);
    receiver.run(Duration::from_secs(arguments.seconds), counters)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;
    use std::{io, thread};

    use super::{Duration, Fault, Mode, Receiver, SocketAddr};
    use crate::client::{Notice, Plan};
    use crate::closed_loop::{ClosedLoop, Tally};
    use crate::report::Errors;
    use crate::script::Script;
    use crate::swarm::Swarm;

    fn script(body: &[u8]) -> Script {
        Script {
            mail: b"MAIL FROM:<a@bench.invalid>\r\n".to_vec(),
            recipient: b"RCPT TO:<b@bench.invalid>\r\n".to_vec(),
            body: body.to_vec(),
            ..Script::greeting_only("bench.invalid")
        }
    }

    /// Runs `talk` against a receiver that lives as long as it does.
    fn beside<T>(mode: Mode, talk: impl FnOnce(SocketAddr) -> T) -> Result<T, Fault> {
        counting(mode, None, talk)
    }

    /// The same, with its counters.
    fn counting<T>(
        mode: Mode,
        counters: Option<&mut Vec<u8>>,
        talk: impl FnOnce(SocketAddr) -> T,
    ) -> Result<T, Fault> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let receiver = Receiver::open(mode, any_port, &folder.path().join("log"), 64 << 20)?;
        let (address, doorbell) = (receiver.address(), receiver.doorbell());
        thread::scope(|scope| {
            let thread = scope.spawn(move || {
                let counters = counters.map(|counters| counters as &mut dyn io::Write);
                receiver.run(Duration::from_secs(60), counters)
            });
            let result = talk(address);
            doorbell.stop();
            thread.join().expect("the receiver does not panic").map(|()| result)
        })
    }

    fn load(mode: Mode, plan: Plan, body: &[u8]) -> Result<Tally, Fault> {
        let script = script(body);
        let duration = Duration::from_millis(200);
        beside(mode, |address| {
            ClosedLoop { address, pid: None, script: &script, plan, sessions: 8, duration }.run()
        })?
    }

    #[test]
    fn load_against_every_mode() {
        for mode in [Mode::None, Mode::Each, Mode::Group] {
            for (plan, body) in [
                (Plan::Messages(u64::MAX), &b"a\r\n..\r\n.\r\n"[..]),
                (Plan::Messages(1), b".\r\n"),
            ] {
                let tally = load(mode, plan, body).expect("the receiver runs");
                assert_eq!(tally.errors, Errors::default(), "{mode:?} {plan:?}");
                assert!(tally.accepted > 0, "{mode:?} {plan:?}");
            }
        }
    }

    #[test]
    fn a_message_larger_than_any_socket_buffer() {
        let script = script(&[b"line\r\n".repeat(2 << 20), b".\r\n".to_vec()].concat());
        let heard = beside(Mode::None, |address| {
            let mut swarm = Swarm::new(address, &script)?;
            swarm.open(Plan::Messages(2), Instant::now());
            let end = Instant::now() + Duration::from_secs(60);
            while swarm.len() > 0 && Instant::now() < end {
                swarm.turn(Duration::from_secs(1))?;
            }
            Ok::<_, io::Error>(swarm.notices().collect::<Vec<_>>())
        });
        let heard = heard.expect("the receiver runs").expect("the swarm runs");
        assert!(
            matches!(
                heard[..],
                [
                    Notice::Ready,
                    Notice::Accepted { .. },
                    Notice::Accepted { .. },
                    Notice::Vacant { failed: false, .. },
                    Notice::Closed
                ]
            ),
            "{heard:?}"
        );
    }

    #[test]
    fn messages_are_counted() {
        let script = script(b"a\r\n.\r\n");
        let mut counters = Vec::new();
        let sent = counting(Mode::None, Some(&mut counters), |address| {
            let mut swarm = Swarm::new(address, &script)?;
            swarm.open(Plan::Messages(3), Instant::now());
            let end = Instant::now() + Duration::from_secs(60);
            while swarm.len() > 0 && Instant::now() < end {
                swarm.turn(Duration::from_secs(1))?;
            }
            Ok::<_, io::Error>(())
        });
        sent.expect("the receiver runs").expect("the swarm runs");
        assert_eq!(String::from_utf8_lossy(&counters), "mesg=1\rmesg=2\rmesg=3\r");
    }

    #[test]
    fn sessions_without_a_message() {
        let tally = load(Mode::None, Plan::Messages(0), b"").expect("the receiver runs");
        assert_eq!((tally.errors, tally.accepted), (Errors::default(), 0));
        assert!(tally.closed > 0);
    }

    #[test]
    fn pipelined_replies_keep_their_order() {
        use std::io::{Read, Write};
        let message = b"MAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA\r\nx\r\n.\r\n".repeat(50);
        let input = [b"EHLO a\r\n".to_vec(), message, b"QUIT\r\n".to_vec()].concat();
        let each = ["250 ok", "250 ok", "354 go on", "250 accepted"].repeat(50);
        let expected = [
            vec!["220 bench.invalid ESMTP", "250-bench.invalid", "250 PIPELINING"],
            each,
            vec!["221 bye"],
        ]
        .concat();
        for mode in [Mode::None, Mode::Each, Mode::Group] {
            for piece in [1, 7, 100, input.len()] {
                let replies = beside(mode, |address| {
                    let mut stream = std::net::TcpStream::connect(address)?;
                    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                    stream.set_nodelay(true)?;
                    input.chunks(piece).try_for_each(|piece| stream.write_all(piece))?;
                    let mut replies = String::new();
                    stream.read_to_string(&mut replies).map(|_| replies)
                });
                let replies = replies.expect("the receiver runs").expect("the connection holds");
                assert_eq!(replies.lines().collect::<Vec<_>>(), expected, "{mode:?} by {piece}");
            }
        }
    }
}
