//! Exchanges: which questions the client waits for together.

use stagepost_smtp::{Ask, Verdict};

use crate::rig::Rig;

#[test]
fn the_questions_of_one_command_are_of_one_exchange() {
    let mut asked = Vec::new();
    let mut rig = Rig::greeted(|ask: &Ask| {
        let (stage, event) = (ask.stage.name(), ask.question.event().name());
        asked.push((ask.exchange, format!("{stage} {event}")));
        Verdict::default()
    });
    rig.say("NOOP\r\nMAIL FROM:<>\r\nRCPT TO:<u@here.test>\r\nDATA\r\n");
    rig.say("A: b\r\n\r\nbody\r\n.\r\nQUIT\r\n");
    drop(rig);
    let words: Vec<String> = asked
        .chunk_by(|one, other| one.0 == other.0)
        .map(|exchange| exchange.iter().map(|(_, what)| &**what).collect::<Vec<_>>().join(", "))
        .collect();
    let of = |event: &str| format!("before command, before {event}, after {event}, after command");
    let quit = format!("{}, before disconnect, after disconnect", of("quit"));
    let wanted = [
        "before connect, after connect".to_owned(),
        of("ehlo"),
        "before command, after command".to_owned(),
        of("mail"),
        of("rcpt"),
        of("data"),
        "before headers".to_owned(),
        "before body".to_owned(),
        "before message-accept, after message-accept".to_owned(),
        quit,
    ];
    assert_eq!(words, wanted);
    assert!(asked.is_sorted_by_key(|(exchange, _)| *exchange));
}
