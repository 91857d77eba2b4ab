//! Command lines read by us and by the smtp-proto crate: they mean the same to both, but for what the table lists.

use std::borrow::Cow;
use std::collections::BTreeSet;

use smtp_proto::{MAIL_BODY_7BIT, MAIL_BODY_8BITMIME, Request};
use stagepost_fuzz::corpus;
use stagepost_fuzz::meaning::meaning;
use stagepost_fuzz::seeded::Seed;
use stagepost_smtp::{Address, Question, VrfyVerb, check_domain, parameter};

/// Lines made from a seed.
const LINES: u64 = 30_000;

/// What a line is understood as, written in one way; none: it is refused.
type Said = Option<String>;

/// Lines are made of one of each.
const HEADS: &[&str] =
    &["MAIL FROM:<", "RCPT TO:<", "mail from: <", "RCPT TO :<", "MAIL  FROM:<", "MAIL FROM:"];
const LOCALS: &[&str] = &[
    "",
    "a",
    "a.b",
    "a..b",
    ".a",
    "a.",
    "\"a b\"",
    "\"a\\\"b\"",
    "a b",
    "a%b",
    "(c)a",
    "postmaster",
    "@x:a",
    "@x,@y:a",
    "@x,y:a",
    "@[IPv6:::1]:a",
    "a\\",
    "a@b",
];
const DOMAINS: &[&str] = &[
    "",
    "@b.test",
    "@B",
    "@b..c",
    "@.b",
    "@b.",
    "@-b",
    "@b_c",
    "@[127.0.0.1]",
    "@[IPv6:::1]",
    "@[x]",
    "@b c",
    "@",
];
const TAILS: &[&str] = &[
    ">",
    "> ",
    ">x",
    "",
    "> SIZE=10",
    "> SIZE=99999999999999999999999",
    "> SIZE=1x",
    "> SIZE=",
    "> SIZE=+1",
    "> BODY=8BITMIME",
    "> body=7bit SIZE=3",
    "> BODY=x",
    "> SIZE=1 SIZE=2",
    "> =",
    "> XUNKNOWN=1",
    "> RET=HDRS",
    "> SMTPUTF8",
    "> NOTIFY=NEVER",
    "> TRANSID=<x@y>",
    "> SIZE =1",
    ">  SIZE=4  ",
];
const OTHERS: &[&str] = &[
    "EHLO a.test",
    "HELO [IPv6:::1]",
    "EHLO a b",
    "EHLO",
    "EHLO  a",
    "HELO a_b",
    "HELO a@b",
    "DATA",
    "DATA x",
    "RSET",
    "RSET x",
    "QUIT ",
    "QUIT x",
    "NOOP",
    "NOOP x y",
    "HELP",
    "HELP MAIL x",
    "VRFY a",
    "VRFY \"a b\" c",
    "VRFY",
    "EXPN a b",
    "EXPN",
    "VRFY a@b",
    "ETRN a.test",
    "ETRN @a.test",
    "ETRN #q",
    "ETRN a b",
    "ETRN",
    "ETRN [1.2.3.4]",
    "STARTTLS",
    "STARTTLS x",
    "data",
    " NOOP",
    "NOOPX",
    "",
    "XUNKNOWN a",
    "TURN",
    "SEND FROM:<a@b>",
    "HELO \"",
    "ETRN \"a\"",
    "MAIL",
    "RCPT",
    "MAIL FROM",
    "RCPT TO:",
];

