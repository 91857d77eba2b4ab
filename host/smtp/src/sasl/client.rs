//! The client's side of PLAIN, LOGIN, SCRAM-SHA-256 and CRAM-MD5: what we say of ourselves, and whether a server proves to know us.
//! Knows no reply and no session, nor where random octets come from; deriving keys takes time and is left to others.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::Mechanism;
use super::keys::{OCTETS, hmac};
use super::prepare::prepare_password;
use super::{base64, cram};
use crate::Secret;

/// The fewest rounds that a server may ask for (RFC 7677 section 4): with fewer, a proof soon tells the password.
const ITERATIONS_MIN: u32 = 4096;
/// The most: a second or so of one processor.
const ITERATIONS_MAX: u32 = 1_000_000;
/// The longest salt.
const SALT_OCTETS_MAX: usize = 1024;

/// Who we are to a server, and how it is made to believe that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    name: Box<str>,
    password: Secret,
}

/// Keys that a server wants derived from the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation {
    password: Secret,
    salt: Box<[u8]>,
    iterations: u32,
}

/// What was derived: enough to be the client, and to know the server.
#[derive(Clone)]
pub struct ClientKeys {
    client: Zeroizing<[u8; OCTETS]>,
    server: Zeroizing<[u8; OCTETS]>,
}

/// Why a login came to nothing although the server did not refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoginFault {
    /// The server's words are not of the mechanism.
    #[error("the server's words are not those of the mechanism")]
    Form,
    /// Its words are no answer to ours.
    #[error("the server answers somebody else: another nonce")]
    Nonce,
    /// It asks for a number of rounds that nobody should carry out.
    #[error("the server asks for {0} rounds, {ITERATIONS_MIN} to {ITERATIONS_MAX} are carried out")]
    Iterations(u32),
    /// It does not know us.
    #[error("the server has not proved that it knows the password")]
    Unproved,
}

/// A login under way.
#[derive(Debug)]
pub(crate) struct ClientExchange {
    mechanism: Mechanism,
    credentials: Credentials,
    expected: Expected,
}

#[derive(Debug)]
enum Expected {
    /// LOGIN: to be asked for the name.
    Name,
    /// LOGIN: to be asked for the password.
    Password,
    /// CRAM-MD5: the challenge.
    Cram,
    /// SCRAM: salt and rounds; our first message without its header, and our nonce.
    Challenge { bare: Box<str>, nonce: Box<str> },
    /// SCRAM: the keys; the messages so far, and both nonces.
    Keys { messages: Box<str>, nonce: Box<str> },
    /// SCRAM: the server's proof.
    Proof([u8; OCTETS]),
    /// That we are let in.
    Success,
}

/// What is to be done about a server's words.
#[derive(Debug)]
pub(crate) enum Reaction {
    /// Say this, in Base64.
    Say(Secret),
    /// Derive keys.
    Derive(Derivation),
}

impl Credentials {
    /// A name and a password. None: one of them is empty or has a NUL, which no mechanism has room for, or the password is not UTF-8.
    pub fn new(name: &str, password: Secret) -> Option<Self> {
        let sound = |octets: &[u8]| !octets.is_empty() && !octets.contains(&0);
        let text = std::str::from_utf8(password.expose()).is_ok();
        (sound(name.as_bytes()) && sound(password.expose()) && text)
            .then(|| Self { name: name.into(), password })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Derivation {
    /// Derives the keys (RFC 5802 section 3). Takes as long as the server wants it to.
    pub fn keys(&self) -> ClientKeys {
        let password = String::from_utf8_lossy(self.password.expose());
        let password = prepare_password(&password);
        let mut salted = Zeroizing::new([0; OCTETS]);
        let rounds = self.iterations;
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &self.salt, rounds, &mut *salted);
        let key = |name: &[u8]| Zeroizing::new(hmac(&*salted, name));
        ClientKeys { client: key(b"Client Key"), server: key(b"Server Key") }
    }
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ClientKeys")
    }
}

