//! The commands: their table, and how a line becomes one (RFC 5321 section 4.1).
//! Knows a command's form and where it is legal, not what it does.

use super::atrn;
use super::extensions::Extension;
use super::grammar::{Grammar, Lengths};
use super::line;
use super::parameter::{mail_parameters, rcpt_parameters};
use super::path::{self, PathFault};
use crate::{
    Address, Attributed, BodyKind, Chunk, Edit, EtrnNode, Event, Question, Recipient, Reply,
    ReversePath, Secret, VrfyVerb, check_domain,
};

/// A command of the right form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Hello {
        name: Box<str>,
        extended: bool,
    },
    Mail(Mail),
    Rcpt(Rcpt),
    Data,
    Bdat {
        chunk: Chunk,
        /// The message begins with it.
        first: bool,
    },
    Rset,
    Noop,
    Help,
    Vrfy {
        verb: VrfyVerb,
        argument: Box<str>,
    },
    Etrn(EtrnNode),
    /// What it names is read once it is known whether that counts.
    Atrn {
        argument: Box<str>,
    },
    /// A plug-in's own.
    Claimed {
        verb: Box<str>,
        argument: Box<str>,
    },
    StartTls,
    /// What it tells is read once it is known whether that counts.
    Xclient {
        argument: Box<str>,
    },
    /// With the client's first words in Base64, if they came along.
    Auth {
        mechanism: Box<str>,
        initial: Option<Secret>,
    },
    Quit,
}

/// MAIL and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) sender: ReversePath,
    /// As received.
    pub(crate) parameters: Box<str>,
    /// SIZE (RFC 1870): the octets that the client will send. A number beyond 64 bits counts as the largest.
    pub(crate) size: Option<u64>,
    pub(crate) body: BodyKind,
    /// The command as received, once a plug-in has changed it.
    pub(crate) received: Option<Box<Self>>,
}

/// RCPT and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rcpt {
    pub(crate) recipient: Address,
    /// As received.
    pub(crate) parameters: Box<str>,
    /// As received, once a plug-in has put another in its place.
    pub(crate) received: Option<Box<Recipient>>,
}

/// Where in a session a command is legal (RFC 5321 section 4.1.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Legal {
    /// Anywhere.
    Always,
    /// After HELO or EHLO, outside a transaction.
    Idle,
    /// Inside a transaction, before the message.
    Transaction,
    /// Inside a transaction, or between two chunks of its message.
    Message,
}

/// Who may carry out a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doer {
    /// The session alone, and its line must be what the client has sent: what comes next is no command, or comes the
    /// other way.
    Nobody,
    /// The session alone: what the client sends next depends on the reply, or the session keeps what the command
    /// says. Done by somebody else it would put the two out of step.
    Core,
    /// A plug-in too.
    Anybody,
}

