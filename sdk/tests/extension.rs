//! Claims, and the events of what is claimed, driven through the C entry by a host in the same process.
//! Knows the SDK from both sides, and no real host.
#![allow(unsafe_code, reason = "calls the entry point as the host does")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod fake;

use fake::{Fake, Session, Sheet, Value, event, text};
use stagepost_abi::*;
use stagepost_sdk::{
    Answer, Edits, Ehlo, Fault, Host, Mail, Outcome, Plugin, Rcpt, StartError, Verb, export_plugin,
};

struct Claimant;

impl Plugin for Claimant {
    fn start(host: Host) -> Result<Self, StartError> {
        host.claim_verb(host.config().text("mode")?.unwrap_or("XFOO"))?;
        host.claim_keyword("X-FOO", "a b")?;
        host.claim_mail_parameter("XTAG")?;
        host.claim_rcpt_parameter("XNOTE")?;
        Ok(Self)
    }

    fn before_ehlo(&self, event: &Ehlo<'_>, edits: &mut Edits<'_>) -> Outcome {
        if event.keywords.lines().any(|line| line.starts_with("SIZE ")) {
            edits.keyword_remove("SIZE")?;
            edits.keyword_add("X-BAR", "1")?;
        }
        Ok(Answer::Continue)
    }

    fn before_verb(&self, event: &Verb<'_>, _: &mut Edits<'_>) -> Outcome {
        Ok(Answer::handled(250, "", format!("{} {}", event.verb, event.argument)))
    }

    fn before_mail(&self, event: &Mail<'_>, _: &mut Edits<'_>) -> Outcome {
        let found = ["size", "XTAG", "X", "x-flag", ""].map(|keyword| event.parameter(keyword));
        Err(Fault::new(format_args!("{found:?}")))
    }

    fn before_rcpt(&self, event: &Rcpt<'_>, _: &mut Edits<'_>) -> Outcome {
        Err(Fault::new(format_args!("{:?}", event.parameter("xnote"))))
    }
}

export_plugin! {
    type = Claimant,
    name = "claimant",
    version = "1.0",
    class = inline,
    stages = [before_ehlo, before_verb, before_mail, before_rcpt],
    edits = [verdict, keyword],
}

#[test]
fn claims_are_made_while_the_plug_in_starts() {
    let (fake, status) = Fake::default().load(em_entry);
    assert_eq!(status, NOERROR);
    let wanted = [
        "claim_verb XFOO",
        "claim_keyword X-FOO a b",
        "claim_mail_parameter XTAG",
        "claim_rcpt_parameter XNOTE",
    ];
    assert_eq!(fake.logged(), wanted);
    let config = [("mode", Value::Text("TAKEN"))].into();
    let (fake, status) = Fake { config, ..Fake::default() }.load(em_entry);
    assert_eq!(status, EM_FAULT);
    let why = "1 - claimant: cannot start: the host refuses claim_verb: it is the server's or another plug-in's";
    assert_eq!(fake.logged(), ["claim_verb TAKEN", why]);
}

#[test]
fn what_is_claimed_comes_as_events() {
    let (fake, status) = Fake::default().load(em_entry);
    assert_eq!((status, fake.logged().len()), (NOERROR, 4));
    let (session, sheet) = (Session::new(1), Sheet::default());
    let verb = EmVerb {
        event: event::<EmVerb>(&session, &sheet),
        verb: text(b"XFOO"),
        argument: text(b"a  b"),
    };
    assert_eq!(fake.call(EM_SMTPVERB, EM_BEFORE, &verb), EM_VERDICT);
    assert_eq!(sheet.take(), ["verdict 1 250  XFOO a  b"]);
    let mut ehlo = EmEhlo {
        event: event::<EmEhlo>(&session, &sheet),
        name: text(b"a.test"),
        extended: 1,
        reserved: [0; 7],
        keywords: text(b"PIPELINING\nSIZE 5"),
    };
    assert_eq!(fake.call(EM_SMTPEHLO, EM_BEFORE, &ehlo), ERR_EM_CONTINUE);
    assert_eq!(sheet.take(), ["keyword_remove SIZE", "keyword_add X-BAR 1"]);
    ehlo.keywords = text(b"");
    assert_eq!(fake.call(EM_SMTPEHLO, EM_BEFORE, &ehlo), ERR_EM_CONTINUE);
    let mail = EmMail {
        event: event::<EmMail>(&session, &sheet),
        sender: text(b""),
        parameters: text(b"SIZE=5  xTag=a+3Db X-Flag"),
    };
    assert_eq!(fake.call(EM_SMTPMAIL, EM_BEFORE, &mail), EM_FAULT);
    let rcpt = EmRcpt {
        event: event::<EmRcpt>(&session, &sheet),
        recipient: text(b"a@b"),
        parameters: text(b""),
    };
    assert_eq!(fake.call(EM_SMTPRCPT, EM_BEFORE, &rcpt), EM_FAULT);
    let lines = [
        "1 1 claimant: before_mail failed: [Some(\"5\"), Some(\"a+3Db\"), None, Some(\"\"), None]",
        "1 1 claimant: before_rcpt failed: None",
    ];
    assert_eq!(fake.logged(), lines);
}
