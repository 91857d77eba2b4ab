//! AUTH: from the command to the login, or to what is against it (RFC 4954).
//! Knows replies, not the words of a mechanism; who may log in is for the connection to find out.

use std::sync::Arc;

use super::line::LineFault;
use super::ruling::{self, Ruling};
use super::session::{Outgoing, Session};
use super::settings::Auth;
use super::state::{Answer, Step, Then};
use crate::sasl::exchange::{Exchange, Fault, Said};
use crate::sasl::plain::Login;
use crate::sasl::{Mechanism, ScramKeys, base64};
use crate::{
    Attribute, Attributed, AuthResult, Authenticated, ChannelBindings, Class, CramProof, Decision,
    DisconnectReason, Edit, Event, Facts, Question, Reply, Secret, Stage,
};

/// Octets of a line of the client in an authentication, with its CRLF: RFC 4954 section 4 has 12288 do for every mechanism.
const LINE_OCTETS_MAX: usize = 12_288 + 2;

/// A question of the session about a client that logs in; answered by [`Session::handle_verified`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Whether this is the password of a user: [`Verified::Accepted`] or [`Verified::Refused`].
    Password {
        /// The user's name, prepared.
        identity: Box<str>,
        /// The password, prepared.
        password: Secret,
    },
    /// A user's keys for SCRAM: [`Verified::Keys`], also for a name that no user has.
    Keys {
        /// The user's name, prepared.
        identity: Box<str>,
    },
    /// Random words, to make a challenge of: [`Verified::Random`].
    Random,
    /// Whether this is the proof of a user: [`Verified::Accepted`] or [`Verified::Refused`].
    Proof {
        /// The user's name, prepared.
        identity: Box<str>,
        /// The proof.
        proof: Box<CramProof>,
    },
    /// What came of an authentication that was decided elsewhere, for whoever counts: [`Verified::Noted`].
    Outcome {
        /// The name that the client gave, prepared.
        identity: Box<str>,
        /// It has logged in.
        accepted: bool,
    },
}

/// The answer to [`Verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// It is the password of this user.
    Accepted {
        /// The user's name as it is kept.
        identity: Box<str>,
    },
    /// There is no such user, or they have another password: 535.
    Refused,
    /// The keys of a user.
    Keys {
        /// The user's name as it is kept.
        identity: Box<str>,
        /// The keys; for a name that no user has those that fit no password.
        keys: ScramKeys,
        /// Printable ASCII without a comma that nobody could foresee: 18 random octets in Base64.
        nonce: Box<str>,
    },
    /// Printable ASCII that nobody could foresee, without angle brackets and `@`.
    Random {
        /// The words.
        words: Box<str>,
    },
    /// Whoever knows can't be asked now: 454.
    Unavailable,
    /// Too many have failed from there, or for this name: 454, whatever the password.
    Barred,
    /// It was counted.
    Noted,
}

/// Who is asked, while a session waits for [`Verified`].
#[derive(Debug)]
pub(crate) struct Verifying {
    exchange: Exchange,
    /// How it ends once that was noted; none: the answer decides.
    end: Option<(AuthResult, Reply)>,
}

impl Session {
    /// The mechanisms that work here and now, the strongest first.
    pub(super) fn auth_mechanisms(&self) -> impl Iterator<Item = Mechanism> {
        let tls = self.facts.tls.as_ref();
        let auth = &self.settings.auth;
        let open = self.facts.authenticated.is_none() && (tls.is_some() || auth.allow_plaintext);
        let bound = tls.is_some_and(|tls| !tls.bindings.is_empty());
        Mechanism::WITH_SECRETS.into_iter().filter(move |&mechanism| {
            open && (bound || mechanism != Mechanism::ScramSha256Plus) && self.can_check(mechanism)
        })
    }

    /// Whether anybody can say of a mechanism's clients who they are.
    fn can_check(&self, mechanism: Mechanism) -> bool {
        let Auth { mechanisms, checks_passwords, .. } = &self.settings.auth;
        let asked = || self.interest.contains(Event::Auth, Stage::Before);
        let checked = !mechanism.shows_password() || *checks_passwords || asked();
        mechanisms.contains(&mechanism) && checked
    }

