//! A DNS server on loopback, of a few names that a test gives it.
//! Knows the form of a message (RFC 1035 section 4); has no cache and no recursion.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// TXT, for example: the number of a record's type.
pub const TXT: u16 = 16;
/// A server for mail: preference and name.
pub const MX: u16 = 15;
/// A name of an address.
pub const PTR: u16 = 12;
/// An IPv4 address.
pub const A: u16 = 1;

/// Of whom a zone is; its last number says how long a name that is not is not.
const SOA: u16 = 6;
/// Another name of the same.
const CNAME: u16 = 5;
/// Where the name stands that was asked for.
const NAME_ASKED: [u8; 2] = [0xc0, 12];
/// In the head of a reply: there is more than fits.
const TRUNCATED: u8 = 0x02;

/// One record: name, type, and its data as on the wire.
pub type Record = (&'static str, u16, &'static [u8]);
/// The same, made by a test: see [`mx`], [`txt`] and [`a`].
pub type MadeRecord = (String, u16, Vec<u8>);

/// How long the records of a table count, in seconds.
const TTL_S: u32 = 60;

/// A server for mail, of preference 10.
pub fn mx(name: &str, server: &str) -> MadeRecord {
    (name.to_owned(), MX, [vec![0, 10], on_the_wire(server)].concat())
}

/// Another name of the same.
pub fn cname(name: &str, target: &str) -> MadeRecord {
    (name.to_owned(), CNAME, on_the_wire(target))
}

fn on_the_wire(name: &str) -> Vec<u8> {
    let labels = name.split('.').map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([vec![0]]).collect::<Vec<_>>().concat()
}

/// A text, in strings as long as they can be.
pub fn txt(name: &str, text: &str) -> MadeRecord {
    let strings = text.as_bytes().chunks(255);
    let data = strings.flat_map(|string| [&[string.len() as u8], string].concat()).collect();
    (name.to_owned(), TXT, data)
}

/// An IPv4 address.
pub fn a(name: &str, address: [u8; 4]) -> MadeRecord {
    (name.to_owned(), A, address.to_vec())
}

