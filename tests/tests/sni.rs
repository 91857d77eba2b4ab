//! The names that clients ask for in a handshake (SNI, RFC 6066), good and bad, on the real server: which certificate is shown, and that
//! nothing worse than a refusal comes of a bad one. The hellos are written by hand, since no TLS library sends such names.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::io::{BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use stagepost_tests::server::{Server, Site};
use stagepost_tests::wire::Wire;

/// What a server does with a hello.
#[derive(Debug, PartialEq, Eq)]
enum Answered {
    /// Shows the certificate of this name.
    Shown(&'static str),
    /// Ends the handshake, with an alert or without.
    Refused,
}
use Answered::{Refused, Shown};

/// The names of the certificates, the first one for whoever asks for none.
const NAMES: [&str; 3] = ["mx.example.test", "mail.example.test", "*.wild.test"];

/// A site with a certificate for each name.
fn site() -> Site {
    let site = Site::new("");
    let mut text = String::new();
    for (number, name) in NAMES.into_iter().enumerate() {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        let made = params.self_signed(&key).unwrap();
        let file = |ending| site.path().join(format!("{number}.{ending}"));
        fs::write(file("crt"), made.pem()).unwrap();
        fs::write(file("key"), key.serialize_pem()).unwrap();
        fs::set_permissions(file("key"), fs::Permissions::from_mode(0o600)).unwrap();
        text += &format!(
            "[[certificate]]\nname = \"c{number}\"\nchain = \"{number}.crt\"\nkey = \"{number}.key\"\n"
        );
    }
    site.configure_listener("certificates = [\"c0\", \"c1\", \"c2\"]\n", &text);
    site
}

/// Octets with their number before them, in so many octets.
fn counted(width: usize, octets: &[u8]) -> Vec<u8> {
    [&(octets.len() as u32).to_be_bytes()[4 - width..], octets].concat()
}

/// A hello of TLS 1.2, whose answer is in clear text, with these entries in its list of names; none: without a list.
fn hello(names: Option<&[&[u8]]>) -> Vec<u8> {
    let extension =
        |kind: u16, octets: &[u8]| [&kind.to_be_bytes()[..], &counted(2, octets)].concat();
    let mut extensions = [
        // Groups, formats of points, signatures, the extended master secret.
        extension(10, &counted(2, &[0, 0x1d, 0, 0x17])),
        extension(11, &counted(1, &[0])),
        extension(13, &counted(2, &[4, 3, 5, 3, 8, 7, 8, 4])),
        extension(23, &[]),
    ]
    .concat();
    if let Some(names) = names {
        let entries = names.iter().map(|name| [&[0], &*counted(2, name)].concat());
        extensions.extend(extension(0, &counted(2, &entries.collect::<Vec<_>>().concat())));
    }
    let ciphers = [0xc0, 0x2b, 0xc0, 0x2c, 0xcc, 0xa9];
    let body = [
        &[3, 3][..],
        &[7; 32],
        &counted(1, &[]),
        &counted(2, &ciphers),
        &counted(1, &[0]),
        &counted(2, &extensions),
    ]
    .concat();
    let message = [&[1][..], &counted(3, &body)].concat();
    [&[22, 3, 1][..], &counted(2, &message)].concat()
}

/// Sends a hello behind STARTTLS, and reads up to the end of what the server says to it.
fn ask(server: &Server, site: &Site, hello: &[u8]) -> Answered {
    let mut client = server.greeted();
    client.say("STARTTLS", 220);
    client.send(hello);
    let mut stream = client.into_stream();
    let mut said = Vec::new();
    while let Some((22, octets)) = record(&mut stream) {
        said.extend(octets);
        // The server's part is done (ServerHelloDone).
        if said.ends_with(&[14, 0, 0, 0]) {
            break;
        }
    }
    for (number, name) in NAMES.into_iter().enumerate() {
        let der = CertificateDer::from_pem_file(site.path().join(format!("{number}.crt"))).unwrap();
        if said.windows(der.len()).any(|window| window == &*der) {
            return Shown(name);
        }
    }
    assert!(said.is_empty(), "a hello without a certificate: {said:?}");
    Refused
}

/// A record's kind and octets; none at the end of the connection.
fn record(stream: &mut BufReader<Wire>) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head).ok()?;
    let mut octets = vec![0; usize::from(u16::from_be_bytes([head[3], head[4]]))];
    stream.read_exact(&mut octets).ok()?;
    Some((head[0], octets))
}

