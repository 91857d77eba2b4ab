//! What domains say of their servers over HTTPS (MTA-STS, RFC 8461): fetched, kept, and fetched again before it is over.
//! Knows no server for mail.

mod kept;
mod policy;
mod record;
mod shelf;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;

pub(crate) use self::kept::Kept;
use self::kept::Library;
use self::policy::{PolicyFault, is_name};
pub(crate) use self::policy::{StsMode, StsPolicy};
use self::record::{RecordFault, id_of};
use self::shelf::Shelf;
use crate::dns::{Answer, Data, Kind, Names};
use crate::https::{Https, HttpsError};
use crate::stopping::Stopping;

/// Where policies are to be had (RFC 8461 section 3.3).
pub(crate) const HTTPS_PORT: u16 = 443;
/// The longest policy (RFC 8461 section 3.3).
const POLICY_OCTETS_MAX: usize = 64 * 1024;
/// How often it is looked which policies are to be fetched again.
const ROUND: Duration = Duration::from_secs(600);
/// So many of them are fetched at once then.
const AT_ONCE_MAX: usize = 8;

/// The policies of domains.
pub(crate) struct Sts {
    names: Arc<dyn Names>,
    https: Https,
    shelf: Shelf,
    library: Mutex<Library>,
    /// That policies can't be kept on disk was told.
    failing: AtomicBool,
}

