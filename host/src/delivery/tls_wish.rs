//! What the sender of a message asks of TLS on its way (RFC 8689).
//! Knows the words, no server.

use stagepost_queue::StoredMessage;
use stagepost_smtp::{SenderWish, field_values};

/// The field that asks for less than its recipients' domains do.
const FIELD: &str = "TLS-Required";

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TlsWish {
    /// Nothing.
    Unsaid,
    /// REQUIRETLS: a server that is known, and promises the same.
    Required,
    /// `TLS-Required: No`: it goes even where TLS comes to nothing, whatever the recipient's domain says of its servers.
    Optional,
}

impl TlsWish {
    /// What is asked for a message.
    pub(super) fn of(message: &StoredMessage) -> Self {
        Self::read(&message.envelope.parameters, &message.header)
    }

    fn read(parameters: &str, header: &[u8]) -> Self {
        // RFC 8689 section 4.1: the field counts only without the parameter.
        if SenderWish::of(parameters).require_tls {
            return Self::Required;
        }
        // Section 3: there is one at most.
        let mut fields = field_values(header, FIELD);
        match (fields.next(), fields.next()) {
            (Some(value), None) if value.trim_ascii().eq_ignore_ascii_case(b"no") => Self::Optional,
            _ => Self::Unsaid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_counts_before_the_field() {
        use TlsWish::{Optional, Required, Unsaid};
        for (parameters, header, wanted) in [
            ("", "Subject: a\r\n", Unsaid),
            ("SIZE=1 requiretls", "", Required),
            ("REQUIRETLS=1", "", Unsaid),
            ("", "Subject: a\r\nTLS-Required: No\r\n", Optional),
            ("", "tls-required:\r\n  nO \r\nSubject: a\r\n", Optional),
            ("REQUIRETLS", "TLS-Required: No\r\n", Required),
            ("", "TLS-Required: Yes\r\n", Unsaid),
            ("", "TLS-Required: No, thanks\r\n", Unsaid),
            ("", "X-TLS-Required: No\r\n", Unsaid),
            ("", "TLS-Required: No\r\nTLS-Required: No\r\n", Unsaid),
        ] {
            assert_eq!(
                TlsWish::read(parameters, header.as_bytes()),
                wanted,
                "{parameters} {header}"
            );
        }
    }
}