impl ClientExchange {
    /// Begins; the words that go with the command, in Base64, if the mechanism has some. `nonce`: printable ASCII without a
    /// comma, that nobody can foresee.
    pub(crate) fn new(
        mechanism: Mechanism,
        credentials: Credentials,
        nonce: &str,
    ) -> (Self, Option<Secret>) {
        let (expected, first) = match mechanism {
            Mechanism::Login => (Expected::Name, None),
            Mechanism::CramMd5 => (Expected::Cram, None),
            Mechanism::Plain => {
                let name = credentials.name.as_bytes();
                let words = [b"\0", name, b"\0", credentials.password.expose()].concat();
                (Expected::Success, Some(encode(Zeroizing::new(words))))
            }
            Mechanism::ScramSha256 | Mechanism::ScramSha256Plus => {
                // RFC 5802 section 5.1.
                let name = credentials.name.replace('=', "=3D").replace(',', "=2C");
                let bare = format!("n={name},r={nonce}").into_boxed_str();
                let first = encode(Zeroizing::new(format!("{HEADER}{bare}").into_bytes()));
                (Expected::Challenge { bare, nonce: nonce.into() }, Some(first))
            }
        };
        (Self { mechanism, credentials, expected }, first)
    }

    /// Takes words of the server, as they are in its reply.
    pub(crate) fn hear(&mut self, words: &str) -> Result<Reaction, LoginFault> {
        match std::mem::replace(&mut self.expected, Expected::Success) {
            // What is asked for is asked for in this order by everybody, in one language or another.
            Expected::Name => {
                self.expected = Expected::Password;
                let name = self.credentials.name.as_bytes().to_vec();
                Ok(Reaction::Say(encode(Zeroizing::new(name))))
            }
            Expected::Password => {
                let password = Zeroizing::new(self.credentials.password.expose().to_vec());
                Ok(Reaction::Say(encode(password)))
            }
            Expected::Cram => {
                let challenge = text(words)?;
                let answer =
                    cram::answer(&self.credentials.name, &self.credentials.password, &challenge);
                Ok(Reaction::Say(encode(Zeroizing::new(answer.into_bytes()))))
            }
            Expected::Challenge { bare, nonce } => {
                let theirs = text(words)?;
                let (both, derivation) = self.challenge(&theirs, &nonce)?;
                let messages = format!("{bare},{theirs}").into();
                self.expected = Expected::Keys { messages, nonce: both };
                Ok(Reaction::Derive(derivation))
            }
            Expected::Proof(wanted) => {
                let theirs = text(words)?;
                // `e=` and a reason: the server will say no with its reply, but has to have its turn first.
                let proof = theirs.strip_prefix("v=").ok_or(LoginFault::Unproved)?;
                let proof = base64::decode(proof.as_bytes()).ok_or(LoginFault::Form)?;
                if !bool::from(proof.as_slice().ct_eq(&wanted)) {
                    return Err(LoginFault::Unproved);
                }
                Ok(Reaction::Say(Secret::new(Vec::new())))
            }
            Expected::Keys { .. } | Expected::Success => Err(LoginFault::Form),
        }
    }

    /// Takes the keys that were derived; what is to be said, in Base64. None where no keys are wanted.
    pub(crate) fn keys(&mut self, keys: &ClientKeys) -> Option<Secret> {
        let Expected::Keys { messages, nonce } = &self.expected else { return None };
        let without_proof = format!("c={},r={nonce}", base64::encode(HEADER));
        let authenticated = format!("{messages},{without_proof}");
        // RFC 5802 section 3.
        let stored_key: [u8; OCTETS] = Sha256::digest(*keys.client).into();
        let mut proof = hmac(&stored_key, authenticated.as_bytes());
        proof.iter_mut().zip(*keys.client).for_each(|(mask, key)| *mask ^= key);
        let last = format!("{without_proof},p={}", base64::encode(proof));
        self.expected = Expected::Proof(hmac(&*keys.server, authenticated.as_bytes()));
        Some(encode(Zeroizing::new(last.into_bytes())))
    }