    /// Whether there is AUTH on this listener at all. Pure.
    pub(super) fn has_auth(&self) -> bool {
        Mechanism::WITH_SECRETS.into_iter().any(|mechanism| self.can_check(mechanism))
    }

    /// What is against AUTH with this mechanism, as the client names it. Pure.
    pub(super) fn check_auth(&self, mechanism: &str) -> Option<Reply> {
        let auth = &self.settings.auth;
        let known = Mechanism::parse_with_secrets(mechanism);
        let (code, enhanced, words) = if self.facts.authenticated.is_some() {
            // RFC 4954 section 4.
            (503, (5, 5, 1), "Already authenticated")
        } else if !self.facts.helo.as_ref().is_some_and(|helo| helo.extended) {
            (503, (5, 5, 1), "Send EHLO first")
        } else if self.facts.tls.is_none() && !auth.allow_plaintext {
            (538, (5, 7, 11), "Encryption required for authentication")
        } else if known.is_some_and(|known| self.auth_mechanisms().any(|one| one == known)) {
            return None;
        } else if known
            .is_some_and(|known| known.shows_password() && !auth.mechanisms.contains(&known))
        {
            (534, (5, 7, 9), "This authentication mechanism is too weak")
        } else {
            (504, (5, 5, 4), "Authentication mechanism not available")
        };
        Some(Reply::new(code, Some(enhanced), words))
    }

    /// Begins an authentication, with the client's first words if they came along.
    pub(super) fn proceed_auth(&mut self, mechanism: &str, initial: Option<Secret>) {
        // It was checked.
        let Some(mechanism) = Mechanism::parse_with_secrets(mechanism) else {
            return self.conclude_command(Answer::plain(malformed()));
        };
        let exchange = Exchange::new(mechanism);
        if exchange.wants_random() {
            // RFC 2195 section 2: the server begins.
            if initial.is_some() {
                return self.break_off(exchange, malformed());
            }
            return self.ask_about(exchange, Verify::Random);
        }
        let Some(initial) = initial else {
            let opening = exchange.opening();
            return self.challenge(exchange, opening);
        };
        // RFC 4954 section 4: an equals sign alone is words without octets.
        let words = match initial.expose() {
            b"=" => Some(Secret::new(Vec::new())),
            text => base64::decode_secret(text),
        };
        self.hear(exchange, words);
    }

    /// Takes a line that is no command: shown to no plug-in.
    pub(super) fn read_response(&mut self) -> bool {
        if self.shutting_down {
            let answer = self.closing_down();
            self.say(answer);
            return true;
        }
        let Some(frame) = self.framer.next(&mut self.input, LINE_OCTETS_MAX, false) else {
            self.input.release();
            return false;
        };
        let step = std::mem::replace(&mut self.step, Step::Closed);
        let Step::Responding(exchange) = step else {
            self.step = step;
            return false;
        };
        let (cancelled, words) = match frame {
            Ok(octets) => {
                let line = &self.input.unread()[..octets];
                let read = (line == b"*", base64::decode_secret(line));
                self.input.wipe(octets + 2);
                read
            }
            Err(line) if line.fault == LineFault::TooLong => {
                let reply =
                    Reply::new(500, Some((5, 5, 6)), "Authentication exchange line is too long");
                self.break_off(*exchange, reply);
                return true;
            }
            Err(_) => (false, None),
        };
        if cancelled {
            let reply = Reply::new(501, Some((5, 7, 0)), "Authentication cancelled");
            self.break_off(*exchange, reply);
        } else {
            self.hear(*exchange, words);
        }
        true
    }

    /// Goes on with the client's words; none: they were no Base64.
    fn hear(&mut self, mut exchange: Exchange, words: Option<Secret>) {
        let Some(words) = words else {
            let reply = Reply::new(501, Some((5, 5, 2)), "Cannot decode Base64");
            return self.break_off(exchange, reply);
        };
        let plus = self.auth_mechanisms().any(|one| one == Mechanism::ScramSha256Plus);
        let tls = self.facts.tls.clone();
        let bindings: Option<&ChannelBindings> = tls.as_ref().map(|tls| &tls.bindings);
        match exchange.hear(&words, bindings, plus) {
            Ok(Said::Challenge(text)) => self.challenge(exchange, &text),
            Ok(Said::Login) => self.ask_login(exchange),
            Ok(Said::Proved) => {
                let reply = authenticated();
                self.note(exchange, AuthResult::Accepted, reply);
            }
            Err(Fault::Form) => self.break_off(exchange, malformed()),
            Err(Fault::Credentials) => self.note(exchange, AuthResult::Refused, refused()),
        }
    }

