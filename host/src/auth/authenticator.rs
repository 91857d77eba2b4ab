//! Answers what sessions ask about logins: who knows the user, how many are asked at once, and what a failure costs.
//! Knows no session; every answer is a `Verified`.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stagepost_smtp::{CramProof, Secret, Verified, Verify};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::accounts::{Accounts, Checked};
use super::failures::Failures;
use super::password;
use super::secrets_file::SecretsFile;
use crate::config::FailureLimits;
use crate::directory::{Directory, LdapLogin};
use crate::throttle::{Line, Throttle};

/// How long a login may wait for its turn to be checked: then it is answered 454.
const TURN_MAX: Duration = Duration::from_secs(30);

/// Who checks logins for all sessions of a server. Clones count together.
#[derive(Clone)]
pub(crate) struct Authenticator {
    accounts: Option<Arc<Accounts>>,
    secrets: Option<Arc<SecretsFile>>,
    /// Who is asked about those whom the users file does not know.
    ldap: Option<Directory>,
    failures: Arc<Failures>,
    /// Passwords that are checked at once: each takes a thread and memory.
    turns: Arc<Semaphore>,
    counts: Arc<Counts>,
    refusals: Arc<Throttle>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    refused: AtomicU64,
    barred: AtomicU64,
    unavailable: AtomicU64,
}

/// How logins have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct LoginCounts {
    /// Who has logged in.
    pub(crate) accepted: u64,
    /// Wrong credentials, or a plug-in said no.
    pub(crate) refused: u64,
    /// Not looked at: too many had failed.
    pub(crate) barred: u64,
    /// Nobody could say.
    pub(crate) unavailable: u64,
}

impl Authenticator {
    /// `at_once`: how many passwords may be checked at once.
    pub(crate) fn new(
        accounts: Option<Arc<Accounts>>,
        limits: FailureLimits,
        at_once: usize,
    ) -> Self {
        Self {
            accounts,
            secrets: None,
            ldap: None,
            failures: Arc::new(Failures::new(limits)),
            turns: Arc::new(Semaphore::new(at_once)),
            counts: Arc::default(),
            refusals: Arc::default(),
        }
    }

    /// The same, which knows those who log in with a secret.
    #[must_use]
    pub(crate) fn with_secrets(mut self, secrets: Option<SecretsFile>) -> Self {
        self.secrets = secrets.map(Arc::new);
        self
    }

    /// The same for listeners where users of LDAP log in too.
    pub(crate) fn with_ldap(&self, directory: Directory) -> Self {
        Self { ldap: Some(directory), ..self.clone() }
    }

    /// Answers a session whose client is at `address`. A refusal takes its time.
    pub(crate) async fn verify(&self, session: u64, address: IpAddr, verify: Verify) -> Verified {
        if let Verify::Password { identity, .. }
        | Verify::Keys { identity }
        | Verify::Proof { identity, .. } = &verify
            && self.failures.is_barred(address, identity, Instant::now())
        {
            return self.barred(session, address, identity);
        }
        match verify {
            Verify::Password { identity, password } => {
                let checked = self.check(&identity, password).await;
                self.concluded(session, address, &identity, checked).await
            }
            Verify::Keys { identity } => {
                self.keys(identity).await.unwrap_or_else(|| self.unavailable())
            }
            Verify::Random => match self.random() {
                Some(words) => Verified::Random { words },
                None => self.unavailable(),
            },
            Verify::Proof { identity, proof } => {
                let checked = self.check_proof(&identity, *proof).await;
                self.concluded(session, address, &identity, checked).await
            }
            Verify::Outcome { identity, accepted: true } => {
                self.accepted(session, address, &identity);
                Verified::Noted
            }
            Verify::Outcome { identity, accepted: false } => {
                self.refused(session, address, &identity).await;
                Verified::Noted
            }
        }
    }

    /// The end of a login whose password or proof was checked; none: nobody could.
    async fn concluded(
        &self,
        session: u64,
        address: IpAddr,
        identity: &str,
        checked: Option<Checked>,
    ) -> Verified {
        match checked {
            Some(Checked::Accepted(name)) => {
                self.accepted(session, address, &name);
                Verified::Accepted { identity: name }
            }
            Some(Checked::Refused | Checked::Unknown) => {
                self.refused(session, address, identity).await;
                Verified::Refused
            }
            None => self.unavailable(),
        }
    }

    /// How logins have ended so far.
    pub(crate) fn counts(&self) -> LoginCounts {
        let Counts { accepted, refused, barred, unavailable } = &*self.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LoginCounts {
            accepted: read(accepted),
            refused: read(refused),
            barred: read(barred),
            unavailable: read(unavailable),
        }
    }

    /// Checks a password; none: nobody can say. A user of the file is none of LDAP's.
    async fn check(&self, identity: &str, password: Secret) -> Option<Checked> {
        let checked = match self.accounts.clone() {
            Some(accounts) => {
                let (name, password) = (identity.to_owned(), password.clone());
                // On a thread that may block.
                self.blocking(move || accounts.check(&name, password.expose())).await?
            }
            None => Checked::Unknown,
        };
        match &self.ldap {
            Some(directory) if checked == Checked::Unknown => {
                match directory.log_in(identity, password).await {
                    LdapLogin::Accepted(name) => Some(Checked::Accepted(name)),
                    LdapLogin::Refused => Some(Checked::Refused),
                    LdapLogin::Unknown => Some(Checked::Unknown),
                    LdapLogin::Trouble => None,
                }
            }
            _ => Some(checked),
        }
    }

