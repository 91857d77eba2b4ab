//! The real server and clients that mean it ill: floods, silence, broken connections, bad handshakes. What they do costs
//! them more than the server, and nobody else notices.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};
use stagepost_tests::log::{Line, Log};
use stagepost_tests::process::Ended;
use stagepost_tests::server::{Server, Site};

/// What a session may take beyond what the server had, in KiB: its buffers and those of the system's allocator.
const GROWTH_KIB_MAX: u64 = 12 * 1024;

/// Octets of a flood.
const FLOOD: usize = 96 << 20;

/// A server that tells of every session.
fn start(site: &Site) -> Server {
    let mut command = site.command(&["run", "--config", "stagepost.toml"]);
    command.env("STAGEPOST_LOG", "stagepost=debug");
    Server::start(command)
}

/// The most memory that the server ever had, in KiB.
fn memory_kib(server: &Server) -> u64 {
    let file = format!("/proc/{}/status", server.pid());
    let status = std::fs::read_to_string(file).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// A bare connection, its greeting read.
fn connect(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    stream.set_write_timeout(Some(Duration::from_secs(60))).expect("a time-out");
    read_reply(&mut stream);
    stream
}

/// Reads up to the end of a reply of whatever lines; what was read.
fn read_reply(stream: &mut TcpStream) -> String {
    let mut said = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let octets = stream.read(&mut piece).expect("a reply");
        assert!(octets > 0, "closed behind {:?}", String::from_utf8_lossy(&said));
        said.extend_from_slice(&piece[..octets]);
        let text = String::from_utf8_lossy(&said);
        let last = text.strip_suffix("\r\n").and_then(|text| text.rsplit("\r\n").next());
        if last.is_some_and(|line| line.as_bytes().get(3) == Some(&b' ')) {
            return text.into_owned();
        }
    }
}

/// Waits until the server closes, however it does.
fn wait_for_close(stream: &mut TcpStream) {
    let mut piece = [0; 64 * 1024];
    loop {
        match stream.read(&mut piece) {
            Ok(1..) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("it does not close"),
            // A reset is an end too: what it never read was in its way.
            Ok(0) | Err(_) => return,
        }
    }
}

const TO_DATA: [&str; 4] =
    ["EHLO a.test\r\n", "MAIL FROM:<a@b.test>\r\n", "RCPT TO:<u@example.test>\r\n", "DATA\r\n"];

fn say(stream: &mut TcpStream, lines: &[&str]) {
    for line in lines {
        stream.write_all(line.as_bytes()).expect("the server reads");
        read_reply(stream);
    }
}

/// Nothing of a flood is kept: not of a line, not of a message, not of a header block.
#[test]
fn floods_take_no_memory() {
    let site = Site::new("");
    let server = start(&site);
    let line = "x".repeat(64 * 1024);
    let header = format!("X-A: {}\r\n", "y".repeat(990)).repeat(64);
    let text = format!("\r\n{}", "z".repeat(998)).repeat(64);
    let cases: [(&[&str], &str, &str, &str); 4] = [
        (&[], &line, "\r\n", "500 "),
        (&TO_DATA, &line, "\r\n.\r\n", "55"),
        (&TO_DATA, &header, "\r\n.\r\n", "552 "),
        (&TO_DATA, &text, "\r\n.\r\n", "552 "),
    ];
    // What every session takes.
    server.greeted().deliver("a@b.test", "u@example.test", "Subject: a\r\n\r\n");
    let before = memory_kib(&server);
    for (lines, piece, end, wanted) in cases {
        let mut stream = connect(server.address());
        say(&mut stream, lines);
        for _ in 0..FLOOD / piece.len() {
            stream.write_all(piece.as_bytes()).expect("the server reads");
        }
        stream.write_all(end.as_bytes()).expect("the server reads");
        let reply = read_reply(&mut stream);
        assert!(reply.starts_with(wanted), "{wanted}: {reply}");
        let growth = memory_kib(&server) - before;
        assert!(growth < GROWTH_KIB_MAX, "{growth} KiB for {:?}", &piece[..10]);
    }
    server.stop();
}

/// Who asks for replies and never reads them is not read any more, or is sent away; nobody else waits for that.
#[test]
fn replies_that_nobody_reads_are_not_heaped_up() {
    let site = Site::new("");
    let server = start(&site);
    server.greeted().deliver("a@b.test", "u@example.test", "Subject: a\r\n\r\n");
    let before = memory_kib(&server);
    let mut deaf = connect(server.address());
    SockRef::from(&deaf).set_recv_buffer_size(4096).expect("a small window");
    // So long without room for a single octet: the server reads no more.
    deaf.set_write_timeout(Some(Duration::from_secs(2))).expect("a time-out");
    deaf.write_all(b"EHLO a.test\r\nMAIL FROM:<a@b.test>\r\n").expect("room");
    let group: String =
        (0..1000).map(|number| format!("RCPT TO:<u{number}@example.test>\r\n")).collect();
    let stopped = (0..1000).find_map(|_| deaf.write_all(group.as_bytes()).err());
    assert!(stopped.is_some(), "a million recipients are taken");
    let growth = memory_kib(&server) - before;
    assert!(growth < GROWTH_KIB_MAX, "{growth} KiB");
    let reply = server.greeted().deliver("a@b.test", "u@example.test", "Subject: b\r\n\r\n");
    assert_eq!(reply.code, 250, "{reply}");
    drop(deaf);
    server.stop();
}

