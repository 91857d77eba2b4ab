//! The parameters of MAIL and RCPT: which are known, and what they say (RFC 5321 section 4.1.1.11).
//! Knows their meaning, no session.

use super::command::syntax;
use super::extensions::Extension;
use super::grammar::Grammar;
use super::path::{self, Parameter};
use crate::notify::{is_envid, is_orcpt};
use crate::{Address, BodyKind, DeliverBy, Notify, Priority, Release, Reply, Return, xtext};

/// What the parameters of MAIL say: SIZE and BODY. Others are held to their form.
///
/// # Errors
/// The reply to parameters that are malformed or not known.
pub(crate) fn mail_parameters(
    text: &str,
    grammar: Grammar<'_>,
) -> Result<(Option<u64>, BodyKind), Reply> {
    let (mut size, mut body) = (None, BodyKind::SevenBit);
    let parameters = path::parameters(text).ok_or_else(|| syntax("Malformed parameter"))?;
    for &parameter in &parameters {
        // Only whom the sender meant may be of any script (RFC 6533 section 3), and that is said at RCPT.
        if !parameter.value.unwrap_or_default().is_ascii() {
            return Err(syntax("Parameters of MAIL are ASCII"));
        }
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
            (keyword, value) => check_wish(keyword, value, grammar)
                .unwrap_or_else(|| Err(unknown_parameter(parameter.keyword)))?,
        }
    }
    // RFC 4865 section 4: one of them.
    let named =
        |keyword| parameters.iter().any(|known| known.keyword.eq_ignore_ascii_case(keyword));
    if named("HOLDFOR") && named("HOLDUNTIL") {
        return Err(syntax("Either HOLDFOR or HOLDUNTIL"));
    }
    Ok((size, body))
}

/// Checks a parameter of MAIL that is kept for who delivers the message; none: there is no such parameter here.
fn check_wish(
    keyword: &str,
    value: Option<&str>,
    grammar: Grammar<'_>,
) -> Option<Result<(), Reply>> {
    let given = value.unwrap_or_default();
    let (extension, sound, form) = match keyword {
        "RET" => (Extension::Dsn, Return::parse(given).is_some(), "Syntax: RET=FULL or RET=HDRS"),
        "ENVID" => (Extension::Dsn, is_envid(given), "Syntax: ENVID=xtext"),
        "PRDR" => (Extension::Prdr, value.is_none(), "PRDR takes no value"),
        // RFC 6531 section 3.4.
        "SMTPUTF8" => (Extension::SmtpUtf8, value.is_none(), "SMTPUTF8 takes no value"),
        "REQUIRETLS" => (Extension::RequireTls, value.is_none(), "REQUIRETLS takes no value"),
        "MT-PRIORITY" => {
            let sound = Priority::parse(given).is_some();
            (Extension::MtPriority, sound, "Syntax: MT-PRIORITY=level, from -9 to 9")
        }
        "BY" => {
            let sound = DeliverBy::parse(given).is_some();
            (Extension::DeliverBy, sound, "Syntax: BY=seconds;R or BY=seconds;N")
        }
        "HOLDFOR" => {
            let sound = Release::parse_after(given).is_some();
            (Extension::FutureRelease, sound, "Syntax: HOLDFOR=seconds")
        }
        "HOLDUNTIL" => {
            let sound = Release::parse_at(given).is_some();
            (Extension::FutureRelease, sound, "Syntax: HOLDUNTIL=date and time as in RFC 3339")
        }
        _ => return None,
    };
    grammar.has(extension).then(|| if sound { Ok(()) } else { Err(syntax(form)) })
}

/// Checks the parameters of RCPT: what its sender wants to be told (RFC 3461).
///
/// # Errors
/// The reply to them.
pub(crate) fn rcpt_parameters(text: &str, grammar: Grammar<'_>) -> Result<(), Reply> {
    let parameters = path::parameters(text).ok_or_else(|| syntax("Malformed parameter"))?;
    for Parameter { keyword, value } in parameters {
        let given = value.unwrap_or_default();
        let (sound, form) = match keyword.to_ascii_uppercase().as_str() {
            known if known != "ORCPT" && !given.is_ascii() => (false, "This parameter is ASCII"),
            known if grammar.claims.has_rcpt_parameter(known) => continue,
            "NOTIFY" if grammar.has(Extension::Dsn) => {
                let form = "Syntax: NOTIFY=NEVER, or SUCCESS, FAILURE and DELAY with commas";
                (Notify::parse(given).is_some(), form)
            }
            "ORCPT" if grammar.has(Extension::Dsn) => {
                (is_orcpt(given), "Syntax: ORCPT=type;xtext, at most 500 characters")
            }
            _ => return Err(unknown_parameter(keyword)),
        };
        sound.then_some(()).ok_or_else(|| syntax(form))?;
    }
    Ok(())
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
