//! Reading a message: what handlers are lent of header block, body and chunks, and for how long.

use std::io;

use stagepost_smtp::{Content, Draft, Scratch};

use super::*;

/// A message whose second half must be read into a buffer, and whose octets behind 8 can't be.
struct Halves;

impl Content for Halves {
    fn header(&self) -> &[u8] {
        b"A: 1\r\n"
    }

    fn body<'a>(&'a self, offset: u64, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        match offset {
            0..4 => Ok(&b"\r\n\xFFa"[offset as usize..]),
            4..8 => {
                buffer.clear();
                buffer.extend_from_slice(&b"bc\r\n"[offset as usize - 4..]);
                Ok(buffer)
            }
            8 => Ok(&[]),
            _ => Err(io::Error::other("a bad sector")),
        }
    }

    fn body_octets(&self) -> u64 {
        8
    }

    fn scratch(&self) -> Box<dyn Scratch> {
        unreachable!("nobody writes")
    }
}

fn filled() -> Ask {
    let mut message = Draft::default();
    message.fill(Arc::new(Halves));
    Ask { message: Some(message), ..accept() }
}

fn message(record: &abi::EMRECORD) -> *const abi::EmMessage {
    // SAFETY: the event is an EmMessageAccept.
    unsafe { (*record.Event.cast::<abi::EmMessageAccept>()).message }
}

/// A piece of the body, or the status.
fn piece(message: *const abi::EmMessage, offset: u64) -> Result<Vec<u8>, abi::STATUS> {
    let messages: &abi::EmMessageService = service(abi::EM_MESSAGE_ID);
    let mut value = lend("");
    // SAFETY: the message is this call's; what is lent is copied before the next call.
    unsafe {
        match (messages.body)(message, offset, &raw mut value) {
            abi::NOERROR if value.len == 0 => Ok(Vec::new()),
            abi::NOERROR => {
                let octets = value.data.cast::<u8>();
                Ok(std::slice::from_raw_parts(octets, value.len as usize).to_vec())
            }
            status => Err(status),
        }
    }
}

fn header(message: *const abi::EmMessage) -> Result<String, abi::STATUS> {
    let messages: &abi::EmMessageService = service(abi::EM_MESSAGE_ID);
    let mut value = lend("");
    // SAFETY: the message is this call's.
    match unsafe { (messages.header)(message, &raw mut value) } {
        // SAFETY: written on success.
        abi::NOERROR => Ok(unsafe { read(value) }),
        status => Err(status),
    }
}

#[tokio::test]
async fn handlers_read_pieces_and_the_header_as_edited_so_far() {
    let mut rig = Rig::default();
    let seen = Arc::new(Mutex::new(Vec::new()));
    for (name, run) in [("one", Run::Inline), ("two", Run::Pool), ("three", Run::Inline)] {
        rig.plugin(name, run);
        let seen = seen.clone();
        rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
            let message = message(record);
            let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
            // SAFETY: the sheet is this call's.
            let edited = unsafe { (edits.header_insert)(sheet(record), 0, lend("X"), lend(name)) };
            assert_eq!(edited, abi::NOERROR);
            assert_eq!(piece(message, 0), Ok(b"\r\n\xFFa".to_vec()));
            assert_eq!(piece(message, 6), Ok(b"\r\n".to_vec()));
            assert_eq!(piece(message, 4), Ok(b"bc\r\n".to_vec()));
            assert_eq!(piece(message, 8), Ok(Vec::new()));
            assert_eq!(piece(message, 9), Err(abi::EM_ERR_IO));
            seen.lock().unwrap().push(header(message).unwrap());
            abi::ERR_EM_CONTINUE
        });
    }
    answered(rig.dispatch().ask(filled())).await;
    let wanted = ["A: 1\r\n", "X: one\r\nA: 1\r\n", "X: two\r\nX: one\r\nA: 1\r\n"];
    assert_eq!(*seen.lock().unwrap(), wanted);
    assert!(rig.hosts.iter().all(|host| host.state().faults == 0));
}

