//! What the core itself refuses, command by command: pure functions from what is known to a reply or nothing.
//! Changes nothing, and knows no plug-in.

use super::command::{Command, Legal, Mail, Rcpt, Rule, needs_utf8};
use super::extension::Offer;
use super::extensions::Extension;
use super::settings::{Auth, Limits, StartTls};
use super::state::Place;
use super::transaction::Transaction;
use super::{extension, parameter, path};
use crate::{Release, Reply, Route, SenderWish};

/// Whether a client that was refused at the door says anything but QUIT (RFC 5321 section 3.1).
pub(crate) fn check_welcome(command: Option<&Command>, place: &Place) -> Option<Reply> {
    let refused = matches!(place, Place::Unwelcome) && command != Some(&Command::Quit);
    refused.then(|| Reply::new(503, Some((5, 5, 1)), "No service here; QUIT, please"))
}

/// Whether STARTTLS can be had: on this listener, and once only (RFC 3207 section 4.2).
pub(crate) fn check_starttls(offer: StartTls, secured: bool) -> Option<Reply> {
    let (code, words) = match offer {
        _ if secured => (503, "TLS is on already"),
        StartTls::None => (502, "Command not implemented"),
        StartTls::Offered | StartTls::Required => return None,
    };
    Some(Reply::new(code, Some((5, 5, 1)), words))
}

/// Whether a command may be given in clear text (RFC 3207 section 4).
pub(crate) fn check_secured(command: &Command, offer: StartTls, secured: bool) -> Option<Reply> {
    let allowed = match command {
        Command::Hello { extended, .. } => *extended,
        Command::Noop | Command::StartTls | Command::Quit => true,
        _ => false,
    };
    let refused = offer == StartTls::Required && !secured && !allowed;
    refused.then(|| Reply::new(530, Some((5, 7, 0)), "Must issue a STARTTLS command first"))
}

/// Whether a command needs a login that there was not (RFC 4954 section 6).
pub(crate) fn check_authenticated(
    command: &Command,
    auth: &Auth,
    authenticated: bool,
) -> Option<Reply> {
    let guarded = match command {
        // RFC 2645 section 5.1.
        Command::Atrn { .. } => true,
        Command::Mail(_) | Command::Etrn(_) | Command::Vrfy { .. } => auth.required,
        _ => false,
    };
    let refused = !authenticated && guarded;
    refused.then(|| Reply::new(530, Some((5, 7, 0)), "Authentication required"))
}

/// Whether a command comes in its order (RFC 5321 section 4.1.4).
pub(crate) fn check_order(rule: &Rule, place: &Place) -> Option<Reply> {
    let words = match (rule.legal, place) {
        (Legal::Always, _)
        | (Legal::Idle, Place::Greeted | Place::Failed(_))
        | (Legal::Transaction, Place::Transaction(_))
        | (Legal::Message, Place::Transaction(_) | Place::Chunks(_)) => return None,
        (_, Place::Stranger | Place::Unwelcome) => "Send EHLO or HELO first",
        // RFC 3030 section 2.
        (Legal::Idle | Legal::Transaction, Place::Chunks(_)) => "A message is being sent with BDAT",
        (Legal::Idle, Place::Transaction(_)) if rule.verb == "MAIL" => "Sender already given",
        (Legal::Idle, Place::Transaction(_)) => "Not inside a mail transaction",
        (Legal::Transaction | Legal::Message, Place::Greeted | Place::Failed(_)) => {
            "Need MAIL first"
        }
    };
    Some(Reply::new(503, Some((5, 5, 1)), words))
}

/// Whether MAIL and RCPT may have parameters: those belong to extensions, and HELO asks for none (RFC 5321 sections 2.2.1
/// and 4.1.1.11).
pub(crate) fn check_parameters(parameters: &str, extended: bool) -> Option<Reply> {
    let refused = !extended && !parameters.is_empty();
    refused.then(|| Reply::new(555, Some((5, 5, 4)), "Parameters need EHLO"))
}

