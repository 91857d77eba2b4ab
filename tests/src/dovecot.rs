//! A Dovecot of one's own that takes mail over LMTP: everything of it is in one folder. Of use to root alone.
//! Knows how it is set up and started; no message.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::log::Log;
use crate::peer;
use crate::process::Ended;

/// An account that every Debian has.
const OWNER: (&str, u32) = ("daemon", 1);

/// One that is set up.
pub struct Dovecot {
    folder: TempDir,
    usr: PathBuf,
}

/// One that runs, at the head of a group; it is ended with all of its processes.
pub struct Running {
    _child: Ended,
    /// What it logs.
    pub log: Log,
}

impl Dovecot {
    /// Sets one up that takes mail for these users at an address, and at the socket `run/lmtp` of its folder.
    ///
    /// # Panics
    ///
    /// When that can't be done.
    pub fn new(address: SocketAddr, users: &[&str]) -> Self {
        let usr = peer::unpacked("dovecot", "lib/dovecot/lmtp");
        let folder = tempfile::Builder::new().prefix("dovecot").tempdir_in("/tmp");
        let folder = folder.expect("a temporary folder");
        let path = folder.path();
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("our own folder");
        fs::create_dir(path.join("mail")).expect("a folder of our own");
        chown(path.join("mail"), Some(OWNER.1), Some(OWNER.1)).expect("we are root");
        let (owner, shown) = (OWNER.0, path.display());
        let libraries = peer::libraries(&usr);
        let settings = format!(
            "base_dir = {shown}/run\nstate_dir = {shown}/run\nlog_path = /dev/stderr\n\
             libexec_dir = {usr}/lib/dovecot\nmail_plugin_dir = {usr}/lib/dovecot/modules\n\
             import_environment = LD_LIBRARY_PATH={libraries}\n\
             protocols = lmtp\nlisten = 127.0.0.1\nssl = no\nhostname = boxes.example.test\n\
             postmaster_address = postmaster@example.test\n\
             default_internal_user = {owner}\ndefault_internal_group = {owner}\ndefault_login_user = nobody\n\
             mail_location = maildir:{shown}/mail/%n\nfirst_valid_uid = 1\nfirst_valid_gid = 1\n\
             auth_username_format = %n\n\
             passdb {{\n driver = static\n args = nopassword=y\n}}\n\
             userdb {{\n driver = passwd-file\n args = {shown}/users\n}}\n\
             service lmtp {{\n unix_listener lmtp {{\n mode = 0666\n }}\n\
             inet_listener lmtp {{\n address = 127.0.0.1\n port = {port}\n }}\n}}\n",
            usr = usr.display(),
            port = address.port(),
        );
        fs::write(path.join("dovecot.conf"), settings).expect("a file of our own");
        let line = |user: &&str| format!("{user}::{0}:{0}::{shown}/mail/{user}::\n", OWNER.1);
        let known: String = users.iter().map(line).collect();
        fs::write(path.join("users"), known).expect("a file of our own");
        Self { folder, usr }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a file where a user's mail would be, so that it can't be kept.
    ///
    /// # Panics
    ///
    /// When there is mail already.
    pub fn spoil(&self, user: &str) {
        fs::write(self.path().join("mail").join(user), "").expect("a file of our own");
    }

    /// What a user has got.
    ///
    /// # Panics
    ///
    /// When it can't be read.
    pub fn mail(&self, user: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path().join("mail").join(user).join("new"));
        let read = |entry: std::io::Result<fs::DirEntry>| {
            let octets = fs::read(entry.expect("an entry").path()).expect("a message");
            String::from_utf8_lossy(&octets).into_owned()
        };
        entries.map_or_else(|_| Vec::new(), |entries| entries.map(read).collect())
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn start(&self) -> Running {
        let mut command = Command::new(self.usr.join("sbin/dovecot"));
        command.args(["-F", "-c"]).arg(self.path().join("dovecot.conf"));
        command.env("LD_LIBRARY_PATH", peer::libraries(&self.usr));
        let child = command.stdin(Stdio::null()).stderr(Stdio::piped()).process_group(0).spawn();
        let mut child = child.expect("the program starts");
        let (log, _) = Log::follow(child.stderr.take().expect("stderr is piped"));
        Running { _child: Ended(child), log }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what it said itself:\n{}", self.log);
        }
    }
}
