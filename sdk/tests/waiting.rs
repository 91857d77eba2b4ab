//! Timers, look-ups and requests as futures, and as calls that block, driven by a host in the same process.
//! Knows the SDK from both sides, and no real host.
#![allow(unsafe_code, reason = "calls the entry point as the host does")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod fake;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Mutex;
use std::task::Poll;
use std::time::Duration;

use fake::pending::Call;
use fake::{Fake, Session, Sheet, event, text};
use stagepost_abi::*;
use stagepost_sdk::{
    Answer, AsyncPlugin, Data, DnsError, Edits, Ehlo, Host, Mail, Mx, Outcome, Pending, Plugin,
    Rcpt, Reason, StartError, State, export_plugin,
};

/// What handlers have found, for the test to read.
static FOUND: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn found(what: impl std::fmt::Debug) {
    FOUND.lock().unwrap().push(format!("{what:?}"));
}

struct Waiter {
    state: State,
}

impl Plugin for Waiter {
    fn start(host: Host) -> Result<Self, StartError> {
        Ok(Self { state: host.state().ok_or_else(|| StartError::failed("no state"))? })
    }

    fn before_data(&self, _: &Data<'_>, edits: &mut Edits<'_>) -> Outcome {
        edits.wait(Duration::from_millis(5))?;
        let late = edits.wait(Duration::from_secs(5)).unwrap_err();
        assert_eq!(late.reason, Reason::NotHere);
        let dns = edits.dns_wait();
        assert_eq!(dns.txt("a.test")?, [b"a\0\xff".to_vec(), vec![]]);
        assert_eq!(dns.a("nobody.test"), Err(DnsError::NoName));
        assert!(matches!(dns.ptr("refused.test"), Err(DnsError::Refused(_))));
        assert_eq!(dns.has_address("a.test", "2001:db8::1".parse().unwrap()), Ok(true));
        assert_eq!(dns.has_address("a.test", "192.0.2.2".parse().unwrap()), Ok(false));
        Ok(Answer::Continue)
    }
}

/// Both of two futures, each polled only when its own turn comes.
async fn both<A: Future, B: Future>(one: A, two: B) -> (A::Output, B::Output) {
    let (mut one, mut two) = (pin!(one), pin!(two));
    let (mut first, mut second) = (None, None);
    poll_fn(|context| {
        fn step<F: Future>(
            future: Pin<&mut F>,
            output: &mut Option<F::Output>,
            context: &mut std::task::Context<'_>,
        ) {
            if output.is_none()
                && let Poll::Ready(ready) = future.poll(context)
            {
                *output = Some(ready);
            }
        }
        step(one.as_mut(), &mut first, context);
        step(two.as_mut(), &mut second, context);
        match (first.take(), second.take()) {
            (Some(one), Some(two)) => Poll::Ready((one, two)),
            (one, two) => {
                (first, second) = (one, two);
                Poll::Pending
            }
        }
    })
    .await
}

impl AsyncPlugin for Waiter {
    async fn before_mail(&self, _: &Mail<'_>, _: &mut Edits<'_>, call: &Pending) -> Outcome {
        call.timer(Duration::ZERO).await?;
        let (short, long) =
            both(call.timer(Duration::from_millis(2)), call.timer(Duration::from_millis(9))).await;
        short?;
        long?;
        let refused = call.timer(Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(refused.reason, Reason::Limit);
        Ok(Answer::Continue)
    }

    async fn before_ehlo(&self, _: &Ehlo<'_>, _: &mut Edits<'_>, call: &Pending) -> Outcome {
        let state = self.state;
        // Both are begun before either is awaited, and one that nobody awaits is done all the same.
        drop(state.put(call, b"k/0", b"dropped"));
        let (one, two) = both(state.put(call, b"k/1", b"one"), state.put(call, b"k/2", b"")).await;
        one?;
        two?;
        let (one, two) = both(state.get(call, b"k/1"), state.get(call, b"k/2")).await;
        assert_eq!((one?.as_deref(), two?.as_deref()), (Some(&b"one"[..]), Some(&b""[..])));
        assert_eq!(state.next(call, b"k/", b"").await?.as_deref(), Some(&b"k/0"[..]));
        assert_eq!(state.next(call, b"k/", b"k/2").await?, None);
        state.remove(call, b"k/1").await?;
        assert_eq!(state.get(call, b"k/1").await?, None);
        let refused = state.get(call, b"refused").await.unwrap_err();
        assert_eq!((refused.call, refused.reason), ("get", Reason::Limit));
        let broken = state.put(call, b"broken", b"").await.unwrap_err();
        assert_eq!((broken.call, broken.reason), ("put", Reason::Unreadable));
        Ok(Answer::Continue)
    }

    async fn before_rcpt(&self, event: &Rcpt<'_>, _: &mut Edits<'_>, call: &Pending) -> Outcome {
        let dns = call.dns();
        if event.recipient == "dropped" {
            // A look-up that nobody waits for any more disturbs nobody.
            let mut dropped = Box::pin(dns.a("a.test"));
            poll_fn(|context| Poll::Ready(dropped.as_mut().poll(context).is_pending())).await;
            drop(dropped);
            return Ok(Answer::Handled);
        }
        let (four, six) = both(dns.a("a.test"), dns.aaaa("a.test")).await;
        found((four?, six?));
        let Mx { preference, host } = dns.mx("a.test").await?.remove(0);
        found((preference, host));
        found((dns.txt("a.test").await?, dns.ptr("192.0.2.1").await?));
        for name in ["nobody.test", "a.test", "trouble.test", "newer.test", "short.test"] {
            found(dns.ptr(name).await);
        }
        let [four, six, other] =
            ["192.0.2.1", "2001:db8::1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        for (name, address) in [
            ("a.test", four),
            ("a.test", six),
            ("a.test", other),
            ("nobody.test", four),
            ("trouble.test", four),
        ] {
            found(dns.has_address(name, address).await);
        }
        match dns.a("no name").await {
            Err(DnsError::Refused(refusal)) => found(refusal.reason),
            other => panic!("{other:?}"),
        }
        Ok(Answer::Continue)
    }
}

export_plugin! {
    type = Waiter,
    name = "waiter",
    version = "1.0",
    class = blocking,
    stages = [before_data],
    async_stages = [before_ehlo, before_mail, before_rcpt],
    edits = [verdict],
}

fn loaded() -> &'static Fake {
    let (fake, status) = Fake::default().load(em_entry);
    assert_eq!(status, NOERROR);
    fake
}