/// Whether MAIL says what its client may say.
pub(crate) fn check_mail(mail: &Mail, offer: Offer<'_>) -> Option<Reply> {
    let settings = offer.settings;
    // RFC 1870 section 6.1.
    if mail.size.is_some_and(|size| size > settings.limits.message_octets_max) {
        return Some(too_big(&settings.limits));
    }
    let refused = |keyword: &str| match keyword {
        // RFC 4954 section 5: it belongs to AUTH.
        "AUTH" => settings.auth.mechanisms.is_empty(),
        "PRDR" => !offer.has(Extension::Prdr),
        "REQUIRETLS" => !offer.has(Extension::RequireTls),
        "MT-PRIORITY" => !offer.has(Extension::MtPriority),
        "BY" => !offer.has(Extension::DeliverBy),
        "HOLDFOR" | "HOLDUNTIL" => !offer.has(Extension::FutureRelease),
        _ => false,
    };
    let parameters = path::parameters(&mail.parameters).unwrap_or_default();
    let mut keywords = parameters.into_iter().map(|known| known.keyword);
    if let Some(keyword) = keywords.find(|keyword| refused(&keyword.to_ascii_uppercase())) {
        return Some(parameter::unknown_parameter(keyword));
    }
    let (wish, date) = (SenderWish::of(&mail.parameters), offer.date?);
    let release = wish.release?.time(date);
    let words = match wish.deliver_by {
        // RFC 4865 section 4.2.
        _ if release > date + Release::MAX => "That is too far in the future",
        // RFC 4865 section 5.2.2: neither could be kept without breaking the other.
        Some(by) if release > by.time(date) => "It would be late before it may go",
        _ => return None,
    };
    Some(Reply::new(501, Some((5, 5, 4)), words))
}

/// Whether a command is what plug-ins took out of the reply to EHLO.
pub(crate) fn check_offered(
    rule: &Rule,
    command: &Command,
    withholds: impl Fn(&str) -> bool,
) -> Option<Reply> {
    let parameters = match command {
        Command::Claimed { verb, .. } if withholds(verb) => return Some(not_offered()),
        _ if withholds(extension::announces_verb(rule.verb)) => return Some(not_offered()),
        Command::Mail(Mail { parameters, .. }) | Command::Rcpt(Rcpt { parameters, .. }) => {
            path::parameters(parameters).unwrap_or_default()
        }
        _ => return None,
    };
    let announces = |known| extension::announces(rule.verb, known);
    let mut refused = parameters.iter().filter(|&&known| withholds(&announces(known)));
    refused.next().map(|parameter| parameter::unknown_parameter(parameter.keyword))
}

/// The reply to a command that there is not, here or now.
pub(crate) fn not_offered() -> Reply {
    Reply::new(502, Some((5, 5, 1)), "Command not implemented")
}

/// Whether there is room for one more recipient (RFC 5321 section 4.5.3.1.10), of the scripts that the client has announced.
pub(crate) fn check_rcpt(rcpt: &Rcpt, transaction: &Transaction, limits: &Limits) -> Option<Reply> {
    if transaction.named_by_client() >= limits.recipients_max {
        return Some(Reply::new(452, Some((4, 5, 3)), "Too many recipients"));
    }
    let ascii = rcpt.recipient.is_ascii() && rcpt.parameters.is_ascii();
    (!ascii && !transaction.is_utf8()).then(needs_utf8)
}

/// Whether somebody is to get the message (RFC 5321 section 3.3), and DATA can bring it (RFC 3030 section 3).
pub(crate) fn check_data(transaction: &Transaction) -> Option<Reply> {
    let binary = transaction.is_binary();
    let words = "BODY=BINARYMIME is sent with BDAT";
    check_recipients(transaction)
        .or_else(|| binary.then(|| Reply::new(503, Some((5, 5, 1)), words)))
}

