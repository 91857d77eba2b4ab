//! Answers in the place of plug-ins, router, store and TLS, drawn from octets.
//! Knows what may be answered, also what no sound plug-in would; knows no session.

use stagepost_smtp::{
    Ask, Attribute, Attributed, BodyFault, BodyKind, Claim, Claims, Decision, Detail, Edit, Event,
    Facts, MailParameters, Question, Reply, Route, ScramKeys, Stage, Stored, Tls, TlsFault,
    Verdict, Verified, Verify,
};

use crate::octets::Octets;

/// Where answers come from; at the end of its octets everything goes well.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'d> {
    octets: Octets<'d>,
    /// Every command line is refused.
    refuse_lines: bool,
    /// What is asked as often as the octets are cut is answered without drawing: everything goes well there.
    steady: bool,
}

impl<'d> Answers<'d> {
    /// Answers drawn from these octets.
    pub fn new(octets: Octets<'d>) -> Self {
        Self { octets, refuse_lines: false, steady: false }
    }

    /// Everything goes well.
    pub fn fine() -> Self {
        Self::new(Octets::new(b""))
    }

    /// Every command line is refused with 550.
    pub fn refusing_lines() -> Self {
        Self { refuse_lines: true, ..Self::fine() }
    }

    /// The same answers however the input is cut.
    #[must_use]
    pub fn steady(self) -> Self {
        Self { steady: true, ..self }
    }

    /// What plug-ins say.
    pub fn verdict(&mut self, ask: &Ask) -> Verdict {
        if self.refuse_lines && ask.question.event() == Event::Command {
            let decision = Decision::Reject(Reply::new(550, None, "No"));
            return Verdict { decision, edits: Vec::new() };
        }
        let atrn = (ask.question.event(), ask.stage) == (Event::Atrn, Stage::Before);
        if atrn && self.octets.draw() < 128 {
            return reversing();
        }
        let decision = self.decision();
        let edits = 0..self.octets.below(8).saturating_sub(5);
        let edits = edits.filter_map(|_| self.edit(ask));
        let edits = edits.map(|edit| Attributed::new("p", edit)).collect();
        Verdict { decision, edits }
    }

    fn decision(&mut self) -> Decision {
        let reply = |code, text: &'static str| Reply::new(code, None, text);
        match self.octets.draw() {
            1..=6 => Decision::Reject(Reply::new(550, Some((5, 7, 1)), "No")),
            7..=12 => Decision::Defer(Reply::new(451, Some((4, 7, 1)), "Later\nmuch later")),
            13..=16 => Decision::Handled(None),
            17..=18 => Decision::Handled(Some(reply(252, "Done"))),
            19 => Decision::Disconnect(Reply::new(421, Some((4, 7, 0)), "Go")),
            20 => Decision::Disconnect(reply(554, "Go")),
            21 => Decision::Defer(reply(421, "Go")),
            // Verdicts that can't be.
            22 => Decision::Reject(reply(250, "Yes")),
            23 => Decision::Handled(Some(reply(550, "No"))),
            24 => Decision::Disconnect(reply(250, "Yes")),
            25 => Decision::Handled(Some(reply(354, "Go on"))),
            26 => Decision::Defer(reply(220, "Yes")),
            _ => Decision::Continue,
        }
    }

