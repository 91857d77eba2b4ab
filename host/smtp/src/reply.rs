//! A reply: code, enhanced code and words (RFC 5321 section 4.2, RFC 2034), and how it is written.
//! Knows no command and no state. An existing reply can be reworded and its code refined; no method changes its class.

use std::borrow::Cow;

/// A reply's first digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 2yz: done.
    Positive,
    /// 3yz: go on.
    Intermediate,
    /// 4yz: not now.
    Transient,
    /// 5yz: no.
    Permanent,
}

impl Class {
    /// The first digit.
    pub fn digit(self) -> u16 {
        match self {
            Self::Positive => 2,
            Self::Intermediate => 3,
            Self::Transient => 4,
            Self::Permanent => 5,
        }
    }
}

/// An enhanced status code (RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enhanced {
    /// 2, 4 or 5: the class of the reply it goes with.
    pub class: u8,
    /// What it is about, 0 to 999.
    pub subject: u16,
    /// The detail, 0 to 999.
    pub detail: u16,
}

/// What a code says within its class: all of it but its first digit, which nobody can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail {
    /// The last two digits, 0 to 99.
    number: u8,
    /// Subject and detail of the enhanced code; none: that of the reply stays.
    enhanced: Option<(u16, u16)>,
}

impl Detail {
    /// The detail of a code for a reply of a class, and of an enhanced code, if one is given.
    ///
    /// # Errors
    /// A code or an enhanced code of another class.
    pub fn of(class: Class, code: u16, enhanced: Option<Enhanced>) -> Result<Self, ReplyError> {
        let digit = class.digit();
        if code / 100 != digit {
            return Err(ReplyError::Class { code, digit });
        }
        if let Some(given) = enhanced
            && u16::from(given.class) != digit
        {
            return Err(ReplyError::Enhanced { code, enhanced: given.to_string() });
        }
        let enhanced = enhanced.map(|given| (given.subject, given.detail));
        Ok(Self { number: (code % 100) as u8, enhanced })
    }

    /// The last two digits of the code, and of the enhanced code what stands behind its class.
    pub fn parts(self) -> (u8, Option<(u16, u16)>) {
        (self.number, self.enhanced)
    }
}

/// Why a reply can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The code is not one of 200..=599 with a first digit of 2, 3, 4 or 5.
    #[error("reply code {0} is not 2yz, 3yz, 4yz or 5yz")]
    Code(u16),
    /// The enhanced code does not parse or its class differs from the code's.
    #[error("enhanced code {enhanced:?} does not fit reply code {code}")]
    Enhanced {
        /// The reply code.
        code: u16,
        /// The enhanced code as given.
        enhanced: String,
    },
    /// The code is of another class than the reply.
    #[error("code {code} is not of the reply's class, {digit}yz")]
    Class {
        /// The code.
        code: u16,
        /// The reply's first digit.
        digit: u16,
    },
    /// One of the two codes tells what becomes of the connection.
    #[error("code {from} can't become {to}: programs know by it what comes next")]
    Fixed {
        /// The code of the reply.
        from: u16,
        /// The code wanted.
        to: u16,
    },
    /// The text holds an octet that no reply may have (RFC 5321 section 4.2: HT, SP, printable ASCII).
    #[error("reply text has the octet 0x{0:02x}")]
    Text(u8),
    /// The text is longer than [`Reply::TEXT_OCTETS_MAX`].
    #[error("reply text has {0} octets, at most {max} are allowed", max = Reply::TEXT_OCTETS_MAX)]
    TooLong(usize),
    /// The text has more than [`Reply::LINES_MAX`] lines.
    #[error("reply text has {0} lines, at most {max} are allowed", max = Reply::LINES_MAX)]
    TooManyLines(usize),
}

/// One reply to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<Enhanced>,
    /// Lines separated by LF; never a CR, never empty lines at the end.
    text: Cow<'static, str>,
    /// The text begins with our name, and the lines behind the first are keywords: neither is words.
    introduces: bool,
}

impl Enhanced {
    /// An enhanced code from its three numbers.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self { class, subject, detail }
    }

    /// Parses `class.subject.detail`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut number = |digits_max: usize| {
            let part = parts.next()?;
            let plain = !part.is_empty() && part.len() <= digits_max;
            (plain && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<u16>().ok())?
        };
        let (class, subject, detail) = (number(1)?, number(3)?, number(3)?);
        let fits = parts.next().is_none() && matches!(class, 2 | 4 | 5);
        fits.then(|| Self::new(class as u8, subject, detail))
    }
}

