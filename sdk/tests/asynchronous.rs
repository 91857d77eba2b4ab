//! Asynchronous handlers driven through the C entry by a host in the same process: woken, polled, given up.
//! Knows the SDK from both sides, and no real host.
#![allow(unsafe_code, reason = "calls the entry point as the host does")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod fake;

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use fake::pending::Call;
use fake::{Fake, Session, Sheet, event, text};
use stagepost_abi::*;
use stagepost_sdk::{
    Answer, AsyncPlugin, Edits, Fault, Host, Mail, Outcome, Pending, Plugin, Rcpt, Reason,
    StartError, export_plugin,
};

/// Futures that were dropped before they were ready.
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// What the test's other side tells a waiting handler.
#[derive(Default)]
struct Bell {
    word: Option<String>,
    waker: Option<Waker>,
}

static BELLS: Mutex<Vec<(u64, Arc<Mutex<Bell>>)>> = Mutex::new(Vec::new());

/// The bell of a session, made when somebody first asks.
fn bell(session: u64) -> Arc<Mutex<Bell>> {
    let mut bells = BELLS.lock().unwrap();
    if let Some((_, bell)) = bells.iter().find(|(known, _)| *known == session) {
        return bell.clone();
    }
    bells.push((session, Arc::default()));
    bells.last().unwrap().1.clone()
}

/// Says a word to the handler that waits in a session.
fn ring(session: u64, word: &str) {
    let bell = bell(session);
    let mut bell = bell.lock().unwrap();
    bell.word = Some(word.to_owned());
    if let Some(waker) = bell.waker.take() {
        waker.wake();
    }
}

