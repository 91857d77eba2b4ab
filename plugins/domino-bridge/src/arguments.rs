//! The arguments of the four events, as a handler is given them, and the call itself. Each call has buffers of its own, which it
//! keeps for as long as it takes, also when nobody waits for it any more.
//! Knows no session and no answer.

use std::ffi::c_char;
use std::sync::Arc;

use crate::api;
use crate::bridge::Bridge;
use crate::linker::{ARGUMENTS, Notes};
use crate::note::Note;
use crate::registry::{COMMAND, CONNECT, DISCONNECT, MESSAGE_ACCEPT, Registration, TERMINATE};

/// Octets behind a buffer that nobody may write to, and what they are.
const GUARD_OCTETS: usize = 64;
const GUARD: u8 = 0xA5;

/// A text that an add-in may write to, with a guard behind it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    octets: Vec<u8>,
    size: usize,
}

impl Buffer {
    /// Holds a text and its NUL, with room for so many octets at least.
    pub(crate) fn new(text: &[u8], room: usize) -> Self {
        let size = room.max(text.len() + 1);
        let mut octets = Vec::with_capacity(size + GUARD_OCTETS);
        octets.extend_from_slice(text);
        octets.resize(size, 0);
        octets.resize(size + GUARD_OCTETS, GUARD);
        Self { octets, size }
    }

    /// The octets up to the NUL.
    pub(crate) fn text(&self) -> &[u8] {
        let octets = &self.octets[..self.size];
        octets.split(|octet| *octet == 0).next().unwrap_or_default()
    }

    fn is_sound(&self) -> bool {
        self.octets[self.size..].iter().all(|octet| *octet == GUARD)
            && self.octets[..self.size].contains(&0)
    }

    fn slot(&mut self) -> u64 {
        self.octets.as_mut_ptr().cast::<c_char>().expose_provenance() as u64
    }

    fn size_slot(&self) -> u64 {
        self.size as u64
    }
}

/// The arguments of one event.
#[derive(Clone, Debug)]
pub(crate) enum Arguments {
    Connect {
        session: u32,
        ip: Buffer,
        host: Buffer,
        possible_relay: i32,
        /// After: the greeting.
        greeting: Option<Buffer>,
    },
    Command {
        session: u32,
        command: Buffer,
        /// After: the reply.
        reply: Option<Buffer>,
    },
    Message {
        session: u32,
        /// None: there is no message to show.
        note: Option<Arc<InHand>>,
        /// After: the reply.
        reply: Option<Buffer>,
    },
    Disconnect {
        session: u32,
    },
    /// The server stops.
    Terminate,
}

/// The note of a message that is asked about, for as long as anybody may use it.
#[derive(Debug)]
pub(crate) struct InHand {
    bridge: &'static Bridge,
    pub(crate) handle: u32,
}

impl InHand {
    /// Gives a note a handle. None: there are too many.
    pub(crate) fn new(bridge: &'static Bridge, note: Note) -> Option<Self> {
        Some(Self { bridge, handle: bridge.handles.notes.add(note)? })
    }

    /// The note as it is now.
    pub(crate) fn note(&self) -> Option<Note> {
        self.bridge.handles.notes.with(self.handle, |note| note.clone())
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        api::forget_note(self.bridge, self.handle);
    }
}

/// What a handler has left.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) status: u16,
    pub(crate) arguments: Arguments,
    /// False: it has written behind a buffer.
    pub(crate) sound: bool,
}

impl Arguments {
    pub(crate) fn event(&self) -> u16 {
        match self {
            Self::Connect { .. } => CONNECT,
            Self::Command { .. } => COMMAND,
            Self::Message { .. } => MESSAGE_ACCEPT,
            Self::Disconnect { .. } => DISCONNECT,
            Self::Terminate => TERMINATE,
        }
    }

    /// The reply or greeting.
    pub(crate) fn reply(&self) -> Option<&Buffer> {
        match self {
            Self::Connect { greeting: reply, .. }
            | Self::Command { reply, .. }
            | Self::Message { reply, .. } => reply.as_ref(),
            Self::Disconnect { .. } | Self::Terminate => None,
        }
    }

    /// Takes over what a handler may change, of what it has left: all else stays what it is, whatever was done to it.
    pub(crate) fn follow(&mut self, left: Self) {
        match (self, left) {
            (
                Self::Connect { possible_relay, greeting, .. },
                Self::Connect { possible_relay: relay, greeting: text, .. },
            ) => (*possible_relay, *greeting) = (relay, text),
            // After the event it is the reply alone.
            (Self::Command { reply: Some(reply), .. }, Self::Command { reply: Some(left), .. })
            | (Self::Message { reply: Some(reply), .. }, Self::Message { reply: Some(left), .. }) =>
            {
                *reply = left;
            }
            (Self::Command { command, .. }, Self::Command { command: left, .. }) => *command = left,
            _ => {}
        }
    }

    /// Takes the names of the client out, at the place where they were lent: add-ins keep pointers to them.
    pub(crate) fn take_names(&mut self) -> Vec<Buffer> {
        match self {
            Self::Connect { ip, host, .. } => vec![std::mem::take(ip), std::mem::take(host)],
            _ => Vec::new(),
        }
    }

    /// Calls a handler; its buffers stay where they are until it returns.
    pub(crate) fn call(
        mut self,
        notes: &Notes,
        registration: &Registration,
        stage: u16,
        status: u16,
    ) -> Left {
        let (event, slots) = (self.event(), self.slots());
        let call = || {
            // SAFETY: the handler is an add-in's, which is never unloaded. The slots are those of its event, and what they point
            // to is this call's alone and lives behind it.
            unsafe { notes.call(registration.handler, event, stage, status, &slots) }
        };
        let status = Bridge::inside(registration.add_in, call);
        let sound = self.buffers().into_iter().all(Buffer::is_sound);
        Left { status, arguments: self, sound }
    }

    fn buffers(&self) -> Vec<&Buffer> {
        match self {
            Self::Connect { ip, host, greeting, .. } => {
                [Some(ip), Some(host), greeting.as_ref()].into_iter().flatten().collect()
            }
            Self::Command { command, reply, .. } => {
                [Some(command), reply.as_ref()].into_iter().flatten().collect()
            }
            Self::Message { reply, .. } => reply.iter().collect(),
            Self::Disconnect { .. } | Self::Terminate => Vec::new(),
        }
    }

    /// The arguments in their order; NULL and 0 for a reply that there is not yet.
    fn slots(&mut self) -> [u64; ARGUMENTS] {
        let lend = |reply: &mut Option<Buffer>| {
            reply.as_mut().map_or((0, 0), |reply| (reply.slot(), reply.size_slot()))
        };
        match self {
            Self::Connect { session, ip, host, possible_relay, greeting } => {
                let relay = std::ptr::from_mut(possible_relay).expose_provenance() as u64;
                let (greeting, room) = lend(greeting);
                [(*session).into(), ip.slot(), host.slot(), relay, greeting, room]
            }
            Self::Command { session, command, reply } => {
                let (text, size) = (command.slot(), command.size_slot());
                let (reply, room) = lend(reply);
                [(*session).into(), text, size, reply, room, 0]
            }
            Self::Message { session, note, reply } => {
                let (reply, room) = lend(reply);
                let note = note.as_ref().map_or(0, |note| note.handle);
                [(*session).into(), note.into(), reply, room, 0, 0]
            }
            Self::Disconnect { session } => [(*session).into(), 0, 0, 0, 0, 0],
            Self::Terminate => [0; ARGUMENTS],
        }
    }
}
