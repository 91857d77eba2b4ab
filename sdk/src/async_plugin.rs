//! Handlers that wait: what an author writes where a plug-in must not hold up a thread.
//! Knows neither how it is exported nor how it is called.

use std::future::Future;

use crate::answer::{Answer, Outcome};
use crate::edits::Edits;
use crate::event::{
    Atrn, Auth, BodyChunk, Bounce, Command, Connect, Data, Delivery, Ehlo, Enqueue, Etrn, Expiry,
    Headers, Mail, MessageAccept, Quit, Rcpt, Routing, Rset, StartTls, Timeout, Verb, Vrfy,
};
use crate::pending::Pending;
use crate::plugin::Plugin;

/// The asynchronous handlers of a plug-in. Write those that are wanted as `async fn`, and name each in the `async_stages` of
/// [`export_plugin!`](crate::export_plugin):
///
/// ```
/// use stagepost_sdk::{
///     Answer, AsyncPlugin, Edits, Host, Outcome, Pending, Plugin, Rcpt, StartError, export_plugin,
/// };
///
/// struct Directory;
///
/// impl Plugin for Directory {
///     fn start(_: Host) -> Result<Self, StartError> {
///         Ok(Self)
///     }
/// }
///
/// /// Asks somewhere else, and is told on another thread.
/// async fn is_known(recipient: &str) -> bool {
/// #   std::future::ready(!recipient.is_empty()).await
/// }
///
/// impl AsyncPlugin for Directory {
///     async fn before_rcpt(&self, event: &Rcpt<'_>, _: &mut Edits<'_>, _: &Pending) -> Outcome {
///         if is_known(event.recipient).await {
///             return Ok(Answer::Continue);
///         }
///         Ok(Answer::reject(550, "5.1.1", "Nobody here"))
///     }
/// }
///
/// export_plugin! {
///     type = Directory,
///     name = "directory",
///     version = "1.0",
///     class = inline,
///     stages = [],
///     async_stages = [before_rcpt],
///     edits = [verdict],
/// }
/// # fn main() {}
/// ```
///
/// What a handler is lent can't leave it:
///
/// ```compile_fail,E0521
/// # use stagepost_sdk::*;
/// # struct Leaky;
/// # impl Plugin for Leaky {
/// #     fn start(_: Host) -> Result<Self, StartError> { Ok(Self) }
/// # }
/// impl AsyncPlugin for Leaky {
///     async fn before_rcpt(&self, event: &Rcpt<'_>, _: &mut Edits<'_>, _: &Pending) -> Outcome {
///         let recipient = event.recipient;
///         std::thread::spawn(move || println!("{recipient}"));
///         Ok(Answer::Continue)
///     }
/// }
/// ```
///
/// While a handler waits, the session waits for it and no thread does. Its future is polled as handlers are called: on any
/// thread, and never beside another handler of this plug-in for the same session. It is dropped, without an answer, when
/// the deadline passes or the client is gone; what it borrows is valid until then.
pub trait AsyncPlugin: Plugin {
    /// A client has connected.
    fn before_connect(
        &self,
        event: &Connect<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// A command line was received.
    fn before_command(
        &self,
        event: &Command<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// HELO or EHLO.
    fn before_ehlo(
        &self,
        event: &Ehlo<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// STARTTLS: the client wants the rest of the session to be protected.
    fn before_starttls(
        &self,
        event: &StartTls<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// AUTH: the client wants to log in.
    fn before_auth(
        &self,
        event: &Auth<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// MAIL: a transaction begins.
    fn before_mail(
        &self,
        event: &Mail<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// RCPT: one recipient.
    fn before_rcpt(
        &self,
        event: &Rcpt<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// DATA: the message is about to be sent.
    fn before_data(
        &self,
        event: &Data<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// The header block of the message is complete; its body comes next. It is waited for even when the client is gone.
    fn before_headers(
        &self,
        event: &Headers<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// Some of the body was received. Called again and again while it comes. It is waited for even when the client is gone.
    fn before_body(
        &self,
        event: &BodyChunk<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// The whole message was received. It is waited for even when the client is gone.
    fn before_message_accept(
        &self,
        event: &MessageAccept<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// ETRN: the client asks for mail waiting for a node.
    fn before_etrn(
        &self,
        event: &Etrn<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// ATRN: the client wants its mail over this connection.
    fn before_atrn(
        &self,
        event: &Atrn<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// VRFY or EXPN: the client asks who is here.
    fn before_vrfy(
        &self,
        event: &Vrfy<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// RSET: the client drops the transaction.
    fn before_rset(
        &self,
        event: &Rset<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// A command that a plug-in claims, this one or another.
    fn before_verb(
        &self,
        event: &Verb<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// QUIT: the client leaves.
    fn before_quit(
        &self,
        event: &Quit<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// The client was silent for too long. There is no *after*.
    fn before_timeout(
        &self,
        event: &Timeout<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// A message is about to be queued.
    fn before_queue(
        &self,
        event: &Enqueue<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// An attempt to deliver begins: where does it lead?
    fn before_route(
        &self,
        event: &Routing<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// An attempt to deliver is made.
    fn before_deliver(
        &self,
        event: &Delivery<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// A sender is about to be told what became of a message.
    fn before_bounce(
        &self,
        event: &Bounce<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }

    /// A message has grown too old to be tried again.
    fn before_expire(
        &self,
        event: &Expiry<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> impl Future<Output = Outcome> + Send {
        let _ = (event, edits, call);
        std::future::ready(Ok(Answer::Continue))
    }
}
