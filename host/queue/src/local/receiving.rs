//! A message on its way into the local store: in memory while it is small, in a file when it grows.
//! Knows no row of other messages.

use std::io;
use std::sync::Arc;

use stagepost_smtp::{Content, EditedBody, Kept};
use tokio::sync::{mpsc, oneshot};

use super::blocking;
use super::bodies::BodyFile;
use super::change::NewRows;
use super::content::{LocalContent, LocalOctets};
use super::core::Core;
use super::key::sender_key;
use super::ledger;
use super::record::{
    BodyRecord, DeliveryRecord, MessageRecord, RecipientRecord, reply_text, to_ms,
};
use super::request::Request;
use crate::{
    BODY_MEMORY_OCTETS_MAX, BadMessage, BoxFuture, Incoming, NewMessage, QueueId, StoreError,
};

/// The largest header block taken, in octets: far above what any session lets through.
const HEADER_OCTETS_MAX: usize = 16 * 1024 * 1024;

pub(super) struct LocalIncoming {
    core: Arc<Core>,
    requests: mpsc::Sender<Request>,
    id: QueueId,
    /// Shared, as `pending` is, with those who read the message.
    header: Arc<Vec<u8>>,
    /// The body, or what of it was not yet written to the file.
    pending: Arc<Vec<u8>>,
    octets: u64,
    crc32c: u32,
    file: Option<BodyFile>,
    failed: Option<StoreError>,
}

impl LocalIncoming {
    pub(super) fn new(core: Arc<Core>, requests: mpsc::Sender<Request>, id: QueueId) -> Self {
        Self {
            core,
            requests,
            id,
            header: Arc::default(),
            pending: Arc::default(),
            octets: 0,
            crc32c: 0,
            file: None,
            failed: None,
        }
    }

    /// Moves what is in memory to the file.
    async fn spill(&mut self) -> Result<(), StoreError> {
        let core = Arc::clone(&self.core);
        let (file, id) = (self.file.take(), self.id);
        let pending = Arc::unwrap_or_clone(std::mem::take(&mut self.pending));
        let written = blocking(move || {
            core.check_space()?;
            let file = file
                .map_or_else(|| core.bodies.create(id), Ok)
                .map_err(|error| core.io_error(&error))?;
            file.write(&pending).map_err(|error| core.io_error(&error))?;
            Ok((file, pending))
        });
        let (file, mut pending) = written.await?;
        pending.clear();
        (self.file, self.pending) = (Some(file), Arc::new(pending));
        Ok(())
    }

