//! The queue service: who may do what where, what waits and what comes later, with a queue of the test's own.

use super::pending::{Hand, async_service, leak, take_with};
use super::*;
use crate::mail::{Coming, Door, Mail, MailError, MailFor, Submission, Submitter, Waiting, Work};

/// A queue that says what it was asked; `bad` can't be, `down` is not available, and `ready` need not be waited for.
struct Said;

fn answer<T: Send + 'static>(of: &MailFor, value: T) -> Coming<T> {
    let answer = match of {
        MailFor::Domain(name) if &**name == "bad" => Err(MailError::Invalid),
        MailFor::Domain(name) if &**name == "down" => Err(MailError::Unavailable),
        _ => Ok(value),
    };
    let ready = *of == MailFor::Domain("ready".into());
    Box::pin(async move {
        if !ready {
            // Not at once, so that a result can be asked for too early.
            tokio::task::yield_now().await;
        }
        answer
    })
}

impl Mail for Said {
    fn count(&self, of: MailFor) -> Coming<Waiting> {
        let queued = match &of {
            MailFor::Below(top) if &**top == "a.test" => 2,
            MailFor::Queue(name) if &**name == "branch" => 5,
            _ => 1,
        };
        answer(&of, Waiting { queued, held: 3, octets: 4 })
    }

    fn hold(&self, of: MailFor, reason: String) -> Coming<u64> {
        answer(&of, reason.len() as u64)
    }

    fn release(&self, of: MailFor) -> Coming<u64> {
        answer(&of, 20)
    }

    fn flush(&self, of: MailFor) -> Coming<u64> {
        answer(&of, 30)
    }

    fn submit(
        &self,
        submitter: Submitter,
        dispatch: Dispatch,
        sender: &str,
        _: &str,
    ) -> Result<Box<dyn Submission>, MailError> {
        let line =
            format!("{} {} {} <{sender}>", submitter.plugin, submitter.session, submitter.hops);
        // As the program does: what is made is shown to whoever wants to see it.
        if dispatch.interest().contains(Event::MessageAccept, Stage::Before) {
            now(dispatch.ask(accept()));
        }
        Ok(Box::new(Made(vec![line])))
    }
}

/// A message that is committed as what was done to it.
struct Made(Vec<String>);

impl Submission for Made {
    fn recipient(&mut self, path: &str, _: &str, grant: bool) -> Result<(), MailError> {
        if path == "nobody" {
            return Err(MailError::Route);
        }
        self.0.push(format!("{path} {grant}"));
        Ok(())
    }

    fn write<'a>(&'a mut self, octets: &'a [u8]) -> Work<'a, ()> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.0.push(String::from_utf8_lossy(octets).into_owned());
            if octets == b"lost" { Err(MailError::Unavailable) } else { Ok(()) }
        })
    }

    fn commit(self: Box<Self>) -> Coming<String> {
        Box::pin(async move { Ok(self.0.join("|")) })
    }
}

pub(super) fn opened(rig: &Rig) -> Arc<Directory> {
    let directory = rig.directory();
    let runtime = tokio::runtime::Handle::current();
    assert!(directory.mail.set(Door { mail: Arc::new(Said), runtime }).is_ok());
    directory
}

fn empty() -> abi::EmQueueCount {
    let size = size_of::<abi::EmQueueCount>() as u32;
    abi::EmQueueCount { size, reserved: 0, queued: 0, held: 0, octets: 0 }
}

pub(super) type Result3 = Result<(u64, u64, u64), abi::STATUS>;

fn told(status: abi::STATUS, count: abi::EmQueueCount) -> Result3 {
    if status == abi::NOERROR { Ok((count.queued, count.held, count.octets)) } else { Err(status) }
}

/// Every function that waits, with its own arguments.
pub(super) fn wait(host: &'static Host, what: &str, destination: &str) -> Result3 {
    let queue: &abi::EmQueueService = service(abi::EM_QUEUE_ID);
    let (host, destination, mut count) = (host.handle(), lend(destination), empty());
    // SAFETY: the handle is a live host's; all text is lent; there is room for the count.
    let status = unsafe {
        match what {
            "count" => (queue.count_wait)(host, destination, &raw mut count),
            "hold" => (queue.hold_wait)(host, destination, lend("why"), &raw mut count),
            "odd hold" => (queue.hold_wait)(host, destination, lend("a\nb"), &raw mut count),
            "release" => (queue.release_wait)(host, destination, &raw mut count),
            _ => (queue.flush_wait)(host, destination, &raw mut count),
        }
    };
    told(status, count)
}

