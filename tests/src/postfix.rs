//! A Postfix of one's own: everything of it is in one folder, which goes with it. Of use to root alone.
//! Knows how it is set up and started; what it is to do, a test says.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::log::Log;
use crate::peer;
use crate::process::Ended;

/// Two accounts that every Debian has, in the place of those that its installation would make.
const OWNER: (&str, u32) = ("daemon", 1);
const GROUP: (&str, u32) = ("games", 60);

const QUEUES: &str = "active bounce corrupt defer deferred flush hold incoming private maildrop public pid saved trace";

/// The processes of one that sends what it is handed, in the form of `master.cf`.
pub const CLIENT_SERVICES: &str = "\
    pickup unix n - n 1 1 pickup\n\
    smtp unix - - n - - smtp\n\
    scache unix - - n - 1 scache\n";

const SERVICES: &str = "\
    postlog unix-dgram n - n - 1 postlogd\n\
    cleanup unix n - n - 0 cleanup\n\
    qmgr unix n - n 300 1 qmgr\n\
    rewrite unix - - n - - trivial-rewrite\n\
    bounce unix - - n - 0 bounce\n\
    defer unix - - n - 0 bounce\n\
    trace unix - - n - 0 bounce\n\
    tlsmgr unix - - n 1000? 1 tlsmgr\n\
    anvil unix - - n - 1 anvil\n\
    error unix - - n - - error\n\
    retry unix - - n - - error\n";

/// One that is set up.
pub struct Postfix {
    folder: TempDir,
    usr: PathBuf,
}

/// One that runs, at the head of a group; it is ended with all of its processes.
pub struct Running {
    _child: Ended,
    /// What it logs.
    pub log: Log,
}

impl Postfix {
    /// Sets one up with further settings (`main.cf`) and processes (`master.cf`); `FOLDER` in the settings is where it is.
    ///
    /// # Panics
    ///
    /// When that can't be done.
    pub fn new(main: &str, services: &str) -> Self {
        let usr = peer::unpacked("postfix", "lib/postfix/sbin/master");
        // Its programs run as somebody else, who must get there.
        let folder = tempfile::Builder::new().prefix("postfix").tempdir_in("/tmp");
        let folder = folder.expect("a temporary folder");
        let path = folder.path();
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("our own folder");
        for name in ["etc", "queue", "data", "mail"] {
            fs::create_dir(path.join(name)).expect("a folder of our own");
        }
        for name in ["data", "mail"] {
            chown(path.join(name), Some(OWNER.1), None).expect("we are root");
        }
        for name in QUEUES.split(' ') {
            let queue = path.join("queue").join(name);
            fs::create_dir(&queue).expect("a folder of our own");
            if name != "pid" {
                chown(&queue, Some(OWNER.1), Some(GROUP.1)).expect("we are root");
            }
        }
        let libraries = peer::libraries(&usr);
        let base = format!(
            "compatibility_level = 3.7\n\
             queue_directory = {path}/queue\ndata_directory = {path}/data\nmeta_directory = {path}/etc\n\
             daemon_directory = {usr}/lib/postfix/sbin\ncommand_directory = {usr}/sbin\n\
             shlib_directory = {usr}/lib/postfix\n\
             mail_owner = {}\nsetgid_group = {}\ndefault_privs = nobody\n\
             import_environment = MAIL_CONFIG LD_LIBRARY_PATH={libraries}\n\
             export_environment = MAIL_CONFIG LD_LIBRARY_PATH={libraries}\n\
             inet_interfaces = loopback-only\ninet_protocols = ipv4\n\
             mydestination =\nalias_maps =\nlocal_recipient_maps =\n\
             maillog_file = /dev/stdout\n",
            OWNER.0,
            GROUP.0,
            path = path.display(),
            usr = usr.display(),
        );
        let main = base + &main.replace("FOLDER", &path.display().to_string());
        let services = SERVICES.to_owned() + services;
        for (name, text) in [("main.cf", &*main), ("master.cf", &*services), ("dynamicmaps.cf", "")]
        {
            fs::write(path.join("etc").join(name), text).expect("a file of our own");
        }
        Self { folder, usr }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Copies a file into its folder of settings, under a name.
    ///
    /// # Panics
    ///
    /// When there is no such file.
    pub fn keep(&self, file: &Path, name: &str) {
        fs::copy(file, self.path().join("etc").join(name)).expect("a file to copy");
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.usr.join(program));
        command.env("MAIL_CONFIG", self.path().join("etc"));
        command.env("LD_LIBRARY_PATH", peer::libraries(&self.usr)).current_dir(self.path());
        command
    }

    /// Puts a message from `a@client.test` into its queue.
    ///
    /// # Panics
    ///
    /// When it does not take it.
    pub fn submit(&self, text: &str, recipients: &[&str]) {
        let file = self.path().join("message");
        File::create(&file).and_then(|mut file| file.write_all(text.as_bytes())).expect("a file");
        let mut sendmail = self.command("sbin/sendmail");
        sendmail.args(["-f", "a@client.test", "--"]).args(recipients);
        peer::run(sendmail.stdin(File::open(file).expect("a file of our own")));
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn start(&self) -> Running {
        let mut master = self.command("lib/postfix/sbin/master");
        let child =
            master.arg("-d").stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).spawn();
        let mut child = child.expect("the program starts");
        let (log, _) = Log::follow(child.stdout.take().expect("stdout is piped"));
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
