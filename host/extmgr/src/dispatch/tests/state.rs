//! The state service: where it may be waited for, what comes later and is read once, and how much there may be of it.
//! With a store of the test's own.

use std::collections::BTreeMap;

use super::pending::{async_service, leak, look, take_with};
use super::*;
use crate::hosted::{Hosted, StateError, StateStore};

/// Keeps what it is given in memory, but for the key `broken`.
struct Memory(Mutex<BTreeMap<Vec<u8>, Vec<u8>>>);

impl Memory {
    fn sound(key: &[u8]) -> Result<(), StateError> {
        if key == b"broken" { Err(StateError::new("broken")) } else { Ok(()) }
    }
}

impl StateStore for Memory {
    fn get(&self, _: &str, key: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        assert_ne!(key, b"panics");
        Self::sound(key)?;
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    fn put(&self, _: &str, key: &[u8], value: &[u8], _: u64) -> Result<(), StateError> {
        Self::sound(key)?;
        self.0.lock().unwrap().insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn remove(&self, _: &str, key: &[u8]) -> Result<(), StateError> {
        Self::sound(key)?;
        self.0.lock().unwrap().remove(key);
        Ok(())
    }

    fn next(&self, _: &str, prefix: &[u8], after: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let kept = self.0.lock().unwrap();
        let mut keys = kept.keys().filter(|key| key.starts_with(prefix) && key.as_slice() > after);
        Ok(keys.next().cloned())
    }
}

fn offer(host: &Host) {
    let memory = Memory(Mutex::new([(b"long".to_vec(), b"a value".to_vec())].into()));
    let hosted = Hosted { state: Some(Arc::new(memory)), ..Hosted::default() };
    host.offer(Box::leak(Box::new(hosted)));
}

/// The service as a plug-in finds it whose host has a store.
fn state(host: &Host) -> &'static abi::EmStateService {
    let id = abi::EM_STATE_ID;
    let text = abi::EmText { data: id.as_ptr(), len: id.count_bytes() as u64 };
    let handle = std::ptr::from_ref(host).cast_mut().cast();
    // SAFETY: the handle is a live host's, and the id text; the table is a static of this type.
    unsafe { (BASE.0.service)(handle, text).cast::<abi::EmStateService>().as_ref() }.unwrap()
}

/// What a call found, or its status.
type Found = Result<String, abi::STATUS>;

fn told(status: abi::STATUS, found: &[u8], length: u64) -> Found {
    let found = || String::from_utf8(found[..length as usize].to_vec()).unwrap();
    if status == abi::NOERROR { Ok(found()) } else { Err(status) }
}

/// What is asked, with which keys or values, and what comes of it.
type Case = (&'static str, &'static str, &'static str, Found);

/// Each goes by what those before it have left.
fn cases() -> Vec<Case> {
    let found = |text: &str| Ok(text.to_owned());
    vec![
        ("get", "a", "", Err(abi::ERR_NOT_FOUND)),
        ("put", "a", "one", found("")),
        ("get", "a", "", found("one")),
        ("put", "b", "", found("")),
        ("get", "b", "", found("")),
        ("next", "", "", found("a")),
        ("next", "", "a", found("b")),
        ("next", "", "b", found("long")),
        ("next", "c", "", Err(abi::ERR_NOT_FOUND)),
        ("remove", "a", "", found("")),
        ("get", "a", "", Err(abi::ERR_NOT_FOUND)),
        ("put", "broken", "x", Err(abi::EM_ERR_IO)),
        ("get", "broken", "", Err(abi::EM_ERR_IO)),
    ]
}

fn wait(host: &'static Host, what: &str, one: &str, two: &str) -> Found {
    let (table, host, mut buffer, mut length) = (state(host), host.handle(), [0_u8; 16], 0);
    let (one, two, place) = (lend(one), lend(two), buffer.as_mut_ptr().cast());
    // SAFETY: the handle is a live host's; all text is lent; the buffer is as long as it is said to be.
    let status = unsafe {
        match what {
            "get" => (table.get_wait)(host, one, place, 16, &raw mut length),
            "put" => (table.put_wait)(host, one, two),
            "remove" => (table.remove_wait)(host, one),
            _ => (table.next_wait)(host, one, two, place, 16, &raw mut length),
        }
    };
    told(status, &buffer, length)
}

fn begin(
    host: &'static Host,
    token: abi::EmToken,
    what: &str,
    one: &str,
    two: &str,
) -> Result<abi::EmRequest, abi::STATUS> {
    let (table, host, mut request) = (state(host), host.handle(), 0);
    let (one, two, place) = (lend(one), lend(two), &raw mut request);
    // SAFETY: the handle is a live host's; all text is lent; there is room for the request.
    let status = unsafe {
        match what {
            "get" => (table.get)(host, token, one, place),
            "put" => (table.put)(host, token, one, two, place),
            "remove" => (table.remove)(host, token, one, place),
            _ => (table.next)(host, token, one, two, place),
        }
    };
    if status == abi::NOERROR { Ok(request) } else { Err(status) }
}

fn result(host: &'static Host, request: abi::EmRequest, capacity: usize) -> Found {
    let (mut buffer, mut length) = (vec![0_u8; capacity], 0);
    let place = buffer.as_mut_ptr().cast();
    // SAFETY: the handle is a live host's; the buffer is as long as it is said to be.
    let status = unsafe {
        (state(host).result)(host.handle(), request, place, capacity as u64, &raw mut length)
    };
    told(status, &buffer, length)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plug_in_waits_for_its_state_where_it_may() {
    for run in [Run::Pool, Run::Inline] {
        let mut rig = Rig::default();
        let host = rig.plugin("p", run).host();
        offer(host);
        assert_eq!(wait(host, "get", "a", ""), Err(abi::EM_ERR_STAGE), "while it is loaded");
        rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |_| {
            for (what, one, two, wanted) in cases() {
                let wanted = if run == Run::Pool { wanted } else { Err(abi::EM_ERR_STAGE) };
                assert_eq!(wait(host, what, one, two), wanted, "{what} {one} {two} {run:?}");
            }
            abi::ERR_EM_CONTINUE
        });
        let directory = rig.directory();
        answered(Dispatch::new(directory.current()).ask(mail())).await;
        assert_eq!(host.state().faults, 0, "{run:?}");
        drop(directory);
        assert_eq!(wait(host, "get", "b", ""), Err(abi::EM_ERR_STAGE), "when the server ends");
    }
}

/// Asks, and asks on in each poll, until everything was asked.
#[tokio::test]
async fn what_comes_later_wakes_the_call_and_is_read_once() {
    let mut rig = Rig::default();
    let host = rig.plugin("p", Run::Inline).host();
    let later = async_service(host);
    offer(host);
    let mut all = cases();
    all.push(("get", "panics", "", Err(abi::EM_ERR_IO)));
    let under_way = Arc::new(Mutex::new((0, 0, 0)));
    let (asked, done, wanted) = (under_way.clone(), under_way.clone(), all.clone());
    let poll = leak(move |_, _| {
        let (token, request, at) = *asked.lock().unwrap();
        let (what, one, _, wanted) = &all[at];
        if wanted.as_ref().is_ok_and(|found| !found.is_empty()) {
            assert_eq!(result(host, request, 0), Err(abi::EM_ERR_LIMIT), "{what} {one}");
        }
        assert_eq!(result(host, request, 16), *wanted, "{what} {one}");
        assert_eq!(result(host, request, 16), Err(abi::ERR_MISC_INVALID_ARGS), "{what} {one}");
        let Some((what, one, two, _)) = all.get(at + 1) else { return abi::ERR_EM_CONTINUE };
        *asked.lock().unwrap() = (token, begin(host, token, what, one, two).unwrap(), at + 1);
        abi::EM_PENDING
    });
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let token = take_with(later, record, Some(look), poll.data()).unwrap();
        assert_eq!(begin(host, u64::MAX, "get", "a", ""), Err(abi::ERR_NOT_FOUND));
        assert_eq!(begin(host, token, "put", "", ""), Err(abi::ERR_MISC_INVALID_ARGS));
        let request = begin(host, token, "get", "a", "").unwrap();
        assert_eq!(result(host, request, 16), Err(abi::EM_PENDING));
        *under_way.lock().unwrap() = (token, request, 0);
        abi::EM_PENDING
    });
    let directory = rig.directory();
    answered(Dispatch::new(directory.current()).ask(mail())).await;
    assert_eq!((host.state().faults, done.lock().unwrap().2), (0, wanted.len() - 1));
}