/// Whether a chunk can be taken: of a message for somebody, from who has asked for it.
pub(crate) fn check_chunk(place: &Place, extended: bool) -> Option<Reply> {
    match place {
        // RFC 3030 section 2: it is as bad as those before it.
        Place::Failed(reply) => Some((**reply).clone()),
        _ if !extended => Some(Reply::new(503, Some((5, 5, 1)), "BDAT needs EHLO")),
        Place::Transaction(transaction) => check_recipients(transaction),
        _ => None,
    }
}

fn check_recipients(transaction: &Transaction) -> Option<Reply> {
    let none = transaction.envelope.recipients.is_empty();
    none.then(|| Reply::new(554, Some((5, 5, 1)), "No valid recipients"))
}

/// Whether a recipient's route lets it be accepted. Asked after the plug-ins, who may have granted relaying:
/// without a route and without a grant nothing is ever accepted.
pub(crate) fn check_route(route: Route, granted: bool) -> Option<Reply> {
    let (code, enhanced, words) = match route {
        Route::Local | Route::Relay => return None,
        Route::Foreign if granted => return None,
        Route::UnknownUser => (550, (5, 1, 1), "No such user here"),
        // RFC 3463 section 3.2.
        Route::Ambiguous => (550, (5, 1, 4), "Several have this address here"),
        Route::Unreachable if granted => (550, (5, 4, 4), "No route to this domain"),
        Route::Foreign | Route::Unreachable => (550, (5, 7, 1), "Relaying denied"),
        Route::Unavailable => (451, (4, 4, 3), "Directory not available, try again later"),
    };
    Some(Reply::new(code, Some(enhanced), words))
}

/// The reply to a command with which plug-ins want to change more than one transaction keeps. A client that is told so at
/// RCPT sends to the others in another transaction (RFC 5321 section 4.5.3.1.10).
pub(crate) fn crowded() -> Reply {
    Reply::new(452, Some((4, 3, 1)), "Too many changes in one transaction")
}

/// The reply to a message beyond the announced size.
pub(crate) fn too_big(limits: &Limits) -> Reply {
    let words = format!("Message too big, at most {} octets", limits.message_octets_max);
    Reply::new(552, Some((5, 3, 4)), words)
}

#[cfg(test)]
mod tests {
    use super::super::command::parse;
    use super::super::grammar::Grammar;
    use super::super::message::Message;
    use std::time::SystemTime;

    use super::super::settings::Settings;
    use super::*;
    use crate::{Address, Extensions, Interest, ReversePath};