/// Why the policy that a domain tells of is not known. Always the domain's, or the network's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StsFault {
    /// Nobody knows now whether it tells of one.
    #[error("the DNS can't tell now whether it has one (_mta-sts)")]
    Trouble,
    /// What tells of it is wrong: then it is as if there were none (RFC 8461 section 3.1).
    #[error(transparent)]
    Record(#[from] RecordFault),
    /// It can't be had.
    #[error(transparent)]
    Fetch(#[from] HttpsError),
    /// It is no plain text.
    #[error("it is {0:?}, and not text/plain")]
    MediaType(Box<str>),
    /// It is wrong.
    #[error(transparent)]
    Policy(#[from] PolicyFault),
}

/// What is known of a domain.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    /// The policy that counts, if it has one; of mode `none`, too.
    pub(crate) kept: Option<Arc<Kept>>,
    /// Why the one that it tells of now is not known.
    pub(crate) fault: Option<Arc<StsFault>>,
}

impl Told {
    /// Whether nothing is known that counts, and another day may be better.
    pub(crate) fn is_unknown(&self) -> bool {
        let fault = self.fault.as_deref();
        fault.is_some_and(|fault| !matches!(fault, StsFault::Record(_)))
    }

    /// Whether it is something else than the policy of this name.
    fn lacks(&self, id: &str) -> bool {
        self.fault.is_none() && self.kept.as_ref().is_none_or(|kept| *kept.id != *id)
    }
}

impl Sts {
    /// Begins with what was kept in a folder. Reads files.
    pub(crate) fn new(names: Arc<dyn Names>, https: Https, folder: PathBuf) -> Self {
        let shelf = Shelf::new(folder);
        let (library, outdone) = Library::of(shelf.read(SystemTime::now()));
        outdone.iter().for_each(|domain| shelf.remove(domain));
        let (library, failing) = (Mutex::new(library), AtomicBool::default());
        Self { names, https, shelf, library, failing }
    }

    /// What is known of a domain now. Fetches a policy that is new (RFC 8461 section 5.1); where that fails, what was known before
    /// counts.
    pub(crate) async fn of(&self, domain: &str) -> Told {
        let domain = domain.to_ascii_lowercase();
        if !is_name(&domain) {
            return Told::default();
        }
        let told = match self.id(&domain).await {
            Ok(Some(id)) => self.of_id(&domain, &id).await,
            Ok(None) => self.known(&domain, None),
            Err(fault) => {
                let fault = Some(self.without_id(&domain, fault));
                Told { fault, ..self.known(&domain, None) }
            }
        };
        if let Some(kept) = &told.kept {
            kept.note_use(SystemTime::now());
        }
        told
    }

    /// The same where it tells of the policy of this name.
    async fn of_id(&self, domain: &str, id: &str) -> Told {
        let told = self.known(domain, Some(id));
        if !told.lacks(id) {
            return told;
        }
        self.fetch_once(domain, id, told.kept.as_deref()).await;
        self.known(domain, Some(id))
    }

    /// Notes why no name of a policy is known, and tells of it now and then.
    fn without_id(&self, domain: &str, fault: StsFault) -> Arc<StsFault> {
        let mut library = self.library();
        if let StsFault::Record(fault) = &fault
            && library.fault(domain, "").is_none()
        {
            tracing::warn!(domain, %fault, "the record of a policy of MTA-STS is wrong, and counts for nothing");
            library.failed(domain, "", StsFault::Record(*fault));
        }
        Arc::new(fault)
    }

    /// Fetches again what is old, though it has not changed, until the server stops (RFC 8461 section 3.3): who can keep us from
    /// the domain's HTTPS server for a while is not to outlast the policy.
    pub(crate) async fn keep_fresh(self: Arc<Self>, mut stopping: Stopping) {
        let freshening = async {
            loop {
                self.freshen(SystemTime::now()).await;
                self.tidy(SystemTime::now()).await;
                tokio::time::sleep(ROUND).await;
            }
        };
        tokio::select! {
            () = freshening => {}
            () = stopping.wait() => {}
        }
    }

    async fn freshen(self: &Arc<Self>, now: SystemTime) {
        let mut fetching = JoinSet::new();
        let old = self.library().old(now);
        for domain in old {
            if fetching.len() >= AT_ONCE_MAX {
                fetching.join_next().await;
            }
            let sts = self.clone();
            fetching.spawn(async move {
                // A domain that tells of none any more keeps what it has said until that is over (RFC 8461 section 3.1).
                let Ok(Some(id)) = sts.id(&domain).await else { return };
                let told = sts.known(&domain, Some(&id));
                if told.fault.is_none() {
                    sts.fetch_once(&domain, &id, told.kept.as_deref()).await;
                }
            });
        }
        fetching.join_all().await;
    }

    /// Forgets what is over, on disk too.
    async fn tidy(&self, now: SystemTime) {
        let over = self.library().over(now);
        for domain in over {
            let turn = Turn::new(self, &domain);
            // Who fetches it just now brings something new.
            let Ok(_held) = turn.lock.try_lock() else { continue };
            if self.library().forget(&domain, now) {
                let (shelf, domain) = (self.shelf.clone(), domain.clone());
                // It stays as it is where that fails: the next start removes it.
                let _ = tokio::task::spawn_blocking(move || shelf.remove(&domain)).await;
            }
        }
    }

    /// The name of the policy that the domain tells of now; none: it has none.
    async fn id(&self, domain: &str) -> Result<Option<Box<str>>, StsFault> {
        let found = match self.names.ask(Kind::Txt, &format!("_mta-sts.{domain}")).await {
            Answer::Found(found) => found,
            Answer::NoName | Answer::NoData => return Ok(None),
            Answer::Trouble => return Err(StsFault::Trouble),
        };
        let texts = found.records.iter().filter_map(|record| match record {
            Data::Text(text) => Some(&**text),
            _ => None,
        });
        Ok(id_of(texts)?)
    }

    /// What is known without asking anybody; `id`: the name of the policy that the domain tells of.
    fn known(&self, domain: &str, id: Option<&str>) -> Told {
        let now = SystemTime::now();
        let library = self.library();
        let kept = library.get(domain, now);
        let fault = id.and_then(|id| library.fault(domain, id));
        Told { kept, fault }
    }

    /// Fetches a policy for all who want it. `outdone`: what was known when that was found necessary.
    async fn fetch_once(&self, domain: &str, id: &str, outdone: Option<&Kept>) {
        let turn = Turn::new(self, domain);
        let _held = turn.lock.lock().await;
        let told = self.known(domain, Some(id));
        let when = |kept: &Kept| kept.fetched_at;
        // Somebody else was faster.
        if told.fault.is_some() || told.kept.as_deref().map(when) != outdone.map(when) {
            return;
        }
        self.fetch(domain, id, outdone.map(Kept::used_s)).await;
    }

    /// Fetches a policy, and keeps it (RFC 8461 section 3.3). What was known before stays where that fails. `used_s`: when that was
    /// used.
    async fn fetch(&self, domain: &str, id: &str, used_s: Option<u64>) {
        match self.get(domain).await {
            Ok(policy) => {
                let kept = Kept::new(id, policy, SystemTime::now());
                let used_s = used_s.unwrap_or_else(|| kept.used_s());
                let kept = Arc::new(kept.used_at(used_s));
                tracing::debug!(domain, id, mode = kept.policy.mode.name(), "policy of MTA-STS");
                let outdone = self.library().put(domain, kept.clone());
                let (shelf, kept_for) = (self.shelf.clone(), domain.to_owned());
                let written = tokio::task::spawn_blocking(move || {
                    outdone.iter().for_each(|domain| shelf.remove(domain));
                    shelf.write(&kept_for, &kept)
                });
                // Should it not be there after a restart, it is fetched again.
                let failing = match written.await {
                    Ok(Err(error)) => {
                        if !self.failing.load(Ordering::Relaxed) {
                            tracing::error!(domain, %error, "policies of MTA-STS can't be kept on disk: they are lost at a restart");
                        }
                        true
                    }
                    _ => false,
                };
                self.failing.store(failing, Ordering::Relaxed);
            }
            Err(fault) => {
                tracing::warn!(domain, id, %fault, "the policy of MTA-STS can't be had");
                self.library().failed(domain, id, fault);
            }
        }
    }

    async fn get(&self, domain: &str) -> Result<StsPolicy, StsFault> {
        let host = format!("mta-sts.{domain}");
        let page = self.https.get(&host, "/.well-known/mta-sts.txt", POLICY_OCTETS_MAX).await?;
        // RFC 8461 section 3.2: so that what anybody may write there, as users of some sites may, counts for nothing.
        if *page.media_type != *"text/plain" {
            return Err(StsFault::MediaType(page.media_type));
        }
        Ok(StsPolicy::parse(&page.octets)?)
    }

    fn library(&self) -> MutexGuard<'_, Library> {
        self.library.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One fetches for all who want the same.
struct Turn<'s> {
    sts: &'s Sts,
    domain: &'s str,
    lock: Arc<tokio::sync::Mutex<()>>,
}

impl<'s> Turn<'s> {
    fn new(sts: &'s Sts, domain: &'s str) -> Self {
        let lock = sts.library().turns.entry(domain.into()).or_default().clone();
        Self { sts, domain, lock }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut library = self.sts.library();
        // This one's, and the map's own: nobody waits.
        if Arc::strong_count(&self.lock) == 2 {
            library.turns.remove(self.domain);
        }
    }
}

#[cfg(test)]
pub(crate) mod site;
#[cfg(test)]
mod tests;