    fn edit(&mut self, ask: &Ask) -> Option<Edit> {
        const MARK: &[&str] = &["one", "two", "three"];
        if ask.stage == Stage::After {
            let words = self.octets.one_of(&["", "two\nlines", "\n", "tab\there", "ends\n\n"]);
            return match ask.reply.as_ref().filter(|_| self.octets.draw() & 1 == 1) {
                Some(reply) => self.edit_code(reply, words),
                None => Some(Edit::ReplyText(words.into())),
            };
        }
        let at_message = matches!(
            ask.question.event(),
            Event::Data | Event::Headers | Event::Body | Event::MessageAccept
        );
        let edit = match self.octets.below(16) {
            0 => Edit::Attribute(Attribute {
                name: self.octets.one_of(&[Facts::RELAY_GRANTED, "a", "b"]).into(),
                value: self.octets.one_of(&["1", "0"]).into(),
                plugin: "p".into(),
            }),
            1 => return self.edit_line(ask),
            2 => Edit::Tag { name: self.octets.one_of(MARK).into() },
            _ if !at_message => return self.edit_command(ask),
            3 => Edit::Discard,
            4 => Edit::Hold { reason: "why".into() },
            5 => Edit::AddRecipient(recipient(&mut self.octets)),
            6 => Edit::RemoveRecipient(recipient(&mut self.octets).address),
            11 => {
                let replaced = recipient(&mut self.octets).address;
                self.edit_recipient(Some(replaced.as_str()))
            }
            7 => self.edit_sender(),
            8 => Edit::AddHeader { name: "X-A".into(), value: b"a".as_slice().into() },
            9 => Edit::DeleteHeader { name: "Subject".into(), index: 1 },
            10 => Edit::InsertHeader {
                position: self.octets.draw().into(),
                name: "X-I".into(),
                value: b"folded\r\n here".as_slice().into(),
            },
            _ => return None,
        };
        Some(edit)
    }

    /// Any code of the reply's class, of which some can't be.
    fn edit_code(&mut self, reply: &Reply, words: &str) -> Option<Edit> {
        let class = reply.code() / 100 * 100;
        let code = class + u16::from(self.octets.draw() % 100);
        let detail = Detail::of(reply.class(), code, None).ok()?;
        let text = (!words.is_empty()).then(|| words.into());
        Some(Edit::ReplyDetail { detail, text })
    }

    fn edit_recipient(&mut self, replaced: Option<&str>) -> Edit {
        let path = recipient(&mut self.octets).address;
        let parameters = self.octets.one_of(&["", "XTO=1"]);
        Edit::replace_recipient(replaced, path.as_str(), parameters, &claims())
            .unwrap_or(Edit::Discard)
    }

    fn edit_sender(&mut self) -> Edit {
        let path = self.octets.one_of(&["", "new@there.test", "\"q q\"@there.test"]);
        let parameters = self.octets.one_of(&["", "BODY=8BITMIME SIZE=7", "XTAG=1"]);
        Edit::sender(path, parameters, &claims()).unwrap_or(Edit::Discard)
    }

    fn edit_command(&mut self, ask: &Ask) -> Option<Edit> {
        match ask.question {
            Question::Ehlo { .. } => {
                let keyword = self.octets.one_of(&[
                    "SIZE",
                    "8BITMIME",
                    "ENHANCEDSTATUSCODES",
                    "PIPELINING",
                    "HELP",
                    "STARTTLS",
                    "CHUNKING",
                    "X-B",
                ]);
                match self.octets.draw() {
                    0..=127 => Edit::remove_keyword(keyword).ok(),
                    long => Edit::add_keyword("X-B", &"y".repeat(long.into())).ok(),
                }
            }
            Question::Auth { .. } => Some(Edit::Identity("u".into())),
            Question::Mail { .. } => Some(match self.octets.draw() {
                0..=127 => self.edit_sender(),
                _ => Edit::Sender {
                    sender: stagepost_smtp::ReversePath::Null,
                    parameters: Some(MailParameters { text: "".into(), body: BodyKind::SevenBit }),
                },
            }),
            Question::Rcpt { .. } => Some(match self.octets.below(4) {
                0 => Edit::AddRecipient(recipient(&mut self.octets)),
                1 => Edit::RemoveRecipient(recipient(&mut self.octets).address),
                _ => self.edit_recipient(None),
            }),
            _ => None,
        }
    }

    fn edit_line(&mut self, ask: &Ask) -> Option<Edit> {
        let Question::Command { line } = &ask.question else { return None };
        let lines = [
            "NOOP",
            "DATA",
            "RSET",
            "EHLO x.test",
            "BDAT 5",
            "RCPT TO:<w@here.test>",
            "MAIL FROM:<>",
            "QUIT",
            "AUTH PLAIN",
            "",
        ];
        match self.octets.below(lines.len() + 2) {
            number if number < lines.len() => Edit::replace_command(lines[number].as_bytes()).ok(),
            // The same line, once in other words and once with an octet of chance in it.
            number if number == lines.len() => {
                Edit::replace_command(&line.to_ascii_lowercase()).ok()
            }
            _ => {
                let mut line = line.to_vec();
                let at = self.octets.below(line.len() + 1);
                line.insert(at, self.octets.draw());
                Edit::replace_command(&line).ok()
            }
        }
    }

