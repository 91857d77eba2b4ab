//! A directory in LDAP for tests: Debian's slapd with a folder, ports and entries of its own.
//! Knows its configuration and its log; knows no test.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::cargo;
use crate::log::Log;
use crate::peer;
use crate::process::Ended;

/// The suffix of every directory.
pub const SUFFIX: &str = "dc=corp,dc=test";

/// The entries that every directory has: who may read it, and where people and groups are.
const FRAME: &str = "\
dn: dc=corp,dc=test
objectClass: dcObject
objectClass: organization
dc: corp
o: Corp

dn: cn=reader,dc=corp,dc=test
objectClass: simpleSecurityObject
objectClass: organizationalRole
cn: reader
userPassword: reader-secret

dn: ou=people,dc=corp,dc=test
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=corp,dc=test
objectClass: organizationalUnit
ou: groups

";

/// The entry of a person, whose uid, password and first address are made of the name; with further lines.
pub fn person(name: &str, further: &str) -> String {
    format!(
        "dn: uid={name},ou=people,{SUFFIX}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\nsn: {name}\n\
         mail: {name}@corp.test\nuserPassword: {name}-secret\n{further}\n"
    )
}

/// The entry of a group of these members: people, or groups by `cn=NAME`.
pub fn group(name: &str, members: &[&str]) -> String {
    let member = |member: &&str| match member.starts_with("cn=") {
        true => format!("member: {member},ou=groups,{SUFFIX}\n"),
        false => format!("member: uid={member},ou=people,{SUFFIX}\n"),
    };
    let members: String = members.iter().map(member).collect();
    format!("dn: cn={name},ou=groups,{SUFFIX}\nobjectClass: groupOfNames\ncn: {name}\n{members}\n")
}

/// A directory; dropping it ends its server.
pub struct Slapd {
    folder: TempDir,
    ports: [u16; 2],
    running: Option<(Ended, Log, JoinHandle<()>)>,
}

impl Slapd {
    /// Makes a directory of these entries, with the certificate and key of a site, if there is one, and starts its server.
    ///
    /// # Panics
    ///
    /// When it can't be started, with what it said.
    pub fn start(entries: &str, certificate: Option<&Path>) -> Self {
        let folder = TempDir::with_prefix("slapd").expect("a temporary folder");
        // Whoever takes them before the server does makes it end, and say why.
        let ports = [(); 2].map(|()| {
            let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
            socket.local_addr().expect("it is bound").port()
        });
        let mut slapd = Self { folder, ports, running: None };
        fs::create_dir(slapd.path("data")).expect("a folder");
        fs::write(slapd.path("slapd.conf"), slapd.configuration(certificate))
            .expect("it is written");
        slapd.add(&format!("{FRAME}{entries}"));
        slapd.begin();
        slapd
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration(&self, certificate: Option<&Path>) -> String {
        let schema = schema().display().to_string();
        let include = |name: &str| format!("include {schema}/{name}.schema\n");
        let schemas: String =
            ["core", "cosine", "inetorgperson", "misc"].into_iter().map(include).collect();
        let tls = certificate.map_or_else(String::new, |chain| {
            let key = chain.with_extension("key");
            format!(
                "TLSCertificateFile {}\nTLSCertificateKeyFile {}\n",
                chain.display(),
                key.display()
            )
        });
        let folder = self.folder.path().display();
        format!(
            "{schemas}{tls}pidfile {folder}/pid\nargsfile {folder}/args\n\
             database ldif\nsuffix \"{SUFFIX}\"\ndirectory {folder}/data\n\
             access to attrs=userPassword by anonymous auth by * none\n\
             access to * by dn.exact=\"cn=reader,{SUFFIX}\" read by anonymous auth by * none\n"
        )
    }

    /// Adds entries. Only while its server does not run.
    ///
    /// # Panics
    ///
    /// When they are wrong.
    pub fn add(&self, entries: &str) {
        assert!(self.running.is_none(), "it runs");
        let file = self.path("entries.ldif");
        fs::write(&file, entries).expect("they are written");
        let mut add = peer::command("slapd");
        peer::run(add.args(["-T", "add", "-f"]).arg(self.path("slapd.conf")).arg("-l").arg(file));
    }

    /// Starts the server again, on the same ports.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn begin(&mut self) {
        let [clear, secure] = self.ports;
        let urls = format!("ldap://127.0.0.1:{clear}/ ldaps://127.0.0.1:{secure}/");
        let mut command: Command = peer::command("slapd");
        // In the foreground, with a line for each operation and for what it waits for.
        command.args(["-d", "stats,conns", "-h", &urls, "-f"]).arg(self.path("slapd.conf"));
        let (read, write) = std::io::pipe().expect("a pipe");
        command.stdout(write.try_clone().expect("a pipe")).stderr(write);
        let child = Ended(command.spawn().expect("it starts"));
        // It holds the ends that are written to.
        drop(command);
        let (log, following) = Log::follow(read);
        // It says that it starts before it listens, and who comes between the two is turned away.
        log.wait_for("the directory", |line| line.as_str().contains(": listen="));
        self.running = Some((child, log, following));
    }

    /// Ends the server; nobody answers on its ports then. The filters that it was asked to search by since it began, as it
    /// writes them: all of them, since its log has ended too.
    pub fn end(&mut self) -> Vec<String> {
        let Some((mut child, log, following)) = self.running.take() else { return Vec::new() };
        // timeout(1), which it is started by, passes this on and ends with it.
        child.signal(Signal::TERM);
        let _ = child.0.wait();
        let _ = following.join();
        let filter = |line: &crate::log::Line| {
            let (_, rest) = line.as_str().split_once(" SRCH base=")?;
            let (_, filter) = rest.split_once("filter=\"")?;
            Some(filter.strip_suffix('"').unwrap_or(filter).to_owned())
        };
        log.matching(|_| true).iter().filter_map(filter).collect()
    }

    /// The start of a section `[ldap]` that asks this directory in clear text, as who may read it. The password's file is beside
    /// the configuration of the site.
    pub fn section(&self, site: &Path) -> String {
        self.section_of(&format!("ldap://127.0.0.1:{}", self.ports[0]), site) + "starttls = false\n"
    }

    /// The same with TLS from the first octet; the server is named so.
    pub fn secure_section(&self, site: &Path, host: &str) -> String {
        self.section_of(&format!("ldaps://{host}:{}", self.ports[1]), site)
    }

    /// The same with STARTTLS.
    pub fn starttls_section(&self, site: &Path, host: &str) -> String {
        self.section_of(&format!("ldap://{host}:{}", self.ports[0]), site)
    }

    fn section_of(&self, server: &str, site: &Path) -> String {
        let file = site.join("ldap-password");
        fs::write(&file, "reader-secret\n").expect("it is written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&file, mode).expect("it is ours");
        format!(
            "[ldap]\nservers = [\"{server}\"]\nbase = \"{SUFFIX}\"\nbind_dn = \"cn=reader,{SUFFIX}\"\n\
             password_file = \"ldap-password\"\n"
        )
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.end();
    }
}

/// Where the schemas are: beside a program that was unpacked, or the system's.
fn schema() -> PathBuf {
    let unpacked = cargo::target_dir().map(|target| target.join("peers/slapd/etc/ldap/schema"));
    let folder = unpacked.into_iter().chain([PathBuf::from("/etc/ldap/schema")]);
    let mut there = folder.filter(|folder| folder.join("core.schema").is_file());
    there.next().expect("schemas of slapd: `cargo verify` says how to get them")
}