impl std::fmt::Display for Enhanced {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl Reply {
    /// The longest text of a reply, all lines together, in octets.
    pub const TEXT_OCTETS_MAX: usize = 4096;
    /// The most lines of a text: each costs its client a line to read, and clients have limits of their own.
    pub const LINES_MAX: usize = 64;
    /// The longest text of one line: with code, enhanced code and CRLF it stays under 512 octets
    /// (RFC 5321 section 4.5.3.1.5).
    const LINE_OCTETS_MAX: usize = 490;

    /// A reply of our own, known to be right. Lines are separated by LF.
    pub fn new(
        code: u16,
        enhanced: Option<(u8, u16, u16)>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        let enhanced = enhanced.map(|(class, subject, detail)| Enhanced { class, subject, detail });
        let reply = Self { code, enhanced, text: text.into(), introduces: false };
        debug_assert!(Self::checked(code, enhanced, &reply.text).is_ok(), "{reply:?}");
        reply
    }

    /// A greeting, or the reply to HELO or EHLO: our name, words, and a line for each keyword. `keywords`: separated by LF.
    /// Rewording keeps the name and the keywords, which programs read (RFC 5321 sections 4.1.1.1 and 4.2).
    pub(crate) fn introduction(code: u16, name: &str, words: &str, keywords: &str) -> Self {
        let text = introduced(name, words, keywords);
        Self { introduces: true, ..Self::new(code, None, text) }
    }

    /// A reply made of somebody else's parts, each checked.
    ///
    /// # Errors
    /// A code outside 2yz to 5yz, an enhanced code of another class, text that can't be sent.
    pub fn checked(code: u16, enhanced: Option<Enhanced>, text: &str) -> Result<Self, ReplyError> {
        if !(200..600).contains(&code) {
            return Err(ReplyError::Code(code));
        }
        if let Some(given) = enhanced
            && u16::from(given.class) != code / 100
        {
            return Err(ReplyError::Enhanced { code, enhanced: given.to_string() });
        }
        let mut reply = Self { code, enhanced, text: Cow::Borrowed(""), introduces: false };
        reply.reword(text)?;
        Ok(reply)
    }

    /// The whole reply on one line, for logs and notifications.
    pub fn in_line(&self) -> String {
        let mark = self.enhanced.map_or_else(String::new, |mark| format!(" {mark}"));
        format!("{}{mark} {}", self.code, self.text.replace('\n', " "))
    }

    /// The reply's three digits.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced code, if it has one.
    pub fn enhanced(&self) -> Option<Enhanced> {
        self.enhanced
    }

    /// The words, lines separated by LF.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The reply's class.
    pub fn class(&self) -> Class {
        match self.code / 100 {
            2 => Class::Positive,
            3 => Class::Intermediate,
            4 => Class::Transient,
            _ => Class::Permanent,
        }
    }

    /// The reply without its enhanced code.
    #[must_use]
    pub(crate) fn unmarked(self) -> Self {
        Self { enhanced: None, ..self }
    }

    /// Replaces the words; the code stays. Of a greeting and of the reply to HELO or EHLO our name and the keywords stay
    /// too, and the first line of `text` stands between them, as much of it as one line has room for.
    ///
    /// Who is shown the reply and who sends it both reword with this, so they have the same.
    ///
    /// # Errors
    /// Text with octets that no reply may have, or too much of it; the reply is unchanged then.
    pub fn reword(&mut self, text: &str) -> Result<(), ReplyError> {
        if text.len() > Self::TEXT_OCTETS_MAX {
            return Err(ReplyError::TooLong(text.len()));
        }
        let wrong = |octet: &u8| !matches!(octet, b'\t' | b'\n' | b' '..=b'~');
        if let Some(octet) = text.bytes().find(wrong) {
            return Err(ReplyError::Text(octet));
        }
        let text = text.trim_end_matches('\n');
        let lines = text.split('\n').count();
        if lines > Self::LINES_MAX {
            return Err(ReplyError::TooManyLines(lines));
        }
        self.text = Cow::Owned(if self.introduces {
            let (first, keywords) = self.text.split_once('\n').unwrap_or((&self.text, ""));
            introduced(first.split(' ').next().unwrap_or_default(), text, keywords)
        } else {
            text.to_owned()
        });
        Ok(())
    }

    /// Whether programs know by the code what becomes of the connection.
    pub(crate) fn tells_what_follows(&self) -> bool {
        tells_what_follows(self.code)
    }

    /// Replaces the code within its class, and the enhanced code if one is given; a reply without an enhanced code gets none,
    /// since there are replies that must not have one (RFC 2034 section 4).
    ///
    /// Who is shown the reply and who sends it both do this, so they have the same.
    ///
    /// # Errors
    /// A code by which programs know what becomes of the connection, or that would take the place of one; the reply is
    /// unchanged then.
    pub fn refine(&mut self, detail: Detail) -> Result<(), ReplyError> {
        let digit = self.class().digit();
        let code = digit * 100 + u16::from(detail.number);
        let fixed = self.introduces || tells_what_follows(self.code) || tells_what_follows(code);
        if fixed && code != self.code {
            return Err(ReplyError::Fixed { from: self.code, to: code });
        }
        self.code = code;
        if let (Some(known), Some((subject, detail))) = (&mut self.enhanced, detail.enhanced) {
            *known = Enhanced { subject, detail, ..*known };
        }
        Ok(())
    }