    /// Says words of the mechanism; the client's next line answers them.
    fn challenge(&mut self, exchange: Exchange, words: &str) {
        let reply = Reply::new(334, None, base64::encode(words));
        self.write(&reply);
        self.since = self.now;
        self.step = Step::Responding(Box::new(exchange));
        if self.hungup {
            self.leave(DisconnectReason::Hangup);
        }
    }

    /// before(AUTH).
    fn ask_login(&mut self, exchange: Exchange) {
        let question = |_: &Self, then: &Then| match then {
            Then::Login(exchange) => question(exchange, None),
            _ => None,
        };
        let then = Then::Login(Box::new(exchange));
        if let Some(Then::Login(exchange)) = self.ask(Event::Auth, Stage::Before, then, question) {
            self.verify(*exchange);
        }
    }

    /// Goes on with a login that plug-ins were asked about.
    pub(super) fn decided_login(
        &mut self,
        exchange: Exchange,
        decision: Decision,
        edits: &[Attributed],
    ) {
        let identity = edits.iter().rev().find_map(|edit| match &edit.edit {
            Edit::Identity(identity) => Some(identity.clone()),
            _ => None,
        });
        // Without the name of a user nobody is logged in, and who has read no password can't answer for one.
        let answerable = identity.is_some() && exchange.mechanism.shows_password();
        match ruling::rule(Event::Auth, answerable, decision) {
            Ruling::Proceed => self.verify(exchange),
            Ruling::Handled(reply) => {
                self.log_in(Some(exchange.mechanism), identity.unwrap_or_default());
                self.note(exchange, AuthResult::Accepted, reply.unwrap_or_else(authenticated));
            }
            Ruling::Refuse(reply) if reply.class() == Class::Permanent => {
                self.note(exchange, AuthResult::Refused, reply);
            }
            Ruling::Refuse(reply) => self.end(exchange, AuthResult::Unavailable, reply),
            Ruling::Disconnect(reply) => {
                let question = self.question_after_login(&exchange, AuthResult::Refused);
                self.conclude(question, Answer::last(reply, DisconnectReason::Refused));
            }
        }
    }

    /// Has the connection find out whether the client is who it says.
    fn verify(&mut self, exchange: Exchange) {
        let Some(Login { authorization, identity, password }) = exchange.login.clone() else {
            return self.break_off(exchange, malformed());
        };
        // Nobody acts for somebody else here.
        if !authorization.is_empty() && !authorization.eq_ignore_ascii_case(&identity) {
            return self.note(exchange, AuthResult::Refused, refused());
        }
        let verify = match (password, exchange.proof.clone()) {
            (Some(password), _) => Verify::Password { identity, password },
            (None, Some(proof)) => Verify::Proof { identity, proof: Box::new(proof) },
            (None, None) => Verify::Keys { identity },
        };
        self.ask_about(exchange, verify);
    }

    /// Has the connection answer a question.
    fn ask_about(&mut self, exchange: Exchange, verify: Verify) {
        self.outgoing = Some(Outgoing::Verify(verify));
        self.step = Step::Verifying(Box::new(Verifying { exchange, end: None }));
    }

    /// Has the connection count how an authentication ends that it did not decide; ends it then.
    fn note(&mut self, exchange: Exchange, result: AuthResult, reply: Reply) {
        let Some(login) = &exchange.login else {
            return self.end(exchange, result, reply);
        };
        let (identity, accepted) = (login.identity.clone(), result == AuthResult::Accepted);
        self.outgoing = Some(Outgoing::Verify(Verify::Outcome { identity, accepted }));
        self.step = Step::Verifying(Box::new(Verifying { exchange, end: Some((result, reply)) }));
    }

