//! Delivers into Maildirs: one folder per mailbox with tmp, new and cur, one file per message.
//! Knows no user list and no route: whoever calls has decided that the mailbox exists.

mod draft;
mod folder_name;
mod visited;

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use stagepost_queue::{StoreError, StoredMessage};
use stagepost_smtp::{Address, BodyKind, ReversePath};

use self::draft::{Draft, create_mailbox};
use self::folder_name::folder_name;
use self::visited::Visited;
use super::finding::Finding;
use super::line_end::LocalLines;
use super::octets::MessageOctets;
use super::transport::{Onward, RecipientOutcome};

/// So many mailboxes are remembered as made at most; then remembering starts anew.
const KNOWN_MAX: usize = 65_536;

/// The Maildirs of one domain. Cheap to clone; any thread.
#[derive(Clone, Debug)]
pub(crate) struct Maildirs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    host_name: String,
    /// The mailboxes whose folders this process has seen to be on disk, by folder name. The first delivery to
    /// each makes what is missing and syncs it, so that no message is reported in a folder that a power cut takes away.
    known: Mutex<HashSet<String>>,
}

/// Why a message did not get into a mailbox.
#[derive(Debug, thiserror::Error)]
enum MaildirError {
    #[error("the queued message could not be read: {0}")]
    Message(#[from] StoreError),
    #[error("the mailbox can't be written: {0}")]
    Mailbox(#[from] io::Error),
}

impl Maildirs {
    /// The Maildirs in `folder`, one per mailbox, made when they are needed. `host_name` becomes part of file names.
    pub(crate) fn new(folder: PathBuf, host_name: &str) -> Self {
        // As the Maildir convention has it: a file name has no slash, and a colon starts the flags.
        let host_name = host_name.replace('/', "\\057").replace(':', "\\072");
        Self { shared: Arc::new(Shared { folder, host_name, known: Mutex::default() }) }
    }

    /// Delivers a message to the mailboxes of some of its recipients, given as indexes into its envelope.
    ///
    /// Returns one outcome for each, in their order; `Delivered` means that it would survive a power cut. Dropped in the
    /// middle, it leaves a whole message or none in `new`.
    pub(crate) async fn deliver(
        &self,
        message: &StoredMessage,
        recipients: &[u32],
    ) -> Vec<RecipientOutcome> {
        let mut outcomes = Vec::with_capacity(recipients.len());
        let visited = Visited::of(&message.header);
        for &index in recipients {
            let Some(recipient) = message.envelope.recipients.get(index as usize) else {
                let text = format!("the message has no recipient {index}");
                outcomes.push(RecipientOutcome::Deferred(Finding::new((4, 3, 0), text)));
                continue;
            };
            if visited.holds(&recipient.address) {
                let text = "it has been in this mailbox before, and goes round in a loop";
                outcomes.push(RecipientOutcome::Failed(Finding::new((5, 4, 6), text)));
                continue;
            }
            let delivered = self.deliver_to(message, &recipient.address).await;
            outcomes.push(delivered.map_or_else(
                |error| {
                    let mailbox = self.shared.folder.join(folder_name(&recipient.address));
                    defer(&error, &mailbox.display())
                },
                |()| {
                    let finding = Finding::new((2, 0, 0), "kept in the mailbox");
                    RecipientOutcome::Delivered(finding, Onward::End)
                },
            ));
        }
        outcomes
    }

    async fn deliver_to(
        &self,
        message: &StoredMessage,
        recipient: &Address,
    ) -> Result<(), MaildirError> {
        let mut octets = MessageOctets::new(message);
        // RFC 3030 section 3: what of a binary body looks like a line end need not be one.
        let binary = message.envelope.body == BodyKind::BinaryMime;
        let mut lines = (!binary).then(LocalLines::default);
        let mut local = trace_fields(&message.envelope.sender, recipient);
        let mut draft = None;
        loop {
            let piece = octets.next().await?;
            for octets in piece.octets {
                match &mut lines {
                    Some(lines) => lines.push(octets, &mut local),
                    None => local.extend_from_slice(octets),
                }
            }
            if piece.last {
                break;
            }
            draft = Some(self.write(draft, recipient, std::mem::take(&mut local)).await?);
        }
        if let Some(lines) = lines {
            lines.finish(&mut local);
        }
        let this = self.clone();
        let name = folder_name(recipient);
        // Opening, writing and syncing a small message is one trip to a thread that may block.
        run_blocking(move || this.shared.open(draft, &name)?.finish(&local)).await?;
        Ok(())
    }

    /// Writes one piece; the first opens the file.
    async fn write(
        &self,
        draft: Option<Draft>,
        recipient: &Address,
        piece: Vec<u8>,
    ) -> io::Result<Draft> {
        let this = self.clone();
        let name = folder_name(recipient);
        run_blocking(move || {
            let mut draft = this.shared.open(draft, &name)?;
            draft.write(&piece)?;
            Ok(draft)
        })
        .await
    }
}

impl Shared {
    /// The draft given, or a new one in the mailbox of this name.
    fn open(&self, draft: Option<Draft>, name: &str) -> io::Result<Draft> {
        if let Some(draft) = draft {
            return Ok(draft);
        }
        let mailbox = self.folder.join(name);
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(name);
        if known {
            match Draft::create(&mailbox, &self.host_name) {
                // Somebody removed the mailbox.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
        }
        create_mailbox(&mailbox)?;
        let mut names = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() >= KNOWN_MAX {
            names.clear();
        }
        names.insert(name.to_owned());
        drop(names);
        Draft::create(&mailbox, &self.host_name)
    }
}

/// The fields that final delivery adds on top: RFC 5321 section 4.4, and the recipient, which nothing else names.
fn trace_fields(sender: &ReversePath, recipient: &Address) -> Vec<u8> {
    format!("Return-Path: {sender}\nDelivered-To: {recipient}\n").into_bytes()
}

/// Nothing that goes wrong here is the message's fault, so it is always tried again.
fn defer(error: &MaildirError, mailbox: &dyn std::fmt::Display) -> RecipientOutcome {
    let status = match error {
        MaildirError::Message(_) => (4, 3, 0),
        MaildirError::Mailbox(cause) => match Errno::from_io_error(cause) {
            Some(Errno::NOSPC) => (4, 3, 1),
            Some(Errno::DQUOT) => (4, 2, 2),
            _ => (4, 2, 0),
        },
    };
    tracing::error!(%mailbox, %error, "a message could not be delivered");
    // The path is for the operator's eyes, the text may go back to the sender.
    RecipientOutcome::Deferred(Finding::new(status, error))
}

/// Runs file work where it may block.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(io::Error::other(error)),
    }
}

#[cfg(test)]
mod tests;
