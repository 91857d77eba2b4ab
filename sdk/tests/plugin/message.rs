//! Header, body and chunks: read, answered and written.

use std::ptr;

use stagepost_abi::*;

use crate::fake::{self, Session, Sheet, event, text};
use crate::loaded;

#[test]
fn bodies_are_written_as_streams_and_what_the_host_refuses_is_an_error() {
    let fake = loaded();
    let (session, sheet) = (Session::new(8), Sheet::default());
    let message = fake::Message { header: b"", pieces: vec![b"\r\n", b"some ", b"text\r\n"] };
    let accept = EmMessageAccept {
        event: event::<EmMessageAccept>(&session, &sheet),
        octets: 1,
        message: message.handle(),
    };
    assert_eq!(fake.call(EM_SMTPMESSAGEACCEPT, EM_BEFORE, &accept), EM_FAULT);
    assert_eq!(
        sheet.take(),
        [
            "body_prepend before\r\n",
            "body_replace ",
            "body_replace some text\r\n",
            "body_append \u{FFFD}",
            "body_replace ",
            "body_replace refuse me",
        ]
    );
    let line = "1 8 probe: before_message_accept failed: the host refuses body_replace: not at this event or stage";
    assert_eq!(fake.logged(), [line]);
}

#[test]
fn header_block_and_chunks_are_read_and_answered() {
    let fake = loaded();
    let (session, sheet) = (Session::new(6), Sheet::default());
    let message = fake::Message { header: b"A: b\r\n", pieces: Vec::new() };
    let headers =
        EmHeaders { event: event::<EmHeaders>(&session, &sheet), message: message.handle() };
    assert_eq!(fake.call(EM_SMTPHEADERS, EM_BEFORE, &headers), ERR_EM_CONTINUE);
    assert_eq!(sheet.take(), ["header_add X-Header-Octets: 6"]);
    for (octets, last, status, wanted) in [
        (&b"good\xFF"[..], 0, ERR_EM_CONTINUE, &[][..]),
        (b"", 1, ERR_EM_CONTINUE, &[]),
        (b"bad", 0, EM_VERDICT, &["verdict 2 554 5.7.1 at 9 false"]),
        (b"bad", 1, EM_VERDICT, &["verdict 2 554 5.7.1 at 9 true"]),
    ] {
        let body = EmBody {
            event: event::<EmBody>(&session, &sheet),
            octets: text(octets),
            offset: 9,
            last,
            reserved: [0; 7],
        };
        assert_eq!(fake.call(EM_SMTPBODY, EM_BEFORE, &body), status);
        assert_eq!(sheet.take(), wanted);
    }
}

#[test]
fn a_message_is_read_piece_by_piece() {
    let fake = loaded();
    let (session, sheet) = (Session::new(10), Sheet::default());
    let refused = "1 10 probe: before_message_accept failed: the host refuses";
    let cases: [(&[&'static [u8]], STATUS, String); 4] = [
        (&[], ERR_EM_CONTINUE, r#"3 - "A: b\r\n" "" None"#.into()),
        (
            &[b"\r\na", b"b\0c\r\nd"],
            ERR_EM_CONTINUE,
            r#"3 - "A: b\r\n" "\r\nab\0c\r\nd" Some("")"#.into(),
        ),
        (
            &[b"\xFFx\n"],
            EM_FAULT,
            "1 10 probe: before_message_accept failed: stream did not contain valid UTF-8".into(),
        ),
        (&[b"ab", b"unreadable"], EM_FAULT, format!("{refused} the body: it could not be read")),
    ];
    for (pieces, wanted, line) in cases {
        let message = fake::Message { header: b"A: b\r\n", pieces: pieces.to_vec() };
        let accept = EmMessageAccept {
            event: event::<EmMessageAccept>(&session, &sheet),
            octets: 0,
            message: message.handle(),
        };
        assert_eq!(fake.call(EM_SMTPMESSAGEACCEPT, EM_BEFORE, &accept), wanted);
        assert_eq!(fake.logged(), [line]);
    }
    // As it is in an after handler.
    let accept = EmMessageAccept {
        event: event::<EmMessageAccept>(&session, &sheet),
        octets: 0,
        message: ptr::null(),
    };
    assert_eq!(fake.call(EM_SMTPMESSAGEACCEPT, EM_BEFORE, &accept), EM_FAULT);
    assert_eq!(fake.logged(), [format!("{refused} the header: not at this event or stage")]);
}
