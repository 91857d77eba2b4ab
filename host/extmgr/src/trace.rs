//! The trace: shows calls of plug-ins as they happen to whoever watches, and costs one load when nobody does.
//! Knows what a call was and what became of it, in words for a person; decides nothing.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use stagepost_abi as abi;
use stagepost_smtp::{
    Address, Ask, Attempt, AuthResult, Awaited, Decision, Edit, EtrnNode, Peer, Question,
    RecipientResult, Reply, Stage, VrfyVerb,
};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::fault::Fault;
use crate::figures::{AnswerKind, is_timed};

/// The most that watch at once.
const WATCHERS_MAX: usize = 16;
/// How many calls wait for one watcher to read them; further ones are lost to it.
const CALLS_WAITING_MAX: usize = 1024;
/// The most edits of one call that are shown, and the most octets of one text.
const EDITS_SHOWN_MAX: usize = 16;
const OCTETS_SHOWN_MAX: usize = 256;

/// How many watch. The one thing that a call looks at when nobody does.
static WATCHING: AtomicUsize = AtomicUsize::new(0);
static WATCHERS: Mutex<Vec<Arc<Watcher>>> = Mutex::new(Vec::new());

/// One call, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracedCall {
    /// When it ended.
    pub at: SystemTime,
    /// The session's id; none of a plug-in's own life.
    pub session: Option<u64>,
    /// Who was called.
    pub plugin: Arc<str>,
    /// For what: the event's name.
    pub event: &'static str,
    /// Before or after it.
    pub stage: Stage,
    /// What the event told, by name. Secrets are left out.
    pub arguments: Vec<(&'static str, String)>,
    /// What became of it: an answer, or "fault".
    pub answer: &'static str,
    /// The reply that the plug-in gave with it; at a fault, what was wrong.
    pub words: Option<String>,
    /// What it edits.
    pub edits: Vec<String>,
    /// How long it took, on a pool with the wait for a thread. None of a call that began before anybody watched.
    pub took: Option<Duration>,
}

/// Which calls are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceFilter {
    /// Those of this session alone.
    pub session: Option<u64>,
    /// Those of this plug-in alone.
    pub plugin: Option<String>,
}

impl TraceFilter {
    fn shows(&self, session: Option<u64>, plugin: &str) -> bool {
        self.session.is_none_or(|wanted| session == Some(wanted))
            && self.plugin.as_deref().is_none_or(|wanted| wanted == plugin)
    }
}

/// What a watcher sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Traced {
    /// A call.
    Call(Arc<TracedCall>),
    /// So many calls were lost here, since they were not read fast enough.
    Lost(u64),
}

struct Watcher {
    filter: TraceFilter,
    /// Each call with how many were lost before it.
    calls: Sender<(u64, Arc<TracedCall>)>,
    lost: AtomicU64,
}

impl Watcher {
    fn show(&self, call: &Arc<TracedCall>) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if let Err(TrySendError::Full(_)) = self.calls.try_send((lost, call.clone())) {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }
}

/// One who watches. Dropping it ends that.
pub struct Trace {
    watcher: Arc<Watcher>,
    calls: Receiver<(u64, Arc<TracedCall>)>,
    /// A call whose losses were told and that is itself still to be told.
    next: Option<Arc<TracedCall>>,
}

impl Trace {
    /// Begins to watch the calls that a filter shows; none when too many watch already.
    pub(crate) fn begin(filter: TraceFilter) -> Option<Self> {
        let mut watchers = watchers();
        if watchers.len() >= WATCHERS_MAX {
            return None;
        }
        let (sender, calls) = channel(CALLS_WAITING_MAX);
        let watcher = Arc::new(Watcher { filter, calls: sender, lost: AtomicU64::new(0) });
        watchers.push(watcher.clone());
        WATCHING.store(watchers.len(), Ordering::Relaxed);
        Some(Self { watcher, calls, next: None })
    }

    /// The next call. Waits for one.
    pub async fn next(&mut self) -> Traced {
        if let Some(call) = self.next.take() {
            return Traced::Call(call);
        }
        if self.calls.is_empty() {
            // Nothing comes behind them that could tell.
            let lost = self.watcher.lost.swap(0, Ordering::Relaxed);
            if lost > 0 {
                return Traced::Lost(lost);
            }
        }
        match self.calls.recv().await {
            Some((0, call)) => Traced::Call(call),
            Some((lost, call)) => {
                self.next = Some(call);
                Traced::Lost(lost)
            }
            // The other end is in our own hands.
            None => std::future::pending().await,
        }
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        let mut watchers = watchers();
        watchers.retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
        WATCHING.store(watchers.len(), Ordering::Relaxed);
    }
}