    async fn add(&mut self, octets: &[u8]) -> Result<(), StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut rest = octets;
        while self.pending.len() + rest.len() > BODY_MEMORY_OCTETS_MAX {
            let (head, tail) = rest.split_at(BODY_MEMORY_OCTETS_MAX - self.pending.len());
            Arc::make_mut(&mut self.pending).extend_from_slice(head);
            rest = tail;
            if let Err(error) = self.spill().await {
                self.failed = Some(error.clone());
                return Err(error);
            }
        }
        Arc::make_mut(&mut self.pending).extend_from_slice(rest);
        self.crc32c = crc32c::crc32c_append(self.crc32c, octets);
        self.octets += octets.len() as u64;
        Ok(())
    }

    /// Makes the body what plug-ins have left of it. Texts behind what was received are added to it; else all of it is
    /// written anew, while the old file, which loses its name first, is read.
    async fn replace(&mut self, body: EditedBody) -> Result<(), StoreError> {
        if let Some(texts) = body.only_appended().filter(|_| self.octets > 0) {
            for text in texts {
                self.add_kept(Arc::clone(&text.kept)).await?;
            }
            return Ok(());
        }
        let received: Arc<dyn Content> = self.content();
        // Its name is free again for the new file.
        let file = self.file.take();
        blocking(move || {
            drop(file);
            Ok(())
        })
        .await?;
        (self.pending, self.octets, self.crc32c) = (Arc::default(), 0, 0);
        let octets = body.octets(received.body_octets());
        self.add_kept(Arc::new(Composed { body, received, octets })).await
    }

    /// Adds octets that are kept elsewhere, piece by piece.
    async fn add_kept(&mut self, kept: Arc<dyn Kept>) -> Result<(), StoreError> {
        let (mut offset, mut piece) = (0, Vec::new());
        loop {
            let (kept, core) = (Arc::clone(&kept), Arc::clone(&self.core));
            let read = blocking(move || {
                let mut buffer = Vec::new();
                piece.clear();
                let octets = kept.read(offset, &mut buffer).map_err(|error| core.io_error(&error));
                piece.extend_from_slice(octets?);
                Ok(piece)
            });
            piece = match read.await {
                Ok(read) => read,
                Err(error) => {
                    self.failed = Some(error.clone());
                    return Err(error);
                }
            };
            if piece.is_empty() {
                return Ok(());
            }
            offset += piece.len() as u64;
            self.add(&piece).await?;
        }
    }

    async fn store(mut self, message: NewMessage) -> Result<QueueId, StoreError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        message.check()?;
        if self.header.len() > HEADER_OCTETS_MAX {
            let (octets, max) = (self.header.len(), HEADER_OCTETS_MAX);
            return Err(BadMessage::HeaderTooLarge { octets, max }.into());
        }
        if self.file.is_some() {
            self.spill().await?;
        }
        let mut file = self.file.take();
        if let Some(written) = file.take() {
            let core = Arc::clone(&self.core);
            let synced = blocking(move || {
                written.sync().map_err(|error| core.io_error(&error))?;
                Ok(written)
            });
            file = Some(synced.await?);
        }
        let in_file = file.is_some();
        let (requests, id) = (self.requests.clone(), self.id);
        let rows = self.rows(message, in_file);
        let (answer, answered) = oneshot::channel();
        let closed = || StoreError::unavailable("it is closed");
        requests.send(Request::Insert { rows, file, answer }).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())??;
        Ok(id)
    }

    fn rows(self, message: NewMessage, in_file: bool) -> NewRows {
        let octets = self.header.len() as u64 + self.octets;
        let received_ms = to_ms(message.received_at);
        let hold = message.hold.as_deref().map(reply_text);
        let delivery = |delivery: crate::NewDelivery| {
            let recipient = |index| RecipientRecord {
                index,
                held: hold.is_some(),
                reply: hold.clone().unwrap_or_default(),
            };
            let record = DeliveryRecord {
                due_ms: to_ms(delivery.due),
                received_ms,
                attempts: 0,
                octets,
                body_in_file: in_file,
                recipients: delivery.recipients.into_iter().map(recipient).collect(),
                queue: delivery.queue,
                route: None,
                give_up: None,
            };
            (delivery.destination, record)
        };
        let deliveries = message.deliveries.into_iter().map(delivery).collect();
        let sender = sender_key(&message.envelope.sender, self.id);
        let record = MessageRecord {
            received_ms,
            envelope: message.envelope,
            origin: message.origin,
            body: BodyRecord { octets: self.octets, crc32c: self.crc32c, in_file },
            header: Arc::unwrap_or_clone(self.header),
            ledger: ledger::encode(&message.ledger),
        };
        NewRows {
            id: self.id,
            sender: sender.into(),
            message: record.encode().into(),
            body: (!in_file).then(|| self.pending.as_slice().into()),
            octets,
            deliveries,
        }
    }
}

impl Incoming for LocalIncoming {
    fn id(&self) -> QueueId {
        self.id
    }

    fn header(&mut self) -> &mut Vec<u8> {
        Arc::make_mut(&mut self.header)
    }

    fn body<'a>(&'a mut self, octets: &'a [u8]) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(self.add(octets))
    }

    fn body_octets(&self) -> u64 {
        self.octets
    }

    fn content(&self) -> Arc<dyn Content> {
        let in_file = self.octets - self.pending.len() as u64;
        Arc::new(LocalContent {
            core: Arc::clone(&self.core),
            header: Arc::clone(&self.header),
            body: LocalOctets {
                file: self.file.as_ref().map(|file| (file.reader(), in_file)),
                tail: Arc::clone(&self.pending),
            },
        })
    }

    fn edit_body(&mut self, body: EditedBody) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.replace(body))
    }

    fn commit(
        self: Box<Self>,
        message: NewMessage,
    ) -> BoxFuture<'static, Result<QueueId, StoreError>> {
        Box::pin(self.store(message))
    }
}

/// A body as plug-ins have left it, with what it was made of.
struct Composed {
    body: EditedBody,
    received: Arc<dyn Content>,
    octets: u64,
}

impl Kept for Composed {
    fn octets(&self) -> u64 {
        self.octets
    }

    fn read<'a>(&'a self, offset: u64, buffer: &'a mut Vec<u8>) -> io::Result<&'a [u8]> {
        self.body.read(Some(&*self.received), offset, buffer)
    }
}