#[test]
fn a_name_is_answered_by_its_certificate_or_the_first_one() {
    let site = site();
    let server = site.start();
    let long_label = [&[b'a'; 64][..], b".test"].concat();
    let long = [b"a.".repeat(126), b"test".to_vec()].concat();
    let cases: [(Option<&[&[u8]]>, Answered); 20] = [
        (None, Shown(NAMES[0])),
        (Some(&[b"mx.example.test"]), Shown(NAMES[0])),
        (Some(&[b"mail.example.test"]), Shown(NAMES[1])),
        (Some(&[b"MAIL.Example.Test"]), Shown(NAMES[1])),
        (Some(&[b"a.wild.test"]), Shown(NAMES[2])),
        (Some(&[b"A.WILD.test"]), Shown(NAMES[2])),
        // A star stands for one label.
        (Some(&[b"a.b.wild.test"]), Shown(NAMES[0])),
        (Some(&[b"wild.test"]), Shown(NAMES[0])),
        // Nobody has one for these.
        (Some(&[b"other.example.test"]), Shown(NAMES[0])),
        (Some(&[b"ample.test"]), Shown(NAMES[0])),
        (Some(&[b"xn--bcher-kva.test"]), Shown(NAMES[0])),
        // An address is no name (RFC 6066 section 3).
        (Some(&[b"127.0.0.1"]), Shown(NAMES[0])),
        // What can't be a name.
        (Some(&[]), Refused),
        (Some(&[b""]), Refused),
        (Some(&[&long_label]), Refused),
        (Some(&[&long]), Refused),
        (Some(&[b"mail.example.test\0.evil.test"]), Refused),
        (Some(&[b"mail.example.test\r\nX: y"]), Refused),
        (Some(&["b\u{fc}cher.test".as_bytes()]), Refused),
        (Some(&[b"mail.example.test", b"mx.example.test"]), Refused),
    ];
    for (names, wanted) in cases {
        let shown: Vec<_> =
            names.unwrap_or_default().iter().map(|name| name.escape_ascii().to_string()).collect();
        assert_eq!(ask(&server, &site, &hello(names)), wanted, "{shown:?}");
    }
    let reply = server.greeted().deliver("a@b.test", "u@example.test", "Subject: a\r\n\r\n");
    assert_eq!(reply.code, 250, "{reply}");
    // Strangers could write as much of that as they like.
    let log = server.stop().to_string();
    assert!(!log.contains("SNI") && !log.contains("X: y"), "{log}");
}

/// A hello that is cut anywhere and goes on in another record, or ends there.
#[test]
fn a_hello_that_is_cut_is_the_same_or_none() {
    let site = site();
    let server = site.start();
    let whole = hello(Some(&[b"mail.example.test"]));
    for cut in (6..whole.len()).step_by(13) {
        let (head, tail) = (&whole[5..cut], &whole[cut..]);
        let records = [&[22, 3, 1], &*counted(2, head), &[22, 3, 1], &*counted(2, tail)].concat();
        assert_eq!(ask(&server, &site, &records), Shown(NAMES[1]), "cut at {cut}");
        let mut client = server.greeted();
        client.say("STARTTLS", 220);
        let mut stream = client.into_stream();
        stream.get_mut().write_all(&whole[..cut]).unwrap();
        stream.get_ref().socket().shutdown(std::net::Shutdown::Write).unwrap();
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        assert!(said.len() < 20 && !said.starts_with(b"2"), "{said:?}");
    }
    server.stop();
}
