//! What ties an authentication to the TLS connection that it was made in (RFC 5056).

use std::fmt;

/// The data of each kind of channel binding that the connection has.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// `tls-exporter` (RFC 9266).
    pub exporter: Option<Box<[u8]>>,
    /// `tls-server-end-point` (RFC 5929 section 4).
    pub server_end_point: Option<Box<[u8]>>,
}

impl ChannelBindings {
    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.exporter.is_none() && self.server_end_point.is_none()
    }

    /// The data of a kind by its name.
    pub(crate) fn data(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.exporter.as_deref(),
            "tls-server-end-point" => self.server_end_point.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Debug for ChannelBindings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ChannelBindings")
            .field("exporter", &self.exporter.is_some())
            .field("server_end_point", &self.server_end_point.is_some())
            .finish()
    }
}
