//! Look-ups of plug-ins: what they are told, when, and on which thread.
//! Plays the resolver; uses the rig of the tests above it.

use tokio::sync::Notify;

use super::pending::{Hand, leak, look, take_with};
use super::*;
use crate::dns::{DnsAnswer, DnsQuestion, DnsRecord, LookingUp, RecordType, Resolver};
use crate::hosted::Hosted;

fn dns() -> &'static abi::EmDnsService {
    service(abi::EM_DNS_ID)
}

/// A resolver that knows a handful of names, and answers when it is let.
#[derive(Default)]
struct Book {
    open: Arc<Notify>,
    asked: Arc<Mutex<Vec<DnsQuestion>>>,
}

impl Resolver for Book {
    fn look_up(&self, question: DnsQuestion) -> LookingUp {
        let open = self.open.clone();
        let record = |value: &[u8], preference| DnsRecord { value: value.into(), preference };
        let answer = match (question.record_type(), question.name()) {
            (RecordType::Mx, "many.test") => DnsAnswer::Found {
                records: vec![record(b"mx1.many.test", 10), record(b"mx2.many.test", 20)],
                ttl: Duration::from_secs(300),
            },
            (RecordType::Txt, "octets.test") => {
                DnsAnswer::Found { records: vec![record(b"a\0\xff", 0)], ttl: Duration::MAX }
            }
            (_, "many.test") => DnsAnswer::NoData,
            (_, "trouble.test") => DnsAnswer::Trouble,
            _ => DnsAnswer::NoName,
        };
        self.asked.lock().unwrap().push(question);
        Box::pin(async move {
            open.notified().await;
            open.notify_one();
            answer
        })
    }
}

fn resolve_with(host: &Host, book: Book) {
    let hosted = Hosted { resolver: Some(Arc::new(book)), ..Hosted::default() };
    host.offer(Box::leak(Box::new(hosted)));
}

fn ask_dns(host: &'static Host, token: u64, kind: u32, name: &str) -> Result<u32, abi::STATUS> {
    let mut query = u32::MAX;
    // SAFETY: the handle is a live host's, the name lent for the call, the place ours.
    match unsafe { (dns().ask)(host.handle(), token, kind, lend(name), &raw mut query) } {
        abi::NOERROR => Ok(query),
        status => Err(status),
    }
}

/// What an answer says: outcome, seconds, and its records.
type Said = (u32, u32, Vec<(Vec<u8>, u16)>);

/// Reads an answer.
///
/// # Safety
/// It is valid.
unsafe fn said(answer: *const abi::EmDnsAnswer) -> Said {
    // SAFETY: by the caller's promise.
    let answer = unsafe { &*answer };
    assert_eq!(answer.size as usize, size_of::<abi::EmDnsAnswer>());
    let read = |index: u64| {
        // SAFETY: as many records as the count says, and their octets.
        unsafe {
            let record = &*answer.records.add(index as usize);
            let octets = std::slice::from_raw_parts(
                record.value.data.cast::<u8>(),
                record.value.len as usize,
            );
            (octets.to_vec(), record.preference)
        }
    };
    (answer.outcome, answer.ttl_s, (0..answer.count).map(read).collect())
}

fn read_answer(host: &'static Host, token: u64, query: u32) -> Result<Said, abi::STATUS> {
    let mut answer = std::ptr::null();
    // SAFETY: the handle is a live host's, the place ours; an answer is valid while the call is.
    unsafe {
        match (dns().answer)(host.handle(), token, query, &raw mut answer) {
            abi::NOERROR => Ok(said(answer)),
            status => Err(status),
        }
    }
}

