//! What edits leave of sender and recipients, whoever comes first.
//! Knows the transaction by its methods, and commands as clients write them.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::receive::command::{Command, parse};
use crate::receive::grammar::Grammar;
use crate::{Claim, Claims, LedgerEntry, ReversePath, as_it_came};

fn command(line: &str) -> Command {
    parse(line, Grammar::new(Claims::none())).map(|(_, command)| command).unwrap()
}

fn rcpt(path: &str, parameters: &str) -> Rcpt {
    let Command::Rcpt(rcpt) = command(&format!("RCPT TO:<{path}>")) else { unreachable!() };
    Rcpt { parameters: parameters.into(), ..rcpt }
}

/// Few names, so that edits meet each other.
fn path() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["a@x", "a@X", "b@x", "c@y", "d@z"]).prop_map(str::to_owned)
}

fn edit() -> impl Strategy<Value = Edit> {
    let parameters = proptest::sample::select(vec!["", "SIZE=5", "BODY=8BITMIME"]);
    prop_oneof![
        (path(), parameters)
            .prop_map(|(path, given)| Edit::sender(&path, given, Claims::none()).unwrap()),
        path().prop_map(|path| Edit::add_recipient(&path, "", Claims::none()).unwrap()),
        path().prop_map(|path| Edit::remove_recipient(&path).unwrap()),
        (proptest::option::of(path()), path(), proptest::sample::select(vec!["", "X=1", "X=2"]))
            .prop_map(|(replaced, path, given)| {
                let claims = Claims::new([Claim::rcpt_parameter("X").unwrap()]);
                Edit::replace_recipient(replaced.as_deref(), &path, given, &claims).unwrap()
            }),
        Just(Edit::Hold { reason: "r".into() }),
    ]
}

fn edits() -> impl Strategy<Value = Vec<Attributed>> {
    vec(edit().prop_map(|edit| Attributed::new("p", edit)), 0..4)
}

/// Those that a plug-in may make at a command.
fn allowed(edits: Vec<Attributed>, allowed: fn(&Edit) -> bool) -> Vec<Attributed> {
    edits.into_iter().filter(|edit| allowed(&edit.edit)).collect()
}

proptest! {
    /// What is taken back leads to what the client said, whatever was edited.
    #[test]
    fn the_ledger_leads_back_to_the_envelope_as_it_came(
        at_mail in edits(),
        rcpts in vec((path(), edits()), 1..5),
        at_data in edits(),
    ) {
        let Command::Mail(mail) = command("MAIL FROM:<s@x> SIZE=1") else { unreachable!() };
        let at_mail = allowed(at_mail, |edit| matches!(edit, Edit::Sender { .. } | Edit::Hold { .. }));
        let mut said = Transaction::new(mail.clone()).envelope;
        let mut mail = Command::Mail(mail);
        mail.edit(&at_mail);
        let Command::Mail(mail) = mail else { unreachable!() };
        let now = (mail.sender.clone(), mail.parameters.clone(), mail.body);
        let mut transaction = Transaction::new(mail);
        transaction.edit(at_mail).unwrap();
        let Envelope { sender, parameters, body, .. } = transaction.envelope.clone();
        prop_assert_eq!((sender, parameters, body), now);
        for (number, (path, edits)) in rcpts.into_iter().enumerate() {
            let edits = allowed(edits, |edit| {
                let in_hand = matches!(edit, Edit::ReplaceRecipient { replaced: None, .. });
                in_hand || matches!(edit, Edit::AddRecipient(_) | Edit::Hold { .. })
            });
            let first = rcpt(&path, &format!("N={number}"));
            let came = Recipient { address: first.recipient.clone(), parameters: first.parameters.clone() };
            let mut first = Command::Rcpt(first);
            first.edit(&edits);
            let Command::Rcpt(rcpt) = first else { unreachable!() };
            let itself = rcpt.recipient.is_same_as(&came.address);
            let named = transaction.add(rcpt, edits).unwrap();
            let known = itself || said.place_of(&came.address).is_some();
            if named != Named::Again || !known {
                said.recipients.push(came.clone());
            }
            // Whom the client names, and nobody replaces, is there as it was named first.
            let place = transaction.envelope.place_of(&came.address);
            let first = said.recipients.iter().find(|it| it.address.is_same_as(&came.address));
            if let Some(place) = place && itself && named != Named::Again && first == Some(&came) {
                let replaced = transaction.changes().any(|change| change.leaves(place));
                prop_assert!(replaced || transaction.envelope.recipients[place] == came);
            }
        }
        let at_data = allowed(at_data, |edit| {
            !matches!(edit, Edit::ReplaceRecipient { replaced: None, .. })
        });
        transaction.edit(at_data).unwrap();
        let Transaction { envelope, edits, .. } = transaction;
        let held = edits.iter().filter(|known| matches!(known.edit, Edit::Hold { .. })).count();
        let ledger: Vec<LedgerEntry> =
            edits.into_iter().flat_map(Attributed::into_ledger).collect();
        let holds = ledger.iter().filter(|entry| matches!(entry.change, Change::Hold { .. }));
        prop_assert_eq!(holds.count(), held);
        prop_assert_eq!(as_it_came(&envelope, &ledger), said);
    }
}