fn rcpt(fake: &Fake, session: &Session, sheet: &Sheet, recipient: &'static str) -> Call<EmRcpt> {
    let event = event::<EmRcpt>(session, sheet);
    let (recipient, parameters) = (text(recipient.as_bytes()), text(b""));
    fake.begin(EM_SMTPRCPT, EmRcpt { event, recipient, parameters })
}

#[test]
fn timers_are_asked_of_the_host_and_pass_in_their_time() {
    let fake = loaded();
    let (session, sheet) = (Session::new(1), Sheet::default());
    let event = event::<EmMail>(&session, &sheet);
    let mail = EmMail { event, sender: text(b""), parameters: text(b"") };
    let begun = std::time::Instant::now();
    let call = fake.begin(EM_SMTPMAIL, mail);
    let asked = call.timers();
    assert!(asked.len() == 2 && asked[0] <= 2 && asked[1] <= 9, "{asked:?}");
    while call.poll(EM_POLL_WOKEN) == EM_PENDING {
        assert_eq!(call.wakes(), 0, "whoever is polled anyhow is not woken besides");
        std::thread::yield_now();
    }
    assert!(begun.elapsed() >= Duration::from_millis(9));
    assert_eq!(fake.logged(), [""; 0]);
}

#[test]
fn look_ups_are_asked_of_the_host_and_read_as_their_types() {
    let fake = loaded();
    let (session, sheet) = (Session::new(2), Sheet::default());
    let call = rcpt(fake, &session, &sheet, "a@b");
    assert_eq!(call.poll(EM_POLL_WOKEN), EM_PENDING, "nothing is answered yet");
    let both = [(EM_DNS_A, "a.test".to_owned()), (EM_DNS_AAAA, "a.test".to_owned())];
    assert_eq!(call.questions(), both);
    assert_eq!(call.poll(EM_POLL_WOKEN), ERR_EM_CONTINUE);
    let wanted = [
        "([192.0.2.1], [2001:db8::1])",
        "(10, \"mx.a.test\")",
        "([[97, 0, 255], []], [\"a.test\"])",
        "Err(NoName)",
        "Err(NoData)",
        "Err(Trouble)",
        "Err(Trouble)",
        "Err(Trouble)",
        "Ok(true)",
        "Ok(true)",
        "Ok(false)",
        "Ok(false)",
        "Err(Trouble)",
        "Invalid",
    ];
    assert_eq!(*FOUND.lock().unwrap(), wanted);
    let dropped = rcpt(fake, &session, &sheet, "dropped");
    assert_eq!(dropped.answer(), Some(NOERROR));
}

#[test]
fn the_state_is_asked_with_the_token_and_read_when_it_is_done() {
    let fake = loaded();
    let (session, sheet) = (Session::new(4), Sheet::default());
    let event = event::<EmEhlo>(&session, &sheet);
    let (name, keywords) = (text(b"c"), text(b""));
    let ehlo = EmEhlo { event, name, extended: 1, reserved: [0; 7], keywords };
    let call = fake.begin(EM_SMTPEHLO, ehlo);
    assert_eq!(call.poll(EM_POLL_WOKEN), EM_PENDING, "nothing is done yet");
    assert_eq!(call.requests(), 3);
    assert_eq!(call.poll(EM_POLL_WOKEN), ERR_EM_CONTINUE);
    let kept = fake.state.lock().unwrap().clone();
    assert_eq!(kept, [("k/0", "dropped"), ("k/2", "")].map(|(k, v)| (k.into(), v.into())).into());
    assert_eq!((call.wakes(), fake.logged()), (0, vec![]));
}

#[test]
fn a_handler_that_may_block_waits() {
    let fake = loaded();
    let (session, sheet) = (Session::new(3), Sheet::default());
    let data = EmData {
        event: event::<EmData>(&session, &sheet),
        chunk_octets: 0,
        verb: EM_DATA_DATA,
        last: 0,
        reserved: [0; 6],
    };
    assert_eq!(fake.call(EM_SMTPDATA, EM_BEFORE, &data), ERR_EM_CONTINUE);
    let wanted = [
        "wait 5",
        "wait 5000",
        "dns_wait 16 a.test",
        "dns_wait 1 nobody.test",
        "dns_wait 12 refused.test",
        "dns_wait 28 a.test",
        "dns_wait 1 a.test",
    ];
    assert_eq!(sheet.take(), wanted);
    assert_eq!(fake.logged(), [""; 0]);
}
