//! Turns a question into the struct that its event promises.
//! Knows the contract's layouts; makes no call.

use stagepost_abi as abi;
use stagepost_smtp::{
    Ask, AuthResult, Awaited, Chunk, DisconnectReason, EtrnNode, Question, Reply, Secret, VrfyVerb,
};

use crate::behind::{self, WithResults};

/// An event's own struct. Lends text of the `Ask` it was made from, by pointer: it must not outlive it.
pub(crate) enum Arguments {
    Connect(abi::EmConnect),
    Command(abi::EmCommand),
    Ehlo(abi::EmEhlo),
    StartTls(abi::EmStartTls),
    Auth(abi::EmAuth),
    Mail(abi::EmMail),
    Rcpt(abi::EmRcpt),
    Data(abi::EmData),
    Headers(abi::EmHeaders),
    Body(abi::EmBody),
    MessageAccept(abi::EmMessageAccept),
    Etrn(abi::EmEtrn),
    Atrn(abi::EmAtrn),
    Vrfy(abi::EmVrfy),
    Rset(abi::EmRset),
    Verb(abi::EmVerb),
    Quit(abi::EmQuit),
    Timeout(abi::EmTimeout),
    Disconnect(abi::EmDisconnect),
    Queue(abi::EmQueue),
    Route(abi::EmRoute),
    Deliver(Box<WithResults<abi::EmDeliver>>),
    Bounce(Box<WithResults<abi::EmBounce>>),
    Expire(abi::EmExpire),
}

/// Text that there is none of.
const NO_TEXT: abi::EmText = abi::EmText { data: std::ptr::null(), len: 0 };

/// Octets as the contract lends them.
pub(crate) fn lend(octets: impl AsRef<[u8]>) -> abi::EmText {
    let octets = octets.as_ref();
    abi::EmText { data: octets.as_ptr().cast(), len: octets.len() as u64 }
}

/// A reply as the contract lends it.
pub(crate) fn lend_reply(reply: &Reply) -> abi::EmReply {
    let (class, subject, detail) =
        reply.enhanced().map_or((0, 0, 0), |mark| (mark.class, mark.subject, mark.detail));
    abi::EmReply {
        size: size_of_u32::<abi::EmReply>(),
        code: reply.code(),
        enhanced_class: class,
        reserved: 0,
        enhanced_subject: subject,
        enhanced_detail: detail,
        reserved_2: 0,
        text: lend(reply.text()),
    }
}

/// A struct's size as the contract writes it.
pub(crate) const fn size_of_u32<T>() -> u32 {
    assert!(size_of::<T>() <= u32::MAX as usize);
    #[expect(clippy::cast_possible_truncation, reason = "asserted above")]
    let size = size_of::<T>() as u32;
    size
}

