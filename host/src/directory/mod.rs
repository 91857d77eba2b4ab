//! Who is known here: what an address comes to, what becomes of its mail, and which groups it is in, by the configuration, files and
//! LDAP. Knows who is asked about what; the files and LDAP answer for themselves.

mod aliases;
mod envelope;
mod expansion;
mod groups;
mod ldap;
mod memory;
mod names;
mod survey;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use stagepost_extmgr::{DirectoryPart, Fetching, Said, UserDirectory};
use stagepost_smtp::{Address, Route, Secret};

use self::aliases::Aliases;
pub(crate) use self::envelope::{Addressed, Unaddressed};
use self::expansion::Fetched;
pub(crate) use self::expansion::{By, Expansion, Step, Unexpanded};
use self::groups::Groups;
pub(crate) use self::ldap::LdapLogin;
use self::ldap::{Found, Ldap};
use self::names::Names;
pub(crate) use self::survey::Idle;
use crate::config::{ConfigError, Settings};
use crate::router::Router;
use crate::throttle::{Line, Throttle};
use crate::tls::VerifyingError;

/// The directory behind RCPT and `em.directory/1`. Cheap to clone; any thread.
#[derive(Clone)]
pub(crate) struct Directory {
    shared: Arc<Shared>,
}

struct Shared {
    router: Arc<Router>,
    names: Names,
    groups: RwLock<Arc<Groups>>,
    aliases: RwLock<Arc<Aliases>>,
    ldap: Option<Ldap>,
    /// No address can come to another one, nor is anybody asked about any.
    plain: bool,
    /// For lines that strangers can cause at will.
    lines: Throttle,
}

/// What the files of a directory say that were read again, and that is not in force.
pub(crate) struct NewFiles {
    groups: Groups,
    aliases: Aliases,
}

/// Which of them say something else now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) groups: bool,
    pub(crate) aliases: bool,
}

impl Directory {
    /// Reads the groups file and the aliases file, if there are any, and makes ready what asks LDAP.
    ///
    /// # Errors
    /// A file can't be read, or what it says is wrong.
    pub(crate) fn load(settings: &Settings, router: Arc<Router>) -> Result<Self, VerifyingError> {
        let names = Names::default();
        let groups = RwLock::new(Arc::new(Groups::load(settings, &names)?));
        let aliases = Arc::new(Aliases::load(settings)?);
        let ldap = settings.ldap.as_ref();
        let ldap = ldap.map(|ldap| Ldap::new(ldap, settings, names.clone())).transpose()?;
        let separated = settings.local_domains.iter().any(|domain| !domain.separators.is_empty());
        let plain = ldap.is_none() && settings.aliases_file.is_none() && !separated;
        let lines = Throttle::default();
        let in_force = RwLock::new(aliases.clone());
        let shared = Shared { router, names, groups, aliases: in_force, ldap, plain, lines };
        shared.refuse_circles(&aliases, settings)?;
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn reread(&self, settings: &Settings) -> Result<NewFiles, ConfigError> {
        let groups = Groups::load(settings, &self.shared.names)?;
        let aliases = Aliases::load(settings)?;
        self.shared.refuse_circles(&aliases, settings)?;
        Ok(NewFiles { groups, aliases })
    }

    /// Puts what was read in force. Which of it is something else.
    pub(crate) fn commit(&self, fresh: NewFiles) -> Changed {
        fn put<T: PartialEq>(place: &RwLock<Arc<T>>, fresh: T) -> bool {
            let mut place = place.write().unwrap_or_else(PoisonError::into_inner);
            let others = fresh != **place;
            *place = Arc::new(fresh);
            others
        }
        Changed {
            groups: put(&self.shared.groups, fresh.groups),
            aliases: put(&self.shared.aliases, fresh.aliases),
        }
    }

    /// Who knows where mail goes.
    pub(crate) fn router(&self) -> &Arc<Router> {
        &self.shared.router
    }

    /// Whether no address comes to another one.
    fn is_plain(&self) -> bool {
        self.shared.plain
    }

    /// How many aliases there are.
    pub(crate) fn alias_count(&self) -> usize {
        self.shared.aliases().count()
    }

    /// Forgets what LDAP has said, so that it is asked anew.
    pub(crate) fn forget(&self) {
        if let Some(ldap) = &self.shared.ldap {
            ldap.forget();
        }
    }

    /// What accepting a recipient depends on, from memory; none: it has to be asked for.
    pub(crate) fn known_route(&self, recipient: &Address) -> Option<Route> {
        let shared = &self.shared;
        if shared.plain || shared.router.local(&shared.router.queue_domain(recipient)).is_none() {
            return shared.router.route(recipient);
        }
        match shared.expand(recipient, &shared.aliases(), &Fetched::default()) {
            Err(Unexpanded::NotFetched(_)) => None,
            expanded => Some(self.route_of(recipient, expanded)),
        }
    }

    /// What accepting a recipient depends on. Inside a tokio runtime.
    pub(crate) async fn route(&self, recipient: &Address) -> Route {
        match self.known_route(recipient) {
            Some(route) => route,
            None => self.route_of(recipient, self.expand(recipient).await),
        }
    }

    fn route_of(&self, recipient: &Address, expanded: Result<Expansion, Unexpanded>) -> Route {
        match expanded {
            Ok(expansion) if expansion.recipients.is_empty() => match expansion.ambiguous {
                true => Route::Ambiguous,
                false => Route::UnknownUser,
            },
            Ok(_) => Route::Local,
            Err(fault) => {
                // That LDAP is in trouble is told where it is asked.
                if !matches!(fault, Unexpanded::Trouble(_))
                    && let Some(Line { left_out }) = self.shared.lines.line(Instant::now())
                {
                    tracing::error!(%recipient, left_out, "mail is put off: {fault}");
                }
                Route::Unavailable
            }
        }
    }

    /// What an address comes to. Inside a tokio runtime.
    ///
    /// # Errors
    /// Why that is not known.
    pub(crate) async fn expand(&self, address: &Address) -> Result<Expansion, Unexpanded> {
        let (aliases, mut fetched) = (self.shared.aliases(), Fetched::default());
        // It ends: each address on the way is asked about once, and there are only so many.
        loop {
            match (self.shared.expand(address, &aliases, &fetched), &self.shared.ldap) {
                (Err(Unexpanded::NotFetched(next)), Some(ldap)) => {
                    fetched.take(&next, ldap.know(&next).await);
                }
                (expanded, _) => return expanded,
            }
        }
    }

    /// Tells of those behind an address who get nothing, since nobody is there.
    fn tell_of_left_out(&self, address: &Address, expansion: &Expansion) {
        let Some(first) = expansion.left_out.first() else { return };
        if let Some(Line { left_out }) = self.shared.lines.line(Instant::now()) {
            let more = expansion.left_out.len() - 1;
            tracing::warn!(alias = %address, nobody = %first, more, left_out, "an alias names who is not there");
        }
    }

    /// Tries a name and a password with LDAP. Inside a tokio runtime.
    pub(crate) async fn log_in(&self, name: &str, password: Secret) -> LdapLogin {
        match &self.shared.ldap {
            Some(ldap) => ldap.log_in(name, password).await,
            None => LdapLogin::Unknown,
        }
    }

    fn file_groups(&self, address: &Address) -> Arc<[&'static str]> {
        self.shared.groups.read().unwrap_or_else(PoisonError::into_inner).of(address)
    }
}

impl Shared {
    fn refuse_circles(&self, aliases: &Aliases, settings: &Settings) -> Result<(), ConfigError> {
        let Some((path, place)) = &settings.aliases_file else { return Ok(()) };
        self.find_circle(aliases).map_err(|(line, circle)| {
            let problem = format!("{}:{line}:1: {circle}", path.display());
            place.fault(problem, "have one of them end in a mailbox")
        })
    }