    /// Writes the reply as it goes over the wire. `enhanced` says whether the client was offered
    /// ENHANCEDSTATUSCODES; over-long lines are continued on a further line.
    pub fn write(&self, enhanced: bool, out: &mut Vec<u8>) {
        let mark = match self.enhanced {
            Some(mark) if enhanced => format!("{mark} "),
            _ => String::new(),
        };
        let digit = |power: u16| b'0' + (self.code / power % 10) as u8;
        let code = [digit(100), digit(10), digit(1)];
        // Most lines are short, and a reply has few: one growth for all of them.
        out.reserve(self.text.len() + 128);
        let mut lines = self.text.split('\n').flat_map(wrapped).peekable();
        while let Some(line) = lines.next() {
            let joint = if lines.peek().is_some() { b'-' } else { b' ' };
            out.extend_from_slice(&code);
            out.push(joint);
            out.extend_from_slice(mark.as_bytes());
            out.extend_from_slice(line.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// Whether programs know by a code what becomes of the connection: it is ready for another layer, is logged in, closes, or
/// waits for what is no command (RFC 5321 section 4.2.3, RFC 4954 section 6).
fn tells_what_follows(code: u16) -> bool {
    matches!(code, 220 | 221 | 235 | 300..=399 | 421)
}

/// Our name and words in one line, each keyword in one of its own.
fn introduced(name: &str, words: &str, keywords: &str) -> String {
    let words = words.split('\n').next().unwrap_or_default();
    let room = Reply::LINE_OCTETS_MAX.saturating_sub(name.len() + 1);
    // A line that is wrapped would go on as a keyword.
    let words = words.get(..room).unwrap_or(words);
    let mut text = String::with_capacity(name.len() + words.len() + keywords.len() + 2);
    text.push_str(name);
    for (joint, part) in [(' ', words), ('\n', keywords)] {
        if !part.is_empty() {
            text.push(joint);
            text.push_str(part);
        }
    }
    text
}

/// One line of text as the lines that fit.
fn wrapped(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest.take()?;
        if line.len() <= Reply::LINE_OCTETS_MAX {
            return Some(line);
        }
        // The text is ASCII: every index is a boundary.
        let (head, tail) = line.split_at(Reply::LINE_OCTETS_MAX);
        rest = Some(tail);
        Some(head)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_refined_within_its_class() {
        let mark = Enhanced::parse;
        let cases = [
            (550, Some("5.1.1"), 551, Some("5.1.6"), "551 5.1.6 x"),
            (550, Some("5.1.1"), 551, None, "551 5.1.1 x"),
            (550, None, 551, Some("5.1.6"), "551 x"),
            (250, Some("2.1.5"), 251, Some("2.1.5"), "251 2.1.5 x"),
            (450, Some("4.2.0"), 452, Some("4.2.2"), "452 4.2.2 x"),
            // By these programs know what comes next.
            (220, None, 220, None, "220 x"),
            (220, None, 250, None, ""),
            (250, None, 221, None, ""),
            (235, Some("2.7.0"), 235, Some("2.7.8"), "235 2.7.8 x"),
            (235, Some("2.7.0"), 250, None, ""),
            (250, None, 235, None, ""),
            (421, Some("4.3.2"), 450, None, ""),
            (450, Some("4.3.2"), 421, None, ""),
            (354, None, 350, None, ""),
        ];
        for (code, marked, to, given, wanted) in cases {
            let mut reply = Reply::checked(code, marked.and_then(mark), "x").unwrap();
            let before = reply.clone();
            let detail = Detail::of(reply.class(), to, given.and_then(mark)).unwrap();
            let refined = reply.refine(detail);
            if wanted.is_empty() {
                assert_eq!(refined, Err(ReplyError::Fixed { from: code, to }));
                assert_eq!(reply, before);
            } else {
                let mut out = Vec::new();
                reply.write(true, &mut out);
                assert_eq!(String::from_utf8(out).unwrap(), format!("{wanted}\r\n"), "{code}");
            }
        }
        let mut ehlo = Reply::introduction(250, "a.test", "", "HELP");
        let detail = Detail::of(Class::Positive, 251, None).unwrap();
        assert_eq!(ehlo.refine(detail), Err(ReplyError::Fixed { from: 250, to: 251 }));
        for (class, code, given) in [
            (Class::Positive, 550, None),
            (Class::Permanent, 250, None),
            (Class::Transient, 550, None),
            (Class::Permanent, 6550, None),
            (Class::Permanent, 0, None),
            (Class::Permanent, 550, mark("4.1.1")),
        ] {
            assert!(Detail::of(class, code, given).is_err(), "{class:?} {code}");
        }
    }

    #[test]
    fn replies_are_written_line_by_line() {
        let long = "x".repeat(1000);
        let cases: [(Reply, bool, String); 4] = [
            (Reply::new(250, Some((2, 1, 0)), "Ok"), true, "250 2.1.0 Ok\r\n".into()),
            (Reply::new(250, Some((2, 1, 0)), "Ok"), false, "250 Ok\r\n".into()),
            (Reply::new(250, None, "a\nb"), true, "250-a\r\n250 b\r\n".into()),
            (
                Reply::checked(550, Enhanced::parse("5.7.1"), &long).unwrap(),
                false,
                format!("550-{}\r\n550-{}\r\n550 {}\r\n", &long[..490], &long[..490], &long[..20]),
            ),
        ];
        for (reply, enhanced, wanted) in cases {
            let mut out = Vec::new();
            reply.write(enhanced, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
        }
    }

    #[test]
    fn foreign_parts_are_checked() {
        assert_eq!(Reply::checked(199, None, "x"), Err(ReplyError::Code(199)));
        assert_eq!(Reply::checked(600, None, "x"), Err(ReplyError::Code(600)));
        assert_eq!(Reply::checked(550, None, "a\rb"), Err(ReplyError::Text(b'\r')));
        assert_eq!(Reply::checked(550, None, "a\0b"), Err(ReplyError::Text(0)));
        assert_eq!(Reply::checked(550, None, &"x".repeat(5000)), Err(ReplyError::TooLong(5000)));
        let odd = Reply::checked(450, Enhanced::parse("5.7.1"), "x");
        assert!(matches!(odd, Err(ReplyError::Enhanced { code: 450, .. })), "{odd:?}");
        for text in ["5.7", "5.7.1.1", "3.0.0", "5.7.x", "5..1", "5.7.1000"] {
            assert_eq!(Enhanced::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_lines_of_a_reply_are_bounded() {
        let cases = [
            ("x", Ok(1)),
            ("x\n".repeat(64).leak(), Ok(64)),
            ("x\n".repeat(65).leak(), Err(ReplyError::TooManyLines(65))),
            ("\n".repeat(4096).leak(), Ok(1)),
            (("\n".repeat(64) + "x").leak(), Err(ReplyError::TooManyLines(65))),
            (("\n".repeat(63) + "x").leak(), Ok(64)),
        ];
        for (text, wanted) in cases {
            let lines = |reply: Reply| reply.text().split('\n').count();
            assert_eq!(Reply::checked(550, None, text).map(lines), wanted, "{text:?}");
            let mut reply = Reply::new(550, None, "no");
            let reworded = reply.reword(text);
            assert_eq!(reworded.map(|()| lines(reply.clone())), wanted, "{text:?}");
            assert!(wanted.is_ok() || reply.text() == "no");
        }
    }

    #[test]
    fn rewording_keeps_the_code() {
        let mut reply = Reply::new(550, Some((5, 7, 1)), "no");
        reply.reword("not today\n").unwrap();
        assert_eq!((reply.code(), reply.text()), (550, "not today"));
        assert!(reply.reword("a\rb").is_err());
        assert_eq!(reply.text(), "not today");
    }

    #[test]
    fn rewording_keeps_our_name_and_the_keywords() {
        let long = "x".repeat(4096);
        let cut = format!("a.test {}", &long[..483]);
        let cases = [
            ("Hello", "a.test Hello"),
            ("Hello there", "a.test Hello there"),
            ("Hello\nSIZE 1", "a.test Hello"),
            ("", "a.test"),
            ("\nSIZE 1", "a.test"),
            (&long, &cut),
        ];
        for (words, first) in cases {
            for keywords in ["", "SIZE 9\nHELP"] {
                let joint = if keywords.is_empty() { "" } else { "\n" };
                let wanted = format!("{first}{joint}{keywords}");
                let composed = Reply::introduction(250, "a.test", words, keywords);
                assert_eq!((composed.text(), composed.enhanced()), (&*wanted, None));
                let mut reworded = Reply::introduction(250, "a.test", "ESMTP Stagepost", keywords);
                for _ in 0..2 {
                    reworded.reword(words).unwrap();
                    assert_eq!(reworded, composed, "twice is once");
                }
                assert!(reworded.reword("a\rb").is_err() && reworded == composed);
            }
        }
        let mut handled = Reply::checked(250, None, "Fine\nby me").unwrap();
        handled.reword("Good").unwrap();
        assert_eq!(handled.text(), "Good", "a reply of others has no name of ours");
    }
}
