//! How the lines of a dialogue script are read; `tests/dialogues/README.md` describes them.
//! Knows no server.

use std::sync::Arc;
use std::time::Duration;

use stagepost_smtp::{
    Attribute, Attributed, BodyFault, Claim, Claims, Class, Decision, Detail, Edit, Enhanced,
    Event, Extension, Extensions, Limits, Reply, Route, Split, Stage, StartTls, Stored, Verdict,
    Verified, Vrfy,
};

use super::pattern::Pattern;
use super::script::{LogIn, Numbered, Script, Step, StoredMessage};

/// Reads a script line by line.
pub(super) struct Parser {
    script: Script,
    /// Lines read so far.
    lines: usize,
    /// The lines of an open `repeat`, and how often they are to be read.
    repeat: Option<(usize, Vec<String>)>,
    /// The next `C` line continues the last piece sent.
    joins: bool,
}

impl Parser {
    pub(super) fn new(name: &str) -> Self {
        let script = Script {
            name: name.to_owned(),
            limits: None,
            extensions: None,
            vrfy: Vrfy::default(),
            split: Split::default(),
            starttls: StartTls::None,
            xclient: false,
            auth: LogIn::No,
            odmr: false,
            all_questions: false,
            claims: Vec::new(),
            steps: Vec::new(),
        };
        Self { script, lines: 0, repeat: None, joins: false }
    }

    /// Reads one line of the file.
    pub(super) fn line(&mut self, line: &str) -> Result<(), String> {
        self.lines += 1;
        match (&mut self.repeat, line) {
            (Some(_), "end") => {
                let (times, lines) = self.repeat.take().unwrap_or_default();
                for number in 1..=times {
                    for line in &lines {
                        self.plain_line(&line.replace("{n}", &number.to_string()))?;
                    }
                }
                Ok(())
            }
            (Some((_, lines)), line) => {
                lines.push(line.to_owned());
                Ok(())
            }
            (None, line) => match line.strip_prefix("repeat ") {
                Some(times) => {
                    self.repeat = Some((number(times)?, Vec::new()));
                    Ok(())
                }
                None => self.plain_line(line),
            },
        }
    }

    pub(super) fn finish(self) -> Result<Script, String> {
        match (&self.repeat, self.script.steps.last().map(|n| &n.step)) {
            (Some(_), _) => Err("a repeat without its end".into()),
            (_, None) => Err("a script without steps".into()),
            _ => Ok(self.script),
        }
    }

    fn plain_line(&mut self, line: &str) -> Result<(), String> {
        if let Some(text) = line.strip_prefix('|') {
            return self.message_line(text);
        }
        if line.is_empty() {
            self.joins = false;
        }
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(octets) = sent(line)? {
            return self.send(octets);
        }
        self.joins = false;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let step = match word {
            "S:" => Step::Line(Pattern::new(rest)),
            "S+:" => Step::Reply(number(rest)?),
            "expect" if rest == "close" => Step::Close,
            "hangup" if rest.is_empty() => Step::Hangup,
            "shutdown" if rest.is_empty() => Step::Shutdown,
            "abandoned" if rest.is_empty() => Step::Abandoned,
            "time" => Step::Time(duration(rest)?),
            "writes" => Step::Writes(number(rest)?),
            "odmr" if rest.is_empty() => {
                self.script.odmr = true;
                return Ok(());
            }
            "reversed" => Step::Reversed(rest.split(' ').map(str::to_owned).collect()),
            "tls" if rest.is_empty() => Step::Tls,
            "tls" if rest == "fails" => Step::TlsFails,
            "starttls" => {
                self.script.starttls = match rest {
                    "offered" => StartTls::Offered,
                    "required" => StartTls::Required,
                    _ => return Err(format!("STARTTLS is offered or required, not {rest:?}")),
                };
                return Ok(());
            }
            "xclient" if rest.is_empty() => {
                self.script.xclient = true;
                return Ok(());
            }
            "auth" => {
                self.script.auth = match rest {
                    "offered" => LogIn::Offered,
                    "required" => LogIn::Required,
                    "clear" => LogIn::Clear,
                    _ => return Err(format!("AUTH is offered, required or clear, not {rest:?}")),
                };
                return Ok(());
            }
            "verified" => Step::Verified(match rest {
                "unavailable" => Verified::Unavailable,
                "barred" => Verified::Barred,
                _ => return Err(format!("no login is answered {rest:?}")),
            }),
            "settings" => return self.settings(rest),
            "vrfy" => {
                self.script.vrfy = match rest {
                    "answer" => Vrfy::Answer,
                    "off" => Vrfy::Off,
                    _ => return Err(format!("VRFY is answer or off, not {rest:?}")),
                };
                return Ok(());
            }
            "split" if rest == "discard" => {
                self.script.split = Split::Discard;
                return Ok(());
            }
            "extensions" => {
                self.script.extensions = Some(extensions(rest)?);
                return Ok(());
            }
            "claims" => {
                self.script.claims.push(claim(rest)?);
                return Ok(());
            }
            "questions" if rest == "all" => {
                self.script.all_questions = true;
                return Ok(());
            }
            "verdict" => verdict(rest)?,
            "asked" => Step::Asked(rest.split(", ").map(hook).collect::<Result<_, _>>()?),
            "route" => route(rest)?,
            "stored" => Step::Stored(match rest {
                "no-space" => Stored::NoSpace,
                "unavailable" => Stored::Unavailable,
                "discarded" => Stored::TakenOver(None),
                _ => return Err(format!("the store never answers {rest:?}")),
            }),
            "taken" => Step::Taken(match rest {
                "no-space" => BodyFault::NoSpace,
                "unavailable" => BodyFault::Unavailable,
                _ => return Err(format!("the store never answers {rest:?}")),
            }),
            "message" => message(rest)?,
            "parameters" => return self.message_parameters(rest),
            _ => return Err(format!("{line:?} is no step")),
        };
        self.push(step);
        Ok(())
    }