    /// The server lets us in: whether it is the one that knows the password, where it can be made to show that.
    ///
    /// # Errors
    /// It has not shown it.
    pub(crate) fn succeed(&self) -> Result<(), LoginFault> {
        match self.expected {
            Expected::Success => Ok(()),
            // A server that shows no password of ours might be anybody.
            Expected::Cram => Err(LoginFault::Form),
            _ if !self.mechanism.shows_password() => Err(LoginFault::Unproved),
            _ => Err(LoginFault::Form),
        }
    }

    /// Reads the server's first message: both nonces, and what is to be derived.
    fn challenge(&self, theirs: &str, nonce: &str) -> Result<(Box<str>, Derivation), LoginFault> {
        let mut attributes = theirs.split(',');
        // An `m=` in front must not be passed over; nothing has a meaning for it (RFC 5802 section 5.1).
        let mut attribute = |name: &str| {
            attributes.next().and_then(|text| text.strip_prefix(name)).ok_or(LoginFault::Form)
        };
        let (both, salt, rounds) = (attribute("r=")?, attribute("s=")?, attribute("i=")?);
        let theirs = both.strip_prefix(nonce).ok_or(LoginFault::Nonce)?;
        if theirs.is_empty() || !theirs.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(LoginFault::Nonce);
        }
        let salt = base64::decode(salt.as_bytes()).ok_or(LoginFault::Form)?;
        if salt.is_empty() || salt.len() > SALT_OCTETS_MAX {
            return Err(LoginFault::Form);
        }
        let iterations: u32 = rounds.parse().map_err(|_| LoginFault::Form)?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations) {
            return Err(LoginFault::Iterations(iterations));
        }
        let password = self.credentials.password.clone();
        Ok((both.into(), Derivation { password, salt: salt.into(), iterations }))
    }
}

/// We bind to no channel (RFC 5802 section 7).
const HEADER: &str = "n,,";

fn encode(words: Zeroizing<Vec<u8>>) -> Secret {
    Secret::new(base64::encode(&*words).into_bytes())
}

