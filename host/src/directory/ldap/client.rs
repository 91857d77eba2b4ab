//! Asks the servers of a directory: connections that are kept, searches that end in time, answers of bounded size.
//! Knows the client library, here and nowhere else; knows no address.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry, SearchOptions};
use rustls::ClientConfig;
use stagepost_smtp::Secret;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::{self, LdapServer};

/// Result codes (RFC 4511 section 4.1.9).
const SUCCESS: u32 = 0;
const SIZE_LIMIT_EXCEEDED: u32 = 4;
/// Those that say no to a login: there is no such entry, it has no password, another one, or may not log in. All others are
/// trouble.
const REFUSALS: [u32; 7] = [19, 32, 34, 48, 49, 50, 53];

/// A client of one directory. Any thread, inside a tokio runtime.
pub(super) struct Client {
    servers: Vec<LdapServer>,
    /// The one that answered last.
    current: AtomicUsize,
    starttls: bool,
    tls: Arc<ClientConfig>,
    /// As whom; none: as nobody.
    bind: Option<(String, Secret)>,
    timeout: Duration,
    /// Connections that nobody uses now.
    idle: Mutex<Vec<Ldap>>,
    /// One for each connection that there may be.
    turns: Semaphore,
    /// The same for passwords that are tried, each over a connection of its own.
    trials: Semaphore,
}

/// Why there is no answer. Nobody's fault who is asked about: it is no reason to refuse anybody for good.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LdapFault {
    /// It took too long, or all connections are in use.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// None of the servers can be talked to; what the last one said.
    #[error("{server}: {source}")]
    Unreachable {
        /// Which.
        server: String,
        /// What went wrong.
        source: LdapError,
    },
    /// A connection broke, or what came over it was nothing that could be understood.
    #[error("{0}")]
    Broken(#[from] LdapError),
    /// A server answers that it does not.
    #[error("the directory answers code {code}: {text}")]
    Answer {
        /// The result code.
        code: u32,
        /// What it says.
        text: String,
    },
    /// There is more than anybody should need.
    #[error("there are more than {0} {1}")]
    TooMuch(usize, &'static str),
}

/// What is searched for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'q> {
    pub(super) base: &'q str,
    pub(super) scope: Scope,
    pub(super) filter: &'q str,
    pub(super) attributes: &'q [&'q str],
    /// No more entries than these are taken.
    pub(super) entries_max: usize,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its distinguished name.
    pub(super) dn: String,
    attributes: HashMap<String, Vec<String>>,
}

impl Entry {
    /// The values of an attribute that are text, in the order that the server gives: that which they were written in, with most.
    pub(super) fn values(&self, attribute: &str) -> Vec<&str> {
        let named = |(name, _): &(&String, &Vec<String>)| name.eq_ignore_ascii_case(attribute);
        let found = self.attributes.iter().filter(named).flat_map(|(_, values)| values);
        found.map(String::as_str).collect()
    }
}

impl Client {
    pub(super) fn new(
        settings: &config::Ldap,
        tls: Arc<ClientConfig>,
        bind: Option<(String, Secret)>,
    ) -> Self {
        Self {
            servers: settings.servers.clone(),
            current: AtomicUsize::new(0),
            starttls: settings.starttls,
            tls,
            bind,
            timeout: settings.timeout,
            idle: Mutex::default(),
            turns: Semaphore::new(settings.connections_max as usize),
            trials: Semaphore::new(settings.connections_max as usize),
        }
    }