/// Connections that break wherever a session may be: each of them ends, and leaves nothing behind.
#[test]
fn broken_connections_end_their_sessions() {
    let site = Site::new("");
    site.certify("mx.example.test");
    site.configure_tls("", "");
    let server = start(&site);
    let message = "Subject: a\r\n\r\nhalf a message";
    let states: [(&[&str], &str); 9] = [
        (&[], ""),
        (&[], "EHL"),
        (&TO_DATA[..1], ""),
        (&TO_DATA[..1], "MAIL FROM:<a@b.test>\r\nRCPT TO:<u@example"),
        (&TO_DATA[..3], ""),
        (&TO_DATA, ""),
        (&TO_DATA, message),
        (&["EHLO a.test\r\n", "STARTTLS\r\n"], ""),
        (&["EHLO a.test\r\n", "STARTTLS\r\n"], "\x16\x03\x01"),
    ];
    let mut begun = 0;
    for (lines, rest) in states {
        for way in ["reset", "close", "half"] {
            let mut stream = connect(server.address());
            say(&mut stream, lines);
            stream.write_all(rest.as_bytes()).expect("the server reads");
            begun += 1;
            match way {
                "reset" => {
                    // Closing sends a reset then.
                    let at_once = Some(Duration::ZERO);
                    SockRef::from(&stream).set_linger(at_once).expect("a socket");
                }
                "half" => {
                    stream.shutdown(Shutdown::Write).expect("a socket");
                    wait_for_close(&mut stream);
                }
                _ => {}
            }
        }
    }
    let ended = |line: &Line| line.message() == "session ends";
    server.log().wait_for_count("the ends", begun, ended);
    let reply = server.greeted().deliver("a@b.test", "u@example.test", "Subject: b\r\n\r\n");
    assert_eq!(reply.code, 250, "{reply}");
    server.log().wait_for("the delivery", |line| line.message() == "delivered");
    assert_eq!(site.mail("u").len(), 1, "half a message was delivered");
    server.stop();
}

/// Who is half gone still gets the replies to what was said before.
#[test]
fn a_client_that_says_all_at_once_and_half_closes_is_answered() {
    let site = Site::new("");
    let server = start(&site);
    let mut stream = connect(server.address());
    let all = TO_DATA.concat() + "Subject: a\r\n\r\n.\r\nQUIT\r\n";
    stream.write_all(all.as_bytes()).expect("the server reads");
    stream.shutdown(Shutdown::Write).expect("a socket");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("replies");
    let codes: Vec<_> = said
        .split_terminator("\r\n")
        .filter(|line| line.as_bytes().get(3) == Some(&b' '))
        .map(|line| &line[..3])
        .collect();
    assert_eq!(codes, ["250", "250", "250", "354", "250", "221"], "{said}");
    server.stop();
}

/// A client with an address of its own of the loopback network.
fn connect_from(last: u8, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let from = SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0));
    socket.bind(&from.into()).expect("an address of this machine");
    socket.connect(&address.into()).expect("the server listens");
    socket.into()
}

/// One address gets what it may have, is told so in few lines of the log, and keeps nobody out.
#[test]
fn a_crowd_from_one_address_keeps_nobody_out() {
    const PLACES: usize = 10;
    const CROWD: usize = 1000;
    let site = Site::new(&format!("[limits]\nsessions_per_address_max = {PLACES}\n"));
    let server = start(&site);
    let mut crowd: Vec<_> = (0..PLACES).map(|_| connect_from(2, server.address())).collect();
    for stream in &mut crowd {
        assert!(read_reply(stream).starts_with("220 "));
    }
    for _ in PLACES..CROWD {
        let mut stream = connect_from(2, server.address());
        assert!(read_reply(&mut stream).starts_with("421 4.7.0 "));
        wait_for_close(&mut stream);
    }
    let reply = server.greeted().deliver("a@b.test", "u@example.test", "Subject: a\r\n\r\n");
    assert_eq!(reply.code, 250, "{reply}");
    // Those who are in are served, and their places come back.
    say(&mut crowd[0], &TO_DATA);
    drop(crowd);
    let ended = |line: &Line| line.message() == "session ends";
    server.log().wait_for_count("the ends", PLACES, ended);
    assert!(read_reply(&mut connect_from(2, server.address())).starts_with("220 "));
    let log = server.log().to_string();
    let told = log.matches("connection refused").count();
    assert!((1..CROWD / 10).contains(&told), "{told} lines about one crowd");
    server.stop();
}