    fn push(&mut self, step: Step) {
        let line = self.lines;
        self.script.steps.push(Numbered { line, step });
    }

    /// `C` lines that follow each other go out in one piece.
    fn send(&mut self, octets: Vec<u8>) -> Result<(), String> {
        match self.script.steps.last_mut() {
            Some(Numbered { step: Step::Send(sent), .. }) if self.joins => sent.extend(octets),
            _ => self.push(Step::Send(octets)),
        }
        self.joins = true;
        Ok(())
    }

    fn message_parameters(&mut self, text: &str) -> Result<(), String> {
        let Some(Step::Message(message)) = self.script.steps.last_mut().map(|n| &mut n.step) else {
            return Err("a message's parameters without a message".into());
        };
        message.parameters = Some(text.split('|').map(|part| part.trim().to_owned()).collect());
        Ok(())
    }

    fn message_line(&mut self, text: &str) -> Result<(), String> {
        let Some(Step::Message(message)) = self.script.steps.last_mut().map(|n| &mut n.step) else {
            return Err("a message's line without a message".into());
        };
        match text.strip_prefix("~ ") {
            Some(raw) => message.octets.extend(literal(raw)?),
            None => {
                let text = text.strip_prefix(' ').unwrap_or(text);
                message.octets.extend([text.as_bytes(), b"\r\n"].concat());
            }
        }
        Ok(())
    }

    fn settings(&mut self, rest: &str) -> Result<(), String> {
        let limits = self.script.limits.get_or_insert_with(Limits::default);
        for word in rest.split(' ') {
            let (name, value) = word.split_once('=').ok_or("settings are name=number")?;
            let small = || number::<u32>(value);
            match name {
                "line_octets_max" => limits.line_octets_max = number(value)?,
                "path_octets_max" => limits.path_octets_max = number(value)?,
                "local_octets_max" => limits.local_octets_max = number(value)?,
                "text_line_octets_max" => limits.text_line_octets_max = number(value)?,
                "header_octets_max" => limits.header_octets_max = number(value)?,
                "message_octets_max" => limits.message_octets_max = number(value)?,
                "data_rate_min" => limits.data_rate_min = small()?,
                "hops_max" => limits.hops_max = number(value)?,
                "recipients_max" => limits.recipients_max = number(value)?,
                "errors_max" => limits.errors_max = small()?,
                "refusals_max" => limits.refusals_max = small()?,
                "idle_commands_max" => limits.idle_commands_max = small()?,
                "logins_refused_max" => limits.logins_refused_max = small()?,
                _ => return Err(format!("no limit is called {name}")),
            }
        }
        Ok(())
    }
}

/// `all`, `none`, or their keywords.
fn extensions(rest: &str) -> Result<Extensions, String> {
    match rest {
        "all" => return Ok(Extension::ALL.into_iter().fold(Extensions::NONE, Extensions::with)),
        "none" => return Ok(Extensions::NONE),
        _ => {}
    }
    rest.split(' ').try_fold(Extensions::NONE, |set, keyword| {
        let known = Extension::ALL.into_iter().find(|known| known.keyword() == keyword);
        known
            .map(|known| set.with(known))
            .ok_or_else(|| format!("no extension is called {keyword:?}"))
    })
}

