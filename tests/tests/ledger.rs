//! The ledger explains the stored octets: plug-ins edit random messages by chance, and what the ledger says they did, done to
//! the message as it was sent, gives the message as it is stored, octet by octet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;
use sha2::{Digest, Sha256};
use stagepost_tests::chance::Chance;
use stagepost_tests::plugin::compile_c;
use stagepost_tests::server::{Server, Site, plugin_section};

const MESSAGES: u64 = 40;

/// A message with its envelope.
#[derive(Clone, PartialEq, Eq)]
struct Mail {
    sender: String,
    parameters: String,
    recipients: Vec<(String, String)>,
    header: Vec<u8>,
    body: Vec<u8>,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { sender, parameters, recipients, header, body } = self;
        let header = String::from_utf8_lossy(header);
        write!(out, "{sender} {parameters} {recipients:?} {header:?} and {} octets", body.len())
    }
}

fn random_mail(chance: &mut Chance) -> Mail {
    // Whom plug-ins add or put in the place of others, too; each once.
    let mut users = vec!["r0", "r1", "r2", "r3", "p0", "p1"];
    let mut recipients = vec!["keep"];
    for _ in 0..chance.below(6) {
        recipients.push(users.swap_remove(chance.below(users.len() as u64) as usize));
    }
    let parameters =
        ["", "NOTIFY=NEVER", "NOTIFY=SUCCESS ORCPT=rfc822;a+2Bb@client.test", "XCHANCE=3"];
    let recipients: Vec<_> = recipients
        .into_iter()
        .map(|user| (format!("{user}@example.test"), chance.pick(&parameters).to_owned()))
        .collect();
    let fields = [
        &b"From: a\r\n"[..],
        b"x-a : 1\r\n",
        b"X-A: folded\r\n\there\r\n",
        b"SUBJECT: \xff\xfe\r\n",
        b"to:b\r\n",
        b"Subject:\r\n",
    ];
    let header: Vec<u8> =
        (0..chance.below(7)).flat_map(|_| chance.pick(&fields).to_vec()).collect();
    let mut body = b"\r\n".to_vec();
    for _ in 0..chance.below(5) {
        let line = chance.pick(&[&b"text\r\n"[..], b"8-bit \xe4\r\n", b"\r\n"]);
        body.extend_from_slice(&line.repeat(chance.below(3000) as usize));
    }
    Mail {
        sender: chance.pick(&["", "s@client.test"]).to_owned(),
        parameters: chance.pick(&["", "SIZE=5", "BODY=8BITMIME"]).to_owned(),
        recipients,
        header,
        body,
    }
}

/// Sends a message; its id.
fn send(server: &Server, mail: &Mail) -> String {
    let mut client = server.greeted();
    client.say(format!("MAIL FROM:<{}> {}", mail.sender, mail.parameters).trim_end(), 250);
    for (recipient, parameters) in &mail.recipients {
        client.say(format!("RCPT TO:<{recipient}> {parameters}").trim_end(), 250);
    }
    client.say("DATA", 354);
    client.send(&mail.header);
    client.send(&mail.body);
    let reply = client.say(".", 250);
    reply.lines[0].rsplit(' ').next().expect("an id").to_owned()
}

/// The recipients of an envelope, with their parameters.
fn recipients(envelope: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let recipients = envelope["recipients"].as_array().expect("a list").iter();
    recipients.map(|it| (text(&it["address"]), text(&it["parameters"]))).collect()
}

/// The message as it is stored, without the trace field that the server puts on top.
fn stored(site: &Site, id: &str, explained: &Value) -> Mail {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let envelope = &explained["is"];
    let shown = site.run(&["queue", "show", id, "--socket", "state/admin.sock"]).stdout;
    assert!(shown.starts_with(b"Received: "));
    let trace =
        lines(&shown).take_while(|line| line.starts_with(b"Received: ") || line[0] == b'\t');
    let octets = &shown[trace.map(<[u8]>::len).sum::<usize>()..];
    let header = lines(octets).take_while(|line| *line != b"\r\n").map(<[u8]>::len).sum();
    Mail {
        sender: text(&envelope["sender"]),
        parameters: text(&envelope["parameters"]),
        recipients: recipients(envelope),
        header: octets[..header].to_vec(),
        body: octets[header..].to_vec(),
    }
}

fn lines(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    octets.split_inclusive(|&octet| octet == b'\n')
}

/// The fields of a header block, each with its continuation lines.
fn fields(header: &[u8]) -> Vec<Vec<u8>> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for line in lines(header) {
        match fields.last_mut() {
            Some(last) if line.starts_with(b" ") || line.starts_with(b"\t") => {
                last.extend_from_slice(line);
            }
            _ => fields.push(line.to_vec()),
        }
    }
    fields
}

/// Octets of a ledger line: text, or hexadecimal where they are none.
fn octets(value: &Value) -> Option<Vec<u8>> {
    if let Some(text) = value.as_str() {
        return Some(text.as_bytes().to_vec());
    }
    let hex = value["hex"].as_str()?;
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    Some((0..hex.len()).step_by(2).map(pair).collect())
}

fn sha256(octets: &[u8]) -> String {
    let digest = Sha256::digest(octets);
    format!("sha256:{}", digest.iter().map(|octet| format!("{octet:02x}")).collect::<String>())
}

