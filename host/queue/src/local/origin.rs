//! What is kept of a message's session beside its client, as a part of the message's row.
//! Knows the order of its fields; what an older server wrote has none of them.

use stagepost_smtp::{Authenticated, Mechanism};

use super::row::{Reader, RecordError, Writer};
use crate::{Origin, OriginTls};

/// The fields behind the first three, in octets; empty when none says anything.
pub(super) fn encode(origin: &Origin) -> Vec<u8> {
    let Origin { listener, extended, login, tls, .. } = origin;
    if listener.is_empty() && !extended && login.is_none() && tls.is_none() {
        return Vec::new();
    }
    let mut part = Writer::part(64);
    part.text(listener);
    part.flag(*extended);
    part.flag(login.is_some());
    if let Some(Authenticated { identity, mechanism }) = login {
        part.text(identity);
        part.text(mechanism.map_or("", Mechanism::name));
    }
    part.flag(tls.is_some());
    if let Some(OriginTls { version, cipher }) = tls {
        part.text(version);
        part.text(cipher);
    }
    part.octets()
}

/// Fills in what a part says; one that a newer server wrote may go on.
pub(super) fn decode(part: &[u8], origin: &mut Origin) -> Result<(), RecordError> {
    let mut part = Reader::unchecked(part);
    origin.listener = part.text()?;
    origin.extended = part.flag()?;
    if part.flag()? {
        let (identity, mechanism) = (part.text()?, part.text()?);
        let mechanism = match &*mechanism {
            "" => None,
            name => Some(Mechanism::parse_with_secrets(name).ok_or(RecordError::Value)?),
        };
        origin.login = Some(Authenticated { identity, mechanism });
    }
    if part.flag()? {
        origin.tls = Some(OriginTls { version: part.text()?, cipher: part.text()? });
    }
    Ok(())
}
