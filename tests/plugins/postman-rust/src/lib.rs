//! Answers at each event behind the session as the name of the first recipient says, and tells what it knows of the message there.
//! Knows no host.

use stagepost_sdk::{
    AfterEdits, Answer, Bounce, Delivery, Edits, Enqueue, Expiry, Fault, Host, Level, Outcome,
    Outgoing, Plugin, Routing, Session, StartError, export_plugin,
};

struct Postman {
    host: Host,
    way: String,
}

impl Postman {
    fn tell(&self, line: std::fmt::Arguments<'_>) {
        self.host.log(Level::Info, line);
    }
}

/// What is known of the session that the message came in.
fn known(session: &Session<'_>) -> String {
    let or_none = |text: Option<&str>| text.unwrap_or("-").to_owned();
    let recipients: Vec<&str> = session.recipients().collect();
    format!(
        "{} {} {} {:?} {} {} {} {} {}",
        or_none(session.remote_ip()),
        or_none(session.listener()),
        or_none(session.helo()),
        session.extended(),
        or_none(session.identity()),
        or_none(session.mechanism()),
        or_none(session.tls_version()),
        or_none(session.sender()),
        recipients.join(","),
    )
}

/// Whether the first recipient's name is this.
fn is(session: &Session<'_>, name: &str) -> bool {
    let first = session.recipients().next();
    first.and_then(|first| first.split_once('@')).is_some_and(|(local, _)| local == name)
}

impl Plugin for Postman {
    fn start(host: Host) -> Result<Self, StartError> {
        let way = host.config().text("way")?.unwrap_or_default().to_owned();
        Ok(Self { host, way })
    }

    fn before_queue(&self, event: &Enqueue<'_>, edits: &mut Edits<'_>) -> Outcome {
        edits.header_add("X-Postman", event.octets.to_string())?;
        event.session.message_slot_set(vec!["queue"])?;
        Ok(match is(&event.session, "refused") {
            true => Answer::reject(550, "5.7.1", "Not in the queue"),
            false => Answer::Continue,
        })
    }

    fn after_queue(&self, event: &Enqueue<'_>, _: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let kept = event.session.message_slot_take::<Vec<&str>>();
        self.tell(format_args!("queued with {kept:?}"));
        Ok(())
    }

    fn before_route(&self, event: &Routing<'_>, edits: &mut Edits<'_>) -> Outcome {
        self.tell(format_args!("routing {}", known(&event.session)));
        let before = event.session.message_slot(|slot: &mut Vec<&str>| {
            slot.push("route");
            slot.len()
        })?;
        self.tell(format_args!("attempt {} begins with {before}", event.attempts));
        if is(&event.session, "elsewhere") {
            edits.route(&self.way)?;
        }
        Ok(Answer::Continue)
    }

    fn before_deliver(&self, event: &Delivery<'_>, _: &mut Edits<'_>) -> Outcome {
        event.session.message_slot(|slot: &mut Vec<&str>| slot.push("deliver"))?;
        Ok(match () {
            () if is(&event.session, "late") => Answer::defer(450, "4.2.1", "Not yet"),
            () if is(&event.session, "dead") => Answer::reject(550, "5.1.1", "Dead"),
            () => Answer::Continue,
        })
    }

    fn after_deliver(&self, event: &Delivery<'_>, _: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let kept = event.session.message_slot_take::<Vec<&str>>();
        for result in event.results.iter() {
            let delivered = result.result == Outgoing::Delivered;
            let recipient = result.recipient;
            self.tell(format_args!("{recipient} {delivered} by {} with {kept:?}", event.next_hop));
        }
        Ok(())
    }

    fn before_bounce(&self, event: &Bounce<'_>, edits: &mut Edits<'_>) -> Outcome {
        edits.header_add("X-Postman", "bounce")?;
        self.tell(format_args!("telling {} {}", event.to, known(&event.session)));
        Ok(Answer::Continue)
    }

    fn before_expire(&self, event: &Expiry<'_>, _: &mut Edits<'_>) -> Outcome {
        self.tell(format_args!("expiring {} {}", event.destination, known(&event.session)));
        Ok(Answer::reject(550, "5.4.7", "Too late"))
    }
}

export_plugin! {
    type = Postman,
    name = "postman-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = blocking,
    stages = [before_queue, after_queue, before_route, before_deliver, after_deliver, before_bounce, before_expire],
    edits = [verdict, header, route],
}
