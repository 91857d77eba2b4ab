//! What a session says, prepared once for all of them.

use clap::Args;

use crate::fault::Fault;
use crate::message;

/// The envelope and the message.
#[derive(Args, Debug)]
pub(crate) struct Envelope {
    /// Octets of the message, before dot-stuffing
    #[arg(long, default_value_t = 4096, value_name = "OCTETS", value_parser = size)]
    pub(crate) size: usize,
    /// Sender
    #[arg(long, default_value = "sender@bench.invalid", value_name = "ADDRESS", value_parser = word)]
    from: String,
    /// Recipient
    #[arg(long, default_value = "recipient@bench.invalid", value_name = "ADDRESS", value_parser = word)]
    to: String,
    /// Argument of EHLO
    #[arg(long, default_value = "bench.invalid", value_name = "NAME", value_parser = word)]
    helo: String,
}

/// The octets of each command, with CRLF, and of the message as it follows the 354.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) hello: Vec<u8>,
    pub(crate) mail: Vec<u8>,
    pub(crate) recipient: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Envelope {
    pub(crate) fn script(&self) -> Result<Script, Fault> {
        let message = message::compose(self.size, &self.from, &self.to).map_err(|reason| {
            Fault::Option { option: "--size", value: self.size.to_string(), reason }
        })?;
        Ok(Script {
            mail: format!("MAIL FROM:<{}>\r\n", self.from).into_bytes(),
            recipient: format!("RCPT TO:<{}>\r\n", self.to).into_bytes(),
            body: message::stuff(&message),
            ..Script::greeting_only(&self.helo)
        })
    }
}

impl Script {
    /// The same from another sender.
    pub(crate) fn with_sender(&self, sender: &str) -> Self {
        Self { mail: format!("MAIL FROM:<{sender}>\r\n").into_bytes(), ..self.clone() }
    }

    /// For sessions that send no message.
    pub(crate) fn greeting_only(helo: &str) -> Self {
        Self {
            hello: format!("EHLO {helo}\r\n").into_bytes(),
            mail: Vec::new(),
            recipient: Vec::new(),
            body: Vec::new(),
        }
    }
}

/// Parses an argument that goes into a command line as it is.
pub(crate) fn word(value: &str) -> Result<String, String> {
    match value.chars().find(|c| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>')) {
        Some(found) => Err(format!("{found:?} cannot stand in a command")),
        None => Ok(value.to_owned()),
    }
}

fn size(value: &str) -> Result<usize, String> {
    const MAX: usize = 64 << 20;
    let size = value.parse().map_err(|error| format!("{error}"))?;
    if size > MAX { Err(format!("more than {MAX}")) } else { Ok(size) }
}

#[cfg(test)]
mod tests {
    use super::{size, word};

    #[test]
    fn arguments() {
        for value in ["a@b.example", "", "[127.0.0.1]"] {
            assert_eq!(word(value).as_deref(), Ok(value));
        }
        for value in ["a b", "a\r\nQUIT", "<a@b>", "\0"] {
            assert!(word(value).is_err(), "{value:?}");
        }
        assert_eq!(size("51200"), Ok(51_200));
        for value in ["", "-1", "4K", "67108865"] {
            assert!(size(value).is_err(), "{value:?}");
        }
    }
}
