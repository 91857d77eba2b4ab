//! Claims and EHLO keywords: what a plug-in is told, what refuses it, and what of it sessions see.

use stagepost_smtp::{Claim, Claims};

use super::*;
use crate::claim;

/// Makes a claim as a plug-in does: the host's last one.
fn claim_as(rig: &Rig, kind: &str, name: &str) -> abi::STATUS {
    let table: &abi::EmExtensionService = service(abi::EM_EXTENSION_ID);
    let host = rig.host().handle();
    // SAFETY: the handle is a live host's; text is lent for the call.
    unsafe {
        match kind {
            "verb" => (table.claim_verb)(host, lend(name)),
            "keyword" => (table.claim_keyword)(host, lend(name), lend("a b")),
            "mail" => (table.claim_mail_parameter)(host, lend(name)),
            _ => (table.claim_rcpt_parameter)(host, lend(name)),
        }
    }
}

fn serve(rig: &mut Rig, event: abi::EID) -> abi::HEMREGISTRATION {
    rig.on(event, abi::EM_REG_BEFORE, |_| abi::ERR_EM_CONTINUE)
}

#[test]
fn a_claim_needs_its_form_a_declaration_and_its_time() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    for kind in ["verb", "keyword", "mail", "rcpt"] {
        assert_eq!(claim_as(&rig, kind, "XONE"), abi::NOERROR, "{kind}");
        assert_eq!(claim_as(&rig, kind, "xone"), abi::NOERROR, "twice counts once");
        for name in ["", "X ONE", "X\r\nONE", "X_ONE", &"X".repeat(65)] {
            assert_eq!(claim_as(&rig, kind, name), abi::ERR_MISC_INVALID_ARGS, "{kind} {name}");
        }
    }
    for number in 4..64 {
        assert_eq!(claim_as(&rig, "mail", &format!("X{number}")), abi::NOERROR);
    }
    assert_eq!(claim_as(&rig, "mail", "X64"), abi::EM_ERR_LIMIT);
    rig.host().close_registration();
    assert_eq!(claim_as(&rig, "mail", "X5"), abi::EM_ERR_STAGE);
    let declarations = [
        ("verb", abi::EM_STAGE_VERB, 0),
        ("mail", abi::EM_STAGE_MAIL, 0),
        ("rcpt", abi::EM_STAGE_RCPT, 0),
        ("keyword", 0, abi::EM_EDIT_KEYWORD),
    ];
    for (kind, stage, edit) in declarations {
        rig.plugin_with("q", Run::Inline, |_, descriptor| {
            (descriptor.stages, descriptor.edits) = (!stage, !edit);
        });
        assert_eq!(claim_as(&rig, kind, "XTWO"), abi::ERR_EM_NOTAUTHORIZED, "{kind}");
    }
    // SAFETY: a NULL host is told; the text is lent for the call.
    let nobody = unsafe {
        let table: &abi::EmExtensionService = service(abi::EM_EXTENSION_ID);
        (table.claim_verb)(std::ptr::null_mut(), lend("X"))
    };
    assert_eq!(nobody, abi::ERR_MISC_INVALID_ARGS);
}

#[test]
fn who_claims_what_is_taken_is_refused_in_one_line() {
    let mut rig = Rig::default();
    rig.plugin("first", Run::Inline);
    for (kind, event) in
        [("verb", abi::EM_SMTPVERB), ("mail", abi::EM_SMTPMAIL), ("rcpt", abi::EM_SMTPRCPT)]
    {
        claim_as(&rig, kind, "XONE");
        serve(&mut rig, event);
    }
    claim_as(&rig, "keyword", "XONE");
    let first = rig.host();
    assert!(claim::check(first, &[]).is_ok());
    let cases = [
        ("verb", "xone", "wanted for itself verb XONE, found it claimed by plug-in first"),
        (
            "keyword",
            "XONE",
            "wanted for itself EHLO keyword XONE, found it claimed by plug-in first",
        ),
        (
            "mail",
            "Xone",
            "wanted for itself MAIL parameter XONE, found it claimed by plug-in first",
        ),
        (
            "rcpt",
            "XONE",
            "wanted for itself RCPT parameter XONE, found it claimed by plug-in first",
        ),
        ("verb", "rset", "wanted for itself verb RSET, found it claimed by the server itself"),
        (
            "keyword",
            "size",
            "wanted for itself EHLO keyword SIZE, found it claimed by the server itself",
        ),
        ("verb", "XTWO", "wanted a handler before VERB for the verb XTWO, found none"),
        ("mail", "XTWO", "wanted a handler before MAIL for the MAIL parameter XTWO, found none"),
    ];
    for (kind, name, line) in cases {
        rig.plugin("second", Run::Inline);
        let status = claim_as(&rig, kind, name);
        let own = line.ends_with("itself");
        assert_eq!(status, if own { abi::EM_ERR_CLAIMED } else { abi::NOERROR }, "{name}");
        let refused = claim::check(rig.host(), &[first]).unwrap_err();
        assert_eq!(refused.to_string(), format!("claims: {line}"));
    }
    // The reply to EHLO has room for so many, whoever claims them.
    for (name, refused) in [("third", false), ("fourth", true)] {
        rig.plugin(name, Run::Inline);
        for number in 0..20 {
            assert_eq!(claim_as(&rig, "keyword", &format!("{name}-{number}")), abi::NOERROR);
        }
        let loaded: Vec<_> = rig.hosts[..rig.hosts.len() - 1]
            .iter()
            .copied()
            .filter(|host| ["first", "third"].contains(&&*host.name))
            .collect();
        assert_eq!(claim::check(rig.host(), &loaded).is_err(), refused, "{name}");
    }
}

