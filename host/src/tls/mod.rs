//! TLS of this server: its certificates, which of them a client gets, and the handshake.
//! Knows no SMTP and no listener.

mod certificate;
mod client;
mod handshake;
mod outbound;
mod self_signed;
mod store;

pub(crate) use handshake::ServerTls;
pub(crate) use outbound::{OutboundError, OutboundTls};
pub(crate) use self_signed::self_signed;
pub(crate) use store::{TlsError, TlsStore};
