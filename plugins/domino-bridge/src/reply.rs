//! Replies as add-ins see and change them: whole lines with their codes, as they go to the client.
//! Knows no session; what may not be changed is refused here.

use stagepost_sdk::{Refusal, Reply};

/// A reply as its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// None: the add-in has left the code out.
    pub(crate) code: Option<u16>,
    pub(crate) enhanced: String,
    /// Lines, with LF between.
    pub(crate) text: String,
}

/// Why a changed reply is not sent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum ReplyError {
    #[error(
        "it makes a reply of class {wanted} one of class {found}; the client would be out of step"
    )]
    Class { wanted: u16, found: u16 },
    #[error("it makes a reply that is not printable ASCII")]
    Text,
    #[error("it changes the keywords of EHLO, which the server keeps to")]
    Keywords,
    #[error(transparent)]
    Host(#[from] Refusal),
}

/// The lines of a reply (RFC 5321 section 4.2), without the last CRLF.
pub(crate) fn lines(reply: &Reply<'_>) -> Vec<u8> {
    let enhanced = match reply.enhanced {
        Some((class, subject, detail)) => format!("{class}.{subject}.{detail} "),
        None => String::new(),
    };
    compose(reply.code, &enhanced, reply.text).into_bytes()
}

fn compose(code: u16, enhanced: &str, text: &str) -> String {
    let count = text.split('\n').count();
    let line = |(index, line)| {
        let mark = if index + 1 < count { '-' } else { ' ' };
        format!("{code}{mark}{enhanced}{line}")
    };
    let lines: Vec<String> = text.split('\n').enumerate().map(line).collect();
    lines.join("\r\n")
}

/// Reads what an add-in has made of a reply. None: nothing else than it was.
pub(crate) fn changed(came: &Reply<'_>, left: &[u8]) -> Result<Option<Parts>, ReplyError> {
    let text = left.strip_suffix(b"\n").unwrap_or(left);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text == lines(came) {
        return Ok(None);
    }
    let text = str::from_utf8(text).map_err(|_| ReplyError::Text)?.replace("\r\n", "\n");
    if !text.bytes().all(|octet| octet == b'\n' || octet == b'\t' || (b' '..=b'~').contains(&octet))
    {
        return Err(ReplyError::Text);
    }
    let parts = read(&text.replace('\t', " "));
    match parts.code {
        Some(code) if code / 100 != came.code / 100 => {
            Err(ReplyError::Class { wanted: came.code / 100, found: code / 100 })
        }
        _ => Ok(Some(parts)),
    }
}

fn read(text: &str) -> Parts {
    let mut parts = Parts { code: None, enhanced: String::new(), text: String::new() };
    for (index, line) in text.split('\n').enumerate() {
        let (code, rest) = split_code(line);
        let (enhanced, rest) = match code {
            Some(_) => split_enhanced(rest),
            None => ("", rest),
        };
        if index == 0 {
            (parts.code, parts.enhanced) = (code, enhanced.to_owned());
        } else {
            parts.text.push('\n');
        }
        parts.text += rest;
    }
    parts
}

/// Divides a line into its code, if it has one, and what follows.
fn split_code(line: &str) -> (Option<u16>, &str) {
    let Some((code, rest)) = line.split_at_checked(3) else { return (None, line) };
    let is_code =
        code.bytes().all(|c| c.is_ascii_digit()) && matches!(code.as_bytes()[0], b'2'..=b'5');
    match (is_code, rest.as_bytes().first()) {
        (true, None) => (code.parse().ok(), ""),
        (true, Some(b' ' | b'-')) => (code.parse().ok(), &rest[1..]),
        _ => (None, line),
    }
}

/// Divides text into an enhanced code (RFC 2034), if it begins with one, and what follows.
fn split_enhanced(text: &str) -> (&str, &str) {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut numbers = first.split('.');
    let is_number = |part: Option<&str>, most| {
        part.is_some_and(|part| {
            (1..=most).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit())
        })
    };
    let class = matches!(numbers.next(), Some("2" | "4" | "5"));
    match class
        && is_number(numbers.next(), 3)
        && is_number(numbers.next(), 3)
        && numbers.next().is_none()
    {
        true => (first, rest),
        false => ("", text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(code: u16, enhanced: &str, text: &str) -> Parts {
        Parts { code: Some(code), enhanced: enhanced.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn replies_are_read_as_they_are_written() {
        for (code, enhanced, text) in [
            (250, "", "OK"),
            (250, "2.1.0", "Sender fine"),
            (250, "", "mx.example.test\nSIZE 10\nHELP"),
            (550, "5.7.1", "No\nnever"),
            (354, "", ""),
        ] {
            let prefix = if enhanced.is_empty() { String::new() } else { format!("{enhanced} ") };
            let written = compose(code, &prefix, text).replace("\r\n", "\n");
            assert_eq!(read(&written), parts(code, enhanced, text), "{written}");
        }
        assert_eq!(compose(250, "", "a\nb"), "250-a\r\n250 b");
    }

    #[test]
    fn what_has_no_code_is_text() {
        let text =
            |text: &str| Parts { code: None, enhanced: String::new(), text: text.to_owned() };
        assert_eq!(read("Good day"), text("Good day"));
        assert_eq!(read("2500 things"), text("2500 things"));
        assert_eq!(read("10"), text("10"));
        assert_eq!(read("250"), parts(250, "", ""));
        assert_eq!(read("250 2.1"), parts(250, "", "2.1"));
        assert_eq!(read("250 2.1.0.4 x"), parts(250, "", "2.1.0.4 x"));
    }
}