/// What is asked and what comes of it.
fn cases() -> [(u32, &'static str, Said); 5] {
    let text = |text: &str, preference| (text.as_bytes().to_vec(), preference);
    let hosts = vec![text("mx1.many.test", 10), text("mx2.many.test", 20)];
    [
        (abi::EM_DNS_MX, "many.test", (abi::EM_DNS_FOUND, 300, hosts)),
        (
            abi::EM_DNS_TXT,
            "Octets.Test.",
            (abi::EM_DNS_FOUND, u32::MAX, vec![(b"a\0\xff".to_vec(), 0)]),
        ),
        (abi::EM_DNS_A, "many.test", (abi::EM_DNS_NO_DATA, 0, vec![])),
        (abi::EM_DNS_PTR, "192.0.2.1", (abi::EM_DNS_NO_NAME, 0, vec![])),
        (abi::EM_DNS_AAAA, "trouble.test", (abi::EM_DNS_TROUBLE, 0, vec![])),
    ]
}

#[tokio::test]
async fn answers_come_by_poll_and_stay_as_long_as_the_call() {
    for run in [Run::Inline, Run::Pool] {
        let mut rig = Rig::default();
        rig.plugin("p", run);
        let hand = Hand::of(&rig);
        let (host, book) = (rig.host(), Book::default());
        let (open, asked) = (book.open.clone(), book.asked.clone());
        resolve_with(host, book);
        let token = Arc::new(Mutex::new(0));
        let known = token.clone();
        let data = leak(move |_, reason| {
            assert_eq!(reason, abi::EM_POLL_WOKEN);
            let token = *known.lock().unwrap();
            let answers = cases().into_iter().zip(0..).map(|((.., wanted), query)| {
                let found = read_answer(host, token, query);
                assert!(found == Ok(wanted) || found == Err(abi::EM_PENDING), "{found:?}");
                found.is_ok()
            });
            if answers.filter(|there| *there).count() < cases().len() {
                return abi::EM_PENDING;
            }
            assert_eq!(read_answer(host, token, 99), Err(abi::ERR_MISC_INVALID_ARGS));
            abi::ERR_EM_CONTINUE
        });
        let open_now = open.clone();
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            let taken = take_with(hand.table(), record, Some(look), data.data()).unwrap();
            *token.lock().unwrap() = taken;
            for (number, (kind, name, _)) in cases().into_iter().enumerate() {
                assert_eq!(ask_dns(host, taken, kind, name), Ok(number as u32));
                assert_eq!(read_answer(host, taken, number as u32), Err(abi::EM_PENDING));
            }
            for (kind, name) in [(99, "a.test"), (abi::EM_DNS_A, "no name"), (abi::EM_DNS_A, "")] {
                assert_eq!(ask_dns(host, taken, kind, name), Err(abi::ERR_MISC_INVALID_ARGS));
            }
            assert_eq!(ask_dns(host, 0, abi::EM_DNS_A, "a.test"), Err(abi::ERR_NOT_FOUND));
            open_now.notify_one();
            abi::EM_PENDING
        });
        let verdict = answered(rig.dispatch().ask(mail())).await;
        assert_eq!((verdict.decision, host.state().faults), (Decision::Continue, 0));
        let names: Vec<_> = asked.lock().unwrap().iter().map(|one| one.name().to_owned()).collect();
        let wanted =
            ["many.test", "octets.test", "many.test", "1.2.0.192.in-addr.arpa", "trouble.test"];
        assert_eq!(names, wanted);
    }
}

#[tokio::test]
async fn look_ups_of_a_call_are_bounded_and_end_with_it() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let hand = Hand::of(&rig);
    let (host, book) = (rig.host(), Book::default());
    let (open, asked) = (book.open.clone(), book.asked.clone());
    resolve_with(host, book);
    let data = leak(|_, _| panic!("nothing is to be polled"));
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let token = take_with(hand.table(), record, Some(look), data.data()).unwrap();
        for number in 0..64 {
            assert_eq!(ask_dns(host, token, abi::EM_DNS_A, "a.test"), Ok(number));
        }
        assert_eq!(ask_dns(host, token, abi::EM_DNS_A, "a.test"), Err(abi::EM_ERR_LIMIT));
        hand.complete(token, abi::ERR_EM_CONTINUE);
        assert_eq!(ask_dns(host, token, abi::EM_DNS_A, "a.test"), Err(abi::EM_ERR_OVER));
        abi::EM_PENDING
    });
    assert_eq!(now(rig.dispatch().ask(mail())).decision, Decision::Continue);
    assert_eq!(asked.lock().unwrap().len(), 64);
    // Nobody has answered, and nobody waits any more.
    while Arc::strong_count(&open) > 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn only_threads_that_may_block_wait_for_an_answer() {
    for run in [Run::Inline, Run::Pool] {
        let mut rig = Rig::default();
        rig.plugin_with("p", run, |config, _| {
            config.contracts.at_mut(Event::MessageAccept).deadline = Duration::from_millis(20);
        });
        let (host, book) = (rig.host(), Book::default());
        let open = book.open.clone();
        resolve_with(host, book);
        let wait = |record: &abi::EMRECORD, kind, name: &str| {
            let mut answer = std::ptr::null();
            // SAFETY: the sheet is this call's, and an answer is valid as long.
            unsafe {
                match (dns().wait)(sheet(record), kind, lend(name), &raw mut answer) {
                    abi::NOERROR => Ok(said(answer)),
                    status => Err(status),
                }
            }
        };
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            for (kind, name, wanted) in cases() {
                let wanted = if run == Run::Pool { Ok(wanted) } else { Err(abi::EM_ERR_STAGE) };
                assert_eq!(wait(record, kind, name), wanted);
            }
            assert_eq!(wait(record, 0, "a.test"), Err(abi::ERR_MISC_INVALID_ARGS));
            abi::ERR_EM_CONTINUE
        });
        let (said, heard) = std::sync::mpsc::channel();
        rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
            said.send(wait(record, abi::EM_DNS_A, "a.test")).unwrap();
            abi::ERR_EM_CONTINUE
        });
        let directory = rig.directory();
        answered(Dispatch::new(directory.current()).ask(accept())).await;
        let late = if run == Run::Pool { abi::EM_ERR_OVER } else { abi::EM_ERR_STAGE };
        assert_eq!(heard.recv_timeout(Duration::from_secs(20)), Ok(Err(late)));
        open.notify_one();
        let verdict = answered(Dispatch::new(directory.current()).ask(mail())).await;
        assert_eq!(verdict.decision, Decision::Continue);
    }
}