/// Two aliases of one mailbox: what plug-ins want at the second is not lost with it, and at a third time nothing is new.
#[test]
fn a_recipient_that_is_known_loses_no_edits_but_its_own() {
    let Command::Mail(mail) = command("MAIL FROM:<s@x>") else { unreachable!() };
    let mut transaction = Transaction::new(mail);
    let mut add = |path: &str| {
        let mut rcpt = command(&format!("RCPT TO:<{path}>"));
        let replacement = Edit::ReplaceRecipient {
            replaced: None,
            recipient: Address::parse("c@x").unwrap(),
            parameters: None,
        };
        let another = Address::parse("d@x").unwrap();
        let another = Recipient { address: another, parameters: "".into() };
        let header = Edit::AddHeader { name: "X-A".into(), value: (*b"1").into() };
        let edits = [
            replacement,
            Edit::AddRecipient(another),
            Edit::Tag { name: path.into() },
            Edit::Hold { reason: "h".into() },
            header,
        ];
        let edits: Vec<_> = edits.into_iter().map(|edit| Attributed::new("p", edit)).collect();
        rcpt.edit(&edits);
        let Command::Rcpt(rcpt) = rcpt else { unreachable!() };
        let new = transaction.add(rcpt, edits).unwrap();
        let recipients: Vec<_> = transaction
            .envelope
            .recipients
            .iter()
            .map(|known| known.address.as_str().to_owned())
            .collect();
        (new, recipients.join(" "), transaction.tags.len(), transaction.edits.len())
    };
    assert_eq!(add("a@x"), (Named::First, "c@x d@x".to_owned(), 1, 5));
    // Its tag, and that it went in favour of the other.
    assert_eq!(add("b@x"), (Named::Again, "c@x d@x".to_owned(), 2, 7));
    assert_eq!(add("b@x"), (Named::Again, "c@x d@x".to_owned(), 2, 7));
}

/// What a transaction is after RCPTs of a path with its number as parameter, each with edits: `+` adds, `=` replaces.
fn after(rcpts: &[(&str, &[&str])]) -> (Vec<String>, Vec<String>, Vec<String>) {
    let Command::Mail(mail) = command("MAIL FROM:<s@x>") else { unreachable!() };
    let mut transaction = Transaction::new(mail);
    let (sign, claims) = (|edit: &str| edit.as_bytes()[0], Claims::none());
    for (number, (path, edits)) in rcpts.iter().enumerate() {
        let edits = edits.iter().map(|edit| match (sign(edit), &edit[1..]) {
            (b'+', path) => Edit::add_recipient(path, "", claims).unwrap(),
            (_, path) => Edit::replace_recipient(None, path, "", claims).unwrap(),
        });
        let edits: Vec<_> = edits.map(|edit| Attributed::new("p", edit)).collect();
        let mut command = Command::Rcpt(rcpt(path, &number.to_string()));
        command.edit(&edits);
        let Command::Rcpt(rcpt) = command else { unreachable!() };
        transaction.add(rcpt, edits).unwrap();
    }
    let show = |envelope: &Envelope| {
        let recipients = envelope.recipients.iter();
        recipients.map(|it| format!("{} {}", it.address, it.parameters)).collect()
    };
    let changes = transaction.changes().map(|change| match change {
        Change::RecipientAdded { index, recipient } => {
            format!("{index} + {}", recipient.address)
        }
        Change::RecipientRemoved { index, recipient } => {
            format!("{index} - {}", recipient.address)
        }
        Change::RecipientReplaced { index, from, to } => {
            format!("{index} {} = {}", from.address, to.address)
        }
        other => format!("{other:?}"),
    });
    let changes: Vec<_> = changes.collect();
    let ledger: Vec<LedgerEntry> =
        transaction.edits.clone().into_iter().flat_map(Attributed::into_ledger).collect();
    let came = show(&as_it_came(&transaction.envelope, &ledger));
    (came, changes, show(&transaction.envelope))
}