fn watchers() -> MutexGuard<'static, Vec<Arc<Watcher>>> {
    WATCHERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether anybody watches.
pub(crate) fn is_on() -> bool {
    WATCHING.load(Ordering::Relaxed) != 0
}

/// The clock of a call in line: it runs for every call while anybody watches, else for a sample.
pub(crate) fn clock() -> Option<Instant> {
    (is_on() || is_timed()).then(Instant::now)
}

/// Shows a call to those who watch it. `ask` is the question as the plug-in saw it.
pub(crate) fn show(
    ask: &Ask,
    plugin: &Arc<str>,
    took: Option<Duration>,
    outcome: Result<(&Decision, &[Edit]), &Fault>,
) {
    let watchers = watching(Some(ask.facts.id), plugin);
    if watchers.is_empty() {
        return;
    }
    let (answer, words, edits) = match outcome {
        Ok((decision, edits)) => {
            (AnswerKind::of(decision, edits).name(), reply(decision).map(shown_reply), edits)
        }
        Err(fault) => ("fault", Some(fault.to_string()), &[][..]),
    };
    let call = Arc::new(TracedCall {
        at: SystemTime::now(),
        session: Some(ask.facts.id),
        plugin: plugin.clone(),
        event: ask.question.event().name(),
        stage: ask.stage,
        arguments: arguments(ask),
        answer,
        words,
        edits: edits.iter().take(EDITS_SHOWN_MAX).map(edit_in_words).chain(more(edits)).collect(),
        took,
    });
    for watcher in watchers {
        watcher.show(&call);
    }
}

/// Shows a call of a plug-in's own life to those who watch it.
///
/// - `event`: its name.
/// - `begun`: when the call began.
/// - `refusal`: what it returned, where that refuses.
pub(crate) fn show_life(
    plugin: &Arc<str>,
    event: &'static str,
    stage: Stage,
    begun: Instant,
    refusal: Option<abi::STATUS>,
) {
    let watchers = watching(None, plugin);
    if watchers.is_empty() {
        return;
    }
    let call = Arc::new(TracedCall {
        at: SystemTime::now(),
        session: None,
        plugin: plugin.clone(),
        event,
        stage,
        arguments: Vec::new(),
        answer: match refusal {
            None => "continue",
            Some(abi::EM_FAULT) => "fault",
            Some(_) => "refuse",
        },
        words: refusal.map(|status| format!("status {status:#06x}")),
        edits: Vec::new(),
        took: Some(begun.elapsed()),
    });
    for watcher in watchers {
        watcher.show(&call);
    }
}

/// Who watches the calls of a plug-in about a session, or about its own life.
fn watching(session: Option<u64>, plugin: &str) -> Vec<Arc<Watcher>> {
    let shows = |watcher: &&Arc<Watcher>| watcher.filter.shows(session, plugin);
    watchers().iter().filter(shows).cloned().collect()
}

fn more(edits: &[Edit]) -> Option<String> {
    let more = edits.len().checked_sub(EDITS_SHOWN_MAX).filter(|more| *more > 0)?;
    Some(format!("and {more} more"))
}

fn reply(decision: &Decision) -> Option<&Reply> {
    match decision {
        Decision::Continue | Decision::Handled(None) => None,
        Decision::Handled(Some(reply))
        | Decision::Reject(reply)
        | Decision::Defer(reply)
        | Decision::Disconnect(reply) => Some(reply),
    }
}

fn shown_reply(reply: &Reply) -> String {
    let enhanced = reply.enhanced().map(|mark| format!("{mark} ")).unwrap_or_default();
    format!("{} {enhanced}{}", reply.code(), shown(reply.text()))
}

