//! Look-ups: as futures of an asynchronous handler, and for a handler that may block.
//! Knows no server and no cache; the host does.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll};

use stagepost_abi::{
    EM_DNS_A, EM_DNS_AAAA, EM_DNS_FOUND, EM_DNS_MX, EM_DNS_NO_DATA, EM_DNS_NO_NAME, EM_DNS_PTR,
    EM_DNS_TXT, EM_PENDING, EmDnsAnswer, EmDnsRecord,
};

use crate::call::{Refusal, check};
use crate::edits::Edits;
use crate::pending::PendingCall;
use crate::text::{lend, octets};

/// Why a look-up has no records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist.
    #[error("no such name")]
    NoName,
    /// The name exists, without records of this type.
    #[error("no such records")]
    NoData,
    /// Nobody knows now: no reason to refuse for good.
    #[error("no answer")]
    Trouble,
    /// The host did not look it up.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// A host that takes mail for a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mx {
    /// Lower ones are tried first.
    pub preference: u16,
    /// Its name, without the last dot.
    pub host: String,
}

/// A type of record.
pub(crate) trait Record: Sized {
    const TYPE: u32;

    /// Reads one; none when it is not of its form.
    fn read(value: &[u8], preference: u16) -> Option<Self>;
}

macro_rules! records {
    ($($type:ty: $number:ident = |$value:ident, $preference:ident| $read:expr;)*) => {$(
        impl Record for $type {
            const TYPE: u32 = $number;

            fn read($value: &[u8], $preference: u16) -> Option<Self> {
                // Only MX has one.
                let _ = $preference;
                $read
            }
        }
    )*};
}

records! {
    Ipv4Addr: EM_DNS_A = |value, preference| str::from_utf8(value).ok()?.parse().ok();
    Ipv6Addr: EM_DNS_AAAA = |value, preference| str::from_utf8(value).ok()?.parse().ok();
    Mx: EM_DNS_MX = |value, preference| {
        Some(Self { preference, host: str::from_utf8(value).ok()?.to_owned() })
    };
    Vec<u8>: EM_DNS_TXT = |value, preference| Some(value.to_vec());
    String: EM_DNS_PTR = |value, preference| Some(str::from_utf8(value).ok()?.to_owned());
}

/// Reads an answer.
///
/// # Safety
///
/// It is valid, as far as its size says.
unsafe fn read<R: Record>(answer: *const EmDnsAnswer) -> Result<Vec<R>, DnsError> {
    if answer.is_null() {
        return Err(DnsError::Trouble);
    }
    // SAFETY: not NULL; every struct of the contract starts with its size.
    let size = unsafe { answer.cast::<u32>().read() };
    if (size as usize) < size_of::<EmDnsAnswer>() {
        return Err(DnsError::Trouble);
    }
    // SAFETY: as long as ours at least.
    let answer = unsafe { &*answer };
    match answer.outcome {
        EM_DNS_FOUND => {}
        EM_DNS_NO_NAME => return Err(DnsError::NoName),
        EM_DNS_NO_DATA => return Err(DnsError::NoData),
        _ => return Err(DnsError::Trouble),
    }
    let count = usize::try_from(answer.count).map_err(|_| DnsError::Trouble)?;
    if answer.records.is_null() {
        return Err(DnsError::NoData);
    }
    // SAFETY: as many records as the count says.
    let records: &[EmDnsRecord] = unsafe { std::slice::from_raw_parts(answer.records, count) };
    let read = |record: &EmDnsRecord| {
        // SAFETY: octets of a record are valid as long as the answer.
        R::read(unsafe { octets(record.value) }.ok()?, record.preference)
    };
    Ok(records.iter().filter_map(read).collect())
}

/// Makes the look-ups of the five types.
macro_rules! look_ups {
    ($($(#[$docs:meta])* $name:ident($of:ident) -> $type:ty;)*) => {
        impl<'a> Dns<'a> {
            $($(#[$docs])*
            pub fn $name(&self, $of: &str) -> LookUp<'a, $type> {
                LookUp::new(self.call, $of)
            })*
        }

        impl DnsWait<'_> {
            $($(#[$docs])*
            pub fn $name(&self, $of: &str) -> Result<Vec<$type>, DnsError> {
                self.wait($of)
            })*
        }
    };
}

look_ups! {
    /// Looks IPv4 addresses up.
    a(name) -> Ipv4Addr;
    /// Looks IPv6 addresses up.
    aaaa(name) -> Ipv6Addr;
    /// Looks up who takes mail, in the order of the answer.
    mx(name) -> Mx;
    /// Looks texts up: octets, the strings of each record joined.
    txt(name) -> Vec<u8>;
    /// Looks up the names of an address, or of its name below in-addr.arpa or ip6.arpa.
    ptr(address) -> String;
}

/// Tells whether records have a certain one. A name without any has not.
fn has<R: PartialEq>(records: Result<Vec<R>, DnsError>, wanted: &R) -> Result<bool, DnsError> {
    match records {
        Ok(records) => Ok(records.contains(wanted)),
        Err(DnsError::NoName | DnsError::NoData) => Ok(false),
        Err(error) => Err(error),
    }
}

impl Dns<'_> {
    /// Tells whether a name has an address. A name that [`ptr`](Self::ptr) found is confirmed so: whoever has an address can
    /// give it any name, but not that name the address.
    ///
    /// # Errors
    /// Whoever is to be trusted by name is not when nobody knows.
    pub async fn has_address(self, name: &str, address: IpAddr) -> Result<bool, DnsError> {
        match address {
            IpAddr::V4(address) => has(self.a(name).await, &address),
            IpAddr::V6(address) => has(self.aaaa(name).await, &address),
        }
    }
}

impl DnsWait<'_> {
    /// Tells whether a name has an address, as [`Dns::has_address`].
    pub fn has_address(&self, name: &str, address: IpAddr) -> Result<bool, DnsError> {
        match address {
            IpAddr::V4(address) => has(self.a(name), &address),
            IpAddr::V6(address) => has(self.aaaa(name), &address),
        }
    }
}

