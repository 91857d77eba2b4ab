//! One authentication from the name of its mechanism to its end: what the client says, and what is said to it.
//! Knows neither who may log in nor how that is told.

use super::binding::ChannelBindings;
use super::cram::{self, CramProof};
use super::plain::{self, Login};
use super::prepare::{prepare_name, prepare_password};
use super::scram::{Challenge, ClientFirst, ScramFault};
use super::{Mechanism, ScramKeys};
use crate::Secret;

/// An authentication under way.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) mechanism: Mechanism,
    /// Who wants to log in, once that was said.
    pub(crate) login: Option<Login>,
    /// CRAM-MD5: how it shows that.
    pub(crate) proof: Option<CramProof>,
    expected: Expected,
}

/// What comes next.
#[derive(Debug)]
enum Expected {
    /// The client's first message.
    First,
    /// CRAM-MD5: random words, to make a challenge of.
    Random,
    /// CRAM-MD5: what the client makes of this challenge.
    Digest(Box<str>),
    /// LOGIN: the name.
    Name,
    /// LOGIN: the password.
    Password(Box<str>),
    /// SCRAM: the user's keys.
    Keys(ClientFirst),
    /// SCRAM: the client's proof.
    Proof(Challenge),
    /// SCRAM: that the client has read our own proof.
    Nod,
    /// No more.
    Nothing,
}

/// What the words of a client come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// These words for it, and it goes on.
    Challenge(String),
    /// Who wants to log in is known.
    Login,
    /// The client has proved to be who it says.
    Proved,
}

/// Words of a client with which the authentication ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They are not of the mechanism.
    Form,
    /// They are, and nobody logs in with them.
    Credentials,
}

impl Exchange {
    pub(crate) fn new(mechanism: Mechanism) -> Self {
        let expected = match mechanism {
            Mechanism::Login => Expected::Name,
            Mechanism::CramMd5 => Expected::Random,
            _ => Expected::First,
        };
        Self { mechanism, login: None, proof: None, expected }
    }

    /// The words that ask for the client's first ones.
    pub(crate) fn opening(&self) -> &'static str {
        match self.expected {
            Expected::Name => "Username:",
            _ => "",
        }
    }

    /// Takes words of the client, decoded. `bindings`: of its connection, if that is protected. `plus`: SCRAM with channel binding
    /// was offered to it.
    pub(crate) fn hear(
        &mut self,
        words: &Secret,
        bindings: Option<&ChannelBindings>,
        plus: bool,
    ) -> Result<Said, Fault> {
        match std::mem::replace(&mut self.expected, Expected::Nothing) {
            Expected::First if self.mechanism == Mechanism::Plain => {
                self.name(plain::parse(words).ok_or(Fault::Form)?)
            }
            Expected::First => {
                let bound = self.mechanism == Mechanism::ScramSha256Plus;
                let first = ClientFirst::parse(words.expose(), bindings, bound, plus)?;
                let (authorization, identity) =
                    (first.authorization.clone(), first.identity.clone());
                self.expected = Expected::Keys(first);
                self.name(Login { authorization, identity, password: None })
            }
            Expected::Name => {
                let name = std::str::from_utf8(words.expose()).map_err(|_| Fault::Form)?;
                self.expected = Expected::Password(name.into());
                Ok(Said::Challenge("Password:".to_owned()))
            }
            Expected::Password(identity) => {
                let password = Some(words.clone());
                self.name(Login { authorization: "".into(), identity, password })
            }
            Expected::Proof(challenge) => {
                let ours = challenge.check(words.expose())?;
                self.expected = Expected::Nod;
                Ok(Said::Challenge(ours))
            }
            Expected::Nod if words.expose().is_empty() => Ok(Said::Proved),
            Expected::Digest(challenge) => {
                let (name, digest) = cram::parse(words.expose()).ok_or(Fault::Form)?;
                self.proof = Some(CramProof { challenge, digest });
                let (authorization, identity) = ("".into(), name.into());
                self.name(Login { authorization, identity, password: None })
            }
            Expected::Nod | Expected::Keys(_) | Expected::Random | Expected::Nothing => {
                Err(Fault::Form)
            }
        }
    }

    /// Takes the keys of who wants to log in by SCRAM, and random words of our own; what the client is told. None where
    /// no keys are wanted.
    pub(crate) fn keys(&mut self, keys: ScramKeys, nonce: &str) -> Option<String> {
        match std::mem::replace(&mut self.expected, Expected::Nothing) {
            Expected::Keys(first) => {
                let (challenge, ours) = first.challenge(keys, nonce);
                self.expected = Expected::Proof(challenge);
                Some(ours)
            }
            _ => None,
        }
    }

    /// Takes random words, and makes a challenge of them; what the client is told. None where none are wanted.
    pub(crate) fn random(&mut self, words: &str, hostname: &str) -> Option<String> {
        if !self.wants_random() {
            return None;
        }
        let challenge = format!("<{words}@{hostname}>");
        self.expected = Expected::Digest(challenge.as_str().into());
        Some(challenge)
    }

    /// Whether the client proves by words of the mechanism alone who it is.
    pub(crate) fn is_proved(&self) -> bool {
        matches!(self.mechanism, Mechanism::ScramSha256 | Mechanism::ScramSha256Plus)
    }

    /// Whether random words are wanted.
    pub(crate) fn wants_random(&self) -> bool {
        matches!(self.expected, Expected::Random)
    }

    /// Whether keys are wanted.
    pub(crate) fn wants_keys(&self) -> bool {
        matches!(self.expected, Expected::Keys(_))
    }

    fn name(&mut self, login: Login) -> Result<Said, Fault> {
        let prepared = |name: &str| prepare_name(name).map(Box::from).ok_or(Fault::Credentials);
        let authorization = match &*login.authorization {
            "" => "".into(),
            name => prepared(name)?,
        };
        let password =
            login.password.map(|password| match std::str::from_utf8(password.expose()) {
                Ok(text) => Secret::new(prepare_password(text).into_owned().into_bytes()),
                Err(_) => password,
            });
        if password.as_ref().is_some_and(|password| password.expose().is_empty()) {
            return Err(Fault::Credentials);
        }
        let identity = prepared(&login.identity)?;
        self.login = Some(Login { authorization, identity, password });
        Ok(Said::Login)
    }
}