const CASES: [(&str, &str, Result3); 10] = [
    ("count", "a.test", Ok((1, 3, 4))),
    ("count", "@a.test", Ok((2, 3, 4))),
    ("count", "#branch", Ok((5, 3, 4))),
    ("flush", "#branch", Ok((30, 0, 0))),
    ("hold", "a.test", Ok((3, 0, 0))),
    ("release", "a.test", Ok((20, 0, 0))),
    ("flush", "@a.test", Ok((30, 0, 0))),
    ("flush", "bad", Err(abi::ERR_MISC_INVALID_ARGS)),
    ("count", "down", Err(abi::EM_ERR_IO)),
    ("odd hold", "a.test", Err(abi::ERR_MISC_INVALID_ARGS)),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_plug_in_waits_for_the_queue_where_it_may() {
    for (run, declared) in [(Run::Pool, true), (Run::Pool, false), (Run::Inline, true)] {
        let mut rig = Rig::default();
        rig.plugin_with("p", run, |_, descriptor| {
            descriptor.edits = if declared { abi::EM_EDIT_QUEUE } else { 0 };
        });
        let host = rig.hosts[0];
        assert_eq!(wait(host, "count", "a.test"), Err(abi::EM_ERR_STAGE), "while it is loaded");
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
            for (what, destination, wanted) in CASES {
                let wanted = match run {
                    _ if !declared && what != "count" => Err(abi::ERR_EM_NOTAUTHORIZED),
                    Run::Inline if what != "odd hold" => Err(abi::EM_ERR_STAGE),
                    _ => wanted,
                };
                assert_eq!(wait(host, what, destination), wanted, "{what} {destination} {run:?}");
            }
            abi::ERR_EM_CONTINUE
        });
        let directory = opened(&rig);
        answered(Dispatch::new(directory.current()).ask(mail())).await;
        assert_eq!(host.state().faults, 0, "{run:?} {declared}");
        // A thread of its own may wait too, as long as there is anybody to ask.
        let waiting = || tokio::task::spawn_blocking(move || wait(host, "count", "a.test"));
        assert_eq!(waiting().await.unwrap(), Ok((1, 3, 4)));
        drop(directory);
        assert_eq!(waiting().await.unwrap(), Err(abi::EM_ERR_STAGE));
    }
}

#[tokio::test]
async fn what_comes_later_wakes_the_call_and_is_read_once() {
    for (what, destination, wanted) in CASES {
        if what == "odd hold" {
            continue;
        }
        let mut rig = Rig::default();
        rig.plugin("p", Run::Inline);
        let (host, hand) = (rig.hosts[0], Hand::of(&rig));
        let asked = Arc::new(Mutex::new(0));
        let (reading, seen) = (asked.clone(), Arc::new(Mutex::new(Vec::new())));
        let log = seen.clone();
        let poll = leak(move |_, _| {
            let request = *reading.lock().unwrap();
            log.lock().unwrap().push(result(host, request));
            log.lock().unwrap().push(result(host, request));
            abi::ERR_EM_CONTINUE
        });
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
            let token =
                take_with(async_service(host), record, Some(super::pending::look), poll.data());
            let token = token.unwrap();
            let request = begin(host, token, what, destination).unwrap();
            assert_eq!(begin(host, u64::MAX, what, destination), Err(abi::ERR_NOT_FOUND));
            assert_eq!(result(host, request), Err(abi::EM_PENDING));
            *asked.lock().unwrap() = request;
            abi::EM_PENDING
        });
        let directory = opened(&rig);
        answered(Dispatch::new(directory.current()).ask(mail())).await;
        assert_eq!(
            *seen.lock().unwrap(),
            [wanted, Err(abi::ERR_MISC_INVALID_ARGS)],
            "{what} {destination}"
        );
        assert_eq!(hand.wake(1), abi::ERR_NOT_FOUND);
    }
}

