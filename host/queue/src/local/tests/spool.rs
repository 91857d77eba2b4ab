//! A spool in a temporary folder, messages to put into it, and a disk that fails on demand.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::lanes::Narrow;
use crate::local::{Faults, LocalOptions, LocalStore, OpenError, Operation};
use crate::{
    Destination, Destinations, Incoming, Lease, LeaseRequest, Leases, Move, NewDelivery,
    NewMessage, Origin, QueueId, QueueName, Selection, Settlement, Step, Store, StoreError,
    StoredMessage,
};
use stagepost_smtp::{Address, BodyKind, Envelope, Recipient, ReversePath};
use tempfile::TempDir;

/// A disk that counts operations, and fails some.
#[derive(Default)]
pub(super) struct Disk {
    counted: Mutex<HashMap<Operation, u64>>,
    failing: Mutex<HashMap<Operation, io::ErrorKind>>,
    free: Mutex<Option<u64>>,
}

impl Disk {
    /// How often an operation was begun.
    pub(super) fn count(&self, operation: Operation) -> u64 {
        let counted = self.counted.lock().unwrap();
        counted.get(&operation).copied().unwrap_or(0)
    }

    pub(super) fn fail(&self, operation: Operation, kind: io::ErrorKind) {
        self.failing.lock().unwrap().insert(operation, kind);
    }

    pub(super) fn heal(&self) {
        self.failing.lock().unwrap().clear();
        *self.free.lock().unwrap() = None;
    }

    pub(super) fn fill_up_to(&self, free: u64) {
        *self.free.lock().unwrap() = Some(free);
    }
}

impl Faults for Disk {
    fn before(&self, operation: Operation) -> io::Result<()> {
        *self.counted.lock().unwrap().entry(operation).or_default() += 1;
        match self.failing.lock().unwrap().get(&operation) {
            Some(kind) => Err((*kind).into()),
            None => Ok(()),
        }
    }

    fn free_octets(&self, real: u64) -> u64 {
        self.free.lock().unwrap().unwrap_or(real)
    }
}

/// A store on a disk that does as told, in a folder that goes with it.
pub(super) struct Spool {
    pub(super) store: LocalStore,
    pub(super) disk: Arc<Disk>,
    pub(super) folder: Folder,
}

/// A folder that goes with its spool, or somebody else's.
pub(super) enum Folder {
    Own(TempDir),
    Other(PathBuf),
}

impl Folder {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Other(path) => path,
        }
    }
}

impl Spool {
    pub(super) fn new() -> Self {
        Self::in_folder(Folder::Own(tempfile::tempdir().unwrap()))
    }

    /// A store in a folder that others use too.
    pub(super) fn at(path: &Path) -> Self {
        Self::in_folder(Folder::Other(path.to_owned()))
    }

    fn in_folder(folder: Folder) -> Self {
        let disk = Arc::default();
        let store = open_on(folder.path(), &disk);
        Self { store, disk, folder }
    }

    /// Closes the store and opens it again, as a restart does.
    pub(super) async fn restart(self) -> Self {
        self.store.close().await;
        let store = open_on(self.folder.path(), &self.disk);
        Self { store, ..self }
    }

    /// Where the body of a message is, if it is in a file.
    pub(super) fn body_file(&self, id: QueueId) -> PathBuf {
        let folder = format!("{:02x}", id.to_bytes()[15]);
        self.folder.path().join("body").join(folder).join(id.to_string())
    }

    /// The files of bodies there are.
    pub(super) fn body_files(&self) -> Vec<PathBuf> {
        let files =
            |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        files(self.folder.path().join("body")).flat_map(files).collect()
    }
}

pub(super) fn open(path: &Path) -> LocalStore {
    open_on(path, &Arc::default())
}

pub(super) fn open_on(path: &Path, disk: &Arc<Disk>) -> LocalStore {
    let options = || LocalOptions {
        path: path.to_owned(),
        free_space_min: 1024 * 1024,
        faults: Some(Arc::clone(disk) as Arc<dyn Faults>),
    };
    for _ in 0..1000 {
        match LocalStore::open(options()) {
            // A child that another test is starting has all open files, the lock too, until it runs its program.
            Err(OpenError::InUse(_)) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened.unwrap(),
        }
    }
    panic!("{} stays in use", path.display());
}

pub(super) fn destination(name: &str) -> Destination {
    Destination::new(name).unwrap()
}

/// A moment that is surely in the past.
pub(super) fn past(seconds: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(seconds)
}

/// A message to one recipient at each of these destinations, due now.
pub(super) fn message(destinations: &[&str]) -> NewMessage {
    let recipient = |name: &&str| Recipient {
        address: Address::parse(&format!("user@{name}")).unwrap(),
        parameters: "NOTIFY=NEVER".into(),
    };
    let now = past(1);
    let delivery = |(index, name): (usize, &&str)| NewDelivery {
        destination: destination(name),
        queue: None,
        recipients: vec![index as u32],
        due: now,
    };
    NewMessage {
        envelope: Envelope {
            sender: ReversePath::Address(Address::parse("sender@example.test").unwrap()),
            parameters: "BODY=8BITMIME".into(),
            body: BodyKind::EightBitMime,
            recipients: destinations.iter().map(recipient).collect(),
        },
        deliveries: destinations.iter().enumerate().map(delivery).collect(),
        received_at: now,
        hold: None,
        origin: Origin {
            client: "192.0.2.1".into(),
            helo: "client.example".into(),
            session: 7,
            ..Origin::default()
        },
        ledger: Vec::new(),
    }
}

