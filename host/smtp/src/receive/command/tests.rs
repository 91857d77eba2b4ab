//! Lines that are commands, and those that are none.

use super::super::extensions::Extensions;
use super::*;
use crate::Claims;

fn code(line: &str) -> Result<Command, String> {
    let short = |reply: Reply| format!("{} {}", reply.code(), reply.enhanced().unwrap());
    parse(line, Grammar::new(Claims::none())).map(|(_, command)| command).map_err(short)
}

#[test]
fn commands_have_their_form() {
    let hello = |name: &str, extended| Command::Hello { name: name.into(), extended };
    let auth = |mechanism: &str, initial: Option<&str>| Command::Auth {
        mechanism: mechanism.into(),
        initial: initial.map(|words| Secret::new(words.into())),
    };
    let vrfy = |verb, argument: &str| Command::Vrfy { verb, argument: argument.into() };
    let cases = [
        ("EHLO a.test", hello("a.test", true)),
        ("ehlo [IPv6:::1]", hello("[IPv6:::1]", true)),
        ("HELO [192.0.2.1]  ", hello("[192.0.2.1]", false)),
        ("HELO my_pc", hello("my_pc", false)),
        ("HELO -pc-", hello("-pc-", false)),
        ("data", Command::Data),
        ("DATA ", Command::Data),
        ("NOOP ignored words", Command::Noop),
        ("HELP MAIL", Command::Help),
        ("RSET", Command::Rset),
        ("starttls", Command::StartTls),
        ("AUTH PLAIN ", auth("PLAIN", None)),
        ("auth scram-sha-256-plus =", auth("scram-sha-256-plus", Some("="))),
        ("AUTH X_1 eA==", auth("X_1", Some("eA=="))),
        ("QUIT", Command::Quit),
        ("VRFY anybody at all", vrfy(VrfyVerb::Vrfy, "anybody at all")),
        ("expn  List ", vrfy(VrfyVerb::Expn, "List")),
        ("ETRN a.test", Command::Etrn(EtrnNode::Host("a.test".into()))),
        ("ETRN @a.test", Command::Etrn(EtrnNode::Domain("a.test".into()))),
        ("ETRN #Urgent_1", Command::Etrn(EtrnNode::Queue("Urgent_1".into()))),
    ];
    for (line, wanted) in cases {
        assert_eq!(code(line), Ok(wanted), "{line}");
    }
}

#[test]
fn lines_of_another_form_are_refused() {
    let long = format!("EHLO {}", "x".repeat(64));
    let cases = [
        ("", "500 5.5.2"),
        (" NOOP", "500 5.5.2"),
        ("FOO", "500 5.5.2"),
        ("NOOPX", "500 5.5.2"),
        ("MAILFROM:<a@b>", "500 5.5.2"),
        ("EHLO", "501 5.5.4"),
        ("EHLO ", "501 5.5.4"),
        ("EHLO a b", "501 5.5.4"),
        ("EHLO a..b", "501 5.5.4"),
        ("EHLO a/b", "501 5.5.4"),
        ("EHLO [1.2.3]", "501 5.5.4"),
        ("EHLO [1.2.3.4]x", "501 5.5.4"),
        (&long, "501 5.5.4"),
        ("DATA x", "501 5.5.4"),
        ("RSET x", "501 5.5.4"),
        ("QUIT now", "501 5.5.4"),
        ("VRFY", "501 5.5.4"),
        ("VRFY  ", "501 5.5.4"),
        ("EXPN", "501 5.5.4"),
        ("TURN", "502 5.5.1"),
        ("STARTTLS now", "501 5.5.4"),
        ("AUTH", "501 5.5.4"),
        ("AUTH ", "501 5.5.4"),
        ("AUTH  PLAIN", "501 5.5.4"),
        ("AUTH PLAIN  eA==", "501 5.5.4"),
        ("AUTH PLAIN eA== x", "501 5.5.4"),
        ("AUTH PL/AIN", "501 5.5.4"),
        ("AUTH SCRAM-SHA-256-PLUS-X-Y", "501 5.5.4"),
        ("ETRN", "501 5.5.4"),
        ("ETRN @", "501 5.5.4"),
        ("ETRN #", "501 5.5.4"),
        ("ETRN a b", "501 5.5.4"),
        ("ETRN [192.0.2.1]", "501 5.5.4"),
        ("ETRN a;b", "501 5.5.4"),
    ];
    for (line, wanted) in cases {
        assert_eq!(code(line), Err(wanted.to_owned()), "{line}");
    }
}

