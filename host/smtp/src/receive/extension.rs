//! The service extensions: what the reply to EHLO announces (RFC 5321 section 4.1.1.1).
//! Knows what is offered, not how it is done.

use std::time::SystemTime;

use super::extensions::Extension;
use super::path::Parameter;
use super::settings::{Settings, StartTls};
use crate::claims::{keyword_name, push_keyword};
use crate::release::date_time;
use crate::{Claim, ClaimError, Claims, Edit, Event, Interest, Release, Reply, Stage};

/// The most lines of keywords in one reply, and the most octets: there must be room for our name and words beside them.
const LINES_MAX: usize = Reply::LINES_MAX - 1;
/// What most of them have room in.
const LINES_OCTETS: usize = 256;
const OCTETS_MAX: usize = Reply::TEXT_OCTETS_MAX - 1024;

impl Edit {
    /// Announces an EHLO keyword, or puts these parameters behind one that a plug-in announces already.
    ///
    /// # Errors
    /// Another form than RFC 5321 section 4.1.1.1 gives it, or a keyword of the core's.
    pub fn add_keyword(keyword: &str, parameters: &str) -> Result<Self, ClaimError> {
        match Claim::keyword(keyword, parameters)? {
            Claim::Keyword { keyword, parameters } => Ok(Self::AddKeyword { keyword, parameters }),
            _ => Err(ClaimError::Form),
        }
    }

    /// Leaves an EHLO keyword out, and with it what it announces.
    ///
    /// # Errors
    /// What is no keyword.
    pub fn remove_keyword(keyword: &str) -> Result<Self, ClaimError> {
        keyword_name(keyword).map(Self::RemoveKeyword)
    }
}

/// What an extension is offered by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) interest: Interest,
    /// TLS is on.
    pub(crate) secured: bool,
    /// Now, where it is known.
    pub(crate) date: Option<SystemTime>,
}

impl Offer<'_> {
    /// Whether an extension is offered.
    pub(crate) fn has(&self, extension: Extension) -> bool {
        let here = match extension {
            // Nobody else tells one recipient from another.
            Extension::Prdr => self.interest.contains(Event::MessageAccept, Stage::Before),
            // RFC 8689 section 2.
            Extension::RequireTls => self.secured,
            // RFC 4865 section 4: of submission, and its keyword tells a date.
            Extension::FutureRelease => self.settings.auth.required && self.date.is_some(),
            // RFC 6710 section 5: who may jump the queue has to be known. And whoever may ask for mail to be returned when it is
            // late could have it returned to others.
            Extension::MtPriority | Extension::DeliverBy => self.settings.auth.required,
            _ => true,
        };
        here && self.settings.extensions.contains(extension)
    }
}

/// What a session announces before plug-ins edit it: lines separated by LF. A keyword stands in it only where it works.
/// `xclient`: XCLIENT is carried out.
pub(crate) fn keywords(offer: Offer<'_>, claims: &Claims, xclient: bool) -> String {
    let Offer { settings, interest, secured, date } = offer;
    if settings.odmr {
        return odmr_keywords(settings, interest, secured);
    }
    // RFC 1870 section 4.
    let mut lines = String::with_capacity(LINES_OCTETS);
    lines.push_str("PIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\nHELP\nSIZE ");
    lines.push_str(&settings.limits.message_octets_max.to_string());
    // RFC 9422 section 4.
    lines.push_str("\nLIMITS RCPTMAX=");
    lines.push_str(&settings.limits.recipients_max.to_string());
    for extension in Extension::ALL {
        if !offer.has(extension) {
            continue;
        }
        lines.push('\n');
        lines.push_str(extension.keyword());
        if let (Extension::FutureRelease, Some(date)) = (extension, date) {
            let (seconds, until) = (Release::MAX.as_secs(), date_time(date + Release::MAX));
            lines.push_str(&format!(" {seconds} {until}"));
        }
    }
    // RFC 3207 section 4.2: not once it is on.
    if settings.starttls != StartTls::None && !secured {
        lines.push_str("\nSTARTTLS");
    }
    // The core holds no mail for anybody: only where a plug-in answers does ETRN work.
    if interest.contains(Event::Etrn, Stage::Before) {
        lines.push_str("\nETRN");
    }
    if xclient {
        lines.push_str("\nXCLIENT ");
        lines.push_str(super::xclient::ATTRIBUTES);
    }
    for (keyword, parameters) in claims.keywords() {
        lines.push('\n');
        push_keyword(&mut lines, keyword, parameters);
    }
    lines
}

