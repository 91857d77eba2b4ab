//! TLS of this server: its certificates, which of them a client gets, and the handshake.
//! Knows no SMTP and no listener.

#[cfg(test)]
pub(crate) mod authority;
mod certificate;
mod client;
mod dane;
mod fault;
mod handshake;
mod outbound;
mod pem;
mod roots;
mod self_signed;
mod store;

pub(crate) use dane::Dane;
pub(crate) use fault::CertificateFault;
pub(crate) use handshake::ServerTls;
pub(crate) use outbound::{HandshakeError, Identity, OutboundError, OutboundTls};
pub(crate) use roots::{VerifyingError, verifying};
pub(crate) use self_signed::self_signed;
pub(crate) use store::{TlsError, TlsStore};
