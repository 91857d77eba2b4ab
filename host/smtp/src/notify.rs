//! What a sender asks for at MAIL and RCPT beside delivery: the parameters of RFC 3461, and what belongs to MAIL alone.
//! Knows their words; who is told, and how, is for others.

use std::fmt;

use crate::address::is_atext;
use crate::{DeliverBy, Priority, Recipient, Release, from_xtext, parameter};

/// The longest ENVID, in characters of what it stands for (RFC 3461 section 4.4).
const ENVID_MAX: usize = 100;
/// The longest ORCPT, in octets as received (RFC 3461 section 4.2).
const ORCPT_OCTETS_MAX: usize = 500;

/// What the sender of a message asked for at MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderWish {
    /// How much of the message to send back when it failed (RFC 3461 section 4.3).
    pub ret: Option<Return>,
    /// The sender's own name for the message, as xtext (section 4.4).
    pub envid: Option<Box<str>>,
    /// Never over a connection without TLS, nor by a server that does not know REQUIRETLS (RFC 8689 section 2).
    pub require_tls: bool,
    /// How urgent it is (RFC 6710).
    pub priority: Option<Priority>,
    /// How long it may take (RFC 2852).
    pub deliver_by: Option<DeliverBy>,
    /// Not to be delivered before (RFC 4865).
    pub release: Option<Release>,
}

/// How much of a message to send back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Return {
    /// All of it.
    Full,
    /// Its header block.
    Headers,
}

/// What was asked for at RCPT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecipientWish {
    /// When to tell the sender; none: nothing was said (RFC 3461 section 4.1).
    pub notify: Option<Notify>,
    /// Whom the sender meant: an address type, a semicolon, and an address as xtext (section 4.2).
    pub orcpt: Option<Box<str>>,
}

/// When to tell a sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// When the message was delivered.
    pub success: bool,
    /// When it never will be.
    pub failure: bool,
    /// When that takes unusually long.
    pub delay: bool,
}

impl SenderWish {
    /// Reads the parameters of a MAIL command; what is of no sound form was not asked for.
    pub fn of(parameters: &str) -> Self {
        let value = |keyword| parameter(parameters, keyword);
        Self {
            ret: value("RET").and_then(Return::parse),
            envid: value("ENVID").filter(|text| is_envid(text)).map(Into::into),
            require_tls: value("REQUIRETLS") == Some(""),
            priority: value("MT-PRIORITY").and_then(Priority::parse),
            deliver_by: value("BY").and_then(DeliverBy::parse),
            release: value("HOLDFOR")
                .and_then(Release::parse_after)
                .or_else(|| value("HOLDUNTIL").and_then(Release::parse_at)),
        }
    }
}

impl RecipientWish {
    /// Reads what was asked for a recipient.
    pub fn of(recipient: &Recipient) -> Self {
        Self::of_parameters(&recipient.parameters)
    }

    /// Reads the parameters of a RCPT command; what is of no sound form was not asked for.
    pub fn of_parameters(parameters: &str) -> Self {
        let orcpt = parameter(parameters, "ORCPT").filter(|text| is_orcpt(text));
        let notify = parameter(parameters, "NOTIFY").and_then(Notify::parse);
        Self { notify, orcpt: orcpt.map(Into::into) }
    }

    /// When to tell the sender.
    pub fn wanted(&self) -> Notify {
        self.notify.unwrap_or(Notify::UNSAID)
    }

    /// The same in ASCII: whom the sender meant with characters beyond it as their numbers (RFC 6533 section 3).
    #[must_use]
    pub fn in_ascii(self) -> Self {
        let written = |character: char| match character {
            character if character.is_ascii() => character.to_string(),
            character => format!("\\x{{{:X}}}", u32::from(character)),
        };
        let orcpt = self.orcpt.map(|text| match text.is_ascii() {
            true => text,
            false => text.chars().map(written).collect::<String>().into(),
        });
        Self { orcpt, ..self }
    }

    /// Whom the sender meant: address type and address.
    pub fn original(&self) -> Option<(&str, String)> {
        self.orcpt.as_deref().and_then(original)
    }
}

impl Return {
    /// Parses the value of RET.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            _ if text.eq_ignore_ascii_case("FULL") => Some(Self::Full),
            _ if text.eq_ignore_ascii_case("HDRS") => Some(Self::Headers),
            _ => None,
        }
    }
}

impl Notify {
    /// What holds where nothing was said: failures and delays are told of (RFC 3461 section 4.1).
    pub const UNSAID: Self = Self { success: false, failure: true, delay: true };

    /// Whether nothing is to be told at all.
    pub fn is_never(self) -> bool {
        self == Self::default()
    }

    /// Parses the value of NOTIFY: `NEVER`, or any of the others with commas between.
    pub fn parse(text: &str) -> Option<Self> {
        let mut notify = Self::default();
        if text.eq_ignore_ascii_case("NEVER") {
            return Some(notify);
        }
        for word in text.split(',') {
            match word.to_ascii_uppercase().as_str() {
                "SUCCESS" => notify.success = true,
                "FAILURE" => notify.failure = true,
                "DELAY" => notify.delay = true,
                _ => return None,
            }
        }
        Some(notify)
    }
}

impl fmt::Display for Notify {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [(self.success, "SUCCESS"), (self.failure, "FAILURE"), (self.delay, "DELAY")];
        let words: Vec<&str> = words.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
        out.write_str(if words.is_empty() { "NEVER".to_owned() } else { words.join(",") }.as_str())
    }
}

impl fmt::Display for Return {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Full => "FULL",
            Self::Headers => "HDRS",
        })
    }
}