/// One line of the table: a verb, where it is legal, who may carry it out, and how its argument is read.
pub(crate) struct Rule {
    pub(crate) verb: &'static str,
    pub(crate) legal: Legal,
    doer: Doer,
    parse: fn(&str, Grammar<'_>) -> Result<Command, Reply>,
}

/// Every verb that is known, with those known not to be implemented.
const RULES: [Rule; 22] = [
    rule("MAIL", Legal::Idle, Doer::Core, mail),
    rule("RCPT", Legal::Transaction, Doer::Core, rcpt),
    rule("DATA", Legal::Transaction, Doer::Nobody, |rest, _| bare(rest, Command::Data)),
    rule("EHLO", Legal::Always, Doer::Core, |rest, _| hello(rest, true)),
    rule("HELO", Legal::Always, Doer::Core, |rest, _| hello(rest, false)),
    rule("QUIT", Legal::Always, Doer::Core, |rest, _| bare(rest, Command::Quit)),
    rule("RSET", Legal::Always, Doer::Core, |rest, _| bare(rest, Command::Rset)),
    // NOOP and HELP may have an argument, which is ignored (RFC 5321 sections 4.1.1.8 and 4.1.1.9).
    rule("NOOP", Legal::Always, Doer::Anybody, |_, _| Ok(Command::Noop)),
    rule("HELP", Legal::Always, Doer::Anybody, |_, _| Ok(Command::Help)),
    rule("VRFY", Legal::Always, Doer::Anybody, |rest, _| vrfy(rest, VrfyVerb::Vrfy)),
    rule("ETRN", Legal::Idle, Doer::Anybody, |rest, _| etrn(rest)),
    rule("EXPN", Legal::Always, Doer::Anybody, |rest, _| vrfy(rest, VrfyVerb::Expn)),
    rule("STARTTLS", Legal::Idle, Doer::Nobody, |rest, _| bare(rest, Command::StartTls)),
    rule("XCLIENT", Legal::Idle, Doer::Nobody, |rest, _| {
        Ok(Command::Xclient { argument: rest.into() })
    }),
    rule("AUTH", Legal::Idle, Doer::Nobody, |rest, _| auth(rest)),
    rule("BDAT", Legal::Message, Doer::Nobody, bdat),
    rule("ATRN", Legal::Idle, Doer::Nobody, |rest, _| Ok(Command::Atrn { argument: rest.into() })),
    // Reverses the session for whoever asks: never (RFC 5321 appendix F.1).
    rule("TURN", Legal::Always, Doer::Anybody, not_implemented),
    rule("SEND", Legal::Always, Doer::Anybody, not_implemented),
    rule("SOML", Legal::Always, Doer::Anybody, not_implemented),
    rule("SAML", Legal::Always, Doer::Anybody, not_implemented),
    rule("XFORWARD", Legal::Always, Doer::Anybody, not_implemented),
];

/// What is true of every verb that a plug-in claims.
static CLAIMED: Rule = rule("", Legal::Always, Doer::Anybody, not_implemented);

/// Words that other protocols begin with: a browser made to talk to us, or a scanner. What follows is
/// not SMTP, so the connection is closed.
const FOREIGN: [&str; 6] = ["CONNECT", "GET", "HEAD", "OPTIONS", "POST", "PUT"];

const fn rule(
    verb: &'static str,
    legal: Legal,
    doer: Doer,
    parse: fn(&str, Grammar<'_>) -> Result<Command, Reply>,
) -> Rule {
    Rule { verb, legal, doer, parse }
}

/// The table's line for a verb.
fn find(verb: &[u8]) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.verb.as_bytes().eq_ignore_ascii_case(verb))
}

/// Whether a verb, or a word in its place, is nothing that a plug-in could claim.
pub(crate) fn is_core_verb(verb: &str) -> bool {
    find(verb.as_bytes()).is_some() || FOREIGN.iter().any(|word| word.eq_ignore_ascii_case(verb))
}

/// Whether the session alone may carry out the command of a line: it frames what follows, or changes what the session
/// knows.
///
/// - `line`: as plug-ins are shown it, without CRLF.
pub fn is_for_session_alone(line: &[u8]) -> bool {
    doer(line) != Doer::Anybody
}

/// Who may carry out the command of a line.
pub(crate) fn doer(line: &[u8]) -> Doer {
    find(verb(line)).map_or(Doer::Anybody, |rule| rule.doer)
}

/// Whether a line is HELO or EHLO, of whatever form.
pub(crate) fn is_hello(line: &[u8]) -> bool {
    let verb = verb(line);
    verb.eq_ignore_ascii_case(b"HELO") || verb.eq_ignore_ascii_case(b"EHLO")
}

/// Whether a line is AUTH, of whatever form.
pub(crate) fn is_auth(line: &[u8]) -> bool {
    verb(line).eq_ignore_ascii_case(b"AUTH")
}

/// Whether a line begins with a verb of ours, or one that a plug-in claims.
pub(crate) fn is_known(line: &[u8], grammar: Grammar<'_>) -> bool {
    let verb = verb(line);
    let claimed =
        || std::str::from_utf8(verb).is_ok_and(|verb| grammar.claims.verb(verb).is_some());
    find(verb).is_some() || claimed()
}

/// The first word of a line.
pub(crate) fn verb(line: &[u8]) -> &[u8] {
    line.split(|&octet| octet == b' ').next().unwrap_or_default()
}

