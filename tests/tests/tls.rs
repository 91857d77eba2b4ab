//! TLS on the real server: STARTTLS and implicit TLS, certificates by name and anew, and what becomes of bad handshakes.
//! Every handshake is a real one, and checks the server's certificate.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;

use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest, Sha256};
use stagepost_tests::client::Client;
use stagepost_tests::server::{Server, Site, plugin_section};
use stagepost_tests::wire::Trust;

const NAME: &str = "mx.example.test";
const MESSAGE: &str = "From: a@client.test\r\nSubject: protected\r\n\r\nHello.\r\n";

/// A site with a certificate for its name, and whoever trusts that.
fn site() -> (Site, Trust) {
    let site = Site::new("");
    let trust = Trust::in_file(&site.certify(NAME));
    (site, trust)
}

fn starttls(server: &Server, trust: &Trust, name: &str) -> Client {
    let mut client = server.greeted();
    client.say("STARTTLS", 220);
    let mut client = client.secure(trust, name).unwrap();
    client.say("EHLO client.example.test", 250);
    client
}

fn wait_for_mail(site: &Site, server: &Server) -> String {
    server.log().wait_for("the delivery", |line| line.message() == "delivered");
    let mail = site.mail("b");
    let [message] = &mail[..] else { panic!("{} messages", mail.len()) };
    String::from_utf8_lossy(message).into_owned()
}

#[test]
fn a_mail_comes_by_starttls() {
    let (site, trust) = site();
    site.configure_tls("", "");
    let server = site.start();
    let mut client = server.greeted();
    assert!(client.say("EHLO client.example.test", 250).lines.contains(&"STARTTLS".to_owned()));
    client.say("STARTTLS", 220);
    let mut client = client.secure(&trust, NAME).unwrap();
    let keywords = client.say("EHLO client.example.test", 250);
    assert!(!keywords.lines.contains(&"STARTTLS".to_owned()), "{keywords}");
    assert_eq!(client.deliver("a@client.test", "b@example.test", MESSAGE).code, 250);
    client.say("QUIT", 221);
    client.expect_close();
    let mail = wait_for_mail(&site, &server).replace("\n\t", " ");
    assert!(mail.contains(" with ESMTPS id "), "{mail}");
    assert!(mail.contains(" tls TLS_AES_"), "{mail}");
    server.stop();
}

/// More than fits into a record, a buffer or a window, both ways.
#[test]
fn much_goes_through_it() {
    let (site, trust) = site();
    site.configure_tls("", "");
    let server = site.start();
    let mut client = starttls(&server, &trust, NAME);
    client.begin("a@client.test", "b@example.test");
    let line = format!("{}\r\n", "x".repeat(900));
    client.send(line.repeat(8000).as_bytes());
    assert_eq!(client.ask(".").code, 250);
    // One group of commands, with replies of more than one record.
    let commands = 90;
    client.send("HELP\r\n".repeat(commands).as_bytes());
    for _ in 0..commands {
        client.expect(214);
    }
    client.say("QUIT", 221);
    client.expect_close();
    assert!(wait_for_mail(&site, &server).len() > 8000 * 901);
    server.stop();
}

const SUBMISSIONS: &str = "[[listen]]\nname = \"submissions\"\naddress = \"127.0.0.1:0\"\npurpose = \"submissions\"\nauth = \"none\"\ncertificates = [\"mx\"]\n";

#[test]
fn tls_comes_first_where_it_is_implicit() {
    let (site, trust) = site();
    site.configure_tls("", SUBMISSIONS);
    let server = site.start();
    let address = server.listener("submissions");
    let mut client = Client::connect(address).secure(&trust, NAME).unwrap();
    client.expect(220);
    let keywords = client.say("EHLO client.example.test", 250);
    assert!(!keywords.lines.contains(&"STARTTLS".to_owned()), "{keywords}");
    client.say("STARTTLS", 503);
    assert_eq!(client.deliver("a@client.test", "b@example.test", MESSAGE).code, 250);
    assert!(wait_for_mail(&site, &server).contains("ESMTPS"));
    // In clear text it says no word of SMTP.
    let mut stranger = TcpStream::connect(address).unwrap();
    stranger.write_all(b"EHLO client.example.test\r\n").unwrap();
    let mut said = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stranger, &mut said);
    assert!(!said.starts_with(b"2") && said.len() < 20, "{said:?}");
    // The server stops: told inside TLS, and TLS ends in order.
    server.ask_to_stop();
    client.expect(421);
    client.expect_close();
    assert!(server.wait().0.success());
}

#[test]
fn a_client_gets_the_certificate_for_the_name_that_it_asks_for() {
    let (site, _) = site();
    let files = [site.certify("mail.example.test"), site.path().join("tls/mx.example.test.crt")];
    let further = "[[certificate]]\nname = \"mail\"\nchain = \"tls/mail.example.test.crt\"\nkey = \"tls/mail.example.test.key\"\n";
    site.configure_tls("", further);
    let config = fs::read_to_string(site.path().join("stagepost.toml")).unwrap();
    site.write_config(&config.replace("[\"mx\"]", "[\"mx\", \"mail\"]"));
    let server = site.start();
    let trust = Trust::new(&[&files[0], &files[1]], None, rustls::ALL_VERSIONS);
    for name in ["mail.example.test", NAME, "MAIL.example.test"] {
        // The client checks the name.
        starttls(&server, &trust, name).say("QUIT", 221);
    }
    // Another name: the first one is shown, which is not for it.
    let mut client = server.greeted();
    client.say("STARTTLS", 220);
    assert!(client.secure(&trust, "other.example.test").is_err());
    server.stop();
}