fn ours(line: &str) -> Said {
    let verb = verb(line);
    let before = match verb.as_str() {
        "RCPT" => "EHLO a.test\r\nMAIL FROM:<>\r\n",
        _ => "EHLO a.test\r\n",
    };
    let found = meaning(before, line);
    // 503 came in the wrong place, but was understood.
    let code = *found.codes.first()?;
    if matches!(code, 421 | 500..=502 | 504 | 555) && found.questions.is_empty() {
        return None;
    }
    let words = match found.questions.first() {
        Some(Question::Ehlo { name, .. }) => name.to_string(),
        Some(Question::Mail { sender, parameters }) => {
            let size = parameter(parameters, "SIZE").unwrap_or("0");
            let size = size.parse().unwrap_or(u64::MAX);
            let body = parameter(parameters, "BODY").unwrap_or_default().to_ascii_uppercase();
            format!("{} size {size} body {body}", sender.as_str())
        }
        Some(Question::Rcpt { recipient, .. }) => recipient.to_string(),
        Some(Question::Vrfy { verb: VrfyVerb::Vrfy | VrfyVerb::Expn, argument }) => {
            argument.to_string()
        }
        Some(Question::Etrn { .. }) => line[5..].trim_end_matches(' ').to_owned(),
        _ => String::new(),
    };
    Some(format!("{verb} {words}"))
}

fn theirs(line: &str) -> Said {
    let octets = format!("{line}\r\n");
    let request: Request<Cow<'_, str>> = Request::parse(&mut octets.as_bytes().iter()).ok()?;
    let words = match &request {
        Request::Ehlo { host } | Request::Helo { host } => host.to_string(),
        Request::Mail { from } => {
            let body = match from.flags & (MAIL_BODY_7BIT | MAIL_BODY_8BITMIME) {
                MAIL_BODY_7BIT => "7BIT",
                MAIL_BODY_8BITMIME => "8BITMIME",
                _ => "",
            };
            format!("{} size {} body {body}", from.address, from.size)
        }
        Request::Rcpt { to } => to.address.to_string(),
        Request::Vrfy { value } | Request::Expn { value } => value.to_string(),
        Request::Etrn { name } => name.to_string(),
        _ => String::new(),
    };
    Some(format!("{} {words}", request.name()))
}

fn verb(line: &str) -> String {
    line.split(' ').next().unwrap_or_default().to_ascii_uppercase()
}

/// Whether a line is one of those that both read.
fn is_compared(line: &str) -> bool {
    // AUTH has its secrets, ATRN its list, and BDAT its octets: each is read elsewhere. LHLO and BURL are of other protocols
    // (RFC 2033, RFC 4468); XVERB is a plug-in's.
    let verb = verb(line);
    let others = ["AUTH", "ATRN", "LHLO", "BURL", "XVERB"];
    !others.contains(&verb.as_str()) && !verb.starts_with("BDAT")
}

/// What stands between the first bracket and the last, and behind them; for MAIL and RCPT.
fn path(line: &str) -> Option<(&str, &str)> {
    if !matches!(verb(line).as_str(), "MAIL" | "RCPT") {
        return None;
    }
    let (_, rest) = line.split_once('<')?;
    rest.rsplit_once('>')
}

/// The mailbox in a path, behind its source route.
fn mailbox(line: &str) -> Option<&str> {
    let (inner, _) = path(line)?;
    let behind = inner.starts_with('@').then(|| inner.rsplit_once(':')).flatten();
    let literal = inner.find("[IPv6:");
    match behind {
        // A colon of an IPv6 literal in the mailbox itself.
        Some(_) if literal.is_some() => inner.split_once("]:").map(|(_, mailbox)| mailbox),
        Some((_, mailbox)) => Some(mailbox),
        None => Some(inner),
    }
}

/// A known difference: why we read it so, and which lines it is about.
struct Exception {
    reason: &'static str,
    covers: fn(&str, &Said, &Said) -> bool,
}