#[test]
fn mail_and_rcpt_take_paths_and_parameters() {
    let mail = |line: &str| match code(line) {
        Ok(Command::Mail(mail)) => Ok((mail.sender.to_string(), mail.size, mail.body)),
        Ok(other) => panic!("{other:?}"),
        Err(reply) => Err(reply),
    };
    use BodyKind::{EightBitMime, SevenBit};
    let sound = [
        ("MAIL FROM:<>", "<>", None, SevenBit),
        ("mail from:<a@b>", "<a@b>", None, SevenBit),
        ("MAIL FROM: <a@b> ", "<a@b>", None, SevenBit),
        ("MAIL FROM:<@x,@y:a@b>", "<a@b>", None, SevenBit),
        ("MAIL FROM:<a@b> SIZE=0 BODY=7bit", "<a@b>", Some(0), SevenBit),
        ("MAIL FROM:<a@b> body=8bitMIME size=9", "<a@b>", Some(9), EightBitMime),
        ("MAIL FROM:<a@b> AUTH=<>", "<a@b>", None, SevenBit),
        ("MAIL FROM:<a@b> auth=e+3Dmc2@example.com", "<a@b>", None, SevenBit),
        ("MAIL FROM:<a@b> SIZE=99999999999999999999", "<a@b>", Some(u64::MAX), SevenBit),
    ];
    for (line, sender, size, body) in sound {
        assert_eq!(mail(line), Ok((sender.to_owned(), size, body)), "{line}");
    }
    let unsound = [
        ("MAIL", "501 5.5.4"),
        ("MAIL FROM", "501 5.5.4"),
        ("MAIL FROM:", "501 5.5.4"),
        ("MAIL FROM:a@b", "501 5.5.4"),
        ("MAIL FROM :<a@b>", "501 5.5.4"),
        ("MAIL TO:<a@b>", "501 5.5.4"),
        ("MAIL FROM:<a@b>SIZE=1", "501 5.5.4"),
        ("MAIL FROM:<a>", "501 5.1.7"),
        ("MAIL FROM:<Postmaster>", "501 5.1.7"),
        ("MAIL FROM:<a@b c>", "501 5.1.7"),
        ("MAIL FROM:<@:a@b>", "501 5.1.7"),
        ("MAIL FROM:<a@b> SIZE", "501 5.5.4"),
        ("MAIL FROM:<a@b> SIZE=", "501 5.5.4"),
        ("MAIL FROM:<a@b> SIZE=-1", "501 5.5.4"),
        ("MAIL FROM:<a@b> SIZE=1k", "501 5.5.4"),
        ("MAIL FROM:<a@b> SIZE=000000000000000000001", "501 5.5.4"),
        ("MAIL FROM:<a@b> SIZE=1 SIZE=2", "501 5.5.4"),
        ("MAIL FROM:<a@b> BODY", "501 5.5.4"),
        ("MAIL FROM:<a@b> BODY=BINARYMIME", "501 5.5.4"),
        ("MAIL FROM:<a@b> BY=9;X", "501 5.5.4"),
        ("MAIL FROM:<a@b> AUTH", "501 5.5.4"),
        ("MAIL FROM:<a@b> AUTH=", "501 5.5.4"),
        ("MAIL FROM:<a@b> AUTH=a", "501 5.5.4"),
        ("MAIL FROM:<a@b> AUTH=a+0Ab@c", "501 5.5.4"),
        ("MAIL FROM:<a@b> AUTH=a+2bb@c", "501 5.5.4"),
        ("MAIL FROM:<a@b> AUTH=<a@b>", "501 5.5.4"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<a@b@c>", "501 5.1.3"),
        ("RCPT TO:a@b", "501 5.5.4"),
        ("RCPT FROM:<a@b>", "501 5.5.4"),
        ("RCPT TO:<a@b> XNOTE=1", "555 5.5.4"),
        ("RCPT TO:<a@b> =", "501 5.5.4"),
    ];
    for (line, wanted) in unsound {
        assert_eq!(code(line), Err(wanted.to_owned()), "{line}");
    }
    for line in ["RCPT TO:<Postmaster>", "rcpt to:<@x:a@b>", r#"RCPT TO:<"a>b"@c>"#] {
        assert!(matches!(code(line), Ok(Command::Rcpt(_))), "{line}");
    }
}

/// One extension at a time: what it adds to MAIL and RCPT, of what form, and that it is not there without it.
#[test]
fn extensions_add_parameters() {
    use Extension::{DeliverBy, Dsn, FutureRelease, MtPriority, RequireTls};
    let mail = "MAIL FROM:<a@b>";
    let rcpt = "RCPT TO:<a@b>";
    let sound = [
        (Dsn, mail, "RET=FULL"),
        (Dsn, mail, "ret=hdrs ENVID=QQ+2B314159"),
        (Dsn, rcpt, "NOTIFY=never"),
        (Dsn, rcpt, "NOTIFY=SUCCESS,failure,DELAY ORCPT=rfc822;Bob+2Btag@x.test"),
        (Dsn, rcpt, "ORCPT=X_400;c+3Dus"),
        (RequireTls, mail, "REQUIRETLS"),
        (MtPriority, mail, "MT-PRIORITY=-9"),
        (MtPriority, mail, "mt-priority=4"),
        (DeliverBy, mail, "BY=120;R"),
        (DeliverBy, mail, "by=-1;nt"),
        (FutureRelease, mail, "HOLDFOR=60"),
        (FutureRelease, mail, "HOLDUNTIL=2026-11-23T06:05:34Z"),
    ];
    let unsound = [
        (Dsn, mail, "RET"),
        (Dsn, mail, "RET=SOME"),
        (Dsn, mail, "RET=FULL RET=HDRS"),
        (Dsn, mail, "ENVID"),
        (Dsn, mail, "ENVID=a+0D+0Ab"),
        (Dsn, mail, "ENVID=+C3+A9"),
        (Dsn, rcpt, "NOTIFY"),
        (Dsn, rcpt, "NOTIFY=NEVER,DELAY"),
        (Dsn, rcpt, "NOTIFY=SUCCESS,"),
        (Dsn, rcpt, "NOTIFY=SUCCESS NOTIFY=DELAY"),
        (Dsn, rcpt, "ORCPT=a@b"),
        (Dsn, rcpt, "ORCPT=rfc822;"),
        (Dsn, rcpt, "ORCPT=rfc822;a+0Ab"),
        (Dsn, rcpt, "ORCPT=rfc(822;a@b"),
        (RequireTls, mail, "REQUIRETLS=1"),
        (MtPriority, mail, "MT-PRIORITY"),
        (MtPriority, mail, "MT-PRIORITY=10"),
        (DeliverBy, mail, "BY=0;R"),
        (DeliverBy, mail, "BY=120"),
        (FutureRelease, mail, "HOLDFOR=-1"),
        (FutureRelease, mail, "HOLDUNTIL=tomorrow"),
        (FutureRelease, mail, "HOLDFOR=60 HOLDUNTIL=2026-11-23T06:05:34Z"),
    ];
    let code = |extensions, verb: &str, parameters: &str| {
        let grammar = Grammar { extensions, ..Grammar::new(Claims::none()) };
        let parsed = parse(&format!("{verb} {parameters}"), grammar);
        parsed.map_or_else(|reply| reply.code(), |_| 250)
    };
    let all = Extension::ALL.into_iter().fold(Extensions::NONE, Extensions::with);
    for (cases, wanted) in [(&sound[..], 250), (&unsound[..], 501)] {
        for &(extension, verb, parameters) in cases {
            let alone = Extensions::NONE.with(extension);
            assert_eq!(code(alone, verb, parameters), wanted, "{verb} {parameters}");
            let others = Extension::ALL.into_iter().filter(|&other| other != extension);
            let others = others.fold(Extensions::NONE, Extensions::with);
            // Two of one name are of no form, whatever is on.
            if parameters.split(' ').count() == 1 {
                assert_eq!(code(others, verb, parameters), 555, "{verb} {parameters}");
            }
        }
    }
    // Each at its own command.
    for (verb, parameter) in [(rcpt, "RET=FULL"), (rcpt, "BY=9;N"), (mail, "NOTIFY=NEVER")] {
        assert_eq!(code(all, verb, parameter), 555, "{verb} {parameter}");
    }
}

#[test]
fn only_commands_that_change_nothing_may_be_carried_out_by_others() {
    let core = [
        "HELO a",
        "ehlo a",
        "MAIL",
        "Mail FROM:<>",
        "RCPT TO:<a@b>",
        "QUIT",
        "rset",
        "DATA",
        "DATA x",
        "BDAT 5 LAST",
        "STARTTLS",
        "xclient ADDR=192.0.2.1",
        "AUTH PLAIN *",
        "ATRN a",
    ];
    for line in core {
        assert_ne!(doer(line.as_bytes()), Doer::Anybody, "{line}");
    }
    let others = [
        "", "NOOP", "VRFY a", "EXPN a", "HELP", "ETRN a", "TURN", "XFOO", "DATABASE", " DATA",
        "DATAX",
    ];
    for line in others {
        assert_eq!(doer(line.as_bytes()), Doer::Anybody, "{line}");
    }
}

#[test]
fn other_protocols_are_told_apart() {
    assert!(is_foreign("GET / HTTP/1.1") && is_foreign("post /x HTTP/1.0"));
    assert!(
        !is_foreign("GET")
            && !is_foreign("GET  ")
            && !is_foreign("NOOP GET /")
            && !is_foreign("GETX /")
    );
}