#[test]
fn sessions_see_what_works() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    for kind in ["verb", "keyword", "mail"] {
        claim_as(&rig, kind, "XONE");
    }
    claim_as(&rig, "keyword", "X-WHOLE");
    let verb = serve(&mut rig, abi::EM_SMTPVERB);
    let mail = serve(&mut rig, abi::EM_SMTPMAIL);
    let directory = rig.directory();
    let claims = || (*Dispatch::new(directory.current()).claims()).clone();
    let made = |of: &[Result<Claim, stagepost_smtp::ClaimError>]| {
        Claims::new(of.iter().map(|claim| claim.clone().unwrap()))
    };
    let keyword = Claim::keyword("XONE", "a b");
    let whole = Claim::keyword("X-WHOLE", "a b");
    let all = [Claim::verb("XONE"), keyword, Claim::mail_parameter("XONE"), whole.clone()];
    assert_eq!(claims(), made(&all));
    let begun = Dispatch::new(directory.current());
    // SAFETY: the handle is a live host's.
    let end = |registration| unsafe { (BASE.0.EMDeregister)(rig.host().handle(), registration) };
    assert_eq!(end(verb), abi::NOERROR);
    assert_eq!(claims(), made(&[Claim::mail_parameter("XONE"), whole]));
    assert_eq!(end(mail), abi::NOERROR);
    assert!(claims().is_empty());
    assert_eq!(*begun.claims(), made(&all), "a session goes by what was when it began");
}

#[test]
fn keywords_are_edited_before_ehlo_and_later_handlers_see_it() {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut rig = Rig::default();
    for name in ["one", "two"] {
        let log = seen.clone();
        rig.plugin(name, Run::Inline).on(abi::EM_SMTPEHLO, abi::EM_REG_BEFORE, move |record| {
            // SAFETY: the event is an EmEhlo, the sheet this call's.
            unsafe {
                let event = &*record.Event.cast::<abi::EmEhlo>();
                log.lock().unwrap().push(read(event.keywords));
                let add = |keyword, parameters| {
                    (edits.keyword_add)(sheet(record), lend(keyword), lend(parameters))
                };
                assert_eq!(add("x-new", name), abi::NOERROR);
                assert_eq!(add("SIZE", "1"), abi::EM_ERR_CLAIMED);
                assert_eq!(add("X NEW", ""), abi::ERR_MISC_INVALID_ARGS);
                assert_eq!(add("X", "a\nPIPELINING"), abi::ERR_MISC_INVALID_ARGS);
                assert_eq!((edits.keyword_remove)(sheet(record), lend("help")), abi::NOERROR);
                assert_eq!(
                    (edits.keyword_remove)(sheet(record), lend("")),
                    abi::ERR_MISC_INVALID_ARGS
                );
            }
            abi::ERR_EM_CONTINUE
        });
    }
    let ehlo = |extended, keywords: &str| {
        let keywords = keywords.into();
        ask(Question::Ehlo { name: "x".into(), extended, keywords }, Stage::Before, None)
    };
    let dispatch = rig.dispatch();
    let verdict = now(dispatch.ask(ehlo(true, "SIZE 5\nHELP")));
    assert_eq!(verdict.edits.len(), 4);
    now(dispatch.ask(ehlo(false, "")));
    let wanted = ["SIZE 5\nHELP", "SIZE 5\nX-NEW one", "", ""];
    assert_eq!(*seen.lock().unwrap(), wanted);
}

#[test]
fn parameters_are_found_in_c_too() {
    let table: &abi::EmExtensionService = service(abi::EM_EXTENSION_ID);
    let parameters = "SIZE=5 xTag=a+3Db X-Flag";
    let find = |keyword| {
        let mut value = lend("unset");
        // SAFETY: text is lent for the call; the value has its place.
        let status = unsafe { (table.parameter)(lend(parameters), lend(keyword), &raw mut value) };
        // SAFETY: written on success with a piece of `parameters`.
        (status == abi::NOERROR).then(|| unsafe { read(value) }).ok_or(status)
    };
    assert_eq!(find("XTAG"), Ok("a+3Db".to_owned()));
    assert_eq!(find("x-flag"), Ok(String::new()));
    assert_eq!(find("X"), Err(abi::ERR_NOT_FOUND));
    let null = std::ptr::null_mut();
    // SAFETY: a NULL is told.
    let status = unsafe { (table.parameter)(lend(parameters), lend("SIZE"), null) };
    assert_eq!(status, abi::ERR_MISC_INVALID_ARGS);
}

#[test]
fn claimed_parameters_can_be_given_by_plug_ins() {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    claim_as(&rig, "mail", "XTAG");
    claim_as(&rig, "rcpt", "XTAG");
    serve(&mut rig, abi::EM_SMTPRCPT);
    serve(&mut rig, abi::EM_SMTPMAIL);
    rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
        // SAFETY: the sheet is this call's.
        unsafe {
            let sender = |parameters| (edits.sender)(sheet(record), lend("a@b"), lend(parameters));
            assert_eq!(sender("XTAG=1"), abi::NOERROR);
            assert_eq!(sender("XTOG=1"), abi::ERR_MISC_INVALID_ARGS);
            let add = (edits.recipient_add)(sheet(record), lend("a@b"), lend("xtag"));
            assert_eq!(add, abi::NOERROR);
        }
        abi::ERR_EM_CONTINUE
    });
    assert_eq!(now(rig.dispatch().ask(accept())).edits.len(), 2);
}