#[test]
fn there_is_nothing_to_read_where_no_message_is() {
    let invalid = abi::ERR_MISC_INVALID_ARGS;
    let mut rig = Rig::default();
    let both = abi::EM_REG_BEFORE | abi::EM_REG_AFTER;
    rig.plugin("p", Run::Inline).on(abi::EM_SMTPMESSAGEACCEPT, both, move |record| {
        let message = message(record);
        if record.NotificationType == abi::EM_AFTER {
            assert!(message.is_null());
            assert_eq!((header(message), piece(message, 0)), (Err(invalid), Err(invalid)));
        } else {
            // A message without octets.
            assert_eq!((header(message), piece(message, 0)), (Ok(String::new()), Ok(Vec::new())));
            let messages: &abi::EmMessageService = service(abi::EM_MESSAGE_ID);
            // SAFETY: the message is this call's; a NULL is refused unread.
            unsafe {
                assert_eq!((messages.header)(message, std::ptr::null_mut()), invalid);
                assert_eq!((messages.body)(message, 0, std::ptr::null_mut()), invalid);
            }
        }
        abi::ERR_EM_CONTINUE
    });
    let dispatch = rig.dispatch();
    now(dispatch.ask(Ask { message: Some(Draft::default()), ..accept() }));
    let reply = Some(Reply::new(250, None, "Ok"));
    now(dispatch.ask(Ask { stage: Stage::After, reply, ..accept() }));
}

#[tokio::test]
async fn the_header_block_can_be_read_before_the_body_comes() {
    let mut rig = Rig::default();
    for (name, run) in [("one", Run::Inline), ("two", Run::Pool)] {
        rig.plugin(name, run).on(abi::EM_SMTPHEADERS, abi::EM_REG_BEFORE, move |record| {
            // SAFETY: the event is an EmHeaders.
            let message = unsafe { (*record.Event.cast::<abi::EmHeaders>()).message };
            let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
            // SAFETY: the sheet is this call's.
            let edited = unsafe { (edits.header_delete)(sheet(record), lend("A"), 1) };
            assert_eq!(edited, abi::NOERROR);
            assert_eq!(header(message).unwrap(), if name == "one" { "A: 1\r\n" } else { "" });
            abi::ERR_EM_CONTINUE
        });
    }
    let headers = ask(Question::Headers, Stage::Before, None);
    let verdict = answered(rig.dispatch().ask(Ask { message: filled().message, ..headers })).await;
    assert_eq!(verdict.edits.len(), 2);
    assert!(rig.hosts.iter().all(|host| host.state().faults == 0));
}

#[tokio::test]
async fn a_chunk_is_lent_as_it_is_and_the_first_verdict_keeps_it_from_later_handlers() {
    let mut rig = Rig::default();
    let called = Arc::new(AtomicUsize::new(0));
    for (name, run) in [("one", Run::Pool), ("two", Run::Inline), ("three", Run::Inline)] {
        let called = called.clone();
        rig.plugin(name, run).on(abi::EM_SMTPBODY, abi::EM_REG_BEFORE, move |record| {
            // SAFETY: the event is an EmBody, whose octets are valid during the call.
            let (event, octets) = unsafe {
                let event = &*record.Event.cast::<abi::EmBody>();
                let data = event.octets.data.cast::<u8>();
                (event, std::slice::from_raw_parts(data, event.octets.len as usize))
            };
            assert_eq!((octets, event.offset, event.last), (&b"\xFF\r"[..], 65_536, 1));
            called.fetch_add(1, Ordering::SeqCst);
            if name != "two" {
                return abi::ERR_EM_CONTINUE;
            }
            give(record, abi::EM_VERDICT_REJECT, 550);
            abi::EM_VERDICT
        });
    }
    let verdict = answered(rig.dispatch().ask(chunk(b"\xFF\r", 65_536, true))).await;
    assert!(matches!(verdict.decision, Decision::Reject(_)), "{verdict:?}");
    assert_eq!(called.load(Ordering::SeqCst), 2);
}
