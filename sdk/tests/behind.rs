//! Events behind the session as Rust handlers see them, and what they can say.
#![allow(unsafe_code, reason = "calls the entry point as the host does")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use stagepost_sdk::{
    AfterEdits, Answer, Bounce, Delivery, Edits, Enqueue, Expiry, Fault, Host, Level, Outcome,
    Outgoing, Plugin, Routing, StartError, export_plugin,
};

mod fake;

use fake::{Fake, Session, Sheet, event, text};
use stagepost_abi::*;

struct Postman(Host);

impl Plugin for Postman {
    fn start(host: Host) -> Result<Self, StartError> {
        Ok(Self(host))
    }

    fn before_queue(&self, event: &Enqueue<'_>, edits: &mut Edits<'_>) -> Outcome {
        edits.header_add("X-Id", event.id)?;
        Ok(if event.octets > 9 { Answer::Handled } else { Answer::Continue })
    }

    fn before_route(&self, event: &Routing<'_>, edits: &mut Edits<'_>) -> Outcome {
        edits.route(&format!("{}:{}", event.destination, event.attempts + 25))?;
        assert_eq!((event.next_hop, event.age_s), ("mx", 60));
        Ok(Answer::Continue)
    }

    fn after_deliver(&self, event: &Delivery<'_>, _: &mut AfterEdits<'_>) -> Result<(), Fault> {
        for result in event.results.iter() {
            let (class, subject, detail) = result.enhanced;
            let held = result.result == Outgoing::Held;
            self.0.log(
                Level::Info,
                format_args!(
                    "{} {held} {class}.{subject}.{detail} {}",
                    result.recipient, result.reason
                ),
            );
        }
        Ok(())
    }

    fn before_bounce(&self, event: &Bounce<'_>, _: &mut Edits<'_>) -> Outcome {
        assert!(event.results.is_empty() && event.to == "a@b.test");
        Ok(Answer::Handled)
    }

    fn before_expire(&self, event: &Expiry<'_>, _: &mut Edits<'_>) -> Outcome {
        Ok(Answer::defer(450, "4.2.0", format!("{} again", event.attempts)))
    }
}

export_plugin! {
    type = Postman,
    name = "postman",
    version = "1.0",
    class = blocking,
    stages = [before_queue, before_route, after_deliver, before_bounce, before_expire],
    edits = [verdict, header, route],
}

fn result(recipient: &'static [u8], result: u32) -> EmRecipientResult {
    EmRecipientResult {
        recipient: text(recipient),
        reason: text(b"why"),
        result,
        enhanced_class: 4,
        reserved: [0; 3],
        enhanced_subject: 2,
        enhanced_detail: 1,
        reserved_2: 0,
    }
}

#[test]
fn events_behind_the_session_are_read_and_answered() {
    let (fake, status) = Fake::default().load(em_entry);
    assert_eq!(status, NOERROR);
    let (session, sheet) = (Session::new(1), Sheet::default());
    let message = std::ptr::null();
    let mut queue =
        EmQueue { event: event::<EmQueue>(&session, &sheet), id: text(b"i"), octets: 9, message };
    assert_eq!(fake.call(EM_SMTPQUEUE, EM_BEFORE, &queue), ERR_EM_CONTINUE);
    queue.octets = 10;
    assert_eq!(fake.call(EM_SMTPQUEUE, EM_BEFORE, &queue), NOERROR);
    assert_eq!(sheet.take(), ["header_add X-Id: i", "header_add X-Id: i"]);
    let route = EmRoute {
        event: event::<EmRoute>(&session, &sheet),
        id: text(b"i"),
        destination: text(b"x.test"),
        next_hop: text(b"mx"),
        age_s: 60,
        attempts: 2,
        reserved: 0,
        message,
    };
    assert_eq!(fake.call(EM_SMTPROUTE, EM_BEFORE, &route), ERR_EM_CONTINUE);
    assert_eq!(sheet.take(), ["route x.test:27"]);

    let mut results = [result(b"a@x.test", EM_RESULT_HELD), result(b"b@x.test", 99)];
    let mut deliver = EmDeliver {
        event: event::<EmDeliver>(&session, &sheet),
        id: text(b"i"),
        destination: text(b"x.test"),
        next_hop: text(b"mx"),
        results: results.as_ptr(),
        results_count: 2,
        attempts: 2,
        age_s: 60,
        message,
    };
    assert_eq!(fake.call(EM_SMTPDELIVER, EM_AFTER, &deliver), ERR_EM_CONTINUE);
    let lines = fake.logged();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].ends_with("a@x.test true 4.2.1 why"), "{lines:?}");
    assert!(lines[1].ends_with("b@x.test false 4.2.1 why"), "{lines:?}");
    // What the contract does not allow is the host's fault, and told.
    deliver.results = std::ptr::null();
    assert_eq!(fake.call(EM_SMTPDELIVER, EM_AFTER, &deliver), EM_FAULT);
    results[1].recipient = text(b"\xff");
    deliver.results = results.as_ptr();
    assert_eq!(fake.call(EM_SMTPDELIVER, EM_AFTER, &deliver), EM_FAULT);

    let bounce = EmBounce {
        event: event::<EmBounce>(&session, &sheet),
        id: text(b"i"),
        notification: text(b""),
        to: text(b"a@b.test"),
        results: std::ptr::null(),
        results_count: 0,
        reserved: 0,
        message,
    };
    assert_eq!(fake.call(EM_SMTPBOUNCE, EM_BEFORE, &bounce), NOERROR);
    let expire = EmExpire {
        event: event::<EmExpire>(&session, &sheet),
        id: text(b"i"),
        destination: text(b"x.test"),
        age_s: 60,
        attempts: 3,
        reserved: 0,
        message,
    };
    assert_eq!(fake.call(EM_SMTPEXPIRE, EM_BEFORE, &expire), EM_VERDICT);
    assert_eq!(sheet.take(), ["verdict 3 450 4.2.0 3 again"]);
}
