//! Who a message says has written and sent it: the one address of its field From or Sender (RFC 5322 section 3.6.2).
//! Reads; knows no rule. What is not one plain address is told apart, never guessed at.

/// What a field says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// There is no such field.
    Nobody,
    One(String),
    /// Several fields, several addresses, a group, or nothing that is an address.
    Unclear,
}

/// Reads a field of a header block, whose lines end with CRLF.
pub(crate) fn author(header: &[u8], field: &str) -> Author {
    let header = String::from_utf8_lossy(header);
    let mut found = None;
    let mut lines = header.split("\r\n").peekable();
    while let Some(line) = lines.next() {
        let value = line
            .split_once(':')
            .filter(|(name, _)| name.trim_end().eq_ignore_ascii_case(field))
            .map(|(_, value)| value);
        let Some(value) = value else { continue };
        let mut value = value.to_owned();
        while let Some(folded) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
            value.push_str(folded);
        }
        if found.replace(value).is_some() {
            return Author::Unclear;
        }
    }
    match found {
        None => Author::Nobody,
        Some(value) => address(&value).map_or(Author::Unclear, Author::One),
    }
}

/// The one address of a field's value: alone, or in angle brackets behind a name.
fn address(value: &str) -> Option<String> {
    let (mut plain, mut bracketed) = (String::new(), None);
    let mut rest = value.chars();
    while let Some(next) = rest.next() {
        match next {
            '"' => {
                plain.push('"');
                plain.push_str(&quoted(&mut rest)?);
            }
            '(' => comment(&mut rest)?,
            '<' if bracketed.is_none() => {
                bracketed = Some(between_brackets(&mut rest)?);
                plain.clear();
            }
            // A list, a group, or nothing that is written so.
            ',' | ';' | ':' | '<' | '>' | ')' | '\\' => return None,
            next => plain.push(next),
        }
    }
    let plain = plain.trim();
    match bracketed {
        Some(address) if plain.is_empty() => one(address.trim()),
        Some(_) => None,
        None => one(plain),
    }
}

/// An address without white space.
fn one(text: &str) -> Option<String> {
    let (local, domain) = text.rsplit_once('@')?;
    let whole = !local.is_empty() && !domain.is_empty();
    let plain = !text.contains(|c: char| c.is_whitespace() || c.is_control());
    (whole && plain).then(|| text.to_owned())
}

/// The rest of a quoted string, with the quote that ends it.
fn quoted(rest: &mut std::str::Chars<'_>) -> Option<String> {
    let mut text = String::new();
    loop {
        let next = rest.next()?;
        text.push(next);
        match next {
            '"' => return Some(text),
            '\\' => text.push(rest.next()?),
            _ => {}
        }
    }
}

/// Passes over a comment, whose beginning is read.
fn comment(rest: &mut std::str::Chars<'_>) -> Option<()> {
    let mut depth = 1;
    while depth > 0 {
        match rest.next()? {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\\' => _ = rest.next()?,
            _ => {}
        }
    }
    Some(())
}

/// What stands in angle brackets, the first of which is read.
fn between_brackets(rest: &mut std::str::Chars<'_>) -> Option<String> {
    let mut text = String::new();
    loop {
        match rest.next()? {
            '>' => return Some(text),
            // A route before the address is long out of use (RFC 5322 section 4.4).
            '<' | '(' | ')' | ',' | ';' | ':' => return None,
            '"' => {
                text.push('"');
                text.push_str(&quoted(rest)?);
            }
            next => text.push(next),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_read_and_nothing_else_is_guessed_at() {
        let cases: [(&str, Option<&str>); 25] = [
            ("joe@example.org", Some("joe@example.org")),
            (" Joe Doe <joe@example.org>", Some("joe@example.org")),
            ("\"Doe, Joe\" <joe@example.org>", Some("joe@example.org")),
            ("\"ann@other.net\" <joe@example.org>", Some("joe@example.org")),
            ("joe@example.org (ann@other.net)", Some("joe@example.org")),
            ("(a (b\\) c) d) joe@example.org", Some("joe@example.org")),
            ("< joe@example.org >", Some("joe@example.org")),
            ("\"j o\"@example.org", None),
            ("\"joe\"@example.org", Some("\"joe\"@example.org")),
            ("joe@example.org, ann@other.net", None),
            ("<joe@example.org>, <ann@other.net>", None),
            ("<joe@example.org> <ann@other.net>", None),
            ("ann@other.net <joe@example.org>", Some("joe@example.org")),
            ("<joe@example.org> ann@other.net", None),
            ("friends: joe@example.org;", None),
            ("<@relay.net:joe@example.org>", None),
            ("joe @example.org", None),
            ("joe", None),
            ("@example.org", None),
            ("joe@", None),
            ("", None),
            ("<>", None),
            ("\"joe@example.org", None),
            ("(joe@example.org", None),
            ("joe\\@example.org", None),
        ];
        for (value, wanted) in cases {
            assert_eq!(address(value).as_deref(), wanted, "{value}");
        }
    }

    #[test]
    fn fields_are_found_folded_and_only_once() {
        let author = |header: &str| author(header.as_bytes(), "From");
        let joe = Author::One("joe@example.org".to_owned());
        assert_eq!(
            author("Subject: From: x\r\nFROM : Joe\r\n <joe@example.org>\r\nTo: x\r\n"),
            joe
        );
        assert_eq!(author("To: a@b\r\n From: x@y\r\n"), Author::Nobody);
        assert_eq!(author("X-From: a@b\r\nFromage: a@b\r\n"), Author::Nobody);
        assert_eq!(author("From: a@b\r\nfrom: a@b\r\n"), Author::Unclear);
        assert_eq!(author("From:\r\n"), Author::Unclear);
    }
}