/// Look-ups of an asynchronous handler. Made by [`Pending::dns`](crate::Pending::dns).
///
/// A name is ASCII, with or without the last dot; nothing is appended to it. One that is none is
/// [`Reason::Invalid`](crate::Reason::Invalid). A call has at most 64 look-ups.
#[derive(Clone, Copy)]
pub struct Dns<'a> {
    pub(crate) call: &'a PendingCall,
}

impl fmt::Debug for Dns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns").finish_non_exhaustive()
    }
}

/// A look-up under way. It begins when it is first polled.
#[must_use = "a look-up begins when it is awaited"]
pub struct LookUp<'a, R> {
    call: &'a PendingCall,
    name: String,
    /// What names it among those of the call, and who waits for it.
    begun: Option<(u32, u64)>,
    records: PhantomData<fn() -> R>,
}

impl<R> fmt::Debug for LookUp<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookUp").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a, R> LookUp<'a, R> {
    fn new(call: &'a PendingCall, name: &str) -> Self {
        Self { call, name: name.to_owned(), begun: None, records: PhantomData }
    }
}

#[expect(private_bounds, reason = "the types of records are those that `Dns` names")]
impl<R: Record> LookUp<'_, R> {
    /// Begins the look-up, once.
    fn begin(&mut self) -> Result<(u32, u64), Refusal> {
        if let Some(begun) = self.begun {
            return Ok(begun);
        }
        let (call, mut query) = (self.call, 0);
        let (host, table) = (call.host.handle(), call.host.services().dns);
        let name = lend(self.name.as_bytes());
        // SAFETY: host and table belong together; a token may be any number; the name is lent for the call.
        let status = unsafe { (table.ask)(host, call.token, R::TYPE, name, &raw mut query) };
        check("a look-up", status)?;
        Ok(*self.begun.insert((query, call.waiter())))
    }
}

impl<R: Record> Future for LookUp<'_, R> {
    type Output = Result<Vec<R>, DnsError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (query, waiter) = match self.begin() {
            Ok(begun) => begun,
            Err(refusal) => return Poll::Ready(Err(refusal.into())),
        };
        let (call, mut answer) = (self.call, ptr::null());
        let (host, table) = (call.host.handle(), call.host.services().dns);
        // SAFETY: host and table belong together; a token may be any number.
        match unsafe { (table.answer)(host, call.token, query, &raw mut answer) } {
            EM_PENDING => {
                call.wait(waiter, None, context.waker());
                Poll::Pending
            }
            status => Poll::Ready(match check("an answer", status) {
                // SAFETY: written on success, and valid until the call ends, which it does not while it is polled.
                Ok(()) => unsafe { read(answer) },
                Err(refusal) => Err(refusal.into()),
            }),
        }
    }
}

impl<R> Drop for LookUp<'_, R> {
    fn drop(&mut self) {
        if let Some((_, waiter)) = self.begun {
            self.call.forget(waiter);
        }
    }
}

/// Look-ups of a handler that may block. Made by [`Edits::dns_wait`]; a name is as for [`Dns`].
pub struct DnsWait<'a> {
    edits: &'a Edits<'a>,
}

impl fmt::Debug for DnsWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsWait").finish_non_exhaustive()
    }
}

impl DnsWait<'_> {
    fn wait<R: Record>(&self, name: &str) -> Result<Vec<R>, DnsError> {
        let (edits, mut answer) = (self.edits, ptr::null());
        let table = edits.host().services().dns;
        // SAFETY: the handle is valid during the lifetime, and of the same host; the name is lent for the call.
        let status = unsafe {
            (table.wait)(edits.handle(), R::TYPE, lend(name.as_bytes()), &raw mut answer)
        };
        check("a look-up", status)?;
        // SAFETY: written on success, and valid until the handler returns.
        unsafe { read(answer) }
    }
}

impl<'a> Edits<'a> {
    /// Looks names up and blocks this thread until the answer is there. For handlers that run on the pool, as all of class
    /// `blocking` do; elsewhere it is refused: [`Reason::NotHere`](crate::Reason::NotHere).
    pub fn dns_wait(&self) -> DnsWait<'_> {
        DnsWait { edits: self }
    }
}