fn text(words: &str) -> Result<String, LoginFault> {
    let octets = base64::decode(words.as_bytes()).ok_or(LoginFault::Form)?;
    String::from_utf8(octets).map_err(|_| LoginFault::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(secret: &Secret) -> String {
        String::from_utf8(base64::decode(secret.expose()).unwrap()).unwrap()
    }

    fn begin(mechanism: Mechanism, name: &str, nonce: &str) -> (ClientExchange, Option<String>) {
        let credentials = Credentials::new(name, Secret::new(b"pencil".to_vec())).unwrap();
        let (exchange, first) = ClientExchange::new(mechanism, credentials, nonce);
        (exchange, first.as_ref().map(plain))
    }

    #[test]
    fn credentials_are_sound() {
        let sound = |name: &str, password: &[u8]| {
            Credentials::new(name, Secret::new(password.to_vec())).is_some()
        };
        assert!(sound("user", b"pencil") && sound("a b", "p\u{e4}".as_bytes()));
        assert!(!sound("", b"p") && !sound("u", b"") && !sound("u\0", b"p") && !sound("u", b"\0"));
        assert!(!sound("u", b"\xff"));
    }

    #[test]
    fn passwords_are_shown_as_the_mechanism_wants() {
        let (mut exchange, first) = begin(Mechanism::Plain, "user", "");
        assert_eq!(first.as_deref(), Some("\0user\0pencil"));
        assert_eq!(exchange.succeed(), Ok(()));
        assert_eq!(exchange.hear("").unwrap_err(), LoginFault::Form);

        let (mut exchange, first) = begin(Mechanism::Login, "user", "");
        assert_eq!((first, exchange.succeed()), (None, Err(LoginFault::Form)));
        for wanted in ["user", "pencil"] {
            let Ok(Reaction::Say(words)) = exchange.hear("whatever") else { panic!("{wanted}") };
            assert_eq!(plain(&words), wanted);
        }
        assert_eq!(exchange.succeed(), Ok(()));
        assert_eq!(exchange.hear("").unwrap_err(), LoginFault::Form);
    }

    /// The exchange of RFC 7677 section 3.
    #[test]
    fn scram_is_that_of_the_rfc() {
        let (mut exchange, first) = begin(Mechanism::ScramSha256, "user", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(first.as_deref(), Some("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let theirs = format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let Ok(Reaction::Derive(derivation)) = exchange.hear(&base64::encode(theirs)) else {
            panic!("no derivation")
        };
        assert_eq!(exchange.succeed(), Err(LoginFault::Unproved));
        let last = exchange.keys(&derivation.keys()).unwrap();
        let proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(plain(&last), format!("c=biws,r={nonce},p={proof}"));
        assert_eq!(exchange.succeed(), Err(LoginFault::Unproved));
        let signature = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        let Ok(Reaction::Say(nod)) = exchange.hear(&base64::encode(signature)) else {
            panic!("not believed")
        };
        assert_eq!((nod.expose(), exchange.succeed()), (&b""[..], Ok(())));
    }

    /// The example of RFC 2195 section 2.
    #[test]
    fn a_challenge_is_answered_by_a_digest_of_it() {
        let credentials = Credentials::new("tim", Secret::new(b"tanstaaftanstaaf".to_vec()));
        let (mut exchange, first) =
            ClientExchange::new(Mechanism::CramMd5, credentials.unwrap(), "");
        assert_eq!((first, exchange.succeed()), (None, Err(LoginFault::Form)));
        let challenge = base64::encode("<1896.697170952@postoffice.reston.mci.net>");
        let Ok(Reaction::Say(words)) = exchange.hear(&challenge) else { panic!("no answer") };
        assert_eq!(plain(&words), "tim b913a602c7eda7a495b4e6e7334d3890");
        assert_eq!(exchange.succeed(), Ok(()));
        assert_eq!(exchange.hear(&challenge).unwrap_err(), LoginFault::Form);
    }

    #[test]
    fn names_have_no_comma_in_scram() {
        let (_, first) = begin(Mechanism::ScramSha256, "a=b,c", "x");
        assert_eq!(first.as_deref(), Some("n,,n=a=3Db=2Cc,r=x"));
    }

    #[test]
    fn servers_that_ask_for_something_else_are_left() {
        let salt = "W22ZaJ0SNY7soEsUEjb6gQ==";
        let long = base64::encode([0; 1025]);
        let cases = [
            ("x".to_owned(), LoginFault::Form),
            (format!("r=other,s={salt},i=4096"), LoginFault::Nonce),
            (format!("r=ours,s={salt},i=4096"), LoginFault::Nonce),
            (format!("r=ours\u{e4},s={salt},i=4096"), LoginFault::Nonce),
            (format!("m=x,r=oursX,s={salt},i=4096"), LoginFault::Form),
            ("r=oursX,s=,i=4096".to_owned(), LoginFault::Form),
            (format!("r=oursX,s={long},i=4096"), LoginFault::Form),
            (format!("r=oursX,s={salt},i=4095"), LoginFault::Iterations(4095)),
            (format!("r=oursX,s={salt},i=1000001"), LoginFault::Iterations(1_000_001)),
            (format!("r=oursX,s={salt},i=-1"), LoginFault::Form),
        ];
        for (theirs, fault) in cases {
            let (mut exchange, _) = begin(Mechanism::ScramSha256, "user", "ours");
            assert_eq!(exchange.hear(&base64::encode(&theirs)).unwrap_err(), fault, "{theirs}");
        }
        let (mut exchange, _) = begin(Mechanism::ScramSha256, "user", "ours");
        assert_eq!(exchange.hear("no Base64").unwrap_err(), LoginFault::Form);
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_not_believed() {
        for theirs in ["v=", "v=AAAA", "e=invalid-proof", "v=no Base64"] {
            let (mut exchange, _) = begin(Mechanism::ScramSha256, "user", "ours");
            let challenge = base64::encode("r=oursX,s=AAAA,i=4096,x=further");
            assert!(exchange.hear(&challenge).is_ok());
            let keys = ClientKeys { client: Zeroizing::default(), server: Zeroizing::default() };
            assert!(exchange.keys(&keys).is_some() && exchange.keys(&keys).is_none());
            assert!(exchange.hear(&base64::encode(theirs)).is_err(), "{theirs}");
        }
    }
}