    /// The answer to [`crate::Action::Verify`].
    pub fn handle_verified(&mut self, now: std::time::Instant, verified: Verified) {
        self.now = now;
        let step = std::mem::replace(&mut self.step, Step::Closed);
        let verifying = match step {
            Step::Verifying(verifying) if self.outgoing.is_none() => verifying,
            step => return self.ignore(step, "a login verified"),
        };
        if self.hungup {
            return self.leave(DisconnectReason::Hangup);
        }
        let Verifying { mut exchange, end } = *verifying;
        if let Some((result, reply)) = end {
            return self.end(exchange, result, reply);
        }
        match verified {
            Verified::Random { words } if exchange.wants_random() => {
                match exchange.random(&words, &self.settings.hostname) {
                    Some(challenge) => self.challenge(exchange, &challenge),
                    None => self.end(exchange, AuthResult::Unavailable, unavailable()),
                }
            }
            Verified::Accepted { identity }
                if !exchange.wants_keys() && !exchange.wants_random() =>
            {
                self.log_in(Some(exchange.mechanism), identity);
                self.end(exchange, AuthResult::Accepted, authenticated());
            }
            Verified::Keys { identity, keys, nonce } if exchange.wants_keys() => {
                if let Some(login) = &mut exchange.login {
                    login.identity = identity;
                }
                match exchange.keys(keys, &nonce) {
                    Some(words) => self.challenge(exchange, &words),
                    None => self.end(exchange, AuthResult::Unavailable, unavailable()),
                }
            }
            Verified::Refused => self.end(exchange, AuthResult::Refused, refused()),
            Verified::Barred => {
                // Whoever goes on is guessing.
                self.logins_refused += 1;
                let words = "Too many failed logins, try again later";
                let reply = Reply::new(454, Some((4, 7, 0)), words);
                self.end(exchange, AuthResult::Unavailable, reply);
            }
            _ => self.end(exchange, AuthResult::Unavailable, unavailable()),
        }
    }

    /// Puts who has logged in into the facts, with what that grants.
    pub(super) fn log_in(&mut self, mechanism: Option<Mechanism>, identity: Box<str>) {
        let facts = Arc::make_mut(&mut self.facts);
        facts.authenticated = Some(Arc::new(Authenticated { identity, mechanism }));
        // A plug-in that has said yes or no is not overruled.
        if self.settings.auth.grants_relay && facts.attribute(Facts::RELAY_GRANTED).is_none() {
            facts.set_attribute(Attribute {
                name: Facts::RELAY_GRANTED.into(),
                value: "1".into(),
                plugin: Attribute::CORE.into(),
            });
        }
    }

    /// Ends an authentication that came to something; after(AUTH).
    fn end(&mut self, exchange: Exchange, result: AuthResult, reply: Reply) {
        match (result, &exchange.login) {
            (AuthResult::Accepted, Some(login)) if exchange.is_proved() => {
                let identity = login.identity.clone();
                self.log_in(Some(exchange.mechanism), identity);
            }
            (AuthResult::Refused, _) => self.logins_refused += 1,
            (AuthResult::Unavailable, _) => self.tally.idle_commands += 1,
            _ => {}
        }
        let question = self.question_after_login(&exchange, result);
        self.conclude(question, Answer::plain(reply));
    }

    /// Ends an authentication by the client's fault, or at its wish.
    fn break_off(&mut self, exchange: Exchange, reply: Reply) {
        self.tally.errors += 1;
        let question = self.question_after_login(&exchange, AuthResult::Broken);
        self.conclude(question, Answer::plain(reply));
    }

    fn question_after_login(&self, exchange: &Exchange, result: AuthResult) -> Option<Question> {
        let wanted = self.interest.contains(Event::Auth, Stage::After);
        wanted.then(|| question(exchange, Some(result))).flatten()
    }
}

/// The question about a login; none while nobody has said who wants to log in.
fn question(exchange: &Exchange, result: Option<AuthResult>) -> Option<Question> {
    let Login { authorization, identity, .. } = exchange.login.as_ref()?;
    Some(Question::Auth {
        mechanism: exchange.mechanism,
        identity: identity.clone(),
        authorization: authorization.clone(),
        result,
    })
}

fn authenticated() -> Reply {
    Reply::new(235, Some((2, 7, 0)), "Authentication successful")
}

fn refused() -> Reply {
    Reply::new(535, Some((5, 7, 8)), "Authentication credentials invalid")
}

fn unavailable() -> Reply {
    Reply::new(454, Some((4, 7, 0)), "Temporary authentication failure, try again later")
}

fn malformed() -> Reply {
    Reply::new(501, Some((5, 5, 2)), "Malformed authentication exchange")
}
