//! Conversations with a server of mailboxes that speaks LMTP (RFC 2033).
//! Knows where LMTP differs from SMTP.

use super::*;
use crate::Protocol;

fn lmtp() -> SendingSettings {
    SendingSettings { protocol: Protocol::Lmtp, ..settings() }
}

const GROUP: &str = "MAIL FROM:<a@b.test>\r\nRCPT TO:<u1@x.test>\r\nRCPT TO:<u2@x.test>\r\n\
    RCPT TO:<u3@x.test>\r\nDATA\r\n";

#[test]
fn each_recipient_taken_has_a_reply_of_its_own() {
    let case = Case::one(
        3,
        &[
            ("220 store\r\n", "LHLO us.test\r\n"),
            (EHLO_PIPELINING, GROUP),
            ("250 a\r\n250 b\r\n550 5.1.1 c\r\n250 d\r\n354 go\r\n", "a\r\n..\r\n.\r\n"),
            ("250 2.0.0 kept\r\n452 4.2.2 full\r\n", "QUIT\r\n"),
            ("221 bye\r\n", ""),
        ],
        &[
            "delivered kept",
            "failed 5.1.1: 550 5.1.1 c to RCPT",
            "deferred 4.2.2: 452 4.2.2 full to the end of the message",
        ],
        true,
    );
    Case { settings: lmtp(), ..case }.check();
}

#[test]
fn a_store_that_breaks_off_has_answered_for_some() {
    for (end, why) in [
        (
            HANG_UP,
            "deferred 4.4.2: connection closed at the end of the message; it may have arrived all the same",
        ),
        (
            SILENCE,
            "deferred 4.4.2: timed out waiting for the end of the message; it may have arrived all the same",
        ),
        ("421 4.3.2 down\r\n", "deferred 4.3.2: 421 4.3.2 down to the end of the message"),
    ] {
        let case = Case::one(
            3,
            &[
                ("220 store\r\n", "LHLO us.test\r\n"),
                (EHLO_PIPELINING, GROUP),
                ("250 a\r\n250 b\r\n250 c\r\n250 d\r\n354 go\r\n", "a\r\n..\r\n.\r\n"),
                ("250 kept\r\n", ""),
                (end, ""),
            ],
            &["delivered kept", why, why],
            true,
        );
        Case { settings: lmtp(), ..case }.check();
    }
}

#[test]
fn there_is_no_helo_and_no_message_for_nobody() {
    let refused = Case::one(
        1,
        &[("220 store\r\n", "LHLO us.test\r\n"), ("500 what\r\n", "QUIT\r\n"), ("221 bye\r\n", "")],
        &["deferred 4.0.0: 500 what to LHLO"],
        true,
    );
    Case { settings: lmtp(), ..refused }.check();
    let nobody = Case::one(
        1,
        &[
            ("220 store\r\n", "LHLO us.test\r\n"),
            (EHLO_PIPELINING, ONE),
            ("250 a\r\n550 5.1.1 b\r\n354 go\r\n", ""),
        ],
        &["failed 5.1.1: 550 5.1.1 b to RCPT"],
        true,
    );
    Case { settings: lmtp(), ..nobody }.check();
}
