//! Paths and parameters of MAIL and RCPT (RFC 5321 sections 4.1.1.2, 4.1.1.3 and 4.1.2).
//! Knows no parameter's meaning.

use crate::{Address, AddressError, ReversePath, check_domain, domain_to_ascii};

/// Why the argument of MAIL or RCPT is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathFault {
    /// No `<path>` where one belongs, or something sticks to its end.
    Brackets,
    /// A source route that is none.
    Route,
    /// What is wrong with the address.
    Address(AddressError),
}

/// Splits `<path> parameters`: returns what stands between the brackets, and the parameters.
///
/// Spaces before the `<` are let pass: the standard forbids them, many programs send them, and nothing
/// else could be meant.
pub(crate) fn split(argument: &str) -> Result<(&str, &str), PathFault> {
    let path = argument.trim_start_matches(' ').strip_prefix('<');
    let path = path.ok_or(PathFault::Brackets)?;
    let end = closing_bracket(path).ok_or(PathFault::Brackets)?;
    let rest = &path[end + 1..];
    if rest.is_empty() || rest.starts_with(' ') {
        Ok((&path[..end], rest.trim_matches(' ')))
    } else {
        Err(PathFault::Brackets)
    }
}

/// A quoted local part may hold `>` and, behind a backslash, `"`.
fn closing_bracket(path: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in path.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

/// The sender: nothing, or a mailbox with a domain. `utf8`: of any script.
pub(crate) fn reverse_path(inner: &str, utf8: bool) -> Result<ReversePath, PathFault> {
    if inner.is_empty() {
        return Ok(ReversePath::Null);
    }
    let address = forward_path(inner, utf8)?;
    if address.domain().is_empty() {
        // Only a recipient may be a bare Postmaster.
        return Err(PathFault::Address(AddressError::Domain));
    }
    Ok(ReversePath::Address(address))
}

/// A recipient: a mailbox, or Postmaster without a domain (RFC 5321 section 4.5.1). `utf8`: of any script.
pub(crate) fn forward_path(inner: &str, utf8: bool) -> Result<Address, PathFault> {
    let mailbox = without_route(inner).ok_or(PathFault::Route)?;
    let parse = if utf8 { Address::parse_international } else { Address::parse };
    parse(mailbox).map_err(PathFault::Address)
}

/// Source routes must be accepted and should be ignored (RFC 5321 section 4.1.1.3 and appendix C).
fn without_route(inner: &str) -> Option<&str> {
    let mut rest = inner;
    while let Some(hop) = rest.strip_prefix('@') {
        // An IPv6 literal has colons of its own.
        let literal = if hop.starts_with('[') { hop.find(']')? } else { 0 };
        let end = literal + hop[literal..].find([',', ':'])?;
        match &hop[..end] {
            host if host.is_ascii() => check_domain(host).ok()?,
            host => drop(domain_to_ascii(host)?),
        }
        rest = &hop[end + 1..];
        if hop.as_bytes()[end] == b':' {
            return Some(rest);
        }
        if !rest.starts_with('@') {
            return None;
        }
    }
    Some(rest)
}

/// One `KEYWORD` or `KEYWORD=value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameter<'a> {
    pub(crate) keyword: &'a str,
    pub(crate) value: Option<&'a str>,
}

/// Splits parameters; `None` when one is malformed or a keyword comes twice.
pub(crate) fn parameters(text: &str) -> Option<Vec<Parameter<'_>>> {
    let mut found: Vec<Parameter<'_>> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (word, None),
        };
        let inside = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
        let sound = keyword.bytes().all(inside)
            && !keyword.starts_with('-')
            && !keyword.is_empty()
            && value.is_none_or(|value| {
                // RFC 6531 section 3.3: of any script; whose is not says so.
                let inside = |octet| matches!(octet, b'!'..=b'~' | 0x80..) && octet != b'=';
                !value.is_empty() && value.bytes().all(inside)
            });
        let again = |known: &Parameter<'_>| known.keyword.eq_ignore_ascii_case(keyword);
        if !sound || found.iter().any(again) {
            return None;
        }
        found.push(Parameter { keyword, value });
    }
    Some(found)
}