    /// Searches: entries, and whether there are more.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn search(&self, query: Query<'_>) -> Result<(Vec<Entry>, bool), LdapFault> {
        let searched = tokio::time::timeout(self.timeout, self.search_in_turn(query)).await;
        // What was under way is dropped with its connection, so nobody gets the answer to another's question.
        searched.unwrap_or(Err(LdapFault::Timeout(self.timeout)))
    }

    async fn search_in_turn(&self, query: Query<'_>) -> Result<(Vec<Entry>, bool), LdapFault> {
        let _turn = self.turn(&self.turns).await?;
        // One that was kept may be closed from the other end; then all of them are.
        while let Some(mut kept) = self.take_idle() {
            match search(&mut kept, query).await {
                Err(LdapFault::Broken(error)) => {
                    tracing::debug!("a connection of LDAP ended: {error}");
                    self.idle().clear();
                }
                found => {
                    self.put_idle(kept);
                    return found;
                }
            }
        }
        let mut fresh = self.connect().await?;
        self.log_in(&mut fresh).await?;
        let found = search(&mut fresh, query).await;
        if !matches!(found, Err(LdapFault::Broken(_))) {
            self.put_idle(fresh);
        }
        found
    }

    /// Whether an entry has this password, which is not empty: tries to log in as it, over a connection that nobody else uses.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn is_password(&self, dn: &str, password: &str) -> Result<bool, LdapFault> {
        let trial = async {
            let _turn = self.turn(&self.trials).await?;
            let mut fresh = self.connect().await?;
            let bound = fresh.simple_bind(dn, password).await?;
            // It is closed as it is dropped; that the server hears of it is a courtesy.
            let _ = fresh.unbind().await;
            match bound.rc {
                SUCCESS => Ok(true),
                code if REFUSALS.contains(&code) => Ok(false),
                code => Err(LdapFault::Answer { code, text: bound.text }),
            }
        };
        let tried = tokio::time::timeout(self.timeout, trial).await;
        tried.unwrap_or(Err(LdapFault::Timeout(self.timeout)))
    }

    async fn turn<'t>(&self, turns: &'t Semaphore) -> Result<SemaphorePermit<'t>, LdapFault> {
        turns.acquire().await.map_err(|_| LdapFault::Timeout(self.timeout))
    }

    /// A connection to the first server that can be talked to, from the one that answered last on.
    async fn connect(&self) -> Result<Ldap, LdapFault> {
        let first = self.current.load(Ordering::Relaxed);
        let mut fault = LdapFault::Timeout(self.timeout);
        for step in 0..self.servers.len() {
            let at = (first + step) % self.servers.len();
            match self.dial(&self.servers[at]).await {
                Ok(connected) => {
                    self.current.store(at, Ordering::Relaxed);
                    return Ok(connected);
                }
                Err(source) => {
                    let server = self.servers[at].0.clone();
                    fault = LdapFault::Unreachable { server, source };
                }
            }
        }
        Err(fault)
    }

    async fn dial(&self, server: &LdapServer) -> Result<Ldap, LdapError> {
        // A server that does not answer leaves time for the others.
        let share = self.timeout / u32::try_from(self.servers.len() + 1).unwrap_or(u32::MAX);
        let settings = LdapConnSettings::new()
            .set_conn_timeout(share)
            .set_config(self.tls.clone())
            .set_starttls(self.starttls && server.is_clear());
        let (connection, ldap) = LdapConnAsync::with_settings(settings, &server.0).await?;
        // It ends when its handle is dropped; a panic of it is an error at the handle.
        tokio::spawn(async move {
            if let Err(error) = connection.drive().await {
                tracing::debug!("a connection of LDAP ended: {error}");
            }
        });
        Ok(ldap)
    }

    async fn log_in(&self, ldap: &mut Ldap) -> Result<(), LdapFault> {
        let Some((dn, password)) = &self.bind else { return Ok(()) };
        let password = String::from_utf8_lossy(password.expose());
        let bound = ldap.simple_bind(dn, &password).await?;
        match bound.rc {
            SUCCESS => Ok(()),
            code => Err(LdapFault::Answer { code, text: format!("{} ({dn})", bound.text) }),
        }
    }

    fn take_idle(&self) -> Option<Ldap> {
        let mut idle = self.idle();
        while let Some(mut kept) = idle.pop() {
            if !kept.is_closed() {
                return Some(kept);
            }
        }
        None
    }

    fn put_idle(&self, ldap: Ldap) {
        self.idle().push(ldap);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Ldap>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn search(ldap: &mut Ldap, query: Query<'_>) -> Result<(Vec<Entry>, bool), LdapFault> {
    let limit = i32::try_from(query.entries_max + 1).unwrap_or(i32::MAX);
    let options = SearchOptions::new().sizelimit(limit);
    let mut stream = ldap
        .with_search_options(options)
        .streaming_search(query.base, query.scope, query.filter, query.attributes)
        .await?;
    let mut entries = Vec::new();
    let mut more = false;
    while let Some(found) = stream.next().await? {
        // The server may know less than it is asked for, and more than it was asked for.
        if found.is_ref() || found.is_intermediate() {
            continue;
        }
        if entries.len() == query.entries_max {
            more = true;
            continue;
        }
        let SearchEntry { dn, attrs, .. } = SearchEntry::construct(found);
        entries.push(Entry { dn, attributes: attrs });
    }
    let ended = stream.finish().await;
    match ended.rc {
        SUCCESS => Ok((entries, more)),
        SIZE_LIMIT_EXCEEDED => Ok((entries, true)),
        code => Err(LdapFault::Answer { code, text: ended.text }),
    }
}
