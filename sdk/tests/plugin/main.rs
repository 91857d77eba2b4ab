//! A plug-in driven through its C entry by a host in the same process.
//! Knows the SDK from both sides, and no real host.
#![allow(unsafe_code, reason = "calls the entry point as the host does")]

#[path = "../fake/mod.rs"]
mod fake;

mod answer;
mod event;
mod filter;
mod message;
mod probe;
mod service;
mod start;

use fake::{Fake, Session, Sheet, event, text};
use probe::em_entry;
use stagepost_abi::*;

fn loaded() -> &'static Fake {
    let (fake, status) = Fake::default().load(em_entry);
    assert_eq!(status, NOERROR);
    assert_eq!(fake.logged(), ["3 - started"]);
    fake
}

/// Calls the handler before MAIL: what it returns, what it wrote to the sheet, and what it logged.
fn before_mail(
    fake: &Fake,
    session: &Session,
    sender: EmText,
) -> (STATUS, Vec<String>, Vec<String>) {
    let sheet = Sheet::default();
    let mail = EmMail { event: event::<EmMail>(session, &sheet), sender, parameters: text(b"") };
    let status = fake.call(EM_SMTPMAIL, EM_BEFORE, &mail);
    (status, sheet.take(), fake.logged())
}
