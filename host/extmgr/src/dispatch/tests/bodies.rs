//! Body edits: what handlers may write, what later ones read of it, and that a fault leaves the earlier body.

use std::io;

use stagepost_smtp::{Attributed, Content, Draft, Kept, Scratch};

use super::*;

/// A message in memory, and a store for what is written that is full at some point.
struct Memory {
    body: &'static [u8],
    full_at: usize,
}

/// Octets in memory.
struct Octets {
    octets: Vec<u8>,
    full_at: usize,
}

impl Content for Memory {
    fn header(&self) -> &[u8] {
        b"A: 1\r\n"
    }

    fn body<'a>(&'a self, offset: u64, _: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        Ok(self.body.get(offset as usize..).unwrap_or_default())
    }

    fn body_octets(&self) -> u64 {
        self.body.len() as u64
    }

    fn scratch(&self) -> Box<dyn Scratch> {
        Box::new(Octets { octets: Vec::new(), full_at: self.full_at })
    }
}

impl Scratch for Octets {
    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.octets.len() + octets.len() > self.full_at {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.octets.extend_from_slice(octets);
        Ok(())
    }

    fn finish(mut self: Box<Self>, last: &[u8]) -> Arc<dyn Kept> {
        self.octets.extend_from_slice(last);
        Arc::new(*self)
    }
}

impl Kept for Octets {
    fn octets(&self) -> u64 {
        self.octets.len() as u64
    }

    fn read<'a>(&'a self, offset: u64, _: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        Ok(self.octets.get(offset as usize..).unwrap_or_default())
    }
}

const ROOM: u64 = 1000;

/// A message of which plug-ins may write so much, on a disk that has so much room.
pub(super) fn filled(body: &'static [u8], room: u64, full_at: usize) -> Ask {
    let mut message = Draft::new([].into_iter(), room, false);
    message.fill(Arc::new(Memory { body, full_at }));
    Ask { message: Some(message), ..accept() }
}

/// Writes to a text of the body, as a plug-in does.
fn write(record: &abi::EMRECORD, place: &str, octets: abi::EmText) -> abi::STATUS {
    let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
    let write = match place {
        "prepend" => edits.body_prepend,
        "append" => edits.body_append,
        _ => edits.body_replace,
    };
    // SAFETY: the sheet is this call's; who gives the octets says what they are.
    unsafe { write(sheet(record), octets) }
}

/// The body as the running handler reads it.
fn body(record: &abi::EMRECORD) -> String {
    let messages: &abi::EmMessageService = service(abi::EM_MESSAGE_ID);
    // SAFETY: the event is an EmMessageAccept.
    let message = unsafe { (*record.Event.cast::<abi::EmMessageAccept>()).message };
    let (mut found, mut piece) = (String::new(), lend(""));
    loop {
        // SAFETY: the message is this call's; what is lent is copied before the next call.
        unsafe {
            let status = (messages.body)(message, found.len() as u64, &raw mut piece);
            assert_eq!(status, abi::NOERROR);
            if piece.len == 0 {
                return found;
            }
            found += &read(piece);
        }
    }
}

/// Handlers, each with what it writes and the status it returns, and one behind them that reads: what it found.
fn edited(ask: Ask, handlers: &'static [(&[(&str, &str)], abi::STATUS)]) -> (String, Verdict) {
    let mut rig = Rig::default();
    for (number, (writes, status)) in handlers.iter().enumerate() {
        rig.plugin_with(&format!("p{number}"), Run::Inline, |config, _| {
            config.contracts = FaultContracts::everywhere(contract(20_000, OnFault::Continue));
        });
        rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
            let before = body(record);
            for (place, octets) in *writes {
                assert_eq!(write(record, place, lend(octets)), abi::NOERROR);
            }
            assert_eq!(body(record), before, "a handler does not see its own edits");
            *status
        });
    }
    let found = Arc::new(Mutex::new(String::new()));
    let seen = found.clone();
    rig.plugin("reader", Run::Inline).on(
        abi::EM_SMTPMESSAGEACCEPT,
        abi::EM_REG_BEFORE,
        move |record| {
            *seen.lock().unwrap() = body(record);
            abi::ERR_EM_CONTINUE
        },
    );
    let verdict = now(rig.dispatch().ask(ask));
    let found = found.lock().unwrap().clone();
    (found, verdict)
}