/// What nobody reads takes room as long as its call lasts.
#[tokio::test]
async fn requests_are_bounded_and_those_of_calls_that_ended_give_way() {
    let mut rig = Rig::default();
    let host = rig.plugin("p", Run::Inline).host();
    let later = async_service(host);
    offer(host);
    let (asked, calls) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (unread, ended) = (asked.clone(), calls.clone());
    let poll = leak(move |_, _| {
        // For one that is done there is no room here, so it stays.
        let under_way = |request: &u64| result(host, *request, 0) == Err(abi::EM_PENDING);
        if unread.lock().unwrap().iter().any(under_way) {
            return abi::EM_PENDING;
        }
        ended.fetch_add(1, Ordering::SeqCst);
        abi::ERR_EM_CONTINUE
    });
    rig.on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, move |record| {
        let token = take_with(later, record, Some(look), poll.data()).unwrap();
        poll.released.store(0, Ordering::SeqCst);
        let begin = || begin(host, token, "get", "long", "");
        *asked.lock().unwrap() = (0..256).map(|_| begin().unwrap()).collect();
        assert_eq!(begin(), Err(abi::EM_ERR_LIMIT));
        abi::EM_PENDING
    });
    let directory = rig.directory();
    for call in 1..=2 {
        answered(Dispatch::new(directory.current()).ask(mail())).await;
        assert_eq!((host.state().faults, calls.load(Ordering::SeqCst)), (0, call));
    }
}

#[test]
fn places_that_are_missing_are_told() {
    let mut rig = Rig::default();
    let host = rig.plugin("p", Run::Inline).host();
    offer(host);
    let (table, handle, key, null) = (state(host), host.handle(), lend("a"), std::ptr::null_mut());
    let (mut length, mut request, invalid) = (0, 0, abi::ERR_MISC_INVALID_ARGS);
    // SAFETY: NULLs are refused unread and unwritten.
    unsafe {
        assert_eq!((table.get_wait)(handle, key, null, 1, &raw mut length), invalid);
        assert_eq!((table.get_wait)(handle, key, null, 0, std::ptr::null_mut()), invalid);
        assert_eq!((table.result)(handle, 1, null, 1, &raw mut length), invalid);
        assert_eq!((table.result)(handle, 1, null, 0, std::ptr::null_mut()), invalid);
        assert_eq!((table.result)(handle, u64::MAX, null, 0, &raw mut length), invalid);
        assert_eq!((table.result)(std::ptr::null_mut(), 1, null, 0, &raw mut length), invalid);
        assert_eq!((table.get)(handle, 1, key, std::ptr::null_mut()), invalid);
        assert_eq!((table.get)(std::ptr::null_mut(), 1, key, &raw mut request), invalid);
        let long = abi::EmText { len: abi::EM_STATE_KEY_MAX + 1, ..key };
        assert_eq!((table.remove)(handle, 1, long, &raw mut request), invalid);
    }
}