/// Whether a line is of another protocol.
pub(crate) fn is_foreign(line: &str) -> bool {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    !rest.trim_end_matches(' ').is_empty()
        && FOREIGN.iter().any(|word| word.eq_ignore_ascii_case(verb))
}

/// Reads a line, without its CRLF, that holds printable ASCII, and UTF-8 where framing has let it pass.
///
/// # Errors
/// The reply to a line that is no command of ours or has not its form.
pub(crate) fn parse(line: &str, grammar: Grammar<'_>) -> Result<(&'static Rule, Command), Reply> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let Some(rule) = find(verb.as_bytes()) else {
        if let Some(verb) = grammar.claims.verb(verb) {
            let argument = rest.trim_end_matches(' ').into();
            return Ok((&CLAIMED, Command::Claimed { verb: verb.into(), argument }));
        }
        return Err(Reply::new(500, Some((5, 5, 2)), "Command not recognized"));
    };
    // Trailing white space is to be tolerated (RFC 5321 section 4.1.1).
    let command = (rule.parse)(rest.trim_end_matches(' '), grammar)?;
    Ok((rule, command))
}

impl Command {
    /// The question this command raises, if it has a stage of its own.
    pub(crate) fn question(&self) -> Option<Question> {
        Some(match self {
            Self::Hello { name, extended } => {
                let (name, keywords) = (name.clone(), "".into());
                Question::Ehlo { name, extended: *extended, keywords }
            }
            Self::Mail(mail) => {
                Question::Mail { sender: mail.sender.clone(), parameters: mail.parameters.clone() }
            }
            Self::Rcpt(rcpt) => Question::Rcpt {
                recipient: rcpt.recipient.clone(),
                parameters: rcpt.parameters.clone(),
            },
            Self::Data => Question::Data { chunk: None },
            Self::Bdat { chunk, first: true } => Question::Data { chunk: Some(*chunk) },
            Self::Etrn(node) => Question::Etrn { node: node.clone() },
            // It was checked.
            Self::Atrn { argument } => {
                Question::Atrn { domains: atrn::domains(argument).unwrap_or_default() }
            }
            Self::Vrfy { verb, argument } => {
                Question::Vrfy { verb: *verb, argument: argument.clone() }
            }
            Self::Claimed { verb, argument } => {
                Question::Verb { verb: verb.clone(), argument: argument.clone() }
            }
            Self::StartTls => Question::StartTls,
            Self::Rset => Question::Rset,
            Self::Quit => Question::Quit,
            Self::Noop
            | Self::Help
            | Self::Auth { .. }
            | Self::Xclient { .. }
            | Self::Bdat { first: false, .. } => return None,
        })
    }

    /// Puts into MAIL and RCPT what plug-ins put in their place.
    pub(crate) fn edit(&mut self, edits: &[Attributed]) {
        for Attributed { edit, .. } in edits {
            match (&mut *self, edit) {
                (Self::Mail(mail), Edit::Sender { sender, parameters }) => {
                    if mail.received.is_none() {
                        mail.received = Some(Box::new(mail.clone()));
                    }
                    mail.sender = sender.clone();
                    if let Some(given) = parameters {
                        mail.parameters = given.text.clone();
                        mail.body = mail.body.redeclared(given.body);
                    }
                }
                (Self::Rcpt(rcpt), Edit::ReplaceRecipient { recipient, parameters, .. }) => {
                    let received = Recipient {
                        address: std::mem::replace(&mut rcpt.recipient, recipient.clone()),
                        parameters: rcpt.parameters.clone(),
                    };
                    rcpt.received.get_or_insert_with(|| Box::new(received));
                    if let Some(given) = parameters {
                        rcpt.parameters = given.clone();
                    }
                }
                _ => {}
            }
        }
    }