#[test]
fn later_handlers_read_the_body_as_earlier_ones_left_it() {
    const ON: abi::STATUS = abi::ERR_EM_CONTINUE;
    type Handlers = &'static [(&'static [(&'static str, &'static str)], abi::STATUS)];
    let cases: [(&[u8], Handlers, &str, usize); 10] = [
        (b"\r\nold\r\n", &[], "\r\nold\r\n", 0),
        (b"\r\nold\r\n", &[(&[("prepend", "new\r\n")], ON)], "\r\nnew\r\nold\r\n", 1),
        (b"\r\nold\r\n", &[(&[("append", "new\r\n")], ON)], "\r\nold\r\nnew\r\n", 1),
        (b"", &[(&[("append", "new\r\n")], ON)], "\r\nnew\r\n", 1),
        // Pieces in the order in which they were given, wherever they are cut; a last line gets its end.
        (
            b"\r\nold\r\n",
            &[(&[("prepend", "a\r"), ("prepend", "\nb"), ("append", "c"), ("append", "\r")], ON)],
            "\r\na\r\nb\r\nold\r\nc\r\n",
            2,
        ),
        // What is prepended and appended stands around what is replaced, whichever comes first.
        (
            b"\r\nold\r\n",
            &[(&[("append", "z\r\n"), ("replace", "new"), ("prepend", "a\r\n")], ON)],
            "\r\na\r\nnew\r\nz\r\n",
            3,
        ),
        (b"\r\nold\r\n", &[(&[("replace", "")], ON)], "\r\n", 1),
        (b"\r\nold\r\n", &[(&[("append", "")], ON)], "\r\nold\r\n", 0),
        (
            b"\r\nold\r\n",
            &[(&[("replace", "1\r\n")], ON), (&[("append", "2\r\n")], ON)],
            "\r\n1\r\n2\r\n",
            2,
        ),
        // A fault leaves the body of the one before.
        (
            b"\r\nold\r\n",
            &[(&[("append", "1\r\n")], ON), (&[("replace", "2\r\n")], abi::EM_FAULT)],
            "\r\nold\r\n1\r\n",
            1,
        ),
    ];
    for (received, handlers, wanted, edits) in cases {
        let (found, verdict) = edited(filled(received, ROOM, usize::MAX), handlers);
        assert_eq!(found, wanted, "{handlers:?}");
        assert_eq!(verdict.edits.len(), edits, "{handlers:?}");
    }
}

#[test]
fn what_can_not_be_in_a_body_is_refused_and_changes_nothing() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline).on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, |record| {
        for place in ["prepend", "append", "replace"] {
            assert_eq!(write(record, place, lend("good\r")), abi::NOERROR);
            for bad in ["x", "\r\n", "\r", "\nnul \0", "\nbare \n", "\nbare \r cr", "\n\n"] {
                assert_eq!(write(record, place, lend(bad)), abi::ERR_MISC_INVALID_ARGS, "{bad:?}");
            }
            let null = std::ptr::null();
            for len in [1, 1 << 20, (64 << 20) + 1, 1 << 63, u64::MAX] {
                let hostile = abi::EmText { data: null, len };
                assert_eq!(write(record, place, hostile), abi::ERR_MISC_INVALID_ARGS, "{len}");
            }
            // A length that can't be is refused unread.
            for len in [(64 << 20) + 1, 1 << 63, u64::MAX - 7, u64::MAX] {
                let hostile = abi::EmText { len, ..lend("x") };
                assert_eq!(write(record, place, hostile), abi::ERR_MISC_INVALID_ARGS, "{len}");
            }
            assert_eq!(write(record, place, abi::EmText { data: null, len: 0 }), abi::NOERROR);
            assert_eq!(write(record, place, lend("\nend")), abi::NOERROR);
        }
        abi::ERR_EM_CONTINUE
    });
    let verdict = now(rig.dispatch().ask(filled(b"\r\nold\r\n", ROOM, usize::MAX)));
    let mut message = filled(b"\r\nold\r\n", ROOM, usize::MAX).message.unwrap();
    for known in &verdict.edits {
        message.edit(&known.edit);
    }
    let mut found = Vec::new();
    while let piece @ [_, ..] = message.body(found.len() as u64, &mut Vec::new()).unwrap() {
        found.extend_from_slice(piece);
    }
    assert_eq!(String::from_utf8_lossy(&found), "\r\n".to_owned() + &"good\r\nend\r\n".repeat(3));
}

#[test]
fn what_plug_ins_write_is_bounded_and_what_is_replaced_counts_no_more() {
    let mut rig = Rig::default();
    for (name, status) in [
        ("first", [0, 0, abi::EM_ERR_LIMIT]),
        // Beside what the first one wrote there is little room, in its place there is all.
        ("second", [abi::EM_ERR_LIMIT, 0, abi::EM_ERR_LIMIT]),
    ] {
        rig.plugin(name, Run::Inline).on(
            abi::EM_SMTPMESSAGEACCEPT,
            abi::EM_REG_BEFORE,
            move |record| {
                let text = "x".repeat(400) + "\r\n";
                let found = [
                    write(record, "append", lend(&text)),
                    write(record, "replace", lend(&text)),
                    write(record, "append", lend(&text.repeat(2))),
                ];
                assert_eq!(found, status, "{name}");
                abi::ERR_EM_CONTINUE
            },
        );
    }
    let verdict = now(rig.dispatch().ask(filled(b"\r\n", ROOM, usize::MAX)));
    assert_eq!(verdict.edits.len(), 3);
    assert!(rig.hosts.iter().all(|host| host.state().faults == 0));
}

