//! What plug-ins may do with queued mail, as a trait that the program implements.
//! Knows no queue and no router: this crate depends on neither.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use stagepost_abi as abi;
use tokio::runtime::Handle;

use crate::dispatch::Dispatch;

/// The result of work that may have to wait for the disk.
pub type Coming<T> = Pin<Box<dyn Future<Output = Result<T, MailError>> + Send>>;

/// The mail that waits, and new mail. Any thread.
pub trait Mail: Send + Sync {
    /// How much waits for some destinations. Never scans the queue.
    fn count(&self, of: MailFor) -> Coming<Waiting>;

    /// Keeps what waits for some destinations undelivered until it is released; how many deliveries that are.
    fn hold(&self, of: MailFor, reason: String) -> Coming<u64>;

    /// Ends the holds on mail for some destinations; how many deliveries that are.
    fn release(&self, of: MailFor) -> Coming<u64>;

    /// Makes what waits for some destinations due; how many deliveries were moved.
    fn flush(&self, of: MailFor) -> Coming<u64>;

    /// Begins a new message, of a sender as MAIL takes it. Does not wait.
    ///
    /// `dispatch`: the way to the plug-ins that want to see such messages.
    ///
    /// # Errors
    /// What MAIL would not take, or that the queue takes nothing now.
    fn submit(
        &self,
        submitter: Submitter,
        dispatch: Dispatch,
        sender: &str,
        parameters: &str,
    ) -> Result<Box<dyn Submission>, MailError>;
}

/// A new message being made. Dropping it gives it up.
pub trait Submission: Send {
    /// Adds a recipient as RCPT takes it, before anything is written. Does not wait.
    ///
    /// `grant`: mail of foreign domains may be relayed.
    ///
    /// # Errors
    /// What is against it; the message goes on without.
    fn recipient(&mut self, path: &str, parameters: &str, grant: bool) -> Result<(), MailError>;

    /// Writes octets of header block and body, as they are.
    fn write<'a>(&'a mut self, octets: &'a [u8]) -> Work<'a, ()>;

    /// Makes it durable; its id.
    fn commit(self: Box<Self>) -> Coming<String>;
}

/// Work that borrows.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T, MailError>> + Send + 'a>>;

/// Who makes a message, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submitter {
    /// The plug-in's name.
    pub plugin: Arc<str>,
    /// The session because of which it is made; 0 when there is none.
    pub session: u64,
    /// Received fields of the message because of which it is made.
    pub hops: usize,
}

/// Which mail is meant: by where it goes, in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailFor {
    /// That for one domain or address literal.
    Domain(Box<str>),
    /// That for a domain and every domain below it.
    Below(Box<str>),
    /// That in the queue of this name, whatever its domains.
    Queue(Box<str>),
}

/// What a request of a plug-in came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// How much waits.
    Waiting(Waiting),
    /// How many deliveries were moved.
    Moved(u64),
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Deliveries that are due or will be.
    pub queued: u64,
    /// Deliveries of which all recipients are held.
    pub held: u64,
    /// Octets of both.
    pub octets: u64,
}

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// What was given can't be.
    #[error("what was given can't be")]
    Invalid,
    /// It is not the time for that: recipients come before octets, and octets behind a recipient.
    #[error("it is not the time for that")]
    Order,
    /// More than there may be.
    #[error("a limit is reached")]
    Limit,
    /// Mail for this recipient goes nowhere.
    #[error("mail for this recipient goes nowhere")]
    Route,
    /// The message is refused; the log says why.
    #[error("the message is refused")]
    Refused,
    /// The queue is not available now; the log says why.
    #[error("the queue is not available")]
    Unavailable,
}

/// The way to the program's mail, once there is one.
pub(crate) struct Door {
    pub(crate) mail: Arc<dyn Mail>,
    pub(crate) runtime: Handle,
}

impl Door {
    /// Has work done in the runtime, and waits for it on the caller's thread, which may block.
    ///
    /// # Errors
    /// The status for the plug-in: the work failed.
    pub(crate) fn wait<T: Send + 'static>(&self, work: Coming<T>) -> Result<T, abi::STATUS> {
        let (tell, told) = sync_channel(1);
        self.runtime.spawn(async move {
            // Whoever waits is there until it is told.
            let _ = tell.send(work.await);
        });
        // The server ends and takes the work with it.
        let done = told.recv().map_err(|_| abi::EM_ERR_IO)?;
        done.map_err(MailError::status)
    }
}

impl MailFor {
    /// A domain, with `@` before it a domain and all below it, or with `#` before it the name of a queue.
    pub fn parse(text: &str) -> Self {
        match (text.strip_prefix('@'), text.strip_prefix('#')) {
            (Some(top), _) => Self::Below(top.into()),
            (None, Some(queue)) => Self::Queue(queue.into()),
            (None, None) => Self::Domain(text.into()),
        }
    }
}

impl MailError {
    /// The status that tells a plug-in.
    pub(crate) fn status(self) -> abi::STATUS {
        match self {
            Self::Invalid => abi::ERR_MISC_INVALID_ARGS,
            Self::Order => abi::EM_ERR_STAGE,
            Self::Limit => abi::EM_ERR_LIMIT,
            Self::Route => abi::EM_ERR_ROUTE,
            Self::Refused => abi::EM_ERR_REFUSED,
            Self::Unavailable => abi::EM_ERR_IO,
        }
    }
}