/// The value of one parameter among those of MAIL or RCPT, by its keyword in any case; empty for one without a value.
pub fn parameter<'a>(parameters: &'a str, keyword: &str) -> Option<&'a str> {
    parameters.split(' ').filter(|word| !word.is_empty()).find_map(|word| {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        name.eq_ignore_ascii_case(keyword).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_split_at_the_true_bracket() {
        use PathFault::Brackets;
        type Case<'a> = (&'a str, Result<(&'a str, &'a str), PathFault>);
        let cases: [Case<'_>; 14] = [
            ("<a@b>", Ok(("a@b", ""))),
            ("  <a@b>  ", Ok(("a@b", ""))),
            ("<> SIZE=1", Ok(("", "SIZE=1"))),
            ("<a@b>  X  Y ", Ok(("a@b", "X  Y"))),
            (r#"<"a>b"@c> X"#, Ok((r#""a>b"@c"#, "X"))),
            (r#"<"a\">b"@c>"#, Ok((r#""a\">b"@c"#, ""))),
            ("<a@b>X", Err(Brackets)),
            ("<a@b>>", Err(Brackets)),
            ("<a@b", Err(Brackets)),
            (r#"<"a@b>"#, Err(Brackets)),
            ("a@b", Err(Brackets)),
            ("a@b>", Err(Brackets)),
            ("", Err(Brackets)),
            ("x <a@b>", Err(Brackets)),
        ];
        for (argument, wanted) in cases {
            assert_eq!(split(argument), wanted, "{argument}");
        }
    }

    #[test]
    fn source_routes_are_checked_and_ignored() {
        let sound = [
            ("u@c", "u@c"),
            ("@a:u@c", "u@c"),
            ("@a,@b.test:u@c", "u@c"),
            ("@[IPv6:::1],@b:u@c", "u@c"),
            ("@a:Postmaster", "Postmaster"),
        ];
        for (inner, wanted) in sound {
            assert_eq!(forward_path(inner, false).unwrap().as_str(), wanted, "{inner}");
        }
        let unsound = [
            "@a",
            "@a,u@c",
            "@a,b:u@c",
            "@:u@c",
            "@a_:u@c",
            "@a,",
            "@[x:u@c",
            "@a:",
            "@a:@b:u@c",
            "",
        ];
        for inner in unsound {
            assert!(forward_path(inner, false).is_err(), "{inner}");
        }
    }

    #[test]
    fn senders_may_be_nobody_but_not_a_bare_postmaster() {
        assert_eq!(reverse_path("", false), Ok(ReversePath::Null));
        assert!(reverse_path("@a:b@c", false).is_ok());
        assert!(reverse_path("Postmaster", false).is_err());
        assert!(reverse_path("@a:", false).is_err());
    }

    #[test]
    fn one_parameter_is_found_by_its_keyword() {
        let parameters = "SIZE=5  xTag=a+3Db  X-Flag BODY=8BITMIME";
        let cases = [
            ("size", Some("5")),
            ("XTAG", Some("a+3Db")),
            ("x-flag", Some("")),
            ("Body", Some("8BITMIME")),
            ("X", None),
            ("SIZE=5", None),
            ("", None),
        ];
        for (keyword, wanted) in cases {
            assert_eq!(parameter(parameters, keyword), wanted, "{keyword}");
        }
        assert_eq!(parameter("", "SIZE"), None);
    }

    #[test]
    fn parameters_are_words() {
        let split = |text| {
            let found = parameters(text)?;
            let plain = |p: Parameter<'_>| (p.keyword.to_owned(), p.value.map(str::to_owned));
            Some(found.into_iter().map(plain).collect::<Vec<_>>())
        };
        let one = ("SIZE".to_owned(), Some("5".to_owned()));
        assert_eq!(split(""), Some(vec![]));
        assert_eq!(split(" SIZE=5 "), Some(vec![one.clone()]));
        assert_eq!(split("SIZE=5  X-y"), Some(vec![one, ("X-y".to_owned(), None)]));
        for text in ["=", "=5", "SIZE=", "a=b=c", "-a", "a_b", "a=1 A=2", "a a"] {
            assert_eq!(parameters(text), None, "{text}");
        }
    }
}
