//! What a plug-in wants to be asked about, so that the host calls it for nothing else.
//! Knows how the contract writes it; the host does the looking.

use stagepost_abi::{
    EM_FILTER_AUTHENTICATED_ANY, EM_FILTER_AUTHENTICATED_NO, EM_FILTER_AUTHENTICATED_YES,
    EM_FILTER_TLS_ANY, EM_FILTER_TLS_OFF, EM_FILTER_TLS_ON, EmFilter, EmText,
};

use crate::text::lend;

/// Narrows a plug-in to sessions and addresses: all lists that are not empty must fit. [`Filter::new`] asks for all.
///
/// What the host can't read refuses the plug-in; its log says which item.
///
/// ```
/// use stagepost_sdk::Filter;
///
/// let filter = Filter::new().networks(["192.0.2.0/24", "2001:db8::1"]).recipient_domains([".example.org"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    networks: String,
    listeners: String,
    sender_domains: String,
    recipient_domains: String,
    tls: Option<bool>,
    authenticated: Option<bool>,
}

impl Filter {
    /// Everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// The client's address is one of these, or in one of these networks.
    #[must_use]
    pub fn networks(mut self, items: impl IntoIterator<Item: AsRef<str>>) -> Self {
        join(&mut self.networks, items);
        self
    }

    /// The listener that accepted the connection is one of these names of the configuration.
    #[must_use]
    pub fn listeners(mut self, items: impl IntoIterator<Item: AsRef<str>>) -> Self {
        join(&mut self.listeners, items);
        self
    }

    /// The sender's domain, looked at from MAIL on, but not at COMMAND: `example.org` is that domain alone, `.example.org` everything
    /// below it, `<>` the null path.
    #[must_use]
    pub fn sender_domains(mut self, items: impl IntoIterator<Item: AsRef<str>>) -> Self {
        join(&mut self.sender_domains, items);
        self
    }

    /// The domain of the recipient in hand, and after RCPT that of any recipient; written as in `sender_domains`.
    #[must_use]
    pub fn recipient_domains(mut self, items: impl IntoIterator<Item: AsRef<str>>) -> Self {
        join(&mut self.recipient_domains, items);
        self
    }

    /// Whether the connection is protected by TLS when the question is put.
    #[must_use]
    pub fn tls(mut self, on: bool) -> Self {
        self.tls = Some(on);
        self
    }

    /// Whether the client has logged in when the question is put.
    #[must_use]
    pub fn authenticated(mut self, yes: bool) -> Self {
        self.authenticated = Some(yes);
        self
    }

    /// Whether it asks for everything.
    pub(crate) fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The filter as the contract has it; lends its text.
    pub(crate) fn lent(&self) -> EmFilter {
        let text = |list: &str| -> EmText { lend(list.as_bytes()) };
        EmFilter {
            size: size_of::<EmFilter>() as u32,
            reserved: 0,
            networks: text(&self.networks),
            listeners: text(&self.listeners),
            sender_domains: text(&self.sender_domains),
            recipient_domains: text(&self.recipient_domains),
            tls: match self.tls {
                None => EM_FILTER_TLS_ANY,
                Some(true) => EM_FILTER_TLS_ON,
                Some(false) => EM_FILTER_TLS_OFF,
            },
            authenticated: match self.authenticated {
                None => EM_FILTER_AUTHENTICATED_ANY,
                Some(true) => EM_FILTER_AUTHENTICATED_YES,
                Some(false) => EM_FILTER_AUTHENTICATED_NO,
            },
        }
    }
}

fn join(list: &mut String, items: impl IntoIterator<Item: AsRef<str>>) {
    for item in items {
        list.push_str(item.as_ref());
        list.push(' ');
    }
}