    /// The kind of that question, without making it.
    pub(crate) fn event(&self) -> Option<Event> {
        match self {
            Self::Hello { .. } => Some(Event::Ehlo),
            Self::Mail(_) => Some(Event::Mail),
            Self::Rcpt(_) => Some(Event::Rcpt),
            Self::Data | Self::Bdat { first: true, .. } => Some(Event::Data),
            Self::Etrn(_) => Some(Event::Etrn),
            Self::Atrn { .. } => Some(Event::Atrn),
            Self::Vrfy { .. } => Some(Event::Vrfy),
            Self::Claimed { .. } => Some(Event::Verb),
            Self::StartTls => Some(Event::StartTls),
            Self::Rset => Some(Event::Rset),
            Self::Quit => Some(Event::Quit),
            Self::Noop
            | Self::Help
            | Self::Auth { .. }
            | Self::Xclient { .. }
            | Self::Bdat { first: false, .. } => None,
        }
    }
}

pub(crate) fn syntax(words: &'static str) -> Reply {
    Reply::new(501, Some((5, 5, 4)), words)
}

fn bare(rest: &str, command: Command) -> Result<Command, Reply> {
    if rest.is_empty() { Ok(command) } else { Err(syntax("This command takes no argument")) }
}

/// What is no BDAT ends the session before it comes to this.
fn bdat(rest: &str, grammar: Grammar<'_>) -> Result<Command, Reply> {
    if !grammar.has(Extension::Chunking) {
        return not_implemented(rest, grammar);
    }
    let chunk = line::chunk(rest).ok_or_else(|| syntax("Syntax: BDAT octets [LAST]"))?;
    Ok(Command::Bdat { chunk, first: false })
}

fn not_implemented(_: &str, _: Grammar<'_>) -> Result<Command, Reply> {
    Err(Reply::new(502, Some((5, 5, 1)), "Command not implemented"))
}

/// RFC 4954 section 4: the mechanism and perhaps words in Base64, which are read by who knows the mechanism.
fn auth(rest: &str) -> Result<Command, Reply> {
    let mut words = rest.split(' ');
    let (mechanism, initial) = (words.next().unwrap_or_default(), words.next());
    let sound = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    // RFC 4422 section 3.1.
    let named = matches!(mechanism.len(), 1..=20) && mechanism.bytes().all(sound);
    if !named || initial == Some("") || words.next().is_some() {
        return Err(syntax("Syntax: AUTH mechanism [initial-response]"));
    }
    let initial = initial.map(|words| Secret::new(words.into()));
    Ok(Command::Auth { mechanism: mechanism.into(), initial })
}

fn hello(rest: &str, extended: bool) -> Result<Command, Reply> {
    if is_client_name(rest) {
        Ok(Command::Hello { name: rest.into(), extended })
    } else {
        Err(syntax("Syntax: EHLO or HELO, then a domain or address literal"))
    }
}

/// A domain or address literal, with one leniency: an underscore passes for a letter, and a hyphen may
/// stand anywhere, because many a desktop's name has them and RFC 5321 section 4.1.4 would not have mail refused
/// for a name that proves nothing.
pub(crate) fn is_client_name(name: &str) -> bool {
    if name.starts_with('[') {
        return check_domain(name).is_ok();
    }
    let inside = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    let label = |label: &str| matches!(label.len(), 1..=63) && label.bytes().all(inside);
    name.len() <= 255 && name.split('.').all(label)
}

/// What follows a keyword such as `FROM:`, in any case.
fn after<'a>(rest: &'a str, keyword: &str) -> Option<&'a str> {
    let (head, tail) = rest.split_at_checked(keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then_some(tail)
}

/// The reply to a path that is none; `detail` is 7 for a sender, 3 for a recipient (RFC 3463 section 3.2).
fn path_reply(fault: PathFault, detail: u16, form: &'static str) -> Reply {
    match fault {
        PathFault::Brackets => syntax(form),
        PathFault::Route => Reply::new(501, Some((5, 1, detail)), "The source route is malformed"),
        PathFault::Address(error) => {
            let words = format!("Bad address syntax: {error}");
            Reply::new(501, Some((5, 1, detail)), words)
        }
    }
}

