//! The client's side of SCRAM-SHA-256, as it is in the RFC: for tests of the server's.
//! Knows no connection.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// A client that wants to log in.
pub struct ScramClient {
    header: String,
    bare: String,
    password: String,
    bound: Vec<u8>,
    signature: Vec<u8>,
}

/// Text in Base64.
pub fn base64(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

fn decoded(text: &str) -> Vec<u8> {
    STANDARD.decode(text).expect("Base64")
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

impl ScramClient {
    /// `binding`: its name and its data, for the mechanism with PLUS.
    pub fn new(name: &str, password: &str, binding: Option<(&str, &[u8])>) -> Self {
        let header = binding.map_or_else(|| "n,,".to_owned(), |(kind, _)| format!("p={kind},,"));
        let data = binding.map_or(&[][..], |(_, data)| data);
        Self {
            bound: [header.as_bytes(), data].concat(),
            header,
            bare: format!("n={name},r=fyko+d2lbbFgONRv9qkxdawL"),
            password: password.to_owned(),
            signature: Vec::new(),
        }
    }

    /// Its first message, in Base64.
    pub fn first(&self) -> String {
        base64(format!("{}{}", self.header, self.bare))
    }

    /// Its last message, in answer to the server's first one.
    pub fn last(&mut self, server_first: &str) -> String {
        let server_first = String::from_utf8(decoded(server_first)).expect("text");
        let attribute = |name: &str| {
            let found = server_first.split(',').find_map(|part| part.strip_prefix(name));
            found.expect("an attribute").to_owned()
        };
        let (salt, rounds) =
            (decoded(&attribute("s=")), attribute("i=").parse().expect("a number"));
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(self.password.as_bytes(), &salt, rounds, &mut salted);
        let without = format!("c={},r={}", base64(&self.bound), attribute("r="));
        let message = format!("{},{server_first},{without}", self.bare);
        let key = hmac(&salted, b"Client Key");
        let mask = hmac(&Sha256::digest(&key), message.as_bytes());
        let proof: Vec<u8> = key.iter().zip(mask).map(|(key, mask)| key ^ mask).collect();
        self.signature = hmac(&hmac(&salted, b"Server Key"), message.as_bytes());
        base64(format!("{without},p={}", base64(proof)))
    }

    /// Whether the server's last message proves that it knows the user.
    pub fn believes(&self, server_last: &str) -> bool {
        decoded(server_last) == format!("v={}", base64(&self.signature)).as_bytes()
    }
}
