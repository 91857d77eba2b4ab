//! How much mail clients and senders may send in a time.
//! Counts; the limits are the configuration's.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::RwLock;
use std::time::Instant;

use crate::refusal::Refusal;
use crate::section::Limits;
use crate::window::Window;

/// The most clients and the most senders that are counted at once.
const KEYS_MAX: usize = 200_000;

/// Counts of messages and recipients, by client and by sender.
#[derive(Debug)]
pub(crate) struct Rates {
    begun: Instant,
    /// Made anew when the length of the window changes.
    windows: RwLock<Windows>,
}

#[derive(Debug)]
struct Windows {
    length_s: u32,
    client_messages: Window<IpAddr>,
    client_recipients: Window<IpAddr>,
    sender_messages: Window<String>,
    sender_recipients: Window<String>,
}

impl Windows {
    fn new(length_s: u32) -> Self {
        let length_ms = u64::from(length_s) * 1000;
        Self {
            length_s,
            client_messages: Window::new(length_ms, KEYS_MAX),
            client_recipients: Window::new(length_ms, KEYS_MAX),
            sender_messages: Window::new(length_ms, KEYS_MAX),
            sender_recipients: Window::new(length_ms, KEYS_MAX),
        }
    }
}

/// A client as it is counted: of an IPv6 address the network that one customer has.
pub(crate) fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

impl Rates {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { begun: Instant::now(), windows: RwLock::new(Windows::new(limits.window_s)) }
    }

    /// Begins to count anew where the window has another length now.
    pub(crate) fn follow(&self, limits: &Limits) {
        let mut windows = self.windows.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if windows.length_s != limits.window_s {
            *windows = Windows::new(limits.window_s);
        }
    }

    /// Counts a message; the refusal says which limit it is over.
    pub(crate) fn message(&self, limits: &Limits, client: IpAddr, sender: &str) -> Option<Refusal> {
        let windows = self.windows.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (now, client) = (self.now_ms(), counted(client));
        let (by_client, by_sender) = (limits.messages_per_client, limits.messages_per_sender);
        if by_client > 0 && !windows.client_messages.take(&client, 1, by_client, now) {
            return Some(Refusal::limit("limits.messages_per_client"));
        }
        let counts = by_sender > 0 && !sender.is_empty();
        if counts && !windows.sender_messages.take(&sender.to_lowercase(), 1, by_sender, now) {
            return Some(Refusal::limit("limits.messages_per_sender"));
        }
        None
    }

    /// Counts a recipient.
    pub(crate) fn recipient(
        &self,
        limits: &Limits,
        client: IpAddr,
        sender: &str,
    ) -> Option<Refusal> {
        let windows = self.windows.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (now, client) = (self.now_ms(), counted(client));
        let (by_client, by_sender) = (limits.recipients_per_client, limits.recipients_per_sender);
        if by_client > 0 && !windows.client_recipients.take(&client, 1, by_client, now) {
            return Some(Refusal::limit("limits.recipients_per_client"));
        }
        let counts = by_sender > 0 && !sender.is_empty();
        if counts && !windows.sender_recipients.take(&sender.to_lowercase(), 1, by_sender, now) {
            return Some(Refusal::limit("limits.recipients_per_sender"));
        }
        None
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_told_by_its_name() {
        let limits = Limits {
            messages_per_client: 2,
            recipients_per_client: 3,
            messages_per_sender: 1,
            recipients_per_sender: 0,
            ..Limits::default()
        };
        let rates = Rates::new(&limits);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let by = |refusal: Option<Refusal>| refusal.map(|refusal| refusal.by.to_string());
        let (one, other) = (address("2001:db8::1"), address("2001:db8::2"));
        assert_eq!(by(rates.message(&limits, one, "a@b")), None);
        let wanted = Some("limits.messages_per_sender".to_owned());
        assert_eq!(by(rates.message(&limits, other, "A@b")), wanted);
        let wanted = Some("limits.messages_per_client".to_owned());
        assert_eq!(by(rates.message(&limits, other, "")), wanted, "the same network");
        assert_eq!(by(rates.message(&limits, address("192.0.2.1"), "")), None);
        for _ in 0..3 {
            assert_eq!(by(rates.recipient(&limits, one, "a@b")), None);
        }
        let wanted = Some("limits.recipients_per_client".to_owned());
        assert_eq!(by(rates.recipient(&limits, one, "a@b")), wanted);
        rates.follow(&Limits { window_s: 60, ..limits.clone() });
        assert_eq!(by(rates.recipient(&limits, one, "a@b")), None, "counted anew");
    }
}