/// Only where we refuse what the other takes.
fn is_stricter(ours: &Said, theirs: &Said) -> bool {
    ours.is_none() && theirs.is_some()
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        reason: "DATA, RSET, QUIT and STARTTLS have no argument (RFC 5321 section 4.1.1, RFC 3207 section 4)",
        covers: |line, ours, theirs| {
            let bare = matches!(verb(line).as_str(), "DATA" | "RSET" | "QUIT" | "STARTTLS");
            is_stricter(ours, theirs) && bare && line.trim_end().contains(' ')
        },
    },
    Exception {
        reason: "a line begins with its verb (RFC 5321 section 2.4)",
        covers: |line, ours, theirs| is_stricter(ours, theirs) && line.starts_with(' '),
    },
    Exception {
        reason: "who says HELO or EHLO gives a domain or an address literal (RFC 5321 section 4.1.1.1)",
        covers: |line, ours, theirs| {
            let (_, name) = line.split_once(' ').unwrap_or((line, ""));
            let named = check_domain(name.trim_end_matches(' ')).is_ok();
            let hello = matches!(verb(line).as_str(), "EHLO" | "HELO");
            is_stricter(ours, theirs) && hello && !named
        },
    },
    Exception {
        reason: "ETRN names a domain, or a queue behind # (RFC 1985 section 5.1)",
        covers: |line, ours, theirs| is_stricter(ours, theirs) && verb(line) == "ETRN",
    },
    Exception {
        reason: "one space behind MAIL and RCPT, and none before the colon (RFC 5321 sections 4.1.1.2 and 4.1.1.3)",
        covers: |line, ours, theirs| {
            let head = line.split_once('<').map_or("", |(head, _)| head).to_ascii_uppercase();
            let head = head.trim_end_matches(' ');
            is_stricter(ours, theirs)
                && path(line).is_some()
                && head != "MAIL FROM:"
                && head != "RCPT TO:"
        },
    },
    Exception {
        reason: "a mailbox has the form of RFC 5321 section 4.1.2, and the sizes of section 4.5.3.1",
        covers: |line, ours, theirs| {
            let malformed = mailbox(line).is_some_and(|mailbox| Address::parse(mailbox).is_err());
            is_stricter(ours, theirs) && malformed
        },
    },
    Exception {
        reason: "only a recipient may be a Postmaster without a domain (RFC 5321 section 4.1.1.3)",
        covers: |line, ours, theirs| {
            let postmaster =
                mailbox(line).is_some_and(|mailbox| mailbox.eq_ignore_ascii_case("postmaster"));
            is_stricter(ours, theirs) && verb(line) == "MAIL" && postmaster
        },
    },
    Exception {
        reason: "every hop of a source route begins with an at sign (RFC 5321 section 4.1.2)",
        covers: |line, ours, theirs| is_stricter(ours, theirs) && line.contains(",y:"),
    },
    Exception {
        reason: "SIZE has 20 digits at most, and wraps round nowhere (RFC 1870 section 5)",
        covers: |line, ours, theirs| {
            let digits =
                |word: &str| word.strip_prefix("SIZE=").is_some_and(|size| size.len() > 20);
            is_stricter(ours, theirs) && line.split(' ').any(digits)
        },
    },
    Exception {
        reason: "a message that is announced as too big is refused at once (RFC 1870 section 6.1)",
        covers: |_, ours, _| ours.as_deref() == Some("MAIL "),
    },
    Exception {
        reason: "plug-ins have parameters of their own (RFC 5321 section 2.2.2)",
        covers: |line, ours, theirs| ours.is_some() && theirs.is_none() && line.contains("XTAG"),
    },
    Exception {
        reason: "a parameter that comes twice means nothing certain (RFC 5321 section 4.1.1.11: 555 or 501)",
        covers: |line, ours, theirs| is_stricter(ours, theirs) && line.matches("SIZE=").count() > 1,
    },
    Exception {
        reason: "parameters of extensions that were not offered are refused (RFC 5321 section 4.1.1.11)",
        covers: |line, ours, theirs| {
            let offered = |word: &str| {
                let keyword = word.split('=').next().unwrap_or_default().to_ascii_uppercase();
                matches!(keyword.as_str(), "" | "SIZE" | "BODY")
            };
            let others = |(_, behind): (&str, &str)| !behind.split(' ').all(offered);
            is_stricter(ours, theirs) && path(line).is_some_and(others)
        },
    },
    Exception {
        reason: "address literals stand in paths and routes (RFC 5321 section 4.1.3)",
        covers: |line, ours, theirs| {
            let literal = |(inner, _): (&str, &str)| inner.contains('[');
            ours.is_some() && theirs.is_none() && path(line).is_some_and(literal)
        },
    },
    Exception {
        reason: "a quoted local part keeps its quotes: without them it may be another mailbox (RFC 5321 section 4.1.2)",
        covers: |line, ours, theirs| {
            let (Some(ours), Some(theirs), Some(mailbox)) = (ours, theirs, mailbox(line)) else {
                return false;
            };
            let called = Address::parse(mailbox)
                .map(|address| ours.replacen(address.local(), &address.local_unquoted(), 1));
            mailbox.starts_with('"') && called.as_deref() == Ok(theirs)
        },
    },
    Exception {
        reason: "Postmaster is a mailbox, and not the null path (RFC 5321 section 4.5.1)",
        covers: |_, ours, theirs| {
            let postmaster =
                ours.as_ref().is_some_and(|ours| ours.eq_ignore_ascii_case("RCPT postmaster"));
            postmaster && theirs.as_deref() == Some("RCPT ")
        },
    },
    Exception {
        reason: "an original recipient has up to 500 octets, not 256 (RFC 3461 section 4.2)",
        covers: |line, ours, theirs| {
            let orcpt = line.split(' ').find_map(|word| {
                let (key, value) = word.split_once('=')?;
                key.eq_ignore_ascii_case("ORCPT").then_some(value)
            });
            ours.is_some() && theirs.is_none() && orcpt.is_some_and(|value| value.len() > 256)
        },
    },
    Exception {
        reason: "VRFY and EXPN have one argument, spaces, quotes and all (RFC 5321 section 4.1.1.6)",
        covers: |line, ours, theirs| {
            matches!(verb(line).as_str(), "VRFY" | "EXPN")
                && ours.is_some()
                && (theirs.is_none() || line.contains([' ', '"', '\\']))
        },
    },
    Exception {
        reason: "a queue has the name that it was given, quotes and all (RFC 1985 section 5.1)",
        covers: |line, ours, theirs| {
            verb(line) == "ETRN" && line.contains(['"', '\\']) && ours.is_some() && theirs.is_some()
        },
    },
];