impl From<ScramFault> for Fault {
    fn from(fault: ScramFault) -> Self {
        match fault {
            ScramFault::Form => Self::Form,
            ScramFault::Binding | ScramFault::Proof => Self::Credentials,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the client says in turn, and what it comes to.
    fn heard(mechanism: Mechanism, words: &[&str]) -> Vec<String> {
        let mut exchange = Exchange::new(mechanism);
        let mut said = vec![exchange.opening().to_owned()];
        for words in words {
            let secret = Secret::new(words.as_bytes().to_vec());
            said.push(match exchange.hear(&secret, None, false) {
                Ok(Said::Challenge(text)) => text,
                Ok(Said::Login) => {
                    let Login { authorization, identity, password } =
                        exchange.login.clone().unwrap();
                    let password = password.map_or_else(
                        || "-".to_owned(),
                        |password| String::from_utf8_lossy(password.expose()).into_owned(),
                    );
                    format!("login {identity}/{authorization}/{password}")
                }
                Ok(Said::Proved) => "proved".to_owned(),
                Err(fault) => format!("{fault:?}"),
            });
        }
        said
    }

    #[test]
    fn mechanisms_have_their_words() {
        use Mechanism::{Login, Plain, ScramSha256};
        let cases: [(Mechanism, &[&str], &[&str]); 9] = [
            (Plain, &["\0user\0pencil"], &["", "login user//pencil"]),
            (Plain, &["b\0I\u{ad}X\0p\u{aa}", ""], &["", "login IX/b/pa", "Form"]),
            (Plain, &["user"], &["", "Form"]),
            (Plain, &["\0a b\0p"], &["", "Credentials"]),
            (Login, &["user", "pencil"], &["Username:", "Password:", "login user//pencil"]),
            (Login, &["", "pencil"], &["Username:", "Password:", "Credentials"]),
            (Login, &["user", ""], &["Username:", "Password:", "Credentials"]),
            (ScramSha256, &["n,,n=user,r=x", "c=biws"], &["", "login user//-", "Form"]),
            (ScramSha256, &["p=tls-exporter,,n=user,r=x"], &["", "Credentials"]),
        ];
        for (mechanism, words, wanted) in cases {
            assert_eq!(heard(mechanism, words), wanted, "{mechanism:?} {words:?}");
        }
    }
}