/// What the event told the handler.
fn arguments(ask: &Ask) -> Vec<(&'static str, String)> {
    let mut arguments = match &ask.question {
        Question::Connect => connection(&ask.facts.peer),
        Question::Command { line } => vec![("line", shown_line(line))],
        Question::Ehlo { name, extended, keywords } => vec![
            ("verb", if *extended { "EHLO" } else { "HELO" }.into()),
            ("name", shown(name)),
            ("keywords", shown(&keywords.replace('\n', ", "))),
        ],
        Question::Mail { sender, parameters } => {
            vec![("sender", shown(sender.as_str())), ("parameters", shown(parameters))]
        }
        Question::Rcpt { recipient, parameters } => {
            vec![("recipient", shown(recipient.as_str())), ("parameters", shown(parameters))]
        }
        Question::MessageAccept { octets } => vec![("octets", octets.to_string())],
        Question::Etrn { node } => vec![("node", shown_node(node))],
        Question::Atrn { domains } => vec![("domains", shown(&domains.replace('\n', ",")))],
        Question::Vrfy { verb, argument } => {
            let verb = match verb {
                VrfyVerb::Vrfy => "VRFY",
                VrfyVerb::Expn => "EXPN",
            };
            vec![("verb", verb.into()), ("argument", shown(argument))]
        }
        Question::Verb { verb, argument } => {
            vec![("verb", shown(verb)), ("argument", shown(argument))]
        }
        Question::Timeout { awaited } => {
            let awaited = match awaited {
                Awaited::Command => "command",
                Awaited::Message => "message",
            };
            vec![("awaited", awaited.into())]
        }
        Question::Disconnect { reason } => vec![("reason", reason.name().into())],
        Question::Body { octets, offset, last } => vec![
            ("octets", octets.len().to_string()),
            ("offset", offset.to_string()),
            ("last", last.to_string()),
        ],
        Question::StartTls => {
            let tls = ask.facts.tls.as_ref();
            tls.map_or_else(Vec::new, |tls| {
                vec![("version", tls.version.to_string()), ("cipher", tls.cipher.to_string())]
            })
        }
        // The password is in none of it.
        Question::Auth { mechanism, identity, authorization, result } => vec![
            ("mechanism", mechanism.name().to_owned()),
            ("identity", shown(identity)),
            ("authorization", shown(authorization)),
            ("result", result.map_or("", AuthResult::name).to_owned()),
        ],
        Question::Data { chunk: Some(chunk) } => {
            vec![("chunk", chunk.octets.to_string()), ("last", chunk.last.to_string())]
        }
        Question::Queue { id, octets } => {
            vec![("id", shown(id)), ("octets", octets.to_string())]
        }
        Question::Route { attempt, next_hop } => {
            [attempt_shown(attempt), vec![("next_hop", shown(next_hop))]].concat()
        }
        Question::Deliver { attempt, next_hop, results } => [
            attempt_shown(attempt),
            vec![("next_hop", shown(next_hop)), ("results", shown_results(results))],
        ]
        .concat(),
        Question::Bounce(telling) => vec![
            ("id", shown(&telling.id)),
            ("to", shown(telling.to.as_str())),
            ("notification", shown(&telling.notification)),
            ("results", shown_results(&telling.results)),
        ],
        Question::Expire { attempt } => attempt_shown(attempt),
        Question::Data { chunk: None } | Question::Headers | Question::Rset | Question::Quit => {
            Vec::new()
        }
    };
    arguments.retain(|(_, text)| !text.is_empty());
    arguments.extend(ask.reply.as_ref().map(|reply| ("reply", shown_reply(reply))));
    arguments
}

fn attempt_shown(attempt: &Attempt) -> Vec<(&'static str, String)> {
    vec![
        ("id", shown(&attempt.id)),
        ("destination", shown(&attempt.destination)),
        ("attempts", attempt.attempts.to_string()),
        ("age_s", attempt.age_s.to_string()),
    ]
}

/// The first results.
fn shown_results(results: &[RecipientResult]) -> String {
    let one = |result: &RecipientResult| {
        format!("{} {} {}", result.recipient, result.fate.name(), result.status)
    };
    let all: Vec<String> = results.iter().take(EDITS_SHOWN_MAX).map(one).collect();
    shown(&all.join(", "))
}

/// Who has connected, and where.
fn connection(peer: &Peer) -> Vec<(&'static str, String)> {
    let mut facts =
        vec![("remote", peer.remote.to_string()), ("listener", peer.listener.to_string())];
    facts.extend(peer.proxy.as_ref().map(|proxy| ("proxy", proxy.address.to_string())));
    facts
}

/// What ETRN names, as the client has written it.
fn shown_node(node: &EtrnNode) -> String {
    match node {
        EtrnNode::Host(node) => shown(node),
        EtrnNode::Domain(node) => format!("@{}", shown(node)),
        EtrnNode::Queue(node) => format!("#{}", shown(node)),
    }
}

/// A command line; of AUTH only the mechanism, since the rest is a secret (RFC 4954 section 4).
fn shown_line(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_ascii_whitespace();
    match words.next() {
        Some(verb) if verb.eq_ignore_ascii_case("AUTH") => {
            let mechanism = words.next().unwrap_or_default();
            let secret = if words.next().is_some() { " *" } else { "" };
            format!("AUTH {}{secret}", shown(mechanism))
        }
        _ => shown(&text),
    }
}

