//! Listeners and certificates from the file as written: whom each is for, and what TLS it has.
//! Knows no disk: whether a certificate is one is found out by who loads it.

use std::net::SocketAddr;

use toml::Spanned;

use super::Resolver;
use super::auth::Knowing;
use crate::config::endpoint::ListenAddress;
use crate::config::error::ConfigError;
use crate::config::file;
use crate::config::network::Networks;
use crate::config::settings::{Auth, Certificate, Listener, ListenerSocket, ListenerTls};

impl Resolver<'_> {
    pub(super) fn certificates(
        &self,
        written: Vec<file::Certificate>,
    ) -> Result<Vec<Certificate>, ConfigError> {
        let names = written.iter().map(|certificate| &certificate.name);
        self.unique(names.map(|name| (name, name.get_ref().0.clone())))?;
        let certificate = |written: file::Certificate| Certificate {
            name: written.name.into_inner().0,
            chain_place: self.document.at(written.chain.span()),
            chain: self.base.join(written.chain.into_inner()),
            key_place: self.document.at(written.key.span()),
            key: self.base.join(written.key.into_inner()),
        };
        Ok(written.into_iter().map(certificate).collect())
    }

    pub(super) fn listeners(
        &self,
        written: &[file::Listen],
        certificates: &[Certificate],
        auth: &Auth,
        knowing: Knowing,
    ) -> Result<Vec<Listener>, ConfigError> {
        if written.is_empty() {
            let remedy = "add [[listen]] with a name and an address, such as \"127.0.0.1:2525\"";
            return Err(self.document.missing("listen", remedy));
        }
        self.unique(written.iter().map(|listen| (&listen.name, listen.name.get_ref().0.clone())))?;
        self.unique(written.iter().filter_map(|listen| {
            listen.socket.as_ref().map(|socket| (socket, socket.get_ref().0.clone()))
        }))?;
        let addresses: Vec<_> =
            written.iter().filter_map(|listen| listen.address.as_ref()).collect();
        for (index, address) in addresses.iter().enumerate() {
            let overlap = |earlier: &&&Spanned<ListenAddress>| {
                overlap(earlier.get_ref().0, address.get_ref().0)
            };
            if let Some(earlier) = addresses[..index].iter().find(overlap) {
                let (line, _) = self.document.place(earlier.span().start);
                let (wanted, taken) = (address.get_ref().0, earlier.get_ref().0);
                let problem = format!("{wanted} is already taken by {taken} in line {line}");
                let remedy = "give every listener an address and port of its own";
                return Err(self.document.fault(address.span(), problem, remedy));
            }
        }
        let listener = |listen: &file::Listen| {
            Ok(Listener {
                name: listen.name.get_ref().0.clone(),
                socket: self.socket(listen)?,
                reuse_port: *listen.reuse_port.get_ref(),
                purpose: listen.purpose,
                tls: self.tls(listen, certificates)?,
                auth: self.listener_auth(listen, auth, knowing)?,
                auth_ldap: *listen.auth_ldap.get_ref(),
                binary: listen.binarymime,
                vrfy: listen.vrfy.into(),
                split: listen.split.into(),
                backlog: listen.backlog.get(),
                proxies: Networks::new(&listen.proxy_from),
                proxy_timeout: listen.proxy_timeout.duration(),
                xclients: Networks::new(&listen.xclient_from),
                low_descriptors: listen.low_descriptors,
            })
        };
        written.iter().map(listener).collect()
    }

    /// Where its connections come from: one of the two ways.
    fn socket(&self, listen: &file::Listen) -> Result<ListenerSocket, ConfigError> {
        match (&listen.address, &listen.socket) {
            (Some(address), None) => Ok(ListenerSocket::Own(address.get_ref().0)),
            (None, Some(socket)) if *listen.reuse_port.get_ref() => {
                let problem =
                    format!("the socket {:?} is opened by somebody else", socket.get_ref().0);
                let remedy = "remove the line, and write ReusePort=yes in the socket unit";
                Err(self.document.fault(listen.reuse_port.span(), problem, remedy))
            }
            (None, Some(socket)) => Ok(ListenerSocket::Passed(socket.get_ref().0.clone())),
            (Some(_), Some(socket)) => {
                let remedy = "remove one of the two";
                let problem = "it has an address of its own already";
                Err(self.document.fault(socket.span(), problem, remedy))
            }
            (None, None) => {
                let remedy = "add address = ..., such as \"127.0.0.1:2525\", or socket = ... with the name of a passed one";
                Err(self.document.fault(listen.name.span(), "it has no address", remedy))
            }
        }
    }

    /// What is written of TLS, and what the purpose says where nothing is.
    fn tls(
        &self,
        listen: &file::Listen,
        certificates: &[Certificate],
    ) -> Result<ListenerTls, ConfigError> {
        const ADD: &str = "add certificates = [\"NAME\"] and the [[certificate]] of that name; `stagepost tls self-signed` makes one for a start";
        let names = &listen.certificates;
        self.unique(names.iter().map(|name| (name, name.get_ref().0.clone())))?;
        for name in names {
            if !certificates.iter().any(|known| known.name == name.get_ref().0) {
                let problem = format!("no [[certificate]] is called {:?}", name.get_ref().0);
                let remedy = "add a [[certificate]] of that name, or write the name of another one";
                return Err(self.document.fault(name.span(), problem, remedy));
            }
        }
        let purpose = listen.purpose;
        let required = match &listen.require_tls {
            Some(written) if purpose.is_implicit() && !written.get_ref() => {
                let problem = "TLS comes first on a listener for submissions";
                let remedy = "remove the line, or write purpose = \"submission\", which begins in clear text";
                return Err(self.document.fault(written.span(), problem, remedy));
            }
            Some(written) => *written.get_ref(),
            None => purpose.requires_tls(),
        };
        if names.is_empty() {
            if listen.require_tls.as_ref().is_some_and(|written| *written.get_ref()) {
                let span = listen.require_tls.as_ref().map_or(0..0, |written| written.span());
                return Err(self.document.fault(span, "it has no certificate", ADD));
            }
            if required {
                let problem = format!(
                    "a listener for {} requires TLS, and it has no certificate",
                    purpose.name()
                );
                return Err(self.document.fault(listen.name.span(), problem, ADD));
            }
            if *listen.client_certificates.get_ref() {
                let span = listen.client_certificates.span();
                let problem = "it has no certificate itself, so there is no TLS";
                return Err(self.document.fault(span, problem, ADD));
            }
        }
        Ok(ListenerTls {
            certificates: names.iter().map(|name| name.get_ref().0.clone()).collect(),
            required,
            client_certificates: *listen.client_certificates.get_ref(),
        })
    }
}