/// The same in a queue.
pub(super) fn in_queue(name: Option<&str>, destinations: &[&str]) -> NewMessage {
    let mut message = message(destinations);
    for delivery in &mut message.deliveries {
        delivery.queue = name.map(|name| QueueName::new(name).unwrap());
    }
    message
}

/// A body that says of each octet which message it belongs to and where.
pub(super) fn body(id: QueueId, octets: usize) -> Vec<u8> {
    let line = format!("{id} some text that fills a line of the message\r\n");
    line.bytes().cycle().take(octets).collect()
}

pub(super) async fn offer(
    store: &dyn Store,
    octets: usize,
) -> Result<Box<dyn Incoming>, StoreError> {
    let mut incoming = store.receive()?;
    let header = format!("Message-ID: <{}@example.test>\r\n", incoming.id());
    incoming.header().extend_from_slice(header.as_bytes());
    let body = body(incoming.id(), octets);
    for chunk in body.chunks(10_000) {
        incoming.body(chunk).await?;
    }
    Ok(incoming)
}

pub(super) async fn queue(
    store: &dyn Store,
    octets: usize,
    message: NewMessage,
) -> Result<QueueId, StoreError> {
    offer(store, octets).await?.commit(message).await
}

pub(super) async fn lease(store: &dyn Store, max: usize, per_destination_max: usize) -> Vec<Lease> {
    lease_by(store, max, &Narrow::lanes(per_destination_max)).await
}

/// The same by lanes that remember what they have let in.
pub(super) async fn lease_by(store: &dyn Store, max: usize, lanes: &Arc<Narrow>) -> Vec<Lease> {
    let request = LeaseRequest {
        now: SystemTime::now(),
        max,
        lanes: lanes.clone(),
        duration: Duration::from_secs(3600),
    };
    lease_as(store, request).await
}

/// What a request gets, without the messages.
pub(super) async fn lease_as(store: &dyn Store, request: LeaseRequest) -> Vec<Lease> {
    let leased = store.lease(request).await.unwrap().leased;
    leased.into_iter().map(|(lease, _)| lease).collect()
}

/// When the next lease by these lanes can succeed.
pub(super) async fn next_due(store: &dyn Store, lanes: &Arc<Narrow>) -> Option<SystemTime> {
    let request = LeaseRequest {
        now: SystemTime::UNIX_EPOCH,
        max: 1,
        lanes: lanes.clone(),
        duration: Duration::from_secs(3600),
    };
    let Leases { leased, next_due } = store.lease(request).await.unwrap();
    assert!(leased.is_empty(), "nothing was due then");
    next_due
}

pub(super) async fn settle(store: &dyn Store, lease: &Lease, step: &Step, next_due: SystemTime) {
    let recipients = vec![step.clone(); lease.recipients.len()];
    store.finish(lease, Settlement { recipients, next_due }).await.unwrap();
}

pub(super) async fn flush(
    store: &dyn Store,
    which: Destinations,
    now: SystemTime,
) -> Result<u64, StoreError> {
    store.move_all(Selection::Destinations(which), Move::Flush { now }).await
}

pub(super) async fn hold(store: &dyn Store, id: QueueId, reason: &str) -> Result<u64, StoreError> {
    store.move_all(Selection::Message(id), Move::Hold { reason: reason.into() }).await
}

pub(super) async fn release(
    store: &dyn Store,
    id: QueueId,
    now: SystemTime,
) -> Result<u64, StoreError> {
    store.move_all(Selection::Message(id), Move::Release { now }).await
}

pub(super) async fn remove(store: &dyn Store, id: QueueId) -> Result<u64, StoreError> {
    store.move_all(Selection::Message(id), Move::Remove).await
}

pub(super) async fn hold_all(
    store: &dyn Store,
    which: Destinations,
    reason: &str,
) -> Result<u64, StoreError> {
    store.move_all(Selection::Destinations(which), Move::Hold { reason: reason.into() }).await
}

pub(super) async fn release_all(
    store: &dyn Store,
    which: Destinations,
    now: SystemTime,
) -> Result<u64, StoreError> {
    store.move_all(Selection::Destinations(which), Move::Release { now }).await
}

pub(super) async fn body_of(message: &StoredMessage) -> Result<Vec<u8>, StoreError> {
    let mut reader = message.body.reader();
    let mut body = Vec::new();
    while let Some(chunk) = reader.next().await? {
        assert!(!chunk.is_empty() && chunk.len() <= 64 * 1024);
        body.extend_from_slice(chunk);
    }
    Ok(body)
}

/// The message is there, and as it was sent.
pub(super) async fn assert_intact(store: &dyn Store, id: QueueId, octets: usize) {
    let message = store.read(id).await.unwrap();
    assert_eq!(message.header, format!("Message-ID: <{id}@example.test>\r\n").as_bytes());
    assert_eq!(message.body.octets(), octets as u64);
    assert!(body_of(&message).await.unwrap() == body(id, octets), "the body of {id}");
}