    fn offer(settings: &Settings, secured: bool, date: Option<SystemTime>) -> Offer<'_> {
        Offer { settings, interest: Interest::NONE, secured, date }
    }

    fn parsed(line: &str) -> (&'static Rule, Command) {
        parse(line, Grammar::new(crate::Claims::none())).unwrap()
    }

    #[test]
    fn order_is_kept() {
        let transaction = || {
            let Command::Mail(mail) = parsed("MAIL FROM:<>").1 else { unreachable!() };
            Place::Transaction(Box::new(Transaction::new(mail)))
        };
        let chunks = || {
            let Place::Transaction(transaction) = transaction() else { unreachable!() };
            #[expect(clippy::disallowed_methods, reason = "a test must start at some time")]
            let now = std::time::Instant::now();
            Place::Chunks(Box::new(Message::in_chunks(transaction, &Limits::default(), now)))
        };
        let failed = Place::Failed(Box::new(Reply::new(550, None, "No")));
        let places =
            [Place::Unwelcome, Place::Stranger, Place::Greeted, transaction(), chunks(), failed];
        // One column per place: whether the command is let pass.
        let cases = [
            ("EHLO a", [false, true, true, true, true, true]),
            ("HELO a", [false, true, true, true, true, true]),
            ("MAIL FROM:<>", [false, false, true, false, false, true]),
            ("RCPT TO:<a@b>", [false, false, false, true, false, false]),
            ("DATA", [false, false, false, true, false, false]),
            ("BDAT 1", [false, false, false, true, true, false]),
            ("RSET", [false, true, true, true, true, true]),
            ("NOOP", [false, true, true, true, true, true]),
            ("HELP", [false, true, true, true, true, true]),
            ("VRFY a", [false, true, true, true, true, true]),
            ("ETRN a", [false, false, true, false, false, true]),
            ("STARTTLS", [false, false, true, false, false, true]),
            ("AUTH PLAIN", [false, false, true, false, false, true]),
            ("QUIT", [true, true, true, true, true, true]),
        ];
        for (line, wanted) in cases {
            for (place, legal) in places.iter().zip(wanted) {
                let (rule, command) = parsed(line);
                let refused =
                    check_welcome(Some(&command), place).or_else(|| check_order(rule, place));
                let code = refused.map(|reply| reply.code());
                assert_eq!(code, (!legal).then_some(503), "{line} in {place:?}");
            }
        }
    }

    #[test]
    fn clear_text_is_for_those_who_are_let() {
        use StartTls::{None as Never, Offered, Required};
        let codes = |line: &str, offer, secured| {
            let (_, command) = parsed(line);
            let refused = check_secured(&command, offer, secured);
            let starttls =
                || (command == Command::StartTls).then(|| check_starttls(offer, secured)).flatten();
            refused.or_else(starttls).map_or(0, |reply| reply.code())
        };
        // One column each: none, offered, required; then the same with TLS on.
        let cases = [
            ("EHLO a", [0, 0, 0, 0, 0, 0]),
            ("HELO a", [0, 0, 530, 0, 0, 0]),
            ("NOOP", [0, 0, 0, 0, 0, 0]),
            ("QUIT", [0, 0, 0, 0, 0, 0]),
            ("STARTTLS", [502, 0, 0, 503, 503, 503]),
            ("MAIL FROM:<>", [0, 0, 530, 0, 0, 0]),
            ("RCPT TO:<a@b>", [0, 0, 530, 0, 0, 0]),
            ("DATA", [0, 0, 530, 0, 0, 0]),
            ("RSET", [0, 0, 530, 0, 0, 0]),
            ("HELP", [0, 0, 530, 0, 0, 0]),
            ("VRFY a", [0, 0, 530, 0, 0, 0]),
            ("ETRN a", [0, 0, 530, 0, 0, 0]),
        ];
        for (line, wanted) in cases {
            let offers = [Never, Offered, Required];
            let found =
                [false, true].map(|secured| offers.map(|offer| codes(line, offer, secured)));
            assert_eq!(found.concat(), wanted, "{line}");
        }
    }

    #[test]
    fn who_is_refused_at_the_door_can_only_leave() {
        let code = |command: Option<&Command>, place| {
            check_welcome(command, place).map(|reply| reply.code())
        };
        assert_eq!(code(None, &Place::Unwelcome), Some(503));
        assert_eq!(code(Some(&Command::Quit), &Place::Unwelcome), None);
        assert_eq!(code(None, &Place::Stranger), None);
    }

    #[test]
    fn sizes_and_numbers_are_bounded() {
        let limits = Limits { message_octets_max: 1000, recipients_max: 2, ..Limits::default() };
        let settings = Settings { limits: limits.clone(), ..Settings::default() };
        let cases = [
            ("MAIL FROM:<>", false, None),
            ("MAIL FROM:<> SIZE=1", false, Some(555)),
            ("MAIL FROM:<> BODY=7BIT", false, Some(555)),
            ("MAIL FROM:<> AUTH=<>", true, Some(555)),
            ("MAIL FROM:<> SIZE=1000", true, None),
            ("MAIL FROM:<> SIZE=1001", true, Some(552)),
            ("MAIL FROM:<> SIZE=99999999999999999999", true, Some(552)),
        ];
        for (line, extended, wanted) in cases {
            let Command::Mail(mail) = parsed(line).1 else { panic!("{line}") };
            assert_eq!(mail.sender, ReversePath::Null);
            let refused = check_parameters(&mail.parameters, extended)
                .or_else(|| check_mail(&mail, offer(&settings, false, None)));
            assert_eq!(refused.map(|reply| reply.code()), wanted, "{line}");
        }
        let transaction = |line: &str| {
            let Command::Mail(mail) = parsed(line).1 else { panic!("{line}") };
            Transaction::new(mail)
        };
        let mut empty = transaction("MAIL FROM:<>");
        let code = |transaction: &Transaction| check_data(transaction).map(|reply| reply.code());
        assert_eq!(code(&empty), Some(554));
        let Command::Rcpt(rcpt) = parsed("RCPT TO:<a@b>").1 else { unreachable!() };
        let full = |transaction: &Transaction| {
            check_rcpt(&rcpt, transaction, &limits).map(|reply| reply.code())
        };
        let another = || Rcpt { recipient: Address::parse("c@d").unwrap(), ..rcpt.clone() };
        empty.add(rcpt.clone(), Vec::new()).unwrap();
        assert_eq!((code(&empty), full(&empty)), (None, None));
        empty.add(another(), Vec::new()).unwrap();
        assert_eq!(full(&empty), Some(452));
    }

    #[test]
    fn a_parameter_is_for_those_who_were_offered_it() {
        let all = Extension::ALL.into_iter().fold(Extensions::NONE, Extensions::with);
        let grammar = Grammar { extensions: all, ..Grammar::new(crate::Claims::none()) };
        let date = SystemTime::UNIX_EPOCH;
        let code = |line: &str, required, secured, date| {
            let Ok((_, Command::Mail(mail))) = parse(line, grammar) else { panic!("{line}") };
            let auth = Auth { required, ..Auth::default() };
            let settings = Settings { extensions: all, auth, ..Settings::default() };
            check_mail(&mail, offer(&settings, secured, date)).map(|reply| reply.code())
        };
        let tls = "MAIL FROM:<> requireTLS";
        assert_eq!((code(tls, true, false, None), code(tls, false, true, None)), (Some(555), None));
        assert_eq!(code("MAIL FROM:<> PRDR", false, true, None), Some(555));
        let hold = "MAIL FROM:<> HOLDFOR=2592000";
        assert_eq!(code(hold, false, true, Some(date)), Some(555));
        assert_eq!(code(hold, true, false, None), Some(555));
        assert_eq!(code(hold, true, false, Some(date)), None);
        let cases = [
            ("HOLDFOR=2592001", Some(501)),
            ("HOLDUNTIL=1970-01-31T00:00:00Z", None),
            ("HOLDUNTIL=1970-01-31T00:00:01Z", Some(501)),
            ("HOLDFOR=60 BY=60;R", None),
            ("HOLDFOR=61 BY=60;R", Some(501)),
            ("BY=0;N HOLDUNTIL=1970-01-01T00:00:01Z", Some(501)),
        ];
        for (parameter, wanted) in cases {
            let line = format!("MAIL FROM:<> {parameter}");
            assert_eq!(code(&line, true, false, Some(date)), wanted, "{parameter}");
        }
    }

    #[test]
    fn nothing_is_relayed_without_a_route_or_a_grant() {
        use Route::{Foreign, Local, Relay, Unavailable, UnknownUser, Unreachable};
        let cases = [
            (Local, "-", "-"),
            (Relay, "-", "-"),
            (UnknownUser, "550 5.1.1", "550 5.1.1"),
            (Foreign, "550 5.7.1", "-"),
            (Unreachable, "550 5.7.1", "550 5.4.4"),
            (Unavailable, "451 4.4.3", "451 4.4.3"),
        ];
        for (route, bare, granted) in cases {
            let shown = |granted| match check_route(route, granted) {
                Some(reply) => format!("{} {}", reply.code(), reply.enhanced().unwrap()),
                None => "-".to_owned(),
            };
            assert_eq!((shown(false).as_str(), shown(true).as_str()), (bare, granted));
        }
    }
}