/// Waits for a word.
async fn hear(session: u64) -> String {
    struct Unheard;
    impl Drop for Unheard {
        fn drop(&mut self) {
            DROPPED.fetch_add(1, Ordering::SeqCst);
        }
    }
    let unheard = Unheard;
    let bell = bell(session);
    let word = poll_fn(move |context| {
        let mut bell = bell.lock().unwrap();
        match bell.word.take() {
            Some(word) => Poll::Ready(word),
            None => {
                bell.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    })
    .await;
    std::mem::forget(unheard);
    word
}

struct Waiter;

impl Plugin for Waiter {
    fn start(_: Host) -> Result<Self, StartError> {
        Ok(Self)
    }
}

impl AsyncPlugin for Waiter {
    async fn before_mail(&self, event: &Mail<'_>, edits: &mut Edits<'_>, _: &Pending) -> Outcome {
        let heard = hear(event.session.id()).await;
        // What was lent before the wait is there after it.
        edits.attribute("mail", &format!("{} {heard}", event.sender))?;
        let waits = event.session.slot(|waits: &mut u32| {
            *waits += 1;
            *waits
        })?;
        match heard.as_str() {
            "reject" => Ok(Answer::reject(550, "5.7.1", format!("wait {waits}"))),
            "panic" => panic!("while it waits"),
            "fault" => Err(Fault::new("a broken leg")),
            "again" => Ok(Answer::defer(450, "", hear(event.session.id()).await)),
            _ => Ok(Answer::Continue),
        }
    }

    async fn before_rcpt(&self, event: &Rcpt<'_>, _: &mut Edits<'_>, call: &Pending) -> Outcome {
        match event.recipient {
            "at once" => Ok(Answer::Handled),
            "longer" => {
                call.extend(Duration::from_micros(999_001))?;
                let refused = call.extend(Duration::from_micros(1_000_001));
                assert_eq!(refused.unwrap_err().reason, Reason::Limit);
                Ok(Answer::Continue)
            }
            _ => panic!("at once"),
        }
    }
}

export_plugin! {
    type = Waiter,
    name = "waiter",
    version = "1.0",
    class = inline,
    stages = [],
    async_stages = [before_mail, before_rcpt],
    edits = [verdict, attribute],
}

fn loaded() -> &'static Fake {
    let (fake, status) = Fake::default().load(em_entry);
    assert_eq!(status, NOERROR);
    fake
}

fn mail(fake: &Fake, session: &Session, sheet: &Sheet) -> Call<EmMail> {
    let event = event::<EmMail>(session, sheet);
    fake.begin(EM_SMTPMAIL, EmMail { event, sender: text(b"a@b"), parameters: text(b"") })
}

#[test]
fn a_future_is_woken_from_another_thread_and_answers_when_polled() {
    let fake = loaded();
    let (session, sheet) = (Session::new(11), Sheet::default());
    let call = mail(fake, &session, &sheet);
    assert_eq!((call.answer(), call.wakes()), (None, 0));
    assert_eq!(call.poll(EM_POLL_WOKEN), EM_PENDING, "woken for nothing");
    std::thread::spawn(|| ring(11, "again"));
    call.woken();
    assert_eq!(call.poll(EM_POLL_WOKEN), EM_PENDING);
    std::thread::spawn(|| ring(11, "later"));
    call.woken();
    assert_eq!(call.poll(EM_POLL_WOKEN), EM_VERDICT);
    assert_eq!(sheet.take(), ["attribute mail a@b again", "verdict 3 450  later"]);
    assert_eq!(call.poll(EM_POLL_WOKEN), EM_FAULT, "it has answered");
    drop(call);
    let call = mail(fake, &session, &sheet);
    ring(11, "reject");
    assert_eq!(call.wakes(), 1);
    assert_eq!(call.poll(EM_POLL_WOKEN), EM_VERDICT);
    assert_eq!(sheet.take()[1], "verdict 2 550 5.7.1 wait 2");
    assert_eq!(fake.logged(), [""; 0]);
}

#[test]
fn a_future_that_is_ready_at_once_completes_its_call() {
    let fake = loaded();
    let (session, sheet) = (Session::new(12), Sheet::default());
    for (recipient, wanted) in
        [("at once", NOERROR), ("longer", ERR_EM_CONTINUE), ("panics", EM_FAULT)]
    {
        let rcpt = EmRcpt {
            event: event::<EmRcpt>(&session, &sheet),
            recipient: text(recipient.as_bytes()),
            parameters: text(b""),
        };
        let call = fake.begin(EM_SMTPRCPT, rcpt);
        assert_eq!(call.answer(), Some(wanted), "{recipient}");
    }
    let log = fake.logged();
    assert!(log.len() == 1 && log[0].starts_with("1 12 waiter: before_rcpt panicked"), "{log:?}");
}

#[test]
fn what_goes_wrong_while_it_waits_is_a_fault_with_a_reason() {
    let fake = loaded();
    let (session, sheet) = (Session::new(13), Sheet::default());
    for (word, reason) in [
        ("panic", "1 13 waiter: before_mail panicked"),
        ("fault", "1 13 waiter: before_mail failed: a broken leg"),
    ] {
        let call = mail(fake, &session, &sheet);
        ring(13, word);
        assert_eq!(call.poll(EM_POLL_WOKEN), EM_FAULT, "{word}");
        let log = fake.logged();
        assert!(log.len() == 1 && log[0].starts_with(reason), "{log:?}");
    }
}

#[test]
fn a_call_that_is_over_drops_its_future_and_wakes_nobody() {
    let fake = loaded();
    let (session, sheet) = (Session::new(14), Sheet::default());
    let call = mail(fake, &session, &sheet);
    let dropped = DROPPED.load(Ordering::SeqCst);
    assert_eq!(call.poll(EM_POLL_OVER), EM_FAULT);
    assert!(DROPPED.load(Ordering::SeqCst) > dropped);
    drop(call);
    // The waker outlives its call.
    ring(14, "too late");
    assert_eq!((sheet.take(), fake.logged()), (vec![], vec![]));
}

#[test]
fn a_plug_in_that_waits_needs_a_host_that_can() {
    let (fake, status) = Fake { without: vec![EM_ASYNC_ID], ..Fake::default() }.load(em_entry);
    assert_eq!(status, ERR_NOT_FOUND);
    let log = fake.logged();
    assert_eq!(log, ["1 - waiter: cannot start: this host has no service em.async/1"]);
}