/// The same where clients come for their mail alone, and bring none.
fn odmr_keywords(settings: &Settings, interest: Interest, secured: bool) -> String {
    let mut lines = "ENHANCEDSTATUSCODES\nHELP".to_owned();
    if settings.starttls != StartTls::None && !secured {
        lines.push_str("\nSTARTTLS");
    }
    // Only where a plug-in says whose mail it is does ATRN work.
    if interest.contains(Event::Atrn, Stage::Before) {
        lines.push_str("\nATRN");
    }
    lines
}

/// Carries out an edit of the keywords; other edits change nothing here.
pub(crate) fn edit(lines: &mut String, edit: &Edit) {
    let (keyword, line) = match edit {
        Edit::AddKeyword { keyword, parameters } => {
            let mut line = String::new();
            push_keyword(&mut line, keyword, parameters);
            (keyword, Some(line))
        }
        Edit::RemoveKeyword(keyword) => (keyword, None),
        _ => return,
    };
    let kept: Vec<&str> = lines.lines().filter(|line| name(line) != &**keyword).collect();
    *lines = kept.into_iter().chain(line.as_deref()).collect::<Vec<_>>().join("\n");
}

/// Whether one reply has room for them.
pub(crate) fn fit(lines: &str) -> bool {
    lines.len() <= OCTETS_MAX && lines.lines().count() <= LINES_MAX
}

/// The keywords of the first that are not among the second.
pub(crate) fn missing(lines: &str, left: &str) -> Vec<Box<str>> {
    let is_left = |keyword: &str| left.lines().any(|line| name(line) == keyword);
    lines.lines().map(name).filter(|keyword| !is_left(keyword)).map(Into::into).collect()
}

/// The keyword that announces a parameter of MAIL or RCPT, in capitals. Of plug-ins' ones it has the same name.
pub(crate) fn announces(verb: &str, parameter: Parameter<'_>) -> String {
    let Parameter { keyword, value } = parameter;
    let binary = || value.is_some_and(|value| value.eq_ignore_ascii_case("BINARYMIME"));
    match (verb, keyword.to_ascii_uppercase().as_str()) {
        ("MAIL", "BODY") if binary() => "BINARYMIME".to_owned(),
        ("MAIL", "BODY") => "8BITMIME".to_owned(),
        ("MAIL", "RET" | "ENVID") | ("RCPT", "NOTIFY" | "ORCPT") => "DSN".to_owned(),
        ("MAIL", "BY") => "DELIVERBY".to_owned(),
        ("MAIL", "HOLDFOR" | "HOLDUNTIL") => "FUTURERELEASE".to_owned(),
        (_, other) => other.to_owned(),
    }
}

