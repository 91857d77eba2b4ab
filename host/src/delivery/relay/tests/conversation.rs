//! What is said with next hops that do as they should, or are not there.
//! Knows the relay by its public methods and by what a next hop hears.

use stagepost_smtp::{Address, BodyKind};

use super::*;
use crate::delivery::demand::Demand;
use crate::delivery::lane::Standing;
use crate::delivery::octets::sample::broken_message;
use crate::delivery::relay::idle::Line;

const MAIL: &str = "EHLO us.test\r\nMAIL FROM:<a@b.test> SIZE=15\r\n";

#[tokio::test]
async fn messages_follow_each_other_on_one_connection() {
    let (address, heard) = next_hop(vec![script([
        Hear("DATA\r\n"),
        Say("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n354 go\r\n"),
        Hear(END),
        Say("250 queued\r\n"),
        Hear("DATA\r\n"),
        Say(GO),
        Hear(END),
        Say("452 4.3.1 full\r\n"),
        Hear("QUIT\r\n"),
        Say("221 bye\r\n"),
        Wait,
    ])])
    .await;
    let relay = relay_to(address);
    let first =
        message(&["u0@x.test", "u1@x.test", "u2@x.test"], "A: b\r\n", &[b"\r\n", b".c\r\nd\r\n"]);
    let refused = format!("failed 5.1.1 {address}: 550 5.1.1 no to RCPT");
    // Outcomes are in the order asked for.
    assert_eq!(relay.deliver(&first, &[2, 0]).await, [DELIVERED, &refused]);
    let second = message(&["v@x.test"], "A: b\r\n", &[b"\r\n.\r\nab\r\n"]);
    let full = deferred(address, "4.3.1", "452 4.3.1 full to the end of the message");
    assert_eq!(relay.deliver(&second, &[0]).await, [full]);
    relay.relay.close().await;
    let demand = Demand { tls: SendingTls::IfOffered, identity: Identity::Anybody };
    let tls = ("127.0.0.1".into(), demand);
    let line =
        Line { endpoint: Endpoint::Tcp(address), protocol: Protocol::Smtp, tls, login: None };
    assert!(relay.relay.idle.take(&line).is_none());
    let wanted = format!(
        "{MAIL}RCPT TO:<u2@x.test>\r\nRCPT TO:<u0@x.test>\r\nDATA\r\nA: b\r\n\r\n..c\r\nd\r\n.\r\n\
         MAIL FROM:<a@b.test> SIZE=15\r\nRCPT TO:<v@x.test>\r\nDATA\r\nA: b\r\n\r\n..\r\nab\r\n.\r\nQUIT\r\n"
    );
    assert_eq!(heard.await.unwrap(), [wanted]);
}

#[tokio::test]
async fn recipients_that_are_too_many_go_behind_the_others_at_once() {
    let (address, heard) = next_hop(vec![script([
        Hear("DATA\r\n"),
        Say("250 ok\r\n250 ok\r\n550 5.1.1 no\r\n452 4.5.3 too many\r\n452 too many\r\n552 5.5.3 too many\r\n452 4.2.2 full\r\n354 go\r\n"),
        Hear(END),
        Say("250 queued\r\n"),
        Hear("DATA\r\n"),
        Say("250 ok\r\n250 ok\r\n452 4.5.3 too many\r\n452 4.5.3 too many\r\n354 go\r\n"),
        Hear(END),
        Say("250 queued\r\n"),
        // Who takes none of them means something else.
        Hear("DATA\r\n"),
        Say("250 ok\r\n452 4.5.3 too many\r\n452 4.5.3 too many\r\n503 nobody\r\n"),
        Hear("QUIT\r\n"),
        Wait,
    ])])
    .await;
    let relay = relay_to(address);
    let recipients = ["u0@x.test", "u1@x.test", "u2@x.test", "u3@x.test", "u4@x.test", "u5@x.test"];
    let message = message(&recipients, "A: b\r\n", &[b"\r\n"]);
    let refused = format!("failed 5.1.1 {address}: 550 5.1.1 no to RCPT");
    let too_many = deferred(address, "4.5.3", "452 4.5.3 too many to RCPT");
    let full = deferred(address, "4.2.2", "452 4.2.2 full to RCPT");
    let wanted = [DELIVERED, &refused, DELIVERED, &too_many, &too_many, &full];
    assert_eq!(relay.deliver(&message, &[0, 1, 2, 3, 4, 5]).await, wanted);
    relay.relay.close().await;
    let heard = heard.await.unwrap().concat();
    let transactions: Vec<Vec<&str>> = heard
        .split("MAIL FROM:<a@b.test> SIZE=8\r\n")
        .skip(1)
        .map(|text| text.lines().filter_map(|line| line.strip_prefix("RCPT TO:")).collect())
        .collect();
    let all: &[&str] =
        &["<u0@x.test>", "<u1@x.test>", "<u2@x.test>", "<u3@x.test>", "<u4@x.test>", "<u5@x.test>"];
    assert_eq!(transactions, [all, &all[2..5], &all[3..5]]);
}