#[test]
fn whom_the_client_names_is_the_clients_whatever_plug_ins_did_before() {
    type Case<'a> = (&'a [(&'a str, &'a [&'a str])], &'a [&'a str], &'a [&'a str], &'a [&'a str]);
    let cases: &[Case<'_>] = &[
        // Added first or later, it makes no difference.
        (&[("a@x", &["+b@x"]), ("b@x", &[])], &["a@x 0", "b@x 1"], &[], &["a@x 0", "b@x 1"]),
        (&[("a@x", &[]), ("b@x", &["+a@x"])], &["a@x 0", "b@x 1"], &[], &["a@x 0", "b@x 1"]),
        // Others that were added stay, and their places close up.
        (
            &[("a@x", &["+b@x", "+c@x"]), ("d@x", &["+e@x"]), ("b@X", &["+f@x"])],
            &["a@x 0", "d@x 1", "b@X 2"],
            &["1 + c@x", "3 + e@x", "5 + f@x"],
            &["a@x 0", "c@x ", "d@x 1", "e@x ", "b@X 2", "f@x "],
        ),
        // Another who is replaced by one that was added.
        (
            &[("a@x", &["+b@x"]), ("c@x", &["=b@x"])],
            &["a@x 0", "c@x 1"],
            &["1 c@x = b@x"],
            &["a@x 0", "b@x 1"],
        ),
        // One who came in the place of another: that one only went.
        (
            &[("a@x", &["=c@x", "=b@x", "+d@x"]), ("b@x", &[])],
            &["a@x 0", "b@x 1"],
            &["0 - a@x", "0 + d@x"],
            &["d@x ", "b@x 1"],
        ),
        // Two aliases of one: the first is kept, and the second went; a third time it is nothing new.
        (
            &[("a@x", &["=c@x"]), ("b@x", &["=c@x"]), ("b@x", &["=c@x"]), ("a@x", &["=c@x"])],
            &["a@x 0", "b@x 1"],
            &["0 a@x = c@x", "1 - b@x"],
            &["c@x 0"],
        ),
        (
            &[("c@x", &[]), ("a@x", &["=b@x", "=c@x", "+d@x"])],
            &["c@x 0", "a@x 1"],
            &["1 - a@x", "1 + d@x"],
            &["c@x 0", "d@x "],
        ),
        // There and back again.
        (&[("a@x", &[]), ("a@x", &["=b@x", "=a@x"])], &["a@x 0"], &[], &["a@x 0"]),
    ];
    for (rcpts, came, changes, is) in cases {
        let found = after(rcpts);
        let [came, changes, is] = [came, changes, is]
            .map(|texts| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(found, (came, changes, is), "{rcpts:?}");
    }
}

#[test]
fn what_changes_nothing_is_not_kept() {
    let Command::Mail(mail) = command("MAIL FROM:<s@x>") else { unreachable!() };
    let mut transaction = Transaction::new(mail);
    let Command::Rcpt(rcpt) = command("RCPT TO:<a@x>") else { unreachable!() };
    let tag = Attributed::new("p", Edit::Tag { name: "seen".into() });
    transaction.add(rcpt, vec![tag]).unwrap();
    assert_eq!(transaction.edits[0].changes, [Change::Tag { name: "seen".into() }]);
    let edits = [
        Edit::Sender {
            sender: ReversePath::Address(Address::parse("s@x").unwrap()),
            parameters: None,
        },
        Edit::add_recipient("a@X", "", Claims::none()).unwrap(),
        Edit::remove_recipient("b@x").unwrap(),
        Edit::Tag { name: "seen".into() },
    ];
    transaction.edit(edits.map(|edit| Attributed::new("p", edit)).into()).unwrap();
    assert!(transaction.edits[1..].iter().all(|edit| edit.changes.is_empty()));
}