/// The keyword that announces a verb.
pub(crate) fn announces_verb(verb: &'static str) -> &'static str {
    if verb == "BDAT" { Extension::Chunking.keyword() } else { verb }
}

/// The reply to EHLO.
pub(crate) fn reply(settings: &Settings, lines: &str) -> Reply {
    Reply::introduction(250, &settings.hostname, "", lines)
}

fn name(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Auth, Extensions};

    #[test]
    fn a_keyword_is_announced_only_where_it_works() {
        let settings = Settings::default();
        let lines = |settings, interest, claims: &Claims, secured| {
            let offer = Offer { settings, interest, secured, date: None };
            keywords(offer, claims, false)
        };
        let made = |interest, claims: &Claims| {
            reply(&settings, &lines(&settings, interest, claims, false)).text().to_owned()
        };
        let plain = made(Interest::NONE, Claims::none());
        let wanted = "localhost\nPIPELINING\n8BITMIME\nENHANCEDSTATUSCODES\nHELP\nSIZE 52428800\nLIMITS RCPTMAX=100\nCHUNKING\nSMTPUTF8\nDSN";
        assert_eq!(plain, wanted);
        let offered = Settings { starttls: StartTls::Offered, ..settings.clone() };
        let lines = |secured| lines(&offered, Interest::NONE, Claims::none(), secured);
        assert!(lines(false).ends_with("\nSTARTTLS") && !lines(true).contains("STARTTLS"));
        let accept = Interest::NONE.with(Event::MessageAccept, Stage::Before);
        assert_eq!(made(accept, Claims::none()), wanted.replace("SMTPUTF8", "PRDR\nSMTPUTF8"));
        let after = Interest::NONE.with(Event::Etrn, Stage::After);
        assert_eq!(made(after, Claims::none()), wanted);
        let before = Interest::NONE.with(Event::Etrn, Stage::Before);
        assert_eq!(made(before, Claims::none()), format!("{wanted}\nETRN"));
        let claims = [Claim::keyword("X-A", "b c"), Claim::verb("XB"), Claim::keyword("xc", "")];
        let claims = Claims::new(claims.map(Result::unwrap));
        assert_eq!(made(before, &claims), format!("{wanted}\nETRN\nX-A b c\nXC"));
    }

    #[test]
    fn some_extensions_are_for_some_sessions() {
        let extensions = Extension::ALL.into_iter().skip(5);
        let extensions = extensions.fold(Extensions::NONE, Extensions::with);
        let lines = |required, secured, date| {
            let auth = Auth { required, ..Auth::default() };
            let settings = Settings { extensions, auth, ..Settings::default() };
            let offer = Offer { settings: &settings, interest: Interest::NONE, secured, date };
            let lines = keywords(offer, Claims::none(), false);
            lines.split_once("\nLIMITS RCPTMAX=100").map(|(_, rest)| rest.to_owned()).unwrap()
        };
        let date = Some(SystemTime::UNIX_EPOCH);
        assert_eq!(lines(false, false, date), "");
        assert_eq!(lines(false, true, date), "\nREQUIRETLS");
        let trusted = "\nMT-PRIORITY\nDELIVERBY";
        assert_eq!(lines(true, false, None), trusted);
        let dated = format!("{trusted}\nFUTURERELEASE 2592000 1970-01-31T00:00:00Z");
        assert_eq!(lines(true, false, date), dated);
    }

    #[test]
    fn keywords_come_and_go() {
        let add = |keyword, parameters| Edit::add_keyword(keyword, parameters).unwrap();
        let remove = |keyword| Edit::remove_keyword(keyword).unwrap();
        let cases = [
            (add("x-c", "1 2"), "A\nB 1\nX-C 1 2"),
            (add("b", "2"), "A\nB 2"),
            (remove("a"), "B 1"),
            (remove("B"), "A"),
            (remove("C"), "A\nB 1"),
            (Edit::Discard, "A\nB 1"),
        ];
        for (done, wanted) in cases {
            let mut lines = "A\nB 1".to_owned();
            edit(&mut lines, &done);
            assert_eq!(lines, wanted, "{done:?}");
        }
        let mut lines = String::new();
        edit(&mut lines, &add("A", ""));
        assert_eq!(lines, "A");
        edit(&mut lines, &remove("A"));
        assert_eq!(lines, "");
        assert_eq!(missing("A\nB 1\nC", "B 2"), ["A".into(), "C".into()]);
    }

    #[test]
    fn one_reply_has_room_for_so_much() {
        assert!(fit(&"A\n".repeat(63)) && !fit(&"A\n".repeat(64)));
        assert!(fit(&"A".repeat(3072)) && !fit(&"A".repeat(3073)));
    }
}