/// Whether a value is what ENVID may say: xtext that stands for printable ASCII (RFC 3461 section 4.4).
pub(crate) fn is_envid(value: &str) -> bool {
    from_xtext(value).is_some_and(|text| text.is_ascii() && text.len() <= ENVID_MAX)
}

/// Whether a value is what ORCPT may say.
pub(crate) fn is_orcpt(value: &str) -> bool {
    value.len() <= ORCPT_OCTETS_MAX && original(value).is_some()
}

/// RFC 3461 section 4.2: the type is an atom.
fn original(text: &str) -> Option<(&str, String)> {
    let (kind, address) = text.split_once(';')?;
    let kind_is_sound = !kind.is_empty() && kind.bytes().all(is_atext);
    let address = match kind.eq_ignore_ascii_case("utf-8") {
        true => from_unitext(address),
        false => from_xtext(address),
    };
    address.filter(|_| kind_is_sound).map(|address| (kind, address))
}

/// What an address of the type `utf-8` stands for (RFC 6533 section 3): itself, but for characters written as their number.
fn from_unitext(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        plain.push(match first {
            '\\' => {
                let (digits, behind) = rest.strip_prefix("x{")?.split_once('}')?;
                let upper = |b: u8| b.is_ascii_digit() || (b'A'..=b'F').contains(&b);
                let sound = matches!(digits.len(), 2..=6) && digits.bytes().all(upper);
                rest = behind;
                char::from_u32(u32::from_str_radix(digits, 16).ok().filter(|_| sound)?)?
            }
            '+' | '=' | ' ' => return None,
            other => other,
        });
    }
    (!plain.is_empty() && !plain.contains(char::is_control)).then_some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Address;

    fn wish(parameters: &str) -> RecipientWish {
        let address = Address::parse("u@x.test").unwrap();
        RecipientWish::of(&Recipient { address, parameters: parameters.into() })
    }

    #[test]
    fn what_is_asked_for_at_mail_is_read() {
        let wish = |text: &str| {
            let SenderWish { ret, envid, .. } = SenderWish::of(text);
            (ret.map(|ret| ret.to_string()), envid.map(String::from))
        };
        let some = |text: &str| Some(text.to_owned());
        let cases = [
            ("", None, None),
            ("SIZE=1 ret=full ENVID=QQ314159", some("FULL"), some("QQ314159")),
            ("RET=HDRS ENVID=a+2Bb+3D", some("HDRS"), some("a+2Bb+3D")),
            ("RET=SOME ENVID=a=b", None, None),
            ("ENVID=a+0D+0Ab", None, None),
            ("ENVID=+2", None, None),
            ("ENVID=+2b", None, None),
            ("ENVID=", None, None),
            ("ENVID=+C3+A9", None, None),
        ];
        for (text, ret, envid) in cases {
            assert_eq!(wish(text), (ret, envid), "{text}");
        }
        let long = |octets| format!("ENVID={}", "+20".repeat(octets));
        assert!(wish(&long(100)).1.is_some() && wish(&long(101)).1.is_none());
        let all = SenderWish::of("REQUIRETLS mt-priority=-3 BY=60;N HOLDFOR=9");
        assert!(all.require_tls && all.release == Release::parse_after("9"));
        assert_eq!(all.priority, Priority::parse("-3"));
        assert_eq!(all.deliver_by, DeliverBy::parse("60;n"));
        let none = SenderWish::of("REQUIRETLS=1 MT-PRIORITY=10 BY=0;R HOLDUNTIL=9");
        assert_eq!(none, SenderWish::default());
    }

    #[test]
    fn what_is_asked_for_at_rcpt_is_read() {
        let cases = [
            ("NOTIFY=NEVER", Some("NEVER")),
            ("notify=success,Delay", Some("SUCCESS,DELAY")),
            ("NOTIFY=SUCCESS,FAILURE,DELAY", Some("SUCCESS,FAILURE,DELAY")),
            ("NOTIFY=NEVER,SUCCESS", None),
            ("NOTIFY=", None),
            ("", None),
        ];
        for (text, wanted) in cases {
            let notify = wish(text).notify.map(|notify| notify.to_string());
            assert_eq!(notify.as_deref(), wanted, "{text}");
        }
        assert_eq!(wish("").wanted(), Notify { success: false, failure: true, delay: true });
        assert_eq!(wish("NOTIFY=NEVER").wanted(), Notify::default());
        let of =
            |text: &str| wish(text).original().map(|(kind, address)| format!("{kind} {address}"));
        assert_eq!(of("ORCPT=rfc822;Bob+2Btag@x.test").as_deref(), Some("rfc822 Bob+tag@x.test"));
        let utf8 = "ORCPT=UTF-8;j\\x{F6}rg\\x{2B}\u{e9}@x.test";
        assert_eq!(of(utf8).as_deref(), Some("UTF-8 j\u{f6}rg+\u{e9}@x.test"));
        for wrong in ["a+2Bb", "\\x{f6}", "\\x{0A}", "\\x{D800}", "\\x{F6", "\\u{F6}", "a\u{85}"] {
            assert_eq!(of(&format!("ORCPT=utf-8;{wrong}")), None, "{wrong}");
        }
        for wrong in ["ORCPT=bob@x.test", "ORCPT=;bob@x.test", "ORCPT=rfc822;", "ORCPT=a:b;x"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        let long = |octets| format!("ORCPT=rfc822;{}", "x".repeat(octets - "rfc822;".len()));
        assert!(of(&long(500)).is_some() && of(&long(501)).is_none());
    }
}
