//! Reading messages back, each part checked before any of it is handed out.
//! Knows no lease: whoever has an id may read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use lsm_tree::Slice;

use super::bodies::open_body;
use super::core::Core;
use super::engine::Engine;
use super::record::{BodyRecord, MessageRecord, from_ms};
use super::rows::RowsError;
use crate::{BodyReader, BodySource, BoxFuture, QueueId, StoreError, StoredMessage};

/// A file is read in chunks of so many octets.
const CHUNK_OCTETS: usize = 64 * 1024;

/// Reads a message. Blocks.
pub(super) fn read(core: &Core, id: QueueId) -> Result<StoredMessage, StoreError> {
    let engine = core.engine()?;
    let record = read_record(&engine, id)?;
    let body: Box<dyn BodySource> = if record.body.in_file {
        let path = core.bodies.path(id);
        check_file(id, &path, &record.body)?;
        Box::new(FileBody { id, path: path.into(), record: record.body })
    } else {
        read_row_body(&engine, id, &record.body)?
    };
    Ok(stored(id, record, body))
}

/// Reads a message whose body has no file of its own; none: it has one, or can't be read. Blocks.
pub(super) fn read_small(engine: &Engine, id: QueueId) -> Option<StoredMessage> {
    let record = read_record(engine, id).ok().filter(|record| !record.body.in_file)?;
    let body = read_row_body(engine, id, &record.body).ok()?;
    Some(stored(id, record, body))
}

fn read_record(engine: &Engine, id: QueueId) -> Result<MessageRecord, StoreError> {
    let row = engine.message.get(id.to_bytes()).map_err(|error| read_error(id, &error))?;
    let row = row.ok_or(StoreError::Missing(id))?;
    MessageRecord::decode(&row)
        .map_err(|error| corrupt(id, format!("the row of the message: {error}")))
}

fn read_row_body(
    engine: &Engine,
    id: QueueId,
    wanted: &BodyRecord,
) -> Result<Box<dyn BodySource>, StoreError> {
    let body = engine.body.get(id.to_bytes()).map_err(|error| read_error(id, &error))?;
    let body = body.ok_or_else(|| corrupt(id, "its body is missing"))?;
    check(id, wanted, body.len() as u64, crc32c::crc32c(&body))?;
    Ok(Box::new(RowBody(body)))
}

fn stored(id: QueueId, record: MessageRecord, body: Box<dyn BodySource>) -> StoredMessage {
    StoredMessage {
        id,
        envelope: record.envelope,
        header: record.header,
        body,
        received_at: from_ms(record.received_ms),
        origin: record.origin,
    }
}

fn corrupt(id: QueueId, what: impl Into<Arc<str>>) -> StoreError {
    StoreError::Corrupt { id, what: what.into() }
}

fn read_error(id: QueueId, error: &RowsError) -> StoreError {
    if error.is_damage() { corrupt(id, error.to_string()) } else { StoreError::unavailable(error) }
}

fn check(id: QueueId, wanted: &BodyRecord, octets: u64, crc32c: u32) -> Result<(), StoreError> {
    if octets != wanted.octets {
        return Err(corrupt(
            id,
            format!("its body has {octets} octets instead of {}", wanted.octets),
        ));
    }
    if crc32c != wanted.crc32c {
        return Err(corrupt(id, "the checksum of its body is wrong"));
    }
    Ok(())
}

fn file_error(id: QueueId, error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::NotFound => corrupt(id, "its body file is missing"),
        io::ErrorKind::InvalidData => corrupt(id, error.to_string()),
        _ => StoreError::unavailable(error),
    }
}

/// Reads a file from end to end and compares it with its record.
fn check_file(id: QueueId, path: &Path, wanted: &BodyRecord) -> Result<(), StoreError> {
    let mut file = open_body(path).map_err(|error| file_error(id, &error))?;
    let (mut octets, mut crc) = (0, 0);
    let mut chunk = vec![0; CHUNK_OCTETS];
    // More than the record says is as wrong as less: no need to read on.
    while octets <= wanted.octets {
        let read = file.read(&mut chunk).map_err(|error| file_error(id, &error))?;
        if read == 0 {
            break;
        }
        octets += read as u64;
        crc = crc32c::crc32c_append(crc, &chunk[..read]);
    }
    check(id, wanted, octets, crc)
}

/// A body that lay in a row: checked, and in memory.
struct RowBody(Slice);

struct RowReader(Option<Slice>, Slice);

impl BodySource for RowBody {
    fn octets(&self) -> u64 {
        self.0.len() as u64
    }

    fn whole(&self) -> Option<&[u8]> {
        Some(&self.0)
    }

    fn reader(&self) -> Box<dyn BodyReader> {
        Box::new(RowReader(Some(self.0.clone()), Slice::empty()))
    }
}

impl BodyReader for RowReader {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<&[u8]>, StoreError>> {
        self.1 = self.0.take().unwrap_or_else(Slice::empty);
        let chunk = (!self.1.is_empty()).then_some(&*self.1);
        Box::pin(std::future::ready(Ok(chunk)))
    }
}

/// A body in a file: checked once, and again while it is read.
struct FileBody {
    id: QueueId,
    path: Arc<Path>,
    record: BodyRecord,
}

struct FileReader {
    id: QueueId,
    path: Arc<Path>,
    record: BodyRecord,
    file: Option<File>,
    chunk: Vec<u8>,
    octets: u64,
    crc32c: u32,
}

impl BodySource for FileBody {
    fn octets(&self) -> u64 {
        self.record.octets
    }

    fn reader(&self) -> Box<dyn BodyReader> {
        Box::new(FileReader {
            id: self.id,
            path: Arc::clone(&self.path),
            record: self.record,
            file: None,
            chunk: Vec::new(),
            octets: 0,
            crc32c: 0,
        })
    }
}

impl BodyReader for FileReader {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<&[u8]>, StoreError>> {
        Box::pin(async move {
            let (file, path, mut chunk) =
                (self.file.take(), Arc::clone(&self.path), std::mem::take(&mut self.chunk));
            let read = tokio::task::spawn_blocking(move || {
                let mut file = file.map_or_else(|| open_body(&path), Ok)?;
                chunk.resize(CHUNK_OCTETS, 0);
                let read = file.read(&mut chunk)?;
                chunk.truncate(read);
                Ok((file, chunk))
            });
            let read = read.await.map_err(StoreError::unavailable)?;
            let (file, chunk) = read.map_err(|error: io::Error| file_error(self.id, &error))?;
            (self.file, self.chunk) = (Some(file), chunk);
            if self.chunk.is_empty() {
                check(self.id, &self.record, self.octets, self.crc32c)?;
                return Ok(None);
            }
            self.octets += self.chunk.len() as u64;
            self.crc32c = crc32c::crc32c_append(self.crc32c, &self.chunk);
            Ok(Some(self.chunk.as_slice()))
        })
    }
}