/// It is there when the request has begun, on the same thread, and the call is woken as ever.
#[tokio::test]
async fn what_need_not_be_waited_for_is_there_at_once() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline);
    let host = rig.hosts[0];
    let later = async_service(host);
    let (seen, polled) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(0)));
    let (log, count) = (seen.clone(), polled.clone());
    let poll = leak(move |_, _| {
        *count.lock().unwrap() += 1;
        abi::ERR_EM_CONTINUE
    });
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let look = Some(super::pending::look as _);
        let token = take_with(later, record, look, poll.data()).unwrap();
        let request = begin(host, token, "count", "ready").unwrap();
        *log.lock().unwrap() = Some(result(host, request));
        abi::EM_PENDING
    });
    let directory = opened(&rig);
    answered(Dispatch::new(directory.current()).ask(mail())).await;
    assert_eq!((*seen.lock().unwrap(), *polled.lock().unwrap()), (Some(Ok((1, 3, 4))), 1));
}

fn begin(
    host: &'static Host,
    token: abi::EmToken,
    what: &str,
    destination: &str,
) -> Result<abi::EmRequest, abi::STATUS> {
    let queue: &abi::EmQueueService = service(abi::EM_QUEUE_ID);
    let (host, destination, mut request) = (host.handle(), lend(destination), 0);
    // SAFETY: the handle is a live host's; all text is lent; there is room for the request.
    let status = unsafe {
        match what {
            "count" => (queue.count)(host, token, destination, &raw mut request),
            "hold" => (queue.hold)(host, token, destination, lend("why"), &raw mut request),
            "release" => (queue.release)(host, token, destination, &raw mut request),
            _ => (queue.flush)(host, token, destination, &raw mut request),
        }
    };
    if status == abi::NOERROR { Ok(request) } else { Err(status) }
}

fn result(host: &'static Host, request: abi::EmRequest) -> Result3 {
    let queue: &abi::EmQueueService = service(abi::EM_QUEUE_ID);
    let mut count = empty();
    // SAFETY: the handle is a live host's; there is room for the count.
    told(unsafe { (queue.result)(host.handle(), request, &raw mut count) }, count)
}

#[test]
fn places_that_are_too_small_or_missing_are_told() {
    let mut rig = Rig::default();
    let host = rig.plugin("p", Run::Inline).hosts[0];
    let queue: &abi::EmQueueService = service(abi::EM_QUEUE_ID);
    let (mut short, mut count) = (abi::EmQueueCount { size: 8, ..empty() }, empty());
    let destination = lend("a.test");
    let invalid = abi::ERR_MISC_INVALID_ARGS;
    // SAFETY: NULLs and what is too small are refused unread and unwritten.
    unsafe {
        assert_eq!((queue.count_wait)(host.handle(), destination, std::ptr::null_mut()), invalid);
        assert_eq!((queue.count_wait)(host.handle(), destination, &raw mut short), invalid);
        assert_eq!((queue.count_wait)(std::ptr::null_mut(), destination, &raw mut count), invalid);
        assert_eq!((queue.result)(host.handle(), 1, &raw mut short), invalid);
        assert_eq!((queue.result)(host.handle(), u64::MAX, &raw mut count), invalid);
        let null = std::ptr::null_mut();
        assert_eq!((queue.flush)(host.handle(), 1, destination, null), invalid);
    }
}

#[test]
fn a_place_that_is_not_aligned_is_told() {
    let mut rig = Rig::default();
    let host = rig.plugin("p", Run::Inline).host().handle();
    let queue: &abi::EmQueueService = service(abi::EM_QUEUE_ID);
    let (mut counts, mut requests) = ([empty(), empty()], [0; 2]);
    let count = (&raw mut counts).cast::<abi::EmQueueCount>().wrapping_byte_add(1);
    let request = (&raw mut requests).cast::<u64>().wrapping_byte_add(1);
    // SAFETY: the handle is a live host's; a place of the right size that is not aligned is what is tried.
    let told = unsafe {
        let a = lend("a.test");
        [(queue.count_wait)(host, a, count), (queue.count)(host, 1, a, request)]
    };
    assert_eq!(told, [abi::ERR_MISC_INVALID_ARGS; 2]);
}
