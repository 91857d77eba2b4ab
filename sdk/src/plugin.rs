//! The plug-in itself: what an author writes.
//! Knows neither how it is exported nor how it is called.

use crate::answer::{Answer, Fault, Outcome};
use crate::config::Config;
use crate::edits::{AfterEdits, Edits};
use crate::event::{
    Atrn, Auth, BodyChunk, Bounce, Command, Connect, Data, Delivery, Disconnect, Ehlo, Enqueue,
    Etrn, Expiry, Headers, Mail, MessageAccept, Quit, Rcpt, Routing, Rset, StartTls, Timeout, Verb,
    Vrfy,
};
use crate::filter::Filter;
use crate::host::Host;
use crate::stage::Stages;
use crate::start::StartError;

/// A plug-in.
///
/// Write the handlers that are wanted, and name each in the `stages` of [`export_plugin!`](crate::export_plugin):
/// those that are not named are never called, and cost nothing.
///
/// Handlers run on any thread, for many sessions at once, but never two at once for one session. A panic in one is
/// caught, logged, and taken for a [`Fault`].
pub trait Plugin: Send + Sync + Sized + 'static {
    /// Starts the plug-in: reads its configuration, once, on the thread that loads plug-ins. An error refuses the
    /// plug-in.
    ///
    /// - host: to be kept, for the log.
    fn start(host: Host) -> Result<Self, StartError>;

    /// Says what the handlers are to be called for: by default everything. Asked once, behind `start`.
    fn filter(&self) -> Filter {
        Filter::new()
    }

    /// Says which of the stages that were exported have nothing to do in this run, by the plug-in's configuration for example: their
    /// handlers are never called, and cost nothing. By default none. Asked once, behind `start`.
    fn unused(&self) -> Stages {
        Stages::all(&[])
    }

    /// Tells whether the handlers of headers, body and message accept are called for messages that plug-ins make, too
    /// ([`Host::submit`](crate::Host::submit)). They never are for what this plug-in has caused.
    fn sees_submitted(&self) -> bool {
        false
    }

    /// A client has connected.
    fn before_connect(&self, event: &Connect<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The core has acted; its reply is composed and not sent.
    fn after_connect(&self, event: &Connect<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// A command line was received.
    fn before_command(&self, event: &Command<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The core has acted; its reply is composed and not sent.
    fn after_command(&self, event: &Command<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// HELO or EHLO.
    fn before_ehlo(&self, event: &Ehlo<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The core has acted; its reply is composed and not sent.
    fn after_ehlo(&self, event: &Ehlo<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// STARTTLS: the client wants the rest of the session to be protected.
    fn before_starttls(&self, event: &StartTls<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The handshake has succeeded. There is no reply.
    fn after_starttls(
        &self,
        event: &StartTls<'_>,
        edits: &mut AfterEdits<'_>,
    ) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// AUTH: the client wants to log in.
    fn before_auth(&self, event: &Auth<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// AUTH has ended.
    fn after_auth(&self, event: &Auth<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// MAIL: a transaction begins.
    fn before_mail(&self, event: &Mail<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The core has acted; its reply is composed and not sent.
    fn after_mail(&self, event: &Mail<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// RCPT: a recipient is named.
    fn before_rcpt(&self, event: &Rcpt<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The core has acted; its reply is composed and not sent.
    fn after_rcpt(&self, event: &Rcpt<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// DATA: the message is about to be sent.
    fn before_data(&self, event: &Data<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The core has acted; its reply is composed and not sent.
    fn after_data(&self, event: &Data<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// The header block of the message is complete; its body comes next.
    fn before_headers(&self, event: &Headers<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// Some of the body was received. Called again and again while it comes.
    fn before_body(&self, event: &BodyChunk<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The whole message was received.
    fn before_message_accept(&self, event: &MessageAccept<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The core has acted; its reply is composed and not sent.
    fn after_message_accept(
        &self,
        event: &MessageAccept<'_>,
        edits: &mut AfterEdits<'_>,
    ) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// ETRN: the client asks for mail waiting for a node.
    fn before_etrn(&self, event: &Etrn<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The core has acted; its reply is composed and not sent.
    fn after_etrn(&self, event: &Etrn<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// ATRN: the client wants its mail over this connection.
    fn before_atrn(&self, event: &Atrn<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The core has acted; its reply is composed and not sent.
    fn after_atrn(&self, event: &Atrn<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// VRFY or EXPN: the client asks who is here.
    fn before_vrfy(&self, event: &Vrfy<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The core has acted; its reply is composed and not sent.
    fn after_vrfy(&self, event: &Vrfy<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// RSET: the client drops the transaction.
    fn before_rset(&self, event: &Rset<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The core has acted; its reply is composed and not sent.
    fn after_rset(&self, event: &Rset<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// A command that a plug-in claims, this one or another.
    fn before_verb(&self, event: &Verb<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// It was answered; the reply is not sent.
    fn after_verb(&self, event: &Verb<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// QUIT: the client leaves.
    fn before_quit(&self, event: &Quit<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The core has acted; its reply is composed and not sent.
    fn after_quit(&self, event: &Quit<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// The client was silent for too long. There is no *after*.
    fn before_timeout(&self, event: &Timeout<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The session is over; nothing can be changed any more.
    fn before_disconnect(&self, event: &Disconnect<'_>) -> Result<(), Fault> {
        let _ = event;
        Ok(())
    }

    /// The session is over, and the last handler of it runs.
    fn after_disconnect(&self, event: &Disconnect<'_>) -> Result<(), Fault> {
        let _ = event;
        Ok(())
    }

    /// A message is about to be queued.
    fn before_queue(&self, event: &Enqueue<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// The message is on disk. There is no reply.
    fn after_queue(&self, event: &Enqueue<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// An attempt to deliver begins: where does it lead?
    fn before_route(&self, event: &Routing<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// It is decided. There is no reply.
    fn after_route(&self, event: &Routing<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// An attempt to deliver is made.
    fn before_deliver(&self, event: &Delivery<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// It is over. There is no reply.
    fn after_deliver(&self, event: &Delivery<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// A sender is about to be told what became of a message.
    fn before_bounce(&self, event: &Bounce<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// They are told, or are not. There is no reply.
    fn after_bounce(&self, event: &Bounce<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// A message has grown too old to be tried again.
    fn before_expire(&self, event: &Expiry<'_>, edits: &mut Edits<'_>) -> Outcome {
        let _ = (event, edits);
        Ok(Answer::Continue)
    }

    /// It is decided. There is no reply.
    fn after_expire(&self, event: &Expiry<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        let _ = (event, edits);
        Ok(())
    }

    /// Every plug-in is loaded, and nobody is served yet. An error refuses the plug-in, as one of `start` does. May block.
    fn before_start(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// The server's listeners are open. May block.
    fn after_start(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// The operator reloads: the plug-in's section may be another or the same. An error refuses it: the old one stays in force, for every
    /// plug-in. May block.
    ///
    /// - section: the new section; keep nothing of it yet.
    fn before_config(&self, section: &Config) -> Result<(), Fault> {
        let _ = section;
        Ok(())
    }

    /// The new section is in force: take it over. May block, while handlers run.
    ///
    /// - section: the new section.
    fn after_config(&self, section: &Config) -> Result<(), Fault> {
        let _ = section;
        Ok(())
    }

    /// The server stops: sessions are over, as far as they could be waited for. May block for a few seconds.
    fn before_stop(&self) -> Result<(), Fault> {
        Ok(())
    }
}