#[test]
fn lines_mean_the_same_to_both() {
    let mut lines: Vec<String> = OTHERS.iter().map(|line| (*line).to_owned()).collect();
    for head in HEADS {
        for local in LOCALS {
            for domain in DOMAINS {
                for tail in TAILS {
                    lines.push(format!("{head}{local}{domain}{tail}"));
                }
            }
        }
    }
    let words = corpus::words("command").expect("words");
    let files = corpus::files("command").expect("a corpus");
    let files: Vec<_> = files.into_iter().map(|(_, input)| input).collect();
    let target = stagepost_fuzz::target("command").expect("a target");
    let made = (0..LINES).map(|number| Seed::new(number).input(target, &words, &files));
    for input in files.iter().cloned().chain(made) {
        let printable = input.iter().all(|octet| matches!(octet, b' '..=b'~'));
        if printable && input.len() <= 500 {
            lines.push(String::from_utf8(input).expect("printable"));
        }
    }
    let mut used = BTreeSet::new();
    let mut same = 0;
    let mut open = Vec::new();
    for line in lines.iter().filter(|line| is_compared(line)) {
        let (ours, theirs) = (ours(line), theirs(line));
        if ours == theirs {
            same += usize::from(ours.is_some());
            continue;
        }
        let known = EXCEPTIONS.iter().find(|known| (known.covers)(line, &ours, &theirs));
        match known {
            Some(known) => _ = used.insert(known.reason),
            None => open.push(format!("{line:?}\n  ours   {ours:?}\n  theirs {theirs:?}")),
        }
    }
    open.truncate(4000);
    assert!(open.is_empty(), "{}", open.join("\n"));
    let unused: Vec<_> = EXCEPTIONS
        .iter()
        .map(|known| known.reason)
        .filter(|reason| !used.contains(reason))
        .collect();
    assert!(unused.is_empty(), "no line needs: {unused:?}");
    assert!(same > 300, "only {same} lines are understood alike");
}