    /// Checks a proof on a thread that may block; none: nobody can say.
    async fn check_proof(&self, identity: &str, proof: CramProof) -> Option<Checked> {
        let secrets = self.secrets.clone()?;
        let name = identity.to_owned();
        self.blocking(move || secrets.check(&name, &proof)).await?
    }

    /// Words that nobody can foresee; none: the system has none.
    fn random(&self) -> Option<Box<str>> {
        let octets: [u8; 18] = password::random().ok()?;
        let words: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        Some(words.into())
    }

    async fn keys(&self, identity: Box<str>) -> Option<Verified> {
        let accounts = self.accounts.clone()?;
        let (identity, keys) = self.blocking(move || accounts.keys(&identity)).await?;
        Some(Verified::Keys { identity, keys, nonce: self.random()? })
    }

    /// Does blocking work in its turn; none: its turn does not come, or it failed.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let turn = timeout(TURN_MAX, self.turns.clone().acquire_owned()).await.ok()?.ok()?;
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        tokio::task::spawn_blocking(work).await.ok()
    }

    fn accepted(&self, session: u64, address: IpAddr, identity: &str) {
        self.failures.succeeded(address, identity, Instant::now());
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
        tracing::info!(session, client = %address, identity, "logged in");
    }

    async fn refused(&self, session: u64, address: IpAddr, identity: &str) {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        let delay = self.failures.failed(address, identity, Instant::now());
        self.say(session, address, identity, "login refused");
        // No thread is held meanwhile.
        tokio::time::sleep(delay).await;
    }

    fn barred(&self, session: u64, address: IpAddr, identity: &str) -> Verified {
        self.counts.barred.fetch_add(1, Ordering::Relaxed);
        self.say(session, address, identity, "login not looked at: too many have failed");
        Verified::Barred
    }

    fn unavailable(&self) -> Verified {
        self.counts.unavailable.fetch_add(1, Ordering::Relaxed);
        Verified::Unavailable
    }

    /// A line that strangers can cause at will.
    fn say(&self, session: u64, address: IpAddr, identity: &str, what: &str) {
        if let Some(Line { left_out }) = self.refusals.line(Instant::now()) {
            tracing::warn!(session, client = %address, identity, left_out, "{what}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::UserRecord;
    use super::super::users_file::{UsersFile, UsersFileError};
    use super::*;

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn password(identity: &str, password: &str) -> Verify {
        Verify::Password {
            identity: identity.into(),
            password: Secret::new(password.as_bytes().to_vec()),
        }
    }

    fn with_alice(limits: FailureLimits) -> (tempfile::TempDir, Authenticator) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let user = UserRecord::new("alice", "pencil").unwrap();
        UsersFile::change::<UsersFileError>(&path, true, |file| {
            file.put(user);
            Ok(())
        })
        .unwrap();
        let accounts = Arc::new(Accounts::load(&path, folder.path()).unwrap());
        (folder, Authenticator::new(Some(accounts), limits, 2))
    }

    #[tokio::test]
    async fn every_question_has_its_answer() {
        let limits = FailureLimits { delay: Duration::ZERO, ..FailureLimits::default() };
        let (_folder, authenticator) = with_alice(limits);
        let ask = |verify| authenticator.verify(1, HERE, verify);
        let alice = || Verified::Accepted { identity: "alice".into() };
        assert_eq!(ask(password("ALICE", "pencil")).await, alice());
        assert_eq!(ask(password("alice", "pen")).await, Verified::Refused);
        assert_eq!(ask(password("bob", "pencil")).await, Verified::Refused);
        let keys = |name: &str| Verify::Keys { identity: name.into() };
        let (one, two) = (ask(keys("bob")).await, ask(keys("bob")).await);
        let (
            Verified::Keys { keys: one, nonce: first, .. },
            Verified::Keys { keys: two, nonce: second, .. },
        ) = (one, two)
        else {
            panic!("no keys")
        };
        assert!(one == two && first != second && first.len() == 36);
        let outcome = |accepted| Verify::Outcome { identity: "alice".into(), accepted };
        assert_eq!(ask(outcome(true)).await, Verified::Noted);
        assert_eq!(ask(outcome(false)).await, Verified::Noted);
        let wanted = LoginCounts { accepted: 2, refused: 3, barred: 0, unavailable: 0 };
        assert_eq!(authenticator.counts(), wanted);
        // Without users nobody logs in.
        let nobody = Authenticator::new(None, FailureLimits::default(), 1);
        assert_eq!(nobody.verify(1, HERE, keys("alice")).await, Verified::Unavailable);
    }

    #[tokio::test]
    async fn guessing_is_held_back_and_barred() {
        let limits = FailureLimits {
            per_address_max: 2,
            delay: Duration::from_millis(1),
            ..FailureLimits::default()
        };
        let (_folder, authenticator) = with_alice(limits);
        let ask = |verify| authenticator.verify(1, HERE, verify);
        assert_eq!(ask(password("alice", "a")).await, Verified::Refused);
        assert_eq!(ask(password("bob", "b")).await, Verified::Refused);
        // Also with the right one.
        assert_eq!(ask(password("alice", "pencil")).await, Verified::Barred);
        assert_eq!(ask(Verify::Keys { identity: "alice".into() }).await, Verified::Barred);
        let elsewhere = IpAddr::V4([192, 0, 2, 9].into());
        let verified = authenticator.verify(1, elsewhere, password("alice", "pencil")).await;
        assert_eq!(verified, Verified::Accepted { identity: "alice".into() });
        assert_eq!(authenticator.counts().barred, 2);
    }
}
