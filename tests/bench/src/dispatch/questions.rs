//! The questions of a session with one message, as `bench dispatch` asks them.

use std::net::SocketAddr;
use std::sync::Arc;

use stagepost_smtp::{Address, Ask, Draft, Facts, Peer, Question, Reply, ReversePath, Stage};

use crate::fault::Fault;

const SENDER: &str = "alice@client.example";
const RECIPIENT: &str = "bob@example.org";

/// All questions with their names, or the one of a name.
pub(crate) fn all(only: Option<&str>) -> Result<Vec<(&'static str, Ask)>, Fault> {
    let address = |text: &'static str| {
        Address::parse(text).map_err(|error| Fault::Option {
            option: "address",
            value: text.to_owned(),
            reason: error.to_string(),
        })
    };
    let (sender, recipient) = (address(SENDER)?, address(RECIPIENT)?);
    let client = SocketAddr::from(([127, 0, 0, 1], 4000));
    let facts = Arc::new(Facts::new(7, Arc::new(Peer::new(client, client, "mx"))));
    let before = |question| Ask {
        question,
        stage: Stage::Before,
        exchange: 1,
        reply: None,
        facts: facts.clone(),
        message: None,
        secret: None,
    };
    let of_message = |question| Ask { message: Some(Draft::default()), ..before(question) };
    let octets = Arc::from(vec![b'x'; 4096]);
    let line = Arc::from(format!("MAIL FROM:<{SENDER}>").into_bytes());
    let mail = Question::Mail { sender: ReversePath::Address(sender), parameters: "".into() };
    let ok = Reply::new(250, Some((2, 1, 0)), "Ok");
    let mut all = vec![
        ("command", before(Question::Command { line })),
        ("mail", before(mail.clone())),
        ("after-mail", Ask { stage: Stage::After, reply: Some(ok), ..before(mail) }),
        ("rcpt", before(Question::Rcpt { recipient, parameters: "".into() })),
        ("data", before(Question::Data { chunk: None })),
        ("headers", of_message(Question::Headers)),
        ("body", before(Question::Body { octets, offset: 0, last: false })),
        ("message", of_message(Question::MessageAccept { octets: 4096 })),
    ];
    if let Some(only) = only {
        all.retain(|(name, _)| *name == only);
        if all.is_empty() {
            let reason = "there is no such question".to_owned();
            return Err(Fault::Option { option: "--only", value: only.to_owned(), reason });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::all;

    #[test]
    fn one_or_all() {
        let everything = all(None).expect("no name, no fault");
        assert!(everything.len() > 3);
        for (name, ask) in everything {
            let one = all(Some(name)).expect("a name that is there");
            assert!(matches!(&one[..], [(_, only)] if only.question == ask.question), "{name}");
        }
        let fault = all(Some("nothing")).map(|_| ()).expect_err("no such question").to_string();
        assert_eq!(fault, "--only nothing: there is no such question");
    }
}