fn edit_in_words(edit: &Edit) -> String {
    let octets = |value: &[u8]| shown(&String::from_utf8_lossy(value));
    match edit {
        Edit::Attribute(attribute) => {
            format!("attribute {} = {:?}", attribute.name, shown(&attribute.value))
        }
        Edit::AddHeader { name, value } => format!("header_add {name}: {}", octets(value)),
        Edit::InsertHeader { position, name, value } => {
            format!("header_insert {position} {name}: {}", octets(value))
        }
        Edit::ChangeHeader { name, index, value } => {
            format!("header_change {name}[{index}]: {}", octets(value))
        }
        Edit::DeleteHeader { name, index } => format!("header_delete {name}[{index}]"),
        Edit::PrependBody(text) => format!("body_prepend {} octets", text.span.octets),
        Edit::AppendBody(text) => format!("body_append {} octets", text.span.octets),
        Edit::ReplaceBody(text) => format!("body_replace {} octets", text.span.octets),
        Edit::Sender { sender, .. } => format!("sender <{}>", shown(sender.as_str())),
        Edit::AddRecipient(recipient) => {
            format!("recipient_add <{}>", shown(recipient.address.as_str()))
        }
        Edit::RemoveRecipient(recipient) => {
            format!("recipient_remove <{}>", shown(recipient.as_str()))
        }
        Edit::ReplaceRecipient { replaced, recipient, parameters } => {
            let path = |path: &Address| format!(" <{}>", shown(path.as_str()));
            let replaced = replaced.as_ref().map(path).unwrap_or_default();
            let given = parameters.as_ref().map(|given| format!(" {}", shown(given)));
            format!("recipient_replace{replaced}{}{}", path(recipient), given.unwrap_or_default())
        }
        Edit::Route(next_hop) => format!("route {}", shown(next_hop)),
        Edit::RefuseRecipient { recipient, reply } => {
            let reply = shown(&reply.in_line());
            format!("recipient_verdict <{}> {reply}", shown(recipient.as_str()))
        }
        Edit::Hold { reason } => format!("hold {:?}", shown(reason)),
        Edit::Tag { name } => format!("tag {name}"),
        Edit::Discard => "discard".to_owned(),
        Edit::Identity(identity) => format!("identity {}", shown(identity)),
        Edit::Reverse(destinations) => format!("reverse {}", shown(&destinations.join(","))),
        Edit::ReplaceCommand(line) => format!("command {:?}", shown_line(line.as_bytes())),
        Edit::AddKeyword { keyword, parameters } => {
            format!("keyword_add {}", shown(format!("{keyword} {parameters}").trim_end()))
        }
        Edit::RemoveKeyword(keyword) => format!("keyword_remove {keyword}"),
        Edit::ReplyText(text) => format!("reply_text {:?}", shown(text)),
        Edit::ReplyDetail { detail, text } => {
            let (number, enhanced) = detail.parts();
            let enhanced = enhanced.map(|(subject, detail)| format!(" x.{subject}.{detail}"));
            let text = text.as_ref().map(|text| format!(" {:?}", shown(text)));
            format!(
                "reply_change x{number:02}{}{}",
                enhanced.unwrap_or_default(),
                text.unwrap_or_default()
            )
        }
    }
}

/// Text cut to what is shown, at a character's end.
fn shown(text: &str) -> String {
    if text.len() <= OCTETS_SHOWN_MAX {
        return text.to_owned();
    }
    format!("{}[...]", &text[..text.floor_char_boundary(OCTETS_SHOWN_MAX)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_auth_are_left_out() {
        let cases = [
            (&b"AUTH PLAIN AGEAYg=="[..], "AUTH PLAIN *"),
            (b"auth\tlogin YQ== x", "AUTH login *"),
            (b"AUTH PLAIN", "AUTH PLAIN"),
            (b"  AUTH  X Y", "AUTH X *"),
            (b"AUTHOR me", "AUTHOR me"),
            (b"NOOP AUTH x", "NOOP AUTH x"),
        ];
        for (line, wanted) in cases {
            assert_eq!(shown_line(line), wanted);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "ä".repeat(OCTETS_SHOWN_MAX);
        assert_eq!(shown(&text), format!("{}[...]", "ä".repeat(OCTETS_SHOWN_MAX / 2)));
        assert_eq!(shown(&text[..OCTETS_SHOWN_MAX]), text[..OCTETS_SHOWN_MAX]);
    }
}