/// A server; dropping it ends it. Names that it has not do not exist. Below some it misbehaves: below `trouble.test`, and about
/// names of addresses in 203.0.113.0/24, it fails,
/// `lame.test` is none of its, below `silent.test` it says nothing, `cut.test` has more than an answer can hold, `loop.test` is
/// another name of itself, about `forged.test` somebody else, who can't see the question, answers before it, below `other.test` it answers
/// for the name above the one that it was asked for, and what is not below `gone.test` is not for no time at all.
pub struct NameServer {
    address: SocketAddr,
    records: Arc<Mutex<Vec<MadeRecord>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameServer {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When the system refuses a socket.
    pub fn start(records: Vec<Record>) -> Self {
        let made = |(name, kind, data): Record| (name.to_owned(), kind, data.to_vec());
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::serve(any, records.into_iter().map(made).collect(), TTL_S)
    }

    /// Starts one at an address of the test's choice, whose records are to be asked for each time.
    ///
    /// # Panics
    ///
    /// When somebody else has the address.
    pub fn start_at(address: SocketAddr, records: Vec<MadeRecord>) -> Self {
        Self::serve(address, records, 0)
    }

    /// Tells this of a name from now on, and nothing else.
    pub fn tell(&self, name: &str, records: Vec<MadeRecord>) {
        let mut known = lock(&self.records);
        known.retain(|(of, ..)| of != name);
        known.extend(records);
    }

    fn serve(address: SocketAddr, records: Vec<MadeRecord>, ttl_s: u32) -> Self {
        let socket = UdpSocket::bind(address).expect("a socket");
        let address = socket.local_addr().expect("it has an address");
        let records = Arc::new(Mutex::new(records));
        let told_of = records.clone();
        // How soon the thread sees that it is to end.
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out can be set");
        let ended = Arc::new(AtomicBool::new(false));
        let told = ended.clone();
        let thread = thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                match answer_one(&socket, &told_of, ttl_s) {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => break,
                    _ => {}
                }
            }
        });
        Self { address, records, ended, thread: Some(thread) }
    }

    /// The section of a server's configuration that has it asked.
    pub fn section(&self) -> String {
        format!("[dns]\nservers = [\"{}\"]\ntimeout = \"2s\"\n", self.address)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of it was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn lock(records: &Mutex<Vec<MadeRecord>>) -> MutexGuard<'_, Vec<MadeRecord>> {
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer_one(socket: &UdpSocket, records: &Mutex<Vec<MadeRecord>>, ttl_s: u32) -> io::Result<()> {
    let mut octets = [0; 1024];
    let (length, from) = socket.recv_from(&mut octets)?;
    let query = &octets[..length];
    let Some((name, kind, end)) = question(query) else { return Ok(()) };
    let records = lock(records).clone();
    let answers: Vec<_> = records
        .iter()
        .filter(|(known, of, _)| name.eq_ignore_ascii_case(known) && [kind, CNAME].contains(of))
        .collect();
    let below = |zone: &str| name.ends_with(zone);
    if below("silent.test") {
        return Ok(());
    }
    if below("forged.test") {
        let mut forged = reply_to(&query[..end], 0, 1);
        forged[0] ^= 0xff;
        append(&mut forged, A, &[127, 0, 0, 2], ttl_s);
        socket.send_to(&forged, from)?;
    }
    let code = match () {
        () if below("trouble.test") || below("113.0.203.in-addr.arpa") => 2,
        () if below("lame.test") => 5,
        () if below("cut.test") || below("loop.test") || below("other.test") => 0,
        () if records.iter().any(|(known, ..)| name.eq_ignore_ascii_case(known)) => 0,
        () => 3,
    };
    let (is_loop, is_other) = (below("loop.test"), below("other.test"));
    let further = u8::from(is_loop) + u8::from(is_other);
    let mut reply = reply_to(&query[..end], code, answers.len() as u8 + further);
    if below("cut.test") {
        reply[2] |= TRUNCATED;
    }
    if is_loop {
        append(&mut reply, CNAME, &NAME_ASKED, ttl_s);
    }
    if is_other {
        let record = reply.len();
        append(&mut reply, A, &[127, 0, 0, 2], ttl_s);
        // Behind the first label of the name that was asked for.
        reply[record + 1] += query[12] + 1;
    }
    for (_, of, data) in answers {
        append(&mut reply, *of, data, ttl_s);
    }
    if below("gone.test") && code == 3 {
        append(&mut reply, SOA, &[&NAME_ASKED[..], &NAME_ASKED, &[0; 20]].concat(), 0);
        reply[9] = 1;
    }
    socket.send_to(&reply, from).map(|_| ())
}

/// The head of a reply, and the question.
fn reply_to(question: &[u8], code: u8, answers: u8) -> Vec<u8> {
    let mut reply = question.to_vec();
    (reply[2], reply[3]) = (0x81, 0x80 | code);
    reply[4..12].copy_from_slice(&[0, 1, 0, answers, 0, 0, 0, 0]);
    reply
}

/// Adds a record of the name that was asked for.
fn append(reply: &mut Vec<u8>, kind: u16, data: &[u8], ttl_s: u32) {
    reply.extend(NAME_ASKED);
    reply.extend(kind.to_be_bytes());
    // Class IN.
    reply.extend([0, 1]);
    reply.extend(ttl_s.to_be_bytes());
    reply.extend((data.len() as u16).to_be_bytes());
    reply.extend_from_slice(data);
}

/// Name and type of a query, and where its question ends.
fn question(query: &[u8]) -> Option<(String, u16, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + length)?).into_owned());
        at += length;
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    Some((labels.join("."), kind, at + 4))
}