/// Whether what stands between the brackets, and the local part in it, is as long as it may be (RFC 5321 section 4.5.3.1.10);
/// `detail` as above.
fn check_lengths(inner: &str, local: &str, detail: u16, lengths: Lengths) -> Result<(), Reply> {
    let Lengths { path_max, local_max } = lengths;
    let long = |what, max| {
        let words = format!("{what} too long, at most {max} octets");
        Err(Reply::new(501, Some((5, 1, detail)), words))
    };
    match () {
        // Section 4.5.3.1.3 counts the brackets.
        () if inner.len() + 2 > path_max => long("Path", path_max),
        () if local.len() > local_max => long("Local part", local_max),
        () => Ok(()),
    }
}

fn mail(rest: &str, grammar: Grammar<'_>) -> Result<Command, Reply> {
    const FORM: &str = "Syntax: MAIL FROM:<address> [parameters]";
    let argument = after(rest, "FROM:").ok_or_else(|| syntax(FORM))?;
    let (inner, text) = path::split(argument).map_err(|fault| path_reply(fault, 7, FORM))?;
    let utf8 = grammar.has(Extension::SmtpUtf8);
    let sender = path::reverse_path(inner, utf8).map_err(|fault| path_reply(fault, 7, FORM))?;
    check_lengths(inner, sender.local(), 7, grammar.lengths)?;
    let (size, body) = mail_parameters(text, grammar)?;
    let said = sender.as_str().is_ascii() || path::parameter(text, "SMTPUTF8").is_some();
    said.then_some(()).ok_or_else(needs_utf8)?;
    Ok(Command::Mail(Mail { sender, parameters: text.into(), size, body, received: None }))
}

fn rcpt(rest: &str, grammar: Grammar<'_>) -> Result<Command, Reply> {
    const FORM: &str = "Syntax: RCPT TO:<address>";
    let argument = after(rest, "TO:").ok_or_else(|| syntax(FORM))?;
    let (inner, text) = path::split(argument).map_err(|fault| path_reply(fault, 3, FORM))?;
    let utf8 = grammar.has(Extension::SmtpUtf8);
    let recipient = path::forward_path(inner, utf8).map_err(|fault| path_reply(fault, 3, FORM))?;
    check_lengths(inner, recipient.local(), 3, grammar.lengths)?;
    rcpt_parameters(text, grammar)?;
    Ok(Command::Rcpt(Rcpt { recipient, parameters: text.into(), received: None }))
}

/// RFC 6531 section 3.4: a client that sends other scripts says so, and only then reads them.
pub(crate) fn needs_utf8() -> Reply {
    Reply::new(553, Some((5, 6, 7)), "Addresses beyond ASCII need SMTPUTF8")
}

fn vrfy(rest: &str, verb: VrfyVerb) -> Result<Command, Reply> {
    let said = || rest.rsplit(' ').next().is_some_and(|w| w.eq_ignore_ascii_case("SMTPUTF8"));
    // RFC 6531 section 3.7.4.2.
    if !rest.is_ascii() && !said() {
        return Err(needs_utf8());
    }
    match (rest.trim_start_matches(' '), verb) {
        ("", VrfyVerb::Vrfy) => Err(syntax("Syntax: VRFY address")),
        ("", VrfyVerb::Expn) => Err(syntax("Syntax: EXPN list")),
        (argument, verb) => Ok(Command::Vrfy { verb, argument: argument.into() }),
    }
}

/// RFC 1985 section 5.1: `ETRN` SP [`@` / `#`] node.
fn etrn(rest: &str) -> Result<Command, Reply> {
    let host = |name: &str| !name.starts_with('[') && check_domain(name).is_ok();
    let token = |name: &str| {
        matches!(name.len(), 1..=255) && name.bytes().all(|octet| matches!(octet, b'!'..=b'~'))
    };
    let node = match rest.as_bytes() {
        [b'@', ..] if host(&rest[1..]) => EtrnNode::Domain(rest[1..].into()),
        [b'#', ..] if token(&rest[1..]) => EtrnNode::Queue(rest[1..].into()),
        _ if host(rest) => EtrnNode::Host(rest.into()),
        _ => return Err(syntax("Syntax: ETRN name, ETRN @domain or ETRN #queue")),
    };
    Ok(Command::Etrn(node))
}

#[cfg(test)]
mod tests;
