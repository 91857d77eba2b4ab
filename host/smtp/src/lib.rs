//! SMTP as a protocol: sessions that are told what happened and say what to do next, and the words they use.
//! Knows no socket, no clock, no runtime and no plug-in.
#![forbid(unsafe_code)]

mod action;
mod address;
mod attempt;
mod body_edit;
mod claims;
mod deliver_by;
mod domain;
mod draft;
mod envelope;
mod event;
mod facts;
mod header_edit;
mod ledger;
mod message_slots;
mod notify;
mod priority;
mod question;
mod receive;
mod release;
mod reply;
mod route;
mod sasl;
mod secret;
mod send;
mod shown;
mod verdict;
mod xtext;

pub use action::{Action, BodyFault, Part, Reversal, Stored, TlsFault};
pub use address::{Address, AddressError, ReversePath};
pub use attempt::{Attempt, RecipientFate, RecipientResult, Telling};
pub use body_edit::{BodyText, EditedBody, Kept, Scratch};
pub use claims::{Claim, ClaimError, Claims};
pub use deliver_by::{DeliverBy, Late};
pub use domain::{check_domain, domain_to_ascii};
pub use draft::{Content, Draft, empty_line_before};
pub use envelope::{BodyKind, Envelope, MailParameters, Recipient};
pub use event::{Event, Interest, Stage};
pub use facts::{Attribute, Authenticated, ClientCertificate, Facts, Helo, Peer, Proxy, Tls};
pub use header_edit::{change_header, edit_header, field_values};
pub use ledger::{Change, LedgerEntry, Made, ParametersChange, Span, as_it_came};
pub use message_slots::MessageSlots;
pub use notify::{Notify, RecipientWish, Return, SenderWish};
pub use priority::Priority;
pub use question::{
    Ask, AuthResult, Awaited, Chunk, DisconnectReason, EtrnNode, Question, VrfyVerb,
};
pub use receive::{
    Auth, EnvelopeError, Expired, Extension, Extensions, Limits, Refused, ReversalError,
    RewriteError, Session, Settings, Split, StartTls, Timeouts, Verified, Verify, Vrfy,
    answers_handled, check_rewrite, is_for_session_alone, parameter, received,
    received_from_plugin,
};
pub use release::Release;
pub use reply::{Class, Detail, Enhanced, Reply, ReplyError};
pub use route::Route;
pub use sasl::{
    ChannelBindings, ClientKeys, CramProof, Credentials, Derivation, KeysError, LoginFault,
    Mechanism, ScramKeys, prepare_name, prepare_password,
};
pub use secret::Secret;
pub use send::{
    Addressee, Cause, ContentFault, Outcome, OwnName, Protocol, ReplyFault, SendingAction,
    SendingLogin, SendingSession, SendingSettings, SendingTimeouts, SendingTls, Step, Transaction,
};
pub use shown::is_obeyed;
pub use verdict::{Attributed, Decision, Edit, EditFault, Verdict};
pub use xtext::{from_xtext, to_xtext};
