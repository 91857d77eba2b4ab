//! What a sender wants to be told of a message: the parameters of RFC 3461.
//! Knows their words; who is told, and how, is for others.

use std::fmt;

use crate::{Recipient, parameter};

/// What the sender of a message asked for at MAIL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SenderWish {
    /// How much of the message to send back when it failed (RFC 3461 section 4.3).
    pub ret: Option<Return>,
    /// The sender's own name for the message, as xtext (section 4.4).
    pub envid: Option<Box<str>>,
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
    /// Reads the parameters of a MAIL command; what is no word of RFC 3461 was not asked for.
    pub fn of(parameters: &str) -> Self {
        let ret = match parameter(parameters, "RET") {
            Some(word) if word.eq_ignore_ascii_case("FULL") => Some(Return::Full),
            Some(word) if word.eq_ignore_ascii_case("HDRS") => Some(Return::Headers),
            _ => None,
        };
        let envid = parameter(parameters, "ENVID").filter(|text| from_xtext(text).is_some());
        Self { ret, envid: envid.map(Into::into) }
    }
}

impl RecipientWish {
    /// Reads what was asked for a recipient.
    pub fn of(recipient: &Recipient) -> Self {
        let parameters = &recipient.parameters;
        let orcpt = parameter(parameters, "ORCPT").filter(|text| original(text).is_some());
        let notify = parameter(parameters, "NOTIFY").and_then(Notify::parse);
        Self { notify, orcpt: orcpt.map(Into::into) }
    }

    /// When to tell the sender: where nothing was said, of failures and delays (RFC 3461 section 4.1).
    pub fn wanted(&self) -> Notify {
        self.notify.unwrap_or(Notify { success: false, failure: true, delay: true })
    }

    /// Whom the sender meant: address type and address.
    pub fn original(&self) -> Option<(&str, String)> {
        self.orcpt.as_deref().and_then(original)
    }
}

impl Notify {
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

fn original(text: &str) -> Option<(&str, String)> {
    let (kind, address) = text.split_once(';')?;
    let sound = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    let kind_is_sound = !kind.is_empty() && kind.bytes().all(sound);
    from_xtext(address).filter(|_| kind_is_sound).map(|address| (kind, address))
}

/// What xtext stands for (RFC 3461 section 4); none: it is no xtext, or stands for something that no field may have.
pub fn from_xtext(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        octets.push(match octet {
            b'+' => {
                let digits = [rest.next()?, rest.next()?];
                let upper = |digit: &u8| digit.is_ascii_digit() || (b'A'..=b'F').contains(digit);
                let digits =
                    std::str::from_utf8(&digits).ok().filter(|d| d.bytes().all(|d| upper(&d)));
                u8::from_str_radix(digits?, 16).ok()?
            }
            b'!'..=b'~' if octet != b'=' => octet,
            _ => return None,
        });
    }
    let plain = String::from_utf8(octets).ok()?;
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
            let SenderWish { ret, envid } = SenderWish::of(text);
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
        ];
        for (text, ret, envid) in cases {
            assert_eq!(wish(text), (ret, envid), "{text}");
        }
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
        for wrong in ["ORCPT=bob@x.test", "ORCPT=;bob@x.test", "ORCPT=rfc822;", "ORCPT=a:b;x"] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
    }
}
