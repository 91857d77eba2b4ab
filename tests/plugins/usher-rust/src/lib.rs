//! Takes part in what a client says beside its mail, as usher.c does, and keeps what it has seen of senders.
//! Knows no host.

use stagepost_sdk::{
    AfterEdits, Answer, AsyncPlugin, Awaited, Counter, Edits, Fault, Host, Level, Mail, Outcome,
    Pending, Plugin, Quit, Rset, StartError, Timeout, Vrfy, VrfyVerb, export_plugin,
};

struct Usher {
    host: Host,
    seen: Counter,
}

/// How often a sender was seen, as it is kept.
fn number(kept: Option<Vec<u8>>) -> u64 {
    kept.and_then(|octets| octets.try_into().ok()).map_or(0, u64::from_be_bytes)
}

/// The address in the JSON text of a verb's argument.
fn address(json: &str) -> Result<&str, Fault> {
    let inner = json.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.ok_or_else(|| Fault::new("an address in quotes is wanted"))
}

impl Plugin for Usher {
    fn start(host: Host) -> Result<Self, StartError> {
        host.admin_verb("seen", "how often a sender was seen: \"a@b.test\"", move |json| {
            let state = host.state().ok_or_else(|| Fault::new("no state"))?;
            Ok(number(state.get_wait(address(json)?.as_bytes())?).to_string())
        })?;
        host.admin_verb("who", "what the directory knows: \"a@b.test\"", move |json| {
            let directory = host.directory().ok_or_else(|| Fault::new("no directory"))?;
            let address = address(json)?;
            let user = if directory.is_user(address)? { "user" } else { "nobody" };
            let staff = directory.is_member(address, "staff")?;
            Ok(format!("\"{user} {staff} {}\"", directory.groups(address)?.join(" ")))
        })?;
        Ok(Self { host, seen: host.counter("seen", "Senders seen")? })
    }

    fn before_vrfy(&self, event: &Vrfy<'_>, edits: &mut Edits<'_>) -> Outcome {
        match (event.verb, event.argument) {
            (VrfyVerb::Vrfy, "b@example.test") => {
                Ok(Answer::handled(250, "2.1.5", "<b@example.test>"))
            }
            (_, "secret") => {
                edits.attribute("usher.nosy", "1")?;
                Ok(Answer::reject(550, "5.7.1", ""))
            }
            _ => Ok(Answer::Continue),
        }
    }

    fn after_vrfy(&self, event: &Vrfy<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        if edits.reply().is_some_and(|reply| reply.code == 252) {
            return Ok(edits.reply_change(253, "2.5.2", "Who knows")?);
        }
        let words = if event.verb == VrfyVerb::Expn { "No list" } else { "As you asked" };
        Ok(edits.reply_text(words)?)
    }

    fn before_rset(&self, event: &Rset<'_>, _: &mut Edits<'_>) -> Outcome {
        if event.session.recipients().count() < 2 {
            return Ok(Answer::Continue);
        }
        Ok(Answer::defer(450, "4.7.1", ""))
    }

    fn after_rset(&self, _: &Rset<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let done = edits.reply().is_some_and(|reply| reply.code == 250);
        Ok(edits.reply_text(if done { "Forgotten" } else { "Kept" })?)
    }

    fn before_quit(&self, event: &Quit<'_>, _: &mut Edits<'_>) -> Outcome {
        if event.session.attribute("usher.nosy").is_none() {
            return Ok(Answer::Continue);
        }
        Ok(Answer::reject(554, "5.7.1", ""))
    }

    fn after_quit(&self, _: &Quit<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let done = edits.reply().is_some_and(|reply| reply.code == 221);
        Ok(edits.reply_text(if done { "So long" } else { "At last" })?)
    }

    fn before_timeout(&self, event: &Timeout<'_>, _: &mut Edits<'_>) -> Outcome {
        let message = event.awaited == Awaited::Message;
        let words = if message { "Send faster" } else { "Speak sooner" };
        if event.session.attribute("usher.nosy").is_some() {
            return Ok(Answer::reject(554, "5.7.1", words));
        }
        Ok(Answer::defer(421, "4.4.2", words))
    }
}

impl AsyncPlugin for Usher {
    async fn before_mail(&self, event: &Mail<'_>, _: &mut Edits<'_>, call: &Pending) -> Outcome {
        let state = self.host.state().ok_or_else(|| Fault::new("no state"))?;
        let key = event.sender.as_bytes();
        if !key.is_empty() {
            let seen = number(state.get(call, key).await?) + 1;
            state.put(call, key, &seen.to_be_bytes()).await?;
            self.seen.increment();
            event.session.log(Level::Info, format_args!("seen {seen}"));
        }
        Ok(Answer::Continue)
    }
}

export_plugin! {
    type = Usher,
    name = "usher-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [
        before_vrfy, after_vrfy, before_rset, after_rset, before_quit, after_quit, before_timeout,
    ],
    async_stages = [before_mail],
    edits = [verdict, attribute, reply_text, reply_code],
}
