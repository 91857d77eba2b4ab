//! How rows are encoded: a version, then fields, each text and block preceded by its length, a CRC-32C at the end.
//! Knows no row. Reading never panics and never believes a length that the row has not got octets for.

use stagepost_smtp::{Address, BodyKind, ReversePath};

/// Why a row can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it ends too early")]
    Short,
    #[error("it goes on behind its end")]
    Long,
    #[error("its version is {found}, and this server knows versions up to {newest}")]
    Version { found: u8, newest: u8 },
    #[error("it holds a value that can't be")]
    Value,
}

/// Writes one row.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    /// Begins a row of a version that will have about so many octets.
    pub(crate) fn new(version: u8, octets: usize) -> Self {
        let mut row = Vec::with_capacity(octets);
        row.push(version);
        Self(row)
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.u8(value.into());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// The caller keeps blocks far below 4 GiB.
    pub(crate) fn block(&mut self, octets: &[u8]) {
        self.u32(octets.len() as u32);
        self.0.extend_from_slice(octets);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.block(text.as_bytes());
    }

    pub(crate) fn reverse_path(&mut self, path: &ReversePath) {
        match path {
            ReversePath::Null => self.u8(0),
            ReversePath::Address(address) => {
                self.u8(1);
                self.text(address.as_str());
            }
        }
    }

    pub(crate) fn body_kind(&mut self, body: BodyKind) {
        self.u8(match body {
            BodyKind::SevenBit => 0,
            BodyKind::EightBitMime => 1,
            BodyKind::BinaryMime => 2,
        });
    }

    /// Begins a part of a row, which has neither version nor checksum of its own.
    pub(crate) fn part(octets: usize) -> Self {
        Self(Vec::with_capacity(octets))
    }

    /// The octets of a part.
    pub(crate) fn octets(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        let crc = crc32c::crc32c(&self.0);
        self.u32(crc);
        self.0
    }
}

/// Reads one row.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Checks the checksum, then the version, which may be up to `newest`; the version and its fields.
    pub(crate) fn new(row: &'a [u8], newest: u8) -> Result<(u8, Self), RecordError> {
        let (content, crc) = row.split_last_chunk().ok_or(RecordError::Short)?;
        if crc32c::crc32c(content) != u32::from_be_bytes(*crc) {
            return Err(RecordError::Checksum);
        }
        let mut row = Self(content);
        match row.u8()? {
            version if (1..=newest).contains(&version) => Ok((version, row)),
            found => Err(RecordError::Version { found, newest }),
        }
    }

    /// Reads octets whose checksum somebody else has checked.
    pub(crate) fn unchecked(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(RecordError::Short)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, RecordError> {
        Ok(self.take::<1>()?[0])
    }

    pub(crate) fn flag(&mut self) -> Result<bool, RecordError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RecordError::Value),
        }
    }

    pub(crate) fn u32(&mut self) -> Result<u32, RecordError> {
        self.take().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, RecordError> {
        self.take().map(u64::from_be_bytes)
    }

    pub(crate) fn block(&mut self) -> Result<&'a [u8], RecordError> {
        let octets = self.u32()? as usize;
        let (head, rest) = self.0.split_at_checked(octets).ok_or(RecordError::Short)?;
        self.0 = rest;
        Ok(head)
    }

    pub(crate) fn text(&mut self) -> Result<Box<str>, RecordError> {
        let text = std::str::from_utf8(self.block()?).map_err(|_| RecordError::Value)?;
        Ok(text.into())
    }

    pub(crate) fn address(&mut self) -> Result<Address, RecordError> {
        Address::parse_international(&self.text()?).map_err(|_| RecordError::Value)
    }

    pub(crate) fn reverse_path(&mut self) -> Result<ReversePath, RecordError> {
        Ok(if self.flag()? { ReversePath::Address(self.address()?) } else { ReversePath::Null })
    }

    pub(crate) fn body_kind(&mut self) -> Result<BodyKind, RecordError> {
        match self.u8()? {
            0 => Ok(BodyKind::SevenBit),
            1 => Ok(BodyKind::EightBitMime),
            2 => Ok(BodyKind::BinaryMime),
            _ => Err(RecordError::Value),
        }
    }

    /// A counted list of items of `octets_min` octets or more.
    pub(crate) fn list<T>(
        &mut self,
        octets_min: usize,
        mut item: impl FnMut(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Vec<T>, RecordError> {
        let count = self.u32()? as usize;
        if count > self.0.len() / octets_min {
            return Err(RecordError::Short);
        }
        (0..count).map(|_| item(self)).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn end<T>(self, record: T) -> Result<T, RecordError> {
        if self.0.is_empty() { Ok(record) } else { Err(RecordError::Long) }
    }
}
