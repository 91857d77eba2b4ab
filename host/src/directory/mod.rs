//! Who is known here: what becomes of mail for an address, and which groups it is in, by the configuration, the groups file and
//! LDAP. Knows who is asked about what; the files and LDAP answer for themselves.

mod groups;
mod ldap;
mod memory;
mod names;

use std::sync::{Arc, PoisonError, RwLock};

use stagepost_extmgr::{DirectoryPart, Fetching, Said, UserDirectory};
use stagepost_smtp::{Address, Route, Secret};

use self::groups::Groups;
pub(crate) use self::ldap::LdapLogin;
use self::ldap::{Found, Ldap};
use self::names::Names;
use crate::config::{ConfigError, Settings};
use crate::router::Router;
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
    ldap: Option<Ldap>,
}

/// Groups that were read again and are not in force.
pub(crate) struct NewGroups(Groups);

impl Directory {
    /// Reads the groups file, if there is one, and makes ready what asks LDAP.
    ///
    /// # Errors
    /// A file can't be read, or what it says is wrong.
    pub(crate) fn load(settings: &Settings, router: Arc<Router>) -> Result<Self, VerifyingError> {
        let names = Names::default();
        let groups = RwLock::new(Arc::new(Groups::load(settings, &names)?));
        let ldap = settings.ldap.as_ref();
        let ldap = ldap.map(|ldap| Ldap::new(ldap, settings, names.clone())).transpose()?;
        Ok(Self { shared: Arc::new(Shared { router, names, groups, ldap }) })
    }

    /// Reads the groups file again.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) fn reread(&self, settings: &Settings) -> Result<NewGroups, ConfigError> {
        Groups::load(settings, &self.shared.names).map(NewGroups)
    }

    /// Puts groups in force. Whether they are others.
    pub(crate) fn commit(&self, NewGroups(fresh): NewGroups) -> bool {
        let mut groups = self.shared.groups.write().unwrap_or_else(PoisonError::into_inner);
        let others = fresh != **groups;
        *groups = Arc::new(fresh);
        others
    }

    /// Forgets what LDAP has said, so that it is asked anew.
    pub(crate) fn forget(&self) {
        if let Some(ldap) = &self.shared.ldap {
            ldap.forget();
        }
    }

    /// What accepting a recipient depends on, from memory; none: it has to be asked for.
    pub(crate) fn known_route(&self, recipient: &Address) -> Option<Route> {
        if let Some(route) = self.shared.router.route(recipient) {
            return Some(route);
        }
        let Some(ldap) = &self.shared.ldap else { return Some(Route::Unavailable) };
        ldap.known_users(recipient).map(|found| is_one(&found))
    }

    /// What accepting a recipient depends on. Inside a tokio runtime.
    pub(crate) async fn route(&self, recipient: &Address) -> Route {
        match (self.known_route(recipient), &self.shared.ldap) {
            (Some(route), _) => route,
            (None, Some(ldap)) => is_one(&ldap.users(recipient).await),
            (None, None) => Route::Unavailable,
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

fn is_one(found: &Found<ldap::Users>) -> Route {
    match found {
        Found::Known(users) if users.is_empty() => Route::UnknownUser,
        Found::Known(_) => Route::Local,
        Found::Trouble => Route::Unavailable,
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
