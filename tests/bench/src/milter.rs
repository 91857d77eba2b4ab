//! `bench milter`: a filter in a process of its own that asks for everything and has nothing against any of it, as the
//! least that the milter protocol (version 6) costs. Knows no mail: packets come in, "continue" goes out.

use std::fs;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Args;

use crate::fault::Fault;

/// The longest packet taken: chunks of a body have 64 KiB at most, unless more was negotiated.
const PACKET_OCTETS_MAX: u32 = 128 << 10;

/// The version that is spoken.
const VERSION: u32 = 6;

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// UNIX socket to listen on; made anew, for everybody on this machine
    #[arg(long, value_name = "FILE")]
    socket: PathBuf,
    /// Seconds after which the filter ends
    #[arg(long, default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Fault> {
    let place = &arguments.socket;
    let listener =
        listen(place).map_err(Fault::system(format!("listen on {}", place.display())))?;
    println!("listening on {}", place.display());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // As libmilter does: a thread for each connection. One that can't be had closes the connection.
            let served = thread::Builder::new().spawn(move || serve(&stream));
            if let Err(error) = served {
                eprintln!("bench: cannot serve a connection: {error}");
            }
        }
    });
    thread::sleep(Duration::from_secs(arguments.seconds));
    fs::remove_file(place).map_err(Fault::system(format!("remove {}", place.display())))
}

fn listen(place: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(place)?;
    // The server has another user than whoever measures.
    fs::set_permissions(place, fs::Permissions::from_mode(0o666))?;
    Ok(listener)
}

fn serve(stream: &UnixStream) {
    if let Err(error) = converse(BufReader::new(stream), stream)
        && error.kind() != io::ErrorKind::UnexpectedEof
    {
        eprintln!("bench: a connection is given up: {error}");
    }
}

/// Answers packets until the server quits.
fn converse(mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut packet = Vec::new();
    loop {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        if !(1..=PACKET_OCTETS_MAX).contains(&length) {
            return Err(io::Error::other(format!("a packet of {length} octets")));
        }
        packet.resize(length as usize, 0);
        from.read_exact(&mut packet)?;
        match answer(packet[0])? {
            Answer::Options => to.write_all(&options(&packet[1..])?)?,
            Answer::Continue => to.write_all(&[0, 0, 0, 1, b'c'])?,
            Answer::None => {}
            Answer::End => return Ok(()),
        }
    }
}

/// What a command is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Options,
    Continue,
    None,
    End,
}

fn answer(command: u8) -> io::Result<Answer> {
    Ok(match command {
        b'O' => Answer::Options,
        // Connect, HELO, MAIL, RCPT, DATA, header, end of headers, body, end of body, unknown command.
        b'C' | b'H' | b'M' | b'R' | b'T' | b'L' | b'N' | b'B' | b'E' | b'U' => Answer::Continue,
        // Macros, abort, quit with another connection to come.
        b'D' | b'A' | b'K' => Answer::None,
        b'Q' => Answer::End,
        other => return Err(io::Error::other(format!("the command {:?}", char::from(other)))),
    })
}

/// The answer to the server's offer: its version, no change of any message, and no step left out.
fn options(offer: &[u8]) -> io::Result<[u8; 17]> {
    let version = offer.first_chunk().copied().map(u32::from_be_bytes);
    let version = version.ok_or_else(|| io::Error::other("an offer without a version"))?;
    let mut packet = [0; 17];
    packet[3] = 13;
    packet[4] = b'O';
    packet[5..9].copy_from_slice(&version.min(VERSION).to_be_bytes());
    Ok(packet)
}

#[cfg(test)]
mod tests {
    use super::converse;

    fn packet(command: u8, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len() + 1).expect("a short packet");
        [&length.to_be_bytes()[..], &[command], data].concat()
    }

    fn said(packets: &[Vec<u8>]) -> (Vec<u8>, bool) {
        let mut to = Vec::new();
        let ended = converse(&packets.concat()[..], &mut to).is_ok();
        (to, ended)
    }

    #[test]
    fn a_whole_message() {
        let offer = packet(b'O', &[[0, 0, 0, 6], [0, 0, 1, 0xff], [0, 0x1f, 0xff, 0xff]].concat());
        let asked = b"CHMRTLLNBE".map(|command| packet(command, b"data\0"));
        let untold = b"DAK".map(|command| packet(command, b""));
        let quit = packet(b'Q', b"");
        let all = [&[offer][..], &asked, &untold, &[quit]].concat();
        let options = [&[0, 0, 0, 13, b'O', 0, 0, 0, 6][..], &[0; 8]].concat();
        let wanted = [options, [0, 0, 0, 1, b'c'].repeat(asked.len())].concat();
        assert_eq!(said(&all), (wanted, true));
    }

    #[test]
    fn an_older_server_is_answered_in_its_version() {
        let (to, _) = said(&[packet(b'O', &[0, 0, 0, 2, 0, 0, 0, 0x3f, 0, 0, 0, 0x7f])]);
        assert_eq!(to[5..9], [0, 0, 0, 2]);
    }

    #[test]
    fn what_is_no_packet_ends_the_connection() {
        let cases: [&[u8]; 5] =
            [b"\0\0\0\0", b"\xff\xff\xff\xffC", b"\0\0\0\x01?", b"\0\0\0\x02O\0", b"\0\0\0\x05C"];
        for input in cases {
            let mut to = Vec::new();
            assert!(converse(input, &mut to).is_err(), "{input:?}");
            assert!(to.is_empty(), "{input:?}");
        }
    }
}