/// Whether two listeners would want the same port of the same address. Port 0 is a new one each time.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let same_address = one.ip() == other.ip()
        || one.is_ipv4() == other.is_ipv4()
            && (one.ip().is_unspecified() || other.ip().is_unspecified());
    one.port() != 0 && one.port() == other.port() && same_address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_overlap_where_a_bind_would_fail() {
        let cases = [
            ("127.0.0.1:25", "127.0.0.1:25", true),
            ("127.0.0.1:25", "127.0.0.1:26", false),
            ("127.0.0.1:25", "127.0.0.2:25", false),
            ("0.0.0.0:25", "127.0.0.1:25", true),
            ("[::1]:25", "[::]:25", true),
            ("127.0.0.1:25", "[::1]:25", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ];
        for (one, other, wanted) in cases {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(overlap(one, other), wanted, "{one} {other}");
            assert_eq!(overlap(other, one), wanted, "{other} {one}");
        }
    }

    #[test]
    fn a_purpose_says_what_tls_is_needed() {
        const CERTIFICATE: &str =
            "[[certificate]]\nname = \"c\"\nchain = \"c.crt\"\nkey = \"c.key\"\n";
        let listener = |fields: &str| {
            let text = format!(
                "hostname = \"a.test\"\n[[listen]]\nname = \"l\"\naddress = \"127.0.0.1:0\"\n{fields}\nauth = \"none\"\n{CERTIFICATE}"
            );
            let settings = crate::config::from_text(&text).map_err(|error| error.to_string())?;
            let tls = settings.listeners[0].tls.clone();
            Ok::<_, String>((tls.certificates.len(), tls.required))
        };
        let cases = [
            ("", Ok((0, false))),
            ("certificates = [\"c\"]", Ok((1, false))),
            ("certificates = [\"c\"]\nrequire_tls = true", Ok((1, true))),
            ("purpose = \"submission\"\ncertificates = [\"c\"]", Ok((1, true))),
            ("purpose = \"submission\"\nrequire_tls = false", Ok((0, false))),
            ("purpose = \"submissions\"\ncertificates = [\"c\"]", Ok((1, true))),
            ("purpose = \"odmr\"\ncertificates = [\"c\"]", Ok((1, true))),
            ("purpose = \"submission\"", Err("for submission requires TLS")),
            ("purpose = \"submissions\"", Err("for submissions requires TLS")),
            (
                "purpose = \"submissions\"\ncertificates = [\"c\"]\nrequire_tls = false",
                Err("listen[0].require_tls: TLS comes first"),
            ),
            ("require_tls = true", Err("listen[0].require_tls: it has no certificate")),
            ("client_certificates = true", Err("listen[0].client_certificates: it has no")),
            ("certificates = [\"d\"]", Err("no [[certificate]] is called \"d\"")),
            ("certificates = [\"c\", \"c\"]", Err("\"c\" is already used in line 5")),
            ("purpose = \"smtp\"", Err("unknown variant `smtp`")),
        ];
        for (fields, wanted) in cases {
            match (listener(fields), wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{fields}"),
                (Err(error), Err(wanted)) => assert!(error.contains(wanted), "{fields}: {error}"),
                (found, wanted) => panic!("{fields}: {found:?}, wanted {wanted:?}"),
            }
        }
    }
}