    fn aliases(&self) -> Arc<Aliases> {
        self.aliases.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl UserDirectory for Directory {
    fn route(&self, address: &str) -> Said<Route> {
        let Ok(address) = Address::parse_international(address) else { return Said::NoAddress };
        self.known_route(&address).map_or(Said::NotFetched, Said::Known)
    }

    fn groups(&self, address: &str) -> Said<Arc<[&'static str]>> {
        let Ok(address) = Address::parse_international(address) else { return Said::NoAddress };
        let of_file = self.file_groups(&address);
        let Some(ldap) = &self.shared.ldap else { return Said::Known(of_file) };
        match ldap.known_groups(&address) {
            Some(Found::Known(further)) if of_file.is_empty() => Said::Known(further),
            Some(Found::Known(further)) => {
                let further = further.iter().filter(|name| !of_file.contains(name));
                Said::Known(of_file.iter().chain(further).copied().collect())
            }
            Some(Found::Trouble) => Said::Trouble,
            None => Said::NotFetched,
        }
    }

    fn fetch(&self, address: &str, what: DirectoryPart) -> Option<Fetching> {
        let route = what.route && matches!(UserDirectory::route(self, address), Said::NotFetched);
        let groups = what.groups && matches!(self.groups(address), Said::NotFetched);
        if !route && !groups {
            return None;
        }
        let address = Address::parse_international(address).ok()?;
        let directory = self.clone();
        Some(Box::pin(async move {
            if route {
                directory.route(&address).await;
            }
            if let Some(ldap) = directory.shared.ldap.as_ref().filter(|_| groups) {
                ldap.groups(&address).await;
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_those_whose_mail_stays_here() {
        let settings = crate::config::from_text(
            "hostname = \"mx.test\"\nlisten = [{ name = \"mx\", address = \"127.0.0.1:1\" }]\n\
             [[local_domain]]\nname = \"listed.test\"\nmailboxes = [\"alice\"]\n",
        );
        let settings = settings.unwrap();
        let directory = Directory::load(&settings, Arc::new(Router::new(&settings))).unwrap();
        for (address, wanted) in [
            ("alice@listed.test", Said::Known(Route::Local)),
            ("ALICE@Listed.Test", Said::Known(Route::Local)),
            ("bob@listed.test", Said::Known(Route::UnknownUser)),
            ("postmaster@listed.test", Said::Known(Route::Local)),
            ("alice@other.test", Said::Known(Route::Unreachable)),
            ("no address", Said::NoAddress),
        ] {
            assert_eq!(UserDirectory::route(&directory, address), wanted, "{address}");
        }
        assert_eq!(directory.groups("alice@listed.test"), Said::Known([].into()));
    }
}
