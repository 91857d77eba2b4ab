//! The parameters of MAIL and RCPT: which are known, and what they say (RFC 5321 section 4.1.1.11).
//! Knows their meaning, no session.

use super::command::syntax;
use super::extensions::Extension;
use super::grammar::Grammar;
use super::{path, xtext};
use crate::{Address, BodyKind, Reply};

/// What the parameters of MAIL say: SIZE and BODY. Others are held to their form.
///
/// # Errors
/// The reply to parameters that are malformed or not known.
pub(crate) fn mail_parameters(
    text: &str,
    grammar: Grammar<'_>,
) -> Result<(Option<u64>, BodyKind), Reply> {
    let (mut size, mut body) = (None, BodyKind::SevenBit);
    for parameter in path::parameters(text).ok_or_else(|| syntax("Malformed parameter"))? {
        match (parameter.keyword.to_ascii_uppercase().as_str(), parameter.value) {
            ("SIZE", value) => {
                let octets = value.and_then(size_octets);
                size = Some(octets.ok_or_else(|| syntax("Syntax: SIZE=octets"))?);
            }
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("7BIT") => {}
            ("BODY", Some(value)) if value.eq_ignore_ascii_case("8BITMIME") => {
                body = BodyKind::EightBitMime;
            }
            ("BODY", Some(value))
                if value.eq_ignore_ascii_case("BINARYMIME")
                    && grammar.has(Extension::BinaryMime) =>
            {
                body = BodyKind::BinaryMime;
            }
            ("BODY", _) => return Err(syntax("Syntax: BODY=7BIT or BODY=8BITMIME")),
            ("AUTH", value) => {
                let named = value.is_some_and(is_submitter);
                named.then_some(()).ok_or_else(|| syntax("Syntax: AUTH=mailbox or AUTH=<>"))?;
            }
            (keyword, _) if grammar.claims.has_mail_parameter(keyword) => {}
            _ => return Err(unknown_parameter(parameter.keyword)),
        }
    }
    Ok((size, body))
}

/// Checks the parameters of RCPT, of which the core knows none yet.
///
/// # Errors
/// The reply to them.
pub(crate) fn rcpt_parameters(text: &str, grammar: Grammar<'_>) -> Result<(), Reply> {
    let parameters = path::parameters(text).ok_or_else(|| syntax("Malformed parameter"))?;
    let mut unknown =
        parameters.iter().filter(|known| !grammar.claims.has_rcpt_parameter(known.keyword));
    unknown.next().map_or(Ok(()), |parameter| Err(unknown_parameter(parameter.keyword)))
}

/// RFC 5321 section 4.1.1.11.
pub(crate) fn unknown_parameter(keyword: &str) -> Reply {
    let words = format!("Parameter not recognized: {keyword}");
    Reply::new(555, Some((5, 5, 4)), words)
}

/// RFC 4954 section 5: who has submitted the message, as xtext, or nobody that is known.
fn is_submitter(value: &str) -> bool {
    let mailbox = |text: String| Address::parse(&text).is_ok();
    xtext::decode(value).is_some_and(|text| text == "<>" || mailbox(text))
}

/// RFC 1870 section 5: 1 to 20 digits. A number that fits no counter is as large as can be, never a small one.
fn size_octets(value: &str) -> Option<u64> {
    let digits = matches!(value.len(), 1..=20) && value.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(u64::MAX))
}
