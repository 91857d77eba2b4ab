//! Whole exchanges, with the one of RFC 7677 section 3 among them, and what is refused.

use super::*;

const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const OURS: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";

fn keys() -> ScramKeys {
    ScramKeys::derive("pencil", &base64::decode(SALT.as_bytes()).unwrap(), 4096)
}

fn bindings() -> ChannelBindings {
    let data = |octet: u8| Some([octet; 32].into());
    ChannelBindings { exporter: data(b'e'), server_end_point: data(b's') }
}

fn first(message: &str, plus: bool, offered: bool) -> Result<ClientFirst, ScramFault> {
    ClientFirst::parse(message.as_bytes(), Some(&bindings()), plus, offered)
}

/// What a client says that knows the password.
fn last(bare: &str, server_first: &str, header: &[u8], password: &str) -> String {
    let attribute = |at: usize| &server_first.split(',').nth(at).unwrap()[2..];
    let salt = base64::decode(attribute(1).as_bytes()).unwrap();
    let mut salted = [0; OCTETS];
    let iterations = attribute(2).parse().unwrap();
    pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations, &mut salted);
    let client_key = hmac(&salted, b"Client Key");
    let without = format!("c={},r={}", base64::encode(header), attribute(0));
    let message = format!("{bare},{server_first},{without}");
    let signature = hmac(&Sha256::digest(client_key), message.as_bytes());
    let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, mask)| key ^ mask).collect();
    format!("{without},p={}", base64::encode(proof))
}

#[test]
fn the_example_of_the_rfc_is_spoken() {
    let client = first(FIRST, false, false).unwrap();
    assert_eq!((&*client.identity, &*client.authorization), ("user", ""));
    let (challenge, ours) = client.challenge(keys(), OURS);
    assert_eq!(ours, format!("r=rOprNGfwEbeRWgbNEkqO{OURS},s={SALT},i=4096"));
    let said = format!(
        "c=biws,r=rOprNGfwEbeRWgbNEkqO{OURS},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    );
    let signed = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    assert_eq!(challenge.check(said.as_bytes()).as_deref(), Ok(signed));
}

#[test]
fn a_bound_exchange_is_good_in_its_own_connection_only() {
    for (name, data) in [("tls-exporter", [b'e'; 32]), ("tls-server-end-point", [b's'; 32])] {
        let header = format!("p={name},,");
        let bare = "n=user,r=abc";
        let client = first(&format!("{header}{bare}"), true, true).unwrap();
        let (challenge, ours) = client.challenge(keys(), "xyz");
        let good = last(bare, &ours, &[header.as_bytes(), &data].concat(), "pencil");
        assert!(challenge.check(good.as_bytes()).is_ok(), "{name}");
        let other = last(bare, &ours, &[header.as_bytes(), &[0; 32]].concat(), "pencil");
        assert_eq!(challenge.check(other.as_bytes()), Err(ScramFault::Binding), "{name}");
        let unbound = last(bare, &ours, b"n,,", "pencil");
        assert_eq!(challenge.check(unbound.as_bytes()), Err(ScramFault::Binding), "{name}");
    }
}

#[test]
fn first_messages_are_read_to_the_letter() {
    use ScramFault::{Binding, Form};
    let long = format!("n,,n=u,r={}", "x".repeat(257));
    // The message, whether it comes with PLUS, whether PLUS was offered.
    let cases = [
        ("n,,n=a=2Cb=3Dc,r=x", false, true, Ok(("a,b=c", ""))),
        ("n,a=boss,n=u,r=x,x=ext", false, true, Ok(("u", "boss"))),
        ("y,,n=u,r=x", false, false, Ok(("u", ""))),
        ("y,,n=u,r=x", false, true, Err(Binding)),
        ("y,,n=u,r=x", true, true, Err(Binding)),
        ("n,,n=u,r=x", true, true, Err(Binding)),
        ("p=tls-exporter,,n=u,r=x", true, true, Ok(("u", ""))),
        ("p=tls-exporter,,n=u,r=x", false, true, Err(Binding)),
        ("p=tls-unique,,n=u,r=x", true, true, Err(Binding)),
        ("n,,m=x,n=u,r=x", false, true, Err(Binding)),
        ("", false, true, Err(Form)),
        ("n,,", false, true, Err(Form)),
        ("n,n=u,r=x", false, true, Err(Form)),
        ("x,,n=u,r=x", false, true, Err(Form)),
        ("n,b=x,n=u,r=x", false, true, Err(Form)),
        ("n,a=,n=u,r=x", false, true, Err(Form)),
        ("n,,n=,r=x", false, true, Err(Form)),
        ("n,,n=a=2c,r=x", false, true, Err(Form)),
        ("n,,n=a=,r=x", false, true, Err(Form)),
        ("n,,n=a\0,r=x", false, true, Err(Form)),
        ("n,,n=u,r=", false, true, Err(Form)),
        ("n,,n=u,r=\u{e9}", false, true, Err(Form)),
        ("n,,r=x,n=u", false, true, Err(Form)),
        ("n,,n=u,r=x,ext", false, true, Err(Form)),
        (&long, false, true, Err(Form)),
    ];
    for (message, plus, offered, wanted) in cases {
        let found = first(message, plus, offered);
        let shown = match &found {
            Ok(first) => Ok((&*first.identity, &*first.authorization)),
            Err(fault) => Err(*fault),
        };
        assert_eq!(shown, wanted, "{message:?}");
    }
    let clear = ClientFirst::parse(b"p=tls-exporter,,n=u,r=x", None, true, true);
    assert_eq!(clear, Err(Binding));
}

#[test]
fn only_the_password_makes_the_proof() {
    use ScramFault::{Form, Proof};
    let bare = "n=user,r=rOprNGfwEbeRWgbNEkqO";
    let (challenge, ours) = first(FIRST, false, false).unwrap().challenge(keys(), OURS);
    let good = last(bare, &ours, b"n,,", "pencil");
    assert!(challenge.check(good.as_bytes()).is_ok());
    let (without, proof) = good.rsplit_once(",p=").unwrap();
    let cases = [
        (last(bare, &ours, b"n,,", "pencils"), Proof),
        (format!("{without},x=y,p={proof}"), Proof),
        (good.replace("r=rOpr", "r=rOpx"), Proof),
        (without.to_owned(), Form),
        (format!("{without},p="), Form),
        (format!("{without},p=YWJj"), Form),
        (format!("{good},x=y"), Form),
        (good.replace("c=biws", "c=biw"), Form),
        (format!("{without},ext,p={proof}"), Form),
        (String::new(), Form),
    ];
    for (message, wanted) in cases {
        assert_eq!(challenge.check(message.as_bytes()), Err(wanted), "{message}");
    }
    assert!(!format!("{challenge:?}").contains("key: ["));
    // Keys that nobody has.
    let decoy = ScramKeys::decoy(&[7; 16], 4096, [[1; OCTETS], [2; OCTETS]]);
    let (challenge, ours) = first(FIRST, false, false).unwrap().challenge(decoy, OURS);
    let tried = last(bare, &ours, b"n,,", "pencil");
    assert_eq!(challenge.check(tried.as_bytes()), Err(Proof));
}
