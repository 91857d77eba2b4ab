//! What a client says of itself with PLAIN (RFC 4616), and with LOGIN in two steps.

use crate::Secret;

/// Who wants to log in, and with which password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    /// On whose behalf, as the client says it; empty: its own.
    pub(crate) authorization: Box<str>,
    /// The user's name as the client says it.
    pub(crate) identity: Box<str>,
    /// None where the password never comes here.
    pub(crate) password: Option<Secret>,
}

/// Reads the message of PLAIN: `authzid NUL authcid NUL passwd`.
pub(crate) fn parse(message: &Secret) -> Option<Login> {
    let mut parts = message.expose().split(|&octet| octet == 0);
    let (authorization, identity, password) = (parts.next()?, parts.next()?, parts.next()?);
    let whole = parts.next().is_none() && !identity.is_empty() && !password.is_empty();
    let text = |octets: &[u8]| std::str::from_utf8(octets).ok().map(Into::into);
    whole.then_some(())?;
    Some(Login {
        authorization: text(authorization)?,
        identity: text(identity)?,
        password: Some(Secret::new(password.to_vec())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_three_parts() {
        type Case<'a> = (&'a [u8], Option<(&'a str, &'a str, &'a [u8])>);
        let cases: [Case<'_>; 9] = [
            (b"\0user\0pencil", Some(("", "user", b"pencil"))),
            (b"boss\0user\0p q\xff", Some(("boss", "user", b"p q\xff"))),
            (b"", None),
            (b"user\0pencil", None),
            (b"\0\0pencil", None),
            (b"\0user\0", None),
            (b"\0user\0a\0b", None),
            (b"\0us\xffer\0a", None),
            (b"\xff\0user\0a", None),
        ];
        for (message, wanted) in cases {
            let found = parse(&Secret::new(message.to_vec()));
            let shown = found.as_ref().map(|login| {
                let password = login.password.as_ref().unwrap().expose();
                (&*login.authorization, &*login.identity, password)
            });
            assert_eq!(shown, wanted, "{}", message.escape_ascii());
        }
    }
}