impl Arguments {
    /// The struct for `ask`, with the call's own handles in `event` (whose size is set here) and `message` (NULL where there
    /// is none). `trusted`: it may hold credentials.
    pub(crate) fn new(
        ask: &Ask,
        event: abi::EmEvent,
        message: *const abi::EmMessage,
        trusted: bool,
    ) -> Self {
        let secret = ask.secret.as_ref().filter(|_| trusted).map(Secret::expose);
        fn head<T>(event: abi::EmEvent) -> abi::EmEvent {
            abi::EmEvent { size: size_of_u32::<T>(), ..event }
        }
        match &ask.question {
            Question::Connect => Self::Connect(connect(ask, head::<abi::EmConnect>(event))),
            Question::Command { line } => Self::Command(abi::EmCommand {
                event: head::<abi::EmCommand>(event),
                line: lend(secret.unwrap_or(line)),
            }),
            Question::Ehlo { name, extended, keywords } => {
                Self::Ehlo(ehlo(name, *extended, keywords, head::<abi::EmEhlo>(event)))
            }
            Question::StartTls => {
                Self::StartTls(abi::EmStartTls { event: head::<abi::EmStartTls>(event) })
            }
            Question::Auth { mechanism, identity, authorization, result } => {
                let names = [mechanism.name(), &**identity, &**authorization];
                Self::Auth(auth(names, secret, *result, head::<abi::EmAuth>(event)))
            }
            Question::Mail { sender, parameters } => Self::Mail(abi::EmMail {
                event: head::<abi::EmMail>(event),
                sender: lend(sender.as_str()),
                parameters: lend(&**parameters),
            }),
            Question::Rcpt { recipient, parameters } => Self::Rcpt(abi::EmRcpt {
                event: head::<abi::EmRcpt>(event),
                recipient: lend(recipient.as_str()),
                parameters: lend(&**parameters),
            }),
            Question::Data { chunk } => Self::Data(data(*chunk, head::<abi::EmData>(event))),
            Question::Headers => {
                Self::Headers(abi::EmHeaders { event: head::<abi::EmHeaders>(event), message })
            }
            Question::Body { octets, offset, last } => {
                Self::Body(body(octets, *offset, *last, head::<abi::EmBody>(event)))
            }
            Question::MessageAccept { octets } => Self::MessageAccept(abi::EmMessageAccept {
                event: head::<abi::EmMessageAccept>(event),
                octets: *octets,
                message,
            }),
            Question::Etrn { node } => Self::Etrn(etrn(node, head::<abi::EmEtrn>(event))),
            Question::Atrn { domains } => Self::Atrn(abi::EmAtrn {
                event: head::<abi::EmAtrn>(event),
                domains: lend(&**domains),
            }),
            Question::Vrfy { verb, argument } => {
                Self::Vrfy(vrfy(*verb, argument, head::<abi::EmVrfy>(event)))
            }
            Question::Rset => Self::Rset(abi::EmRset { event: head::<abi::EmRset>(event) }),
            Question::Verb { verb, argument } => Self::Verb(abi::EmVerb {
                event: head::<abi::EmVerb>(event),
                verb: lend(&**verb),
                argument: lend(&**argument),
            }),
            Question::Quit => Self::Quit(abi::EmQuit { event: head::<abi::EmQuit>(event) }),
            Question::Timeout { awaited } => {
                Self::Timeout(timeout(*awaited, head::<abi::EmTimeout>(event)))
            }
            Question::Disconnect { reason } => {
                Self::Disconnect(disconnect(*reason, head::<abi::EmDisconnect>(event)))
            }
            Question::Queue { id, octets } => {
                let head = head::<abi::EmQueue>(event);
                Self::Queue(behind::queue(head, id, *octets, message))
            }
            Question::Route { attempt, next_hop } => {
                let head = head::<abi::EmRoute>(event);
                Self::Route(behind::route(head, attempt, next_hop, message))
            }
            Question::Deliver { attempt, next_hop, results } => {
                let head = head::<abi::EmDeliver>(event);
                Self::Deliver(behind::deliver(head, attempt, next_hop, results, message))
            }
            Question::Bounce(telling) => {
                let head = head::<abi::EmBounce>(event);
                Self::Bounce(behind::bounce(head, telling, message))
            }
            Question::Expire { attempt } => {
                Self::Expire(behind::expire(head::<abi::EmExpire>(event), attempt, message))
            }
        }
    }

    /// The struct's address, for the record.
    pub(crate) fn as_ptr(&self) -> *const std::ffi::c_void {
        match self {
            Self::Connect(event) => std::ptr::from_ref(event).cast(),
            Self::Command(event) => std::ptr::from_ref(event).cast(),
            Self::Ehlo(event) => std::ptr::from_ref(event).cast(),
            Self::StartTls(event) => std::ptr::from_ref(event).cast(),
            Self::Auth(event) => std::ptr::from_ref(event).cast(),
            Self::Mail(event) => std::ptr::from_ref(event).cast(),
            Self::Rcpt(event) => std::ptr::from_ref(event).cast(),
            Self::Data(event) => std::ptr::from_ref(event).cast(),
            Self::Headers(event) => std::ptr::from_ref(event).cast(),
            Self::Body(event) => std::ptr::from_ref(event).cast(),
            Self::MessageAccept(event) => std::ptr::from_ref(event).cast(),
            Self::Etrn(event) => std::ptr::from_ref(event).cast(),
            Self::Atrn(event) => std::ptr::from_ref(event).cast(),
            Self::Vrfy(event) => std::ptr::from_ref(event).cast(),
            Self::Rset(event) => std::ptr::from_ref(event).cast(),
            Self::Verb(event) => std::ptr::from_ref(event).cast(),
            Self::Quit(event) => std::ptr::from_ref(event).cast(),
            Self::Timeout(event) => std::ptr::from_ref(event).cast(),
            Self::Disconnect(event) => std::ptr::from_ref(event).cast(),
            Self::Queue(event) => std::ptr::from_ref(event).cast(),
            Self::Route(event) => std::ptr::from_ref(event).cast(),
            Self::Deliver(lent) => std::ptr::from_ref(&lent.event).cast(),
            Self::Bounce(lent) => std::ptr::from_ref(&lent.event).cast(),
            Self::Expire(event) => std::ptr::from_ref(event).cast(),
        }
    }
}