/// The octets of a `C:` or `C~` line.
fn sent(line: &str) -> Result<Option<Vec<u8>>, String> {
    if let Some(raw) = line.strip_prefix("C~ ") {
        return literal(raw).map(Some);
    }
    let text = match line.strip_prefix("C:") {
        Some(text) => text.strip_prefix(' ').unwrap_or(text),
        None => return Ok(None),
    };
    Ok(Some([text.as_bytes(), b"\r\n"].concat()))
}

/// `"text"` or `"text" * times`, with `\r \n \t \0 \\ \" \xHH`.
fn literal(text: &str) -> Result<Vec<u8>, String> {
    let inner = text.trim_end().strip_prefix('"').ok_or("no opening quote")?;
    let end = inner.rfind('"').ok_or("no closing quote")?;
    let times = match inner[end + 1..].trim() {
        "" => 1,
        rest => number(rest.strip_prefix('*').ok_or("odd text behind the quote")?.trim())?,
    };
    let mut octets = Vec::new();
    let mut rest = inner[..end].bytes();
    while let Some(octet) = rest.next() {
        if octet != b'\\' {
            octets.push(octet);
            continue;
        }
        octets.push(match rest.next() {
            Some(b'r') => b'\r',
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'0') => 0,
            Some(same @ (b'\\' | b'"')) => same,
            Some(b'x') => {
                let digits: Vec<u8> = rest.by_ref().take(2).collect();
                let digits = std::str::from_utf8(&digits).map_err(|error| error.to_string())?;
                u8::from_str_radix(digits, 16).map_err(|error| error.to_string())?
            }
            other => return Err(format!("unknown escape {other:?}")),
        });
    }
    Ok(octets.repeat(times))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    let text = text.trim();
    text.parse().map_err(|_| format!("{text:?} is no number that fits"))
}

/// `+300s`
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.strip_prefix('+').and_then(|text| text.strip_suffix('s'));
    Ok(Duration::from_secs(number(seconds.ok_or("time is +300s")?)?))
}

/// `before mail`
fn hook(text: &str) -> Result<(Stage, Event), String> {
    let (stage, event) = text.trim().split_once(' ').ok_or("a stage and an event")?;
    let stage = [Stage::Before, Stage::After].into_iter().find(|known| known.name() == stage);
    let event = Event::ALL.into_iter().find(|known| known.name() == event);
    let has = |(stage, event): &(Stage, Event)| *stage == Stage::Before || event.has_after();
    let known = stage.zip(event).filter(has);
    known.ok_or_else(|| format!("{text:?} is no stage and event"))
}