    /// Where mail for a recipient goes.
    pub fn route(&mut self, recipient: &str) -> Route {
        match self.octets.draw() {
            1..=10 => Route::UnknownUser,
            11..=16 => Route::Unavailable,
            17..=20 => Route::Foreign,
            21..=24 => Route::Unreachable,
            25..=28 => Route::Relay,
            _ if recipient.contains("@here.") || !recipient.contains('@') => Route::Local,
            _ => Route::Foreign,
        }
    }

    /// Whether octets were kept.
    pub fn taken(&mut self) -> Result<(), BodyFault> {
        if self.steady {
            return Ok(());
        }
        match self.octets.draw() {
            1..=6 => Err(BodyFault::NoSpace),
            7..=9 => Err(BodyFault::Unavailable),
            _ => Ok(()),
        }
    }

    /// What became of a message.
    pub fn stored(&mut self) -> Stored {
        match self.octets.draw() {
            1..=8 => Stored::NoSpace,
            9..=16 => Stored::Unavailable,
            17..=20 => Stored::TakenOver(None),
            21 => Stored::Committed("an id\r\n250 with more".to_owned()),
            _ => Stored::Committed("ID".to_owned()),
        }
    }

    /// What became of a handshake.
    pub fn tls(&mut self) -> Result<Tls, TlsFault> {
        match self.octets.draw() {
            1..=10 => Err(TlsFault::Failed),
            11..=20 => Err(TlsFault::Timeout),
            _ => Ok(Tls {
                version: "TLSv1.3".into(),
                cipher: "TLS_AES_256_GCM_SHA384".into(),
                server_name: None,
                client: None,
                bindings: stagepost_smtp::ChannelBindings::default(),
            }),
        }
    }

    /// Whether a client is who it says.
    pub fn verified(&mut self, verify: &Verify) -> Verified {
        match (self.octets.draw(), verify) {
            (1..=8, _) => Verified::Barred,
            (9..=16, _) => Verified::Unavailable,
            // An answer to another question than was asked.
            (17, _) => Verified::Noted,
            (18, Verify::Keys { .. }) => Verified::Accepted { identity: "u".into() },
            (19..=40, Verify::Password { .. }) => Verified::Accepted { identity: "u".into() },
            (_, Verify::Keys { .. }) => Verified::Keys {
                identity: "u".into(),
                keys: ScramKeys::decoy(b"0123456789abcdef", 4096, [[7; 32]; 2]),
                nonce: "3rfcNHYJY1ZVvWVs7j".into(),
            },
            (_, Verify::Outcome { .. }) => Verified::Noted,
            (_, Verify::Random) => Verified::Random { words: "1896.697170952".into() },
            (_, Verify::Password { .. } | Verify::Proof { .. }) => Verified::Refused,
        }
    }

    /// Whether the client is heard while a question is open, though nobody asked for it.
    pub fn interrupts(&mut self) -> bool {
        !self.steady && self.octets.draw() == 77
    }
}

/// The connection is to be reversed.
fn reversing() -> Verdict {
    let edit = Edit::reverse(&["a.test", "#q"]).expect("destinations");
    let edits = vec![Attributed::new("p", edit)];
    Verdict { decision: Decision::Handled(None), edits }
}

fn recipient(octets: &mut Octets<'_>) -> stagepost_smtp::Recipient {
    let path = octets.one_of(&["u@here.test", "v@here.test", "U@HERE.TEST", "f@there.test"]);
    match Edit::add_recipient(path, "", &claims()) {
        Ok(Edit::AddRecipient(recipient)) => recipient,
        other => panic!("{path}: {other:?}"),
    }
}

/// What plug-ins claim of the protocol.
pub fn claims() -> Claims {
    let claims = [
        Claim::verb("XVERB"),
        Claim::mail_parameter("XTAG"),
        Claim::rcpt_parameter("XTO"),
        Claim::keyword("X-A", ""),
    ];
    Claims::new(claims.map(|claim| claim.expect("a claim")))
}