fn result_number(result: AuthResult) -> u32 {
    match result {
        AuthResult::Accepted => abi::EM_AUTH_ACCEPTED,
        AuthResult::Refused => abi::EM_AUTH_REFUSED,
        AuthResult::Unavailable => abi::EM_AUTH_UNAVAILABLE,
        AuthResult::Broken => abi::EM_AUTH_BROKEN,
    }
}

fn connect(ask: &Ask, event: abi::EmEvent) -> abi::EmConnect {
    let peer = &ask.facts.peer;
    abi::EmConnect {
        event,
        remote_ip: lend(&*peer.remote_text),
        local_ip: lend(&*peer.local_text),
        listener: lend(&*peer.listener),
        remote_port: peer.remote.port(),
        local_port: peer.local.port(),
        reserved: 0,
    }
}

fn ehlo(name: &str, extended: bool, keywords: &str, event: abi::EmEvent) -> abi::EmEhlo {
    abi::EmEhlo {
        event,
        name: lend(name),
        extended: u8::from(extended),
        reserved: [0; 7],
        keywords: lend(keywords),
    }
}

/// `names`: of the mechanism, of who logs in, and of whom on behalf of.
fn auth(
    names: [&str; 3],
    password: Option<&[u8]>,
    result: Option<AuthResult>,
    event: abi::EmEvent,
) -> abi::EmAuth {
    let [mechanism, identity, authorization] = names.map(lend);
    abi::EmAuth {
        event,
        mechanism,
        identity,
        authorization,
        password: password.map_or(NO_TEXT, lend),
        result: result.map_or(abi::EM_AUTH_OPEN, result_number),
        reserved: 0,
    }
}

fn body(octets: &[u8], offset: u64, last: bool, event: abi::EmEvent) -> abi::EmBody {
    abi::EmBody { event, octets: lend(octets), offset, last: u8::from(last), reserved: [0; 7] }
}

fn data(chunk: Option<Chunk>, event: abi::EmEvent) -> abi::EmData {
    let verb = if chunk.is_some() { abi::EM_DATA_BDAT } else { abi::EM_DATA_DATA };
    let Chunk { octets, last } = chunk.unwrap_or(Chunk { octets: 0, last: false });
    abi::EmData { event, chunk_octets: octets, verb, last: u8::from(last), reserved: [0; 6] }
}

fn etrn(node: &EtrnNode, event: abi::EmEvent) -> abi::EmEtrn {
    let (kind, node) = match node {
        EtrnNode::Host(node) => (abi::EM_ETRN_HOST, node),
        EtrnNode::Domain(node) => (abi::EM_ETRN_DOMAIN, node),
        EtrnNode::Queue(node) => (abi::EM_ETRN_QUEUE, node),
    };
    abi::EmEtrn { event, node: lend(&**node), kind, reserved: [0; 7] }
}

fn vrfy(verb: VrfyVerb, argument: &str, event: abi::EmEvent) -> abi::EmVrfy {
    let verb = match verb {
        VrfyVerb::Vrfy => abi::EM_VRFY_VRFY,
        VrfyVerb::Expn => abi::EM_VRFY_EXPN,
    };
    abi::EmVrfy { event, argument: lend(argument), verb, reserved: [0; 7] }
}

fn timeout(awaited: Awaited, event: abi::EmEvent) -> abi::EmTimeout {
    let awaited = match awaited {
        Awaited::Command => abi::EM_AWAITED_COMMAND,
        Awaited::Message => abi::EM_AWAITED_MESSAGE,
    };
    abi::EmTimeout { event, awaited, reserved: 0 }
}

fn disconnect(reason: DisconnectReason, event: abi::EmEvent) -> abi::EmDisconnect {
    abi::EmDisconnect { event, reason: reason_number(reason), reserved: 0 }
}

fn reason_number(reason: DisconnectReason) -> u32 {
    match reason {
        DisconnectReason::Quit => abi::EM_DISCONNECT_QUIT,
        DisconnectReason::Hangup => abi::EM_DISCONNECT_HANGUP,
        DisconnectReason::Timeout => abi::EM_DISCONNECT_TIMEOUT,
        DisconnectReason::Refused => abi::EM_DISCONNECT_REFUSED,
        DisconnectReason::Handshake => abi::EM_DISCONNECT_HANDSHAKE,
        DisconnectReason::Shutdown => abi::EM_DISCONNECT_SHUTDOWN,
        DisconnectReason::Reversed => abi::EM_DISCONNECT_REVERSED,
    }
}