/// `before mail reject 550 5.7.1 words`
fn verdict(text: &str) -> Result<Step, String> {
    let mut words = text.splitn(4, ' ');
    let place = format!("{} {}", words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (stage, event) = hook(&place)?;
    let (what, rest) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let mut verdict = Verdict::default();
    let mut edit = |edit| {
        let plugin = Arc::from("script");
        verdict.edits.push(Attributed::new(plugin, edit));
    };
    match what {
        "continue" => {}
        "handled" if rest.is_empty() => verdict.decision = Decision::Handled(None),
        "handled" => verdict.decision = Decision::Handled(Some(reply(rest)?)),
        "reject" => verdict.decision = Decision::Reject(reply(rest)?),
        "defer" => verdict.decision = Decision::Defer(reply(rest)?),
        "disconnect" => verdict.decision = Decision::Disconnect(reply(rest)?),
        "attribute" => {
            let (name, value) = rest.split_once('=').ok_or("an attribute is name=value")?;
            edit(Edit::Attribute(Attribute {
                name: name.into(),
                value: value.into(),
                plugin: "script".into(),
            }));
        }
        "header" => {
            let (name, value) = rest.split_once(": ").ok_or("a header is name: value")?;
            let value = value.as_bytes().into();
            edit(Edit::AddHeader { name: name.into(), value });
        }
        "sender" | "add" | "remove" | "replace" => {
            let (path, parameters) = rest.split_once(' ').unwrap_or((rest, ""));
            let made = match what {
                "sender" => Edit::sender(path, parameters, Claims::none()),
                "add" => Edit::add_recipient(path, parameters, Claims::none()),
                "remove" => Edit::remove_recipient(path),
                _ => match path.split_once('=') {
                    Some((old, new)) => {
                        Edit::replace_recipient(Some(old), new, parameters, Claims::none())
                    }
                    None => Edit::replace_recipient(None, path, parameters, Claims::none()),
                },
            };
            edit(made.map_err(|error| error.to_string())?);
        }
        "refuse" => {
            let (path, words) = rest.split_once(' ').ok_or("refuse a@b 550 5.1.1 words")?;
            let made = Edit::refuse_recipient(path, reply(words)?);
            edit(made.map_err(|error| error.to_string())?);
        }
        "keyword" => {
            let (keyword, parameters) = rest.split_once(' ').unwrap_or((rest, ""));
            let made = Edit::add_keyword(keyword, parameters);
            edit(made.map_err(|error| error.to_string())?);
        }
        "no-keyword" => {
            let made = Edit::remove_keyword(rest);
            edit(made.map_err(|error| error.to_string())?);
        }
        "rewrite" => {
            let made = Edit::replace_command(rest.as_bytes());
            edit(made.map_err(|error| error.to_string())?);
        }
        "login" => {
            let (name, words) = rest.split_once(' ').unwrap_or((rest, ""));
            edit(Edit::Identity(name.into()));
            let reply = (!words.is_empty()).then(|| reply(words)).transpose()?;
            verdict.decision = Decision::Handled(reply);
        }
        "reverse" => {
            let (destinations, words) = rest.split_once(' ').unwrap_or((rest, ""));
            let made = Edit::reverse(&destinations.split(',').collect::<Vec<_>>());
            edit(made.map_err(|error| error.to_string())?);
            let reply = (!words.is_empty()).then(|| reply(words)).transpose()?;
            verdict.decision = Decision::Handled(reply);
        }
        "hold" => edit(Edit::Hold { reason: rest.into() }),
        "tag" => edit(Edit::Tag { name: rest.into() }),
        "discard" => edit(Edit::Discard),
        "words" => edit(Edit::ReplyText(rest.into())),
        "code" => edit(detail(rest)?),
        _ => return Err(format!("{what:?} is no verdict")),
    }
    Ok(Step::Verdict(stage, event, verdict))
}

/// `550 5.7.1 words`
fn reply(text: &str) -> Result<Reply, String> {
    let mut words = text.splitn(3, ' ');
    let code = number(words.next().unwrap_or(""))?;
    let enhanced = Enhanced::parse(words.next().unwrap_or("")).ok_or("no enhanced code")?;
    let reply = Reply::checked(code, Some(enhanced), words.next().unwrap_or(""));
    reply.map_err(|error| error.to_string())
}

/// `551 5.1.6 words`, or `551 5.1.6` to keep the words
fn detail(text: &str) -> Result<Edit, String> {
    let mut words = text.splitn(3, ' ');
    let code = number(words.next().unwrap_or(""))?;
    let enhanced = Enhanced::parse(words.next().unwrap_or("")).ok_or("no enhanced code")?;
    let classes = [Class::Positive, Class::Transient, Class::Permanent];
    let class = classes.into_iter().find(|class| class.digit() == u16::from(enhanced.class));
    let detail = Detail::of(class.ok_or("no class")?, code, Some(enhanced));
    let detail = detail.map_err(|error| error.to_string())?;
    Ok(Edit::ReplyDetail { detail, text: words.next().map(Into::into) })
}

/// `verb XFOO`, `keyword X-FOO parameters`, `mail XBAR`, `rcpt XBAZ`
fn claim(text: &str) -> Result<Claim, String> {
    let (kind, rest) = text.split_once(' ').ok_or("a claim has a kind and a name")?;
    let (name, parameters) = rest.split_once(' ').unwrap_or((rest, ""));
    let made = match kind {
        "verb" => Claim::verb(name),
        "keyword" => Claim::keyword(name, parameters),
        "mail" => Claim::mail_parameter(name),
        "rcpt" => Claim::rcpt_parameter(name),
        _ => return Err(format!("{kind:?} can't be claimed")),
    };
    made.map_err(|error| error.to_string())
}

/// `user@example.test unknown-user`
fn route(text: &str) -> Result<Step, String> {
    let (address, route) = text.split_once(' ').ok_or("an address and a route")?;
    let route = match route {
        "local" => Route::Local,
        "unknown-user" => Route::UnknownUser,
        "relay" => Route::Relay,
        "foreign" => Route::Foreign,
        "unreachable" => Route::Unreachable,
        "unavailable" => Route::Unavailable,
        "ambiguous" => Route::Ambiguous,
        _ => return Err(format!("{route:?} is no route")),
    };
    Ok(Step::Route(address.to_owned(), route))
}

/// `<a@client.test> to <b@example.test> <c@example.test>`
fn message(text: &str) -> Result<Step, String> {
    let (sender, recipients) = text.split_once(" to ").ok_or("message <a> to <b> <c>")?;
    let inner = recipients.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    // A quoted local part may hold spaces.
    let recipients = inner.ok_or("recipients stand in <>")?.split("> <");
    Ok(Step::Message(StoredMessage {
        sender: sender.to_owned(),
        recipients: recipients.map(|address| format!("<{address}>")).collect(),
        parameters: None,
        octets: Vec::new(),
    }))
}