/// A handler whose text can't be kept, whatever it answers; what becomes of the message, and how many faults there were.
fn unkept(
    ask: Ask,
    on_fault: OnFault,
    answer: fn(&abi::EMRECORD) -> abi::STATUS,
) -> (Verdict, u64) {
    let mut rig = Rig::default();
    rig.plugin_with("p", Run::Inline, |config, _| {
        config.contracts = FaultContracts::everywhere(contract(20_000, on_fault));
    });
    rig.on(abi::EM_SMTPMESSAGEACCEPT, abi::EM_REG_BEFORE, move |record| {
        let first = write(record, "prepend", lend("fits\r\n"));
        assert_eq!(write(record, "append", lend(&"x".repeat(200))), abi::EM_ERR_IO);
        // Whatever comes behind it is lost too, though there were room.
        assert_eq!(write(record, "prepend", lend("fits\r\n")), abi::EM_ERR_IO);
        assert!([abi::NOERROR, abi::EM_ERR_IO].contains(&first));
        answer(record)
    });
    let verdict = now(rig.dispatch().ask(ask));
    let faults = rig.hosts[0].state().faults;
    (verdict, faults)
}

#[test]
fn a_text_that_can_not_be_kept_is_a_fault_of_the_call() {
    fn header(record: &abi::EMRECORD) -> abi::STATUS {
        let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
        // SAFETY: the sheet is this call's.
        let status = unsafe { (edits.header_add)(sheet(record), lend("X-A"), lend("b")) };
        assert_eq!(status, abi::NOERROR);
        abi::ERR_EM_CONTINUE
    }
    let full = || filled(b"\r\n", ROOM, 100);
    let nowhere = || Ask { message: Some(Draft::new([].into_iter(), ROOM, false)), ..accept() };
    for ask in [full, nowhere] {
        let (verdict, faults) = unkept(ask(), OnFault::Defer, header);
        assert!(matches!(&verdict.decision, Decision::Defer(reply) if reply.code() == 451));
        assert_eq!((verdict.edits.len(), faults), (0, 1));
        let (verdict, faults) = unkept(ask(), OnFault::Continue, header);
        assert_eq!((verdict.decision, verdict.edits.len(), faults), (Decision::Continue, 0, 1));
        let (verdict, faults) = unkept(ask(), OnFault::Hold, header);
        assert!(matches!(verdict.edits[..], [Attributed { edit: Edit::Hold { .. }, .. }]));
        assert_eq!((verdict.decision, faults), (Decision::Continue, 1));
        // Who says that it failed has one fault, not two.
        assert_eq!(unkept(ask(), OnFault::Defer, |_| abi::EM_FAULT).1, 1);
        // A message that is refused needs no body.
        let refuse = |record: &abi::EMRECORD| {
            give(record, abi::EM_VERDICT_REJECT, 550);
            abi::EM_VERDICT
        };
        let (verdict, faults) = unkept(ask(), OnFault::Continue, refuse);
        assert!(matches!(&verdict.decision, Decision::Reject(reply) if reply.code() == 550));
        assert_eq!(faults, 0);
    }
}

#[test]
fn a_binary_body_is_written_to_the_letter() {
    let octets = "\0\r\r\n\n.\r\n\0\r";
    for (binary, status) in [(true, abi::NOERROR), (false, abi::ERR_MISC_INVALID_ARGS)] {
        let mut rig = Rig::default();
        rig.plugin("writer", Run::Inline).on(
            abi::EM_SMTPMESSAGEACCEPT,
            abi::EM_REG_BEFORE,
            move |record| {
                // Cut where a line end would be.
                for piece in [&octets[..4], &octets[4..]] {
                    assert_eq!(write(record, "replace", lend(piece)), status);
                }
                assert_eq!(write(record, "append", lend("end")), abi::NOERROR);
                abi::ERR_EM_CONTINUE
            },
        );
        let found = Arc::new(Mutex::new(String::new()));
        let seen = found.clone();
        rig.plugin("reader", Run::Inline).on(
            abi::EM_SMTPMESSAGEACCEPT,
            abi::EM_REG_BEFORE,
            move |record| {
                *seen.lock().unwrap() = body(record);
                abi::ERR_EM_CONTINUE
            },
        );
        let mut message = Draft::new([].into_iter(), ROOM, binary);
        message.fill(Arc::new(Memory { body: b"\r\nold\0", full_at: 1000 }));
        now(rig.dispatch().ask(Ask { message: Some(message), ..accept() }));
        let wanted =
            if binary { format!("\r\n{octets}end") } else { "\r\nold\0end\r\n".to_owned() };
        assert_eq!(*found.lock().unwrap(), wanted);
    }
}