/// What is no handshake, or never becomes one, ends the connection, by STARTTLS and where TLS comes first.
#[test]
fn bad_handshakes_end_their_connections() {
    let site = Site::new("");
    site.certify("mx.example.test");
    let submissions = "[[listen]]\nname = \"submissions\"\naddress = \"127.0.0.1:0\"\npurpose = \"submissions\"\nauth = \"none\"\ncertificates = [\"mx\"]\n[timeouts]\nhandshake = \"1s\"\n";
    site.configure_tls("", submissions);
    let server = start(&site);
    let huge = [&b"\x16\x03\x01\xff\xff"[..], &[0; 70_000]].concat();
    let endless = [&b"\x16\x03\x01\x40\x00\x01\xff\xff\xff"[..], &[3; 16_379]].concat();
    let cases: [(&str, Vec<u8>); 8] = [
        ("silence", Vec::new()),
        ("clear text", b"EHLO a.test\r\nMAIL FROM:<evil@x>\r\n".to_vec()),
        ("a record of 65,535 octets", huge),
        ("a hello that never ends", endless.clone()),
        ("hello upon hello", endless.repeat(40)),
        ("records of one octet", b"\x16\x03\x01\x00\x01\x01".repeat(20_000)),
        ("an alert", b"\x15\x03\x01\x00\x02\x02\x28".to_vec()),
        ("application data", b"\x17\x03\x03\x00\x05hello".to_vec()),
    ];
    let before = memory_kib(&server);
    let mut begun = 0;
    for (name, octets) in &cases {
        for implicit in [false, true] {
            let mut stream = if implicit {
                TcpStream::connect(server.listener("submissions")).expect("it listens")
            } else {
                let mut stream = connect(server.address());
                say(&mut stream, &["EHLO a.test\r\n", "STARTTLS\r\n"]);
                stream
            };
            stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
            // The server may have had enough before all is written.
            let _ = stream.write_all(octets);
            wait_for_close(&mut stream);
            begun += 1;
            let growth = memory_kib(&server) - before;
            assert!(growth < GROWTH_KIB_MAX, "{growth} KiB for {name}");
        }
    }
    let ended = |line: &Line| line.message() == "session ends";
    server.log().wait_for_count("the ends", begun, ended);
    assert!(!server.log().to_string().contains("message queued"));
    server.stop();
}

/// What a client says never gets into the log as anything but text in one line, in both forms of the log.
#[test]
fn a_log_is_text_whatever_clients_say() {
    for format in ["json", "text"] {
        let site = Site::new("");
        let file = site.path().join("stagepost.toml");
        let config = std::fs::read_to_string(&file).expect("a configuration");
        site.write_config(&config.replace("\"json\"", &format!("\"{format}\"")));
        let mut command = site.command(&["run", "--config", "stagepost.toml"]);
        command.env("STAGEPOST_LOG", "trace").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = Ended(command.spawn().expect("the program starts"));
        let (log, _) = Log::follow(child.0.stderr.take().expect("stderr is piped"));
        let line = log.wait_for("listening", |line| line.as_str().contains("listening"));
        let (_, port) = line.as_str().split_once("127.0.0.1:").expect("an address");
        let port: String = port.chars().take_while(char::is_ascii_digit).collect();
        let port: u16 = port.parse().expect("a port");
        say_bad_octets((Ipv4Addr::LOCALHOST, port).into());
        log.wait_for("the delivery", |line| line.as_str().contains("delivered"));
        let log = log.to_string();
        assert!(!log.chars().any(|c| c.is_control() && c != '\n'), "{log:?}");
    }
}

fn say_bad_octets(address: SocketAddr) {
    let mut stream = connect(address);
    let lines: [(&[u8], &str); 7] = [
        (b"EHLO \x1b[31mred\r\n", "500 "),
        (b"EHLO a\0b\r\n", "500 "),
        (b"\xff\xfe\x80\r\n", "500 "),
        (b"EHLO [127.0.0.1]\r\n", "250"),
        (b"MAIL FROM:<\"\\\"\\\\%n%s{} \"@b.test>\r\n", "250 "),
        (b"RCPT TO:<\"} , {message: x\"@example.test>\r\n", "250 "),
        (b"DATA\r\n", "354 "),
    ];
    for (line, wanted) in lines {
        stream.write_all(line).expect("the server reads");
        let reply = read_reply(&mut stream);
        assert!(reply.starts_with(wanted), "{wanted}: {reply}");
    }
    let message = b"Subject: \x1b]0;owned\x07\xff\r\nMessage-ID: <\x1b[2J>\r\n\r\nx\r\n.\r\n";
    stream.write_all(message).expect("the server reads");
    assert!(read_reply(&mut stream).starts_with("250 "));
}
