//! Look-ups of one call: what was asked, and answers as the contract lends them.
//! Knows no resolver; keeps what it lends where it is.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use stagepost_abi as abi;

use crate::arguments::{lend, size_of_u32};
use crate::dns::{DnsAnswer, DnsQuestion, RecordType};

/// The most look-ups of one call.
const LOOKUPS_MAX: usize = 64;

/// The question that a plug-in asks.
///
/// # Errors
/// The status for the plug-in: an unknown type, or no name.
pub(crate) fn question(record_type: u32, name: &str) -> Result<DnsQuestion, abi::STATUS> {
    let record_type = match record_type {
        abi::EM_DNS_A => RecordType::A,
        abi::EM_DNS_AAAA => RecordType::Aaaa,
        abi::EM_DNS_MX => RecordType::Mx,
        abi::EM_DNS_TXT => RecordType::Txt,
        abi::EM_DNS_PTR => RecordType::Ptr,
        _ => return Err(abi::ERR_MISC_INVALID_ARGS),
    };
    DnsQuestion::new(record_type, name).ok_or(abi::ERR_MISC_INVALID_ARGS)
}

/// The look-ups of one call. The list is made by the first one, since most calls have none.
#[derive(Default)]
pub(crate) struct Lookups(OnceLock<Mutex<Vec<Option<Box<Lent>>>>>);

/// An answer as it is lent.
struct Lent {
    answer: abi::EmDnsAnswer,
    /// What `answer` points to.
    _records: Box<[abi::EmDnsRecord]>,
    /// What the records point to.
    _octets: Vec<Box<[u8]>>,
}

// SAFETY: the pointers lead to what is beside them, on the heap, and never changes.
unsafe impl Send for Lent {}

impl Lent {
    fn new(answer: DnsAnswer) -> Self {
        let outcome = match &answer {
            DnsAnswer::Found { .. } => abi::EM_DNS_FOUND,
            DnsAnswer::NoName => abi::EM_DNS_NO_NAME,
            DnsAnswer::NoData => abi::EM_DNS_NO_DATA,
            DnsAnswer::Trouble => abi::EM_DNS_TROUBLE,
        };
        let (found, ttl_s) = match answer {
            DnsAnswer::Found { records, ttl } => {
                (records, u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX))
            }
            _ => (Vec::new(), 0),
        };
        let records: Box<[abi::EmDnsRecord]> = found
            .iter()
            .map(|record| abi::EmDnsRecord {
                value: lend(&record.value),
                preference: record.preference,
                reserved: [0; 3],
            })
            .collect();
        let answer = abi::EmDnsAnswer {
            size: size_of_u32::<abi::EmDnsAnswer>(),
            outcome,
            records: if records.is_empty() { std::ptr::null() } else { records.as_ptr() },
            count: records.len() as u64,
            ttl_s,
            reserved: 0,
        };
        let octets = found.into_iter().map(|record| record.value).collect();
        Self { answer, _records: records, _octets: octets }
    }
}

impl Lookups {
    /// Makes room for an answer; where.
    ///
    /// # Errors
    /// The status for the plug-in: there are too many.
    pub(crate) fn begin(&self) -> Result<u32, abi::STATUS> {
        let mut all = self.all();
        if all.len() >= LOOKUPS_MAX {
            return Err(abi::EM_ERR_LIMIT);
        }
        all.push(None);
        u32::try_from(all.len() - 1).map_err(|_| abi::EM_ERR_LIMIT)
    }

    /// Keeps an answer; once for each place.
    pub(crate) fn keep(&self, query: u32, answer: DnsAnswer) {
        let lent = Box::new(Lent::new(answer));
        if let Some(place) = self.all().get_mut(query as usize) {
            place.get_or_insert(lent);
        }
    }

    /// Lends an answer. It stays where it is as long as this.
    ///
    /// # Errors
    /// The status for the plug-in: it is not there yet, or there is no such look-up.
    pub(crate) fn lend(&self, query: u32) -> Result<*const abi::EmDnsAnswer, abi::STATUS> {
        match self.all().get(query as usize) {
            Some(Some(lent)) => Ok(&raw const lent.answer),
            Some(None) => Err(abi::EM_PENDING),
            None => Err(abi::ERR_MISC_INVALID_ARGS),
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Option<Box<Lent>>>> {
        self.0.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
    }
}