/// The text of a digest: what a plug-in writes in one call, up to four of the texts that it has, or the empty line.
fn text_of(digest: &str) -> Option<Vec<u8>> {
    static TEXTS: LazyLock<BTreeMap<String, Vec<u8>>> = LazyLock::new(|| {
        let mut written = vec![Vec::new()];
        let mut from = 0;
        for _ in 0..4 {
            let to = written.len();
            for at in from..to {
                for text in [&b"one line\r\n"[..], b"8-bit \xff\r\n\r\n"] {
                    written.push([&written[at], text].concat());
                }
            }
            from = to;
        }
        written.push(b"\r\n".to_vec());
        written.into_iter().map(|text| (sha256(&text), text)).collect()
    });
    TEXTS.get(digest).cloned()
}

/// Does to a message what a line of the ledger says; none when the message is not as the line says it was.
fn apply(mail: &mut Mail, line: &Value) -> Option<()> {
    let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let place = || line["position"].as_u64().map(|place| place as usize);
    match line["what"].as_str()? {
        "header_add" | "header_change" | "header_delete" => {
            let mut fields = fields(&mail.header);
            let end = place()? + usize::from(!line["from"].is_null());
            let went: Vec<Vec<u8>> = fields.get(place()?..end)?.to_vec();
            (went.concat() == octets(&line["from"]).unwrap_or_default()).then_some(())?;
            fields.splice(place()?..end, octets(&line["to"]));
            mail.header = fields.concat();
        }
        "sender" => {
            (mail.sender == text("from")).then_some(())?;
            mail.sender = text("to");
            if !line["to_parameters"].is_null() {
                (mail.parameters == text("from_parameters")).then_some(())?;
                mail.parameters = text("to_parameters");
            }
        }
        "recipient_add" => {
            mail.recipients.get(..place()?)?;
            mail.recipients.insert(place()?, (text("to"), text("to_parameters")));
        }
        "recipient_remove" => {
            let wanted = (text("from"), text("from_parameters"));
            (*mail.recipients.get(place()?)? == wanted).then_some(())?;
            mail.recipients.remove(place()?);
        }
        "recipient_replace" => {
            let recipient = mail.recipients.get_mut(place()?)?;
            (*recipient == (text("from"), text("from_parameters"))).then_some(())?;
            *recipient = (text("to"), text("to_parameters"));
        }
        "body" => {
            let octets = |key: &str| line[key].as_u64().map(|octets| octets as usize);
            let range = place()?..place()? + octets("from_octets")?;
            (sha256(mail.body.get(range.clone())?) == text("from")).then_some(())?;
            let to = text_of(&text("to"))?;
            (Some(to.len()) == octets("to_octets")).then_some(())?;
            mail.body.splice(range, to);
        }
        "hold" | "tag" => {}
        other => panic!("{other}"),
    }
    Some(())
}

/// What a ledger makes of a message.
fn replay<'a>(mail: &Mail, ledger: impl IntoIterator<Item = &'a Value>) -> Option<Mail> {
    let mut mail = mail.clone();
    for line in ledger {
        apply(&mut mail, line)?;
    }
    Some(mail)
}

#[test]
fn the_ledger_explains_every_stored_octet() {
    let site = Site::new("");
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/chance.c");
    let mut plugins = String::new();
    for (number, run) in ["", "run = \"pool\"", ""].into_iter().enumerate() {
        let name = format!("chance-{number}");
        let defines = [&format!("NAME=\"{name}\"")[..], "CLAIM"];
        let defines = if number == 0 { &defines[..] } else { &defines[..1] };
        let file = compile_c(&source, site.path(), defines);
        plugins +=
            &plugin_section(&name, &file, &format!("{run}\n[plugin.config]\nseed = {number}"));
    }
    let hold = site.compile("plugins/hold.c");
    site.configure(&(plugins + &plugin_section("hold", &hold, "")));
    let server = site.start();
    let mut chance = Chance::new(0x1234_5678_9abc_def1);
    let mut seen = BTreeSet::new();
    for number in 0..MESSAGES {
        let sent = random_mail(&mut chance);
        let id = send(&server, &sent);
        let args = ["queue", "explain", &id, "--json", "--socket", "state/admin.sock"];
        let explained = site.run(&args).stdout;
        let explained: Value = serde_json::from_slice(&explained).expect("JSON");
        let ledger = explained["ledger"].as_array().expect("a list");
        let stored = stored(&site, &id, &explained);
        assert_eq!(
            replay(&sent, ledger).as_ref(),
            Some(&stored),
            "message {number}: {explained:#}"
        );
        assert_eq!(recipients(&explained["came"]), sent.recipients, "message {number}");
        // Without any one of its lines the ledger does not explain the message.
        for (left_out, line) in ledger.iter().enumerate() {
            seen.insert(line["what"].to_string());
            let silent = line["what"] == "hold" || line["what"] == "tag";
            let rest = ledger.iter().enumerate().filter(|(at, _)| *at != left_out);
            let replayed = replay(&sent, rest.map(|(_, line)| line));
            assert_eq!(replayed.as_ref() == Some(&stored), silent, "{line}");
        }
    }
    assert_eq!(seen.len(), 10, "not every edit was met: {seen:?}");
    let faults = server.log().matching(|line| line.message().contains("fault"));
    assert!(faults.is_empty(), "{}", server.log());
    server.stop();
}