#[tokio::test]
async fn an_idle_connection_is_ended() {
    let turns =
        [Hear("DATA\r\n"), Say(GO), Hear(END), Say("250 queued\r\n"), Hear("QUIT\r\n"), Wait];
    let (address, heard) = next_hop(vec![script(turns)]).await;
    // The next hop never answers the QUIT.
    let session = SendingTimeouts { quit: Duration::from_millis(5), ..SendingTimeouts::default() };
    let timeouts =
        RelayTimeouts { idle: Duration::from_millis(5), session, ..RelayTimeouts::default() };
    let relay = relay_in_time(address, timeouts);
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    assert_eq!(relay.deliver(&message, &[0]).await, [DELIVERED]);
    assert_eq!(heard.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_hang_up_between_messages_does_no_harm() {
    let one = || [Hear("DATA\r\n"), Say(GO), Hear(END), Say("250 queued\r\n")];
    let farewells = [
        // Seen before the connection is used again, or only then.
        vec![],
        vec![Hear("DATA\r\n")],
        vec![Hear("DATA\r\n"), Say("421 idle\r\n")],
    ];
    for farewell in farewells {
        let first = script(one().into_iter().chain(farewell));
        let (address, heard) = next_hop(vec![first, script(one().into_iter().chain([Wait]))]).await;
        let relay = relay_to(address);
        let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
        assert_eq!(relay.deliver(&message, &[0]).await, [DELIVERED]);
        assert_eq!(relay.deliver(&message, &[0]).await, [DELIVERED]);
        drop(relay);
        assert_eq!(heard.await.unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_hang_up_behind_the_dot_is_not_tried_again_at_once() {
    let (address, heard) = next_hop(vec![script([
        Hear("DATA\r\n"),
        Say(GO),
        Hear(END),
        Say("250 queued\r\n"),
        Hear("DATA\r\n"),
        Say(GO),
        Hear(END),
    ])])
    .await;
    let relay = relay_to(address);
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    assert_eq!(relay.deliver(&message, &[0]).await, [DELIVERED]);
    // The next hop may have it: a further copy is for the queue to risk, later.
    let lost = "connection closed at the end of the message; it may have arrived all the same";
    let lost = deferred(address, "4.4.2", lost);
    assert_eq!(relay.deliver(&message, &[0]).await, [lost]);
    assert_eq!(heard.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_message_that_breaks_off_is_not_ended() {
    let unread = |address, whole_readers| async move {
        let body: [&[u8]; 3] = [b"\r\n", &[b'x'; 100_000], b"\r\n"];
        let message = broken_message(&["u@x.test"], "A: b\r\n", &body, whole_readers);
        relay_to(address).deliver(&message, &[0]).await
    };
    let (address, heard) = next_hop(vec![script([Hear("DATA\r\n"), Say(GO), Wait])]).await;
    // Not even looked at.
    let text =
        "4.3.0 the queued message could not be read: the queue is not available: the disk is gone";
    assert_eq!(unread(address, 0).await, [format!("deferred {text}")]);
    // It was sound when looked at, and then no more.
    let broken = deferred(address, "4.3.0", "the stored message could not be read");
    assert_eq!(unread(address, 1).await, [broken]);
    let heard = heard.await.unwrap().concat();
    assert!(heard.ends_with("xxx\r\n"), "{} octets", heard.len());
}

#[tokio::test]
async fn a_refusal_in_the_middle_of_a_message_is_heard() {
    // The next hop reads no more: a relay that only writes would wait for room until its time is up.
    let turns = [Hear("DATA\r\n"), Say(GO), Hear("xxxx"), Say("552 5.3.4 too big\r\n"), Stall];
    let (address, heard) = next_hop(vec![script(turns)]).await;
    let piece = vec![b'x'; 1_000_000];
    let message = message(&["u@x.test"], "A: b\r\n", &[piece.as_slice(); 30]);
    let text = format!("5.3.4 {address}: 552 5.3.4 too big to the message");
    assert_eq!(relay_to(address).deliver(&message, &[0]).await, [format!("failed {text}")]);
    heard.abort();
}

#[tokio::test]
async fn what_the_next_hop_cant_take_is_returned() {
    let (address, heard) = next_hop(vec![script([Wait])]).await;
    let relay = relay_to(address);
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n\xff"]);
    let text = format!(
        "5.6.3 {address}: the message has 8-bit octets and the next hop does not offer 8BITMIME"
    );
    assert_eq!(relay.deliver(&message, &[0]).await, [format!("failed {text}")]);
    assert_eq!(
        relay.deliver(&message, &[1]).await,
        ["deferred 4.3.0 the message has no recipient 1"]
    );
    drop(relay);
    assert_eq!(heard.await.unwrap(), ["EHLO us.test\r\n"]);
}

#[tokio::test]
async fn what_the_octets_are_counts_and_not_what_was_declared() {
    let hello = |offer: &'static str| [Say("220 hop\r\n"), Hear("EHLO us.test\r\n"), Say(offer)];
    let offer = "250-hop\r\n250-CHUNKING\r\n250-BINARYMIME\r\n250-SMTPUTF8\r\n250 PIPELINING\r\n";
    let queued = "250 a\r\n250 b\r\n250 queued\r\n";
    type Case = (&'static str, &'static [u8], &'static str, &'static str);
    let cases: [Case; 4] = [
        ("", b"\r\n.\r\n", "", "BDAT 11 LAST\r\nA: b\r\n\r\n.\r\n"),
        ("BODY=BINARYMIME", b"\r\n.\r\n", "", "BDAT 11 LAST\r\nA: b\r\n\r\n.\r\n"),
        ("BODY=BINARYMIME", b"\r\n\n.", " BODY=BINARYMIME", "BDAT 10 LAST\r\nA: b\r\n\r\n\n."),
        // All of it is ASCII.
        ("SMTPUTF8", b"\r\n.\r\n", "", "BDAT 11 LAST\r\nA: b\r\n\r\n.\r\n"),
    ];
    for (parameters, body, words, chunk) in cases {
        let turns = hello(offer).into_iter().chain([Hear(chunk), Say(queued), Wait]);
        let (address, heard) = next_hop(vec![turns.collect()]).await;
        let relay = relay_to(address);
        let mut message = message(&["u@x.test"], "A: b\r\n", &[body]);
        message.envelope.parameters = parameters.into();
        if parameters.contains("BINARY") {
            message.envelope.body = BodyKind::BinaryMime;
        }
        assert_eq!(relay.deliver(&message, &[0]).await, [DELIVERED]);
        drop(relay);
        let wanted =
            format!("EHLO us.test\r\nMAIL FROM:<a@b.test>{words}\r\nRCPT TO:<u@x.test>\r\n{chunk}");
        assert_eq!(heard.await.unwrap(), [wanted]);
    }

    // To a server that takes text alone, what is text goes as text, and what is not comes back.
    for (parameters, header, body, result) in [
        (
            "BODY=BINARYMIME",
            "A: b\r\n",
            &b"\r\n\0\r\n"[..],
            "5.6.3 {}: the message is binary and the next hop does not offer BINARYMIME",
        ),
        (
            "SMTPUTF8",
            "A: \u{e9}\r\n",
            b"\r\n",
            "5.6.7 {}: the message has addresses or header fields in UTF-8 and the next hop does not offer SMTPUTF8",
        ),
    ] {
        let turns = hello("250-hop\r\n250 8BITMIME\r\n").into_iter().chain([Wait]);
        let (address, heard) = next_hop(vec![turns.collect()]).await;
        let relay = relay_to(address);
        let mut message = message(&["u@x.test"], header, &[body]);
        message.envelope.parameters = parameters.into();
        if parameters.contains("BINARY") {
            message.envelope.body = BodyKind::BinaryMime;
        }
        let wanted = format!("failed {}", result.replace("{}", &address.to_string()));
        assert_eq!(relay.deliver(&message, &[0]).await, [wanted]);
        drop(relay);
        assert_eq!(heard.await.unwrap(), ["EHLO us.test\r\n"]);
    }
}

/// Who named them and whether the sender has declared it makes no difference: an alias or a plug-in may have.
#[tokio::test]
async fn addresses_go_on_in_ascii_where_they_can() {
    let hello = |offer: &'static str| [Say("220 hop\r\n"), Hear("EHLO us.test\r\n"), Say(offer)];
    let plain = "250-hop\r\n250-DSN\r\n250 PIPELINING\r\n";
    let any = "250-hop\r\n250-SMTPUTF8\r\n250-DSN\r\n250 PIPELINING\r\n";
    let sent = || {
        [
            Hear("DATA\r\n"),
            Say("250 a\r\n250 b\r\n354 go\r\n"),
            Hear(".\r\n"),
            Say("250 queued\r\n"),
            Wait,
        ]
    };
    let cases = [
        (
            plain,
            "u@b\u{fc}cher.test",
            "",
            "",
            "u@xn--bcher-kva.test",
            r" ORCPT=utf-8;j\x{F6}@x.test",
        ),
        (
            any,
            "u@b\u{fc}cher.test",
            "SMTPUTF8",
            "",
            "u@xn--bcher-kva.test",
            r" ORCPT=utf-8;j\x{F6}@x.test",
        ),
        (
            any,
            "j\u{f6}@b\u{fc}cher.test",
            "",
            " SMTPUTF8",
            "j\u{f6}@b\u{fc}cher.test",
            " ORCPT=utf-8;j\u{f6}@x.test",
        ),
    ];
    for (offer, recipient, parameters, words, written, orcpt) in cases {
        let turns = hello(offer).into_iter().chain(sent());
        let (address, heard) = next_hop(vec![turns.collect()]).await;
        let relay = relay_to(address);
        let mut message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
        message.envelope.parameters = parameters.into();
        message.envelope.recipients[0].address = Address::parse_international(recipient).unwrap();
        message.envelope.recipients[0].parameters = "ORCPT=utf-8;j\u{f6}@x.test".into();
        assert_eq!(relay.deliver(&message, &[0]).await, [DELIVERED]);
        drop(relay);
        let wanted =
            format!("MAIL FROM:<a@b.test>{words}\r\nRCPT TO:<{written}>{orcpt}\r\nDATA\r\n");
        let heard = heard.await.unwrap();
        assert!(heard[0].contains(&wanted), "{wanted}: {heard:?}");
    }
    let turns = hello(plain).into_iter().chain([Wait]);
    let (address, heard) = next_hop(vec![turns.collect()]).await;
    let relay = relay_to(address);
    let mut message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    message.envelope.recipients[0].address =
        Address::parse_international("j\u{f6}@x.test").unwrap();
    let outcome = relay.deliver(&message, &[0]).await.concat();
    assert!(outcome.starts_with("failed 5.6.7 "), "{outcome}");
    drop(relay);
    assert_eq!(heard.await.unwrap(), ["EHLO us.test\r\n"]);
}

#[tokio::test]
async fn a_next_hop_that_is_not_there_defers() {
    let message = message(&["u@x.test", "v@x.test"], "A: b\r\n", &[b"\r\n"]);
    // Bound and closed again: nobody listens.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let refused = deferred(gone, "4.4.1", "Connection refused (os error 111)");
    assert_eq!(relay_to(gone).deliver(&message, &[1, 0]).await, [refused.clone(), refused]);

    let named = format!("localhost:{}", gone.port());
    let relay = Sending::new(&[("localhost", gone.port())], RelayTimeouts::default());
    let outcomes = relay.deliver(&message, &[0]).await;
    // Which of its addresses it was.
    assert!(outcomes[0].starts_with(&format!("deferred 4.4.1 {named}: ")), "{outcomes:?}");
    let why = format!(":{}: Connection refused (os error 111)", gone.port());
    assert!(outcomes[0].ends_with(&why), "{outcomes:?}");

    // No resolver asks anybody for a label of more than 63 octets.
    let nobody = "x".repeat(64);
    let relay = Sending::new(&[(&nobody, 25)], RelayTimeouts::default());
    let outcomes = relay.deliver(&message, &[0]).await;
    let why = format!("deferred 4.4.1 {nobody}:25: its name can't be resolved: ");
    assert!(outcomes[0].starts_with(&why), "{outcomes:?}");
}

#[tokio::test]
async fn a_server_that_wont_talk_gives_way_to_the_next() {
    let (busy, heard_by_busy) = next_hop(vec![vec![Say("421 4.3.2 too busy\r\n"), Wait]]).await;
    let (gone, mute) = {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        (gone, next_hop(vec![vec![]]).await)
    };
    let turns = [Hear("DATA\r\n"), Say(GO), Hear(END), Say("250 queued\r\n"), Wait];
    let (good, heard) = next_hop(vec![script(turns)]).await;
    let hosts = |addresses: &[SocketAddr]| {
        let hosts: Vec<_> = addresses.iter().map(|address| ("127.0.0.1", address.port())).collect();
        Sending::new(&hosts, RelayTimeouts::default())
    };
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    let relay = hosts(&[busy, gone, mute.0, good]);
    assert_eq!(relay.deliver(&message, &[0]).await, [DELIVERED]);
    drop(relay);
    assert_eq!(heard.await.unwrap().len(), 1);
    assert_eq!(heard_by_busy.await.unwrap(), [""]);

    // Once the message was spoken of, its answer stands.
    let no = [Hear("DATA\r\n"), Say("250 a\r\n550 5.1.1 no\r\n503 c\r\n"), Wait];
    let (no, _) = next_hop(vec![script(no)]).await;
    let (untouched, _heard) = next_hop(vec![]).await;
    let text = format!("failed 5.1.1 {no}: 550 5.1.1 no to RCPT");
    assert_eq!(hosts(&[no, untouched]).deliver(&message, &[0]).await, [text]);

    // When none talks, what one said counts more than that another is down.
    let (busy, _) = next_hop(vec![vec![Say("421 4.3.2 too busy\r\n"), Wait]]).await;
    let text = deferred(busy, "4.3.2", "421 4.3.2 too busy to the connection");
    assert_eq!(hosts(&[busy, gone]).deliver(&message, &[0]).await, [text]);
}

#[tokio::test]
async fn a_server_that_breaks_off_before_the_message_gives_way_to_the_next() {
    const RECIPIENTS: &str = "RCPT TO:<v@x.test>\r\n";
    let hosts = |addresses: &[SocketAddr]| {
        let hosts: Vec<_> = addresses.iter().map(|address| ("127.0.0.1", address.port())).collect();
        Sending::new(&hosts, RelayTimeouts::default())
    };
    let message = message(&["u@x.test", "v@x.test"], "A: b\r\n", &[b"\r\n"]);
    let slow_down = "421 4.7.0 slow down\r\n";
    let broken: [&[&'static str]; 4] = [
        &[slow_down],
        &[],
        &["250 ok\r\n", slow_down],
        // No line of a reply.
        &["250 ok\r\n250 ok\r\n", "what?\r\n"],
    ];
    for said in broken {
        let turns = || {
            let said = said.iter().map(|said| Say(said));
            script([Hear(RECIPIENTS)].into_iter().chain(said))
        };
        let (first, _) = next_hop(vec![turns()]).await;
        let good = "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n";
        let good = [Hear("DATA\r\n"), Say(good), Hear(END), Say("250 queued\r\n"), Wait];
        let (second, heard) = next_hop(vec![script(good)]).await;
        let relay = hosts(&[first, second]);
        assert_eq!(relay.deliver(&message, &[0, 1]).await, [DELIVERED, DELIVERED], "{said:?}");
        drop(relay);
        assert_eq!(heard.await.unwrap().len(), 1);
        // Where there is no other it stands.
        let (first, _) = next_hop(vec![turns()]).await;
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let carried = hosts(&[first, gone]).carry(&message, &[0, 1]).await;
        assert_eq!(carried.standing, Standing::Busy, "{said:?}");
        let wanted = format!("{first}: ");
        let all = carried.outcomes.iter().all(|outcome| outcome.to_string().contains(&wanted));
        assert!(all, "{said:?} {:?}", carried.outcomes);
    }
    // Who has refused somebody for good, or has the end of the message, is not passed over.
    let refused = ["250 ok\r\n550 no\r\n", slow_down].map(Say);
    let refused = script([Hear(RECIPIENTS)].into_iter().chain(refused));
    let all = Say("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    let ended = script([Hear("DATA\r\n"), all, Hear(END)]);
    for turns in [refused, ended] {
        let (first, _) = next_hop(vec![turns]).await;
        let (untouched, _heard) = next_hop(vec![]).await;
        let outcomes = hosts(&[first, untouched]).deliver(&message, &[0, 1]).await;
        let of_first = |outcome: &String| outcome.contains(&format!(" {first}: "));
        assert!(outcomes.iter().all(of_first), "{outcomes:?}");
    }
}

#[tokio::test]
async fn a_server_of_mailboxes_answers_for_each() {
    let (address, heard) = next_hop(vec![vec![
        Say("220 store\r\n"),
        Hear("LHLO us.test\r\n"),
        Say("250-store\r\n250 PIPELINING\r\n"),
        Hear("DATA\r\n"),
        Say("250 a\r\n250 b\r\n250 c\r\n354 go\r\n"),
        Hear(END),
        Say("250 kept\r\n452 4.2.2 full\r\n"),
        Wait,
    ]])
    .await;
    let relay = Sending { protocol: Protocol::Lmtp, ..relay_to(address) };
    let message = message(&["u@x.test", "v@x.test"], "A: b\r\n", &[b"\r\n"]);
    let full = deferred(address, "4.2.2", "452 4.2.2 full to the end of the message");
    assert_eq!(relay.deliver(&message, &[0, 1]).await, [DELIVERED, &full]);
    drop(relay);
    assert_eq!(heard.await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_silent_next_hop_defers() {
    let (address, heard) = next_hop(vec![vec![Wait]]).await;
    let session =
        SendingTimeouts { greeting: Duration::from_millis(20), ..SendingTimeouts::default() };
    let timeouts = RelayTimeouts { session, ..RelayTimeouts::default() };
    let relay = relay_in_time(address, timeouts);
    let message = message(&["u@x.test"], "A: b\r\n", &[b"\r\n"]);
    let silent = deferred(address, "4.4.2", "timed out waiting for the connection");
    assert_eq!(relay.deliver(&message, &[0]).await, [silent]);
    assert_eq!(heard.await.unwrap(), [""]);
}