#[test]
fn other_files_are_shown_after_a_reload_and_sessions_go_on() {
    let (site, old) = site();
    site.configure_tls("", "");
    let server = site.start();
    let mut open = starttls(&server, &old, NAME);
    for ending in ["crt", "key"] {
        fs::remove_file(site.path().join(format!("tls/{NAME}.{ending}"))).unwrap();
    }
    let new = Trust::in_file(&site.certify(NAME));
    let reload = || {
        let output = site.run(&["reload", "--socket", "state/admin.sock"]);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), text)
    };
    assert_eq!(reload(), (Some(0), "in force: the files of [[certificate]] mx\n".to_owned()));
    let fresh = starttls(&server, &new, NAME);
    assert_ne!(open.certificate(), fresh.certificate());
    assert_eq!(open.deliver("a@client.test", "b@example.test", MESSAGE).code, 250);
    assert_eq!(reload(), (Some(0), "nothing has changed\n".to_owned()));
    // What can't be used changes nothing.
    fs::write(site.path().join(format!("tls/{NAME}.key")), "").unwrap();
    let (code, text) = reload();
    assert_eq!(code, Some(1));
    assert!(text.contains("certificate[0].key") && text.contains("no private key"), "{text}");
    starttls(&server, &new, NAME).say("QUIT", 221);
    server.stop();
}

#[test]
fn plug_ins_see_what_the_handshake_came_to() {
    let (site, _) = site();
    let section = plugin_section("secure", &site.compile("plugins/secure.c"), "");
    site.configure_tls("client_certificates = true\n", &section);
    let server = site.start();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["branch.example.test".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "branch, east");
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let digest = Sha256::digest(&certificate);
    let digest: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    let own = (certificate, PrivateKeyDer::Pkcs8(key.serialize_der().into()));
    let file = site.path().join("tls/mx.example.test.crt");
    let mut plain = server.greeted();
    assert_eq!(plain.say("VRFY x", 250).lines, ["2.1.5 tls 0 - - - - -"]);
    for (version, shown) in
        [(&rustls::version::TLS13, "TLSv1.3"), (&rustls::version::TLS12, "TLSv1.2")]
    {
        for own in [None, Some((own.0.clone(), own.1.clone_key()))] {
            // A comma is no end of a name (RFC 4514).
            let client = match own {
                None => "- -".to_owned(),
                Some(_) => format!("CN=branch\\, east {digest}"),
            };
            let trust = Trust::new(&[&file], own, &[version]);
            let words = starttls(&server, &trust, NAME).say("VRFY x", 250).lines.join(" ");
            let start = format!("2.1.5 tls 1 {shown} TLS_");
            assert!(words.starts_with(&start), "{words}");
            assert!(words.ends_with(&format!(" {NAME} {client}")), "{words}, wanted {client}");
        }
    }
    // All of it is read at the end.
    let log = server.stop();
    let said = |text: &'static str| move |line: &stagepost_tests::log::Line| line.message() == text;
    assert_eq!(log.matching(said("before starttls")).len(), 4);
    assert_eq!(log.matching(said("after starttls")).len(), 4);
}

#[test]
fn a_handshake_that_fails_or_never_comes_ends_the_connection() {
    let (site, trust) = site();
    let section = plugin_section("secure", &site.compile("plugins/secure.c"), "");
    site.configure_tls("", &format!("[tls]\nminimum_version = \"1.3\"\n[timeouts]\nhandshake = \"1s\"\n{SUBMISSIONS}{section}"));
    let server = site.start();
    // Too old.
    let file = site.path().join("tls/mx.example.test.crt");
    let old = Trust::new(&[Path::new(&file)], None, &[&rustls::version::TLS12]);
    let mut client = server.greeted();
    client.say("STARTTLS", 220);
    assert!(client.secure(&old, NAME).is_err());
    server.log().wait_for("the end", |line| line.message() == "no handshake");
    // Silent.
    let mut client = server.greeted();
    client.say("STARTTLS", 220);
    client.expect_close();
    Client::connect(server.listener("submissions")).expect_close();
    starttls(&server, &trust, NAME).say("QUIT", 221);
    server.stop();
}

#[test]
fn nothing_in_clear_text_is_taken_for_protected() {
    let (site, trust) = site();
    site.configure_tls("", "");
    let server = site.start();
    // What CVE-2011-0411 was: behind STARTTLS in one piece.
    let mut client = server.greeted();
    client.send(b"STARTTLS\r\nMAIL FROM:<evil@client.test>\r\n");
    client.expect(421);
    client.expect_close();
    // Apart, and before the handshake: no TLS.
    let mut client = server.greeted();
    client.say("STARTTLS", 220);
    client.send(b"MAIL FROM:<evil@client.test>\r\n");
    assert!(client.secure(&trust, NAME).is_err());
    server.stop();
}

/// Both families on one machine, each on a socket of its own.
#[test]
fn clients_are_known_by_their_own_family() {
    let (site, _) = site();
    let listener = "[[listen]]\nname = \"six\"\naddress = \"[::]:0\"\n";
    site.configure_tls("", listener);
    let server = site.start();
    let port = server.listener("six").port();
    if TcpStream::connect(("::1", port)).is_err() {
        // A machine without IPv6 has nothing to be shown.
        return;
    }
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "IPv4 on the socket for IPv6");
    let mut client = Client::connect((std::net::Ipv6Addr::LOCALHOST, port).into());
    client.expect(220);
    client.say("EHLO client.example.test", 250);
    assert_eq!(client.deliver("a@client.test", "b@example.test", MESSAGE).code, 250);
    assert!(wait_for_mail(&site, &server).contains("([IPv6:::1])"));
    server.stop();
}
