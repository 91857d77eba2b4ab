//! A Sendmail of one's own that holds mail: everything of it is in one folder, which goes with it. Of use to root alone.
//! Knows how it is set up, started, and what it has queued.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use crate::inetd::Serving;
use crate::peer;

/// Starts a program where the host is called `isp.test`: it must have a name with a dot. Nobody else sees that name.
const START: &str = "hostname isp.test && exec \"$@\"";

/// All it has to know. There is no `sendmail.mc` for it: the macros are in another package, and most of what they make is about
/// headers and aliases. The flag `%` holds mail until somebody asks for it by ETRN.
const SETTINGS: &str = "\
V10/Berkeley
Cwisp.test
Djisp.test
DnMAILER-DAEMON
Do.:%@!^/[]
O QueueDirectory=FOLDER/queue
O PidFile=FOLDER/pid
O ServiceSwitchFile=FOLDER/service.switch
O DeliveryMode=b
O DontBlameSendmail=GroupWritableDirPathSafe
O DefaultUser=root
O HelpFile=/dev/null
O MinFreeBlocks=0
O DontProbeInterfaces=True
O ResolverOptions=-DNSRCH
O QueueLA=1000
O RefuseLA=1000
O Timeout.ident=0
Troot
HReceived: from $s by $j id $i; $b
H?D?Date: $a
H?F?From: $q
H?M?Message-Id: <$t.$i@$j>
Mprog, P=/bin/sh, F=lsoDq9, S=0, R=0, L=2040, T=X-Unix, A=sh -c $u
Mlocal, P=/bin/cat, F=lsDFMAw5:/|@qSPfhn9, S=0, R=0, T=DNS/RFC822/SMTP, A=cat
M*file*, P=[FILE], F=lsDFMPEou, S=0, R=0, L=0, T=X-Unix, A=FILE $u
Mhold, P=[IPC], F=mDFMuXa%, S=0, R=0, E=\\r\\n, L=990, T=DNS/RFC822/SMTP, A=TCP $h PORT
S3
R$* < $* > $*\t$@ $2
R$*\t$@ $1
S4
R$*\t$@ $1
S0
R$*\t$#hold $@ [127.0.0.1] $: $1
S1
S2
S5
";

/// One that is set up.
pub struct Sendmail {
    folder: TempDir,
    program: PathBuf,
    libraries: String,
}

impl Sendmail {
    /// Sets up one that keeps all it gets until it is asked for it, and sends that to an address then.
    ///
    /// # Panics
    ///
    /// When that can't be done.
    pub fn holding(next: SocketAddr) -> Self {
        let usr = peer::unpacked("sendmail", "libexec/sendmail/sendmail");
        let program = usr.join("libexec/sendmail/sendmail");
        let libraries = peer::libraries(&usr);
        // It does not trust a folder in a folder that others may write to, as a build's may be.
        let folder = tempfile::Builder::new().prefix("sendmail").tempdir_in("/tmp");
        let folder = folder.expect("a temporary folder");
        let path = folder.path();
        fs::create_dir(path.join("queue")).expect("a folder of our own");
        let settings = SETTINGS
            .replace("FOLDER", &path.display().to_string())
            .replace("PORT", &next.port().to_string());
        fs::write(path.join("sendmail.cf"), settings).expect("a file of our own");
        fs::write(path.join("service.switch"), "hosts files\n").expect("a file of our own");
        Self { folder, program, libraries }
    }

    /// Where it is.
    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The recipients of all it has queued, in order.
    ///
    /// # Panics
    ///
    /// When its queue can't be read.
    pub fn queued(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path().join("queue")).expect("its queue");
        let names = entries.map(|entry| entry.expect("an entry").path());
        // A message that goes in between is not queued.
        let files = names.filter_map(|name| {
            let control = name.file_name()?.to_str()?.starts_with("qf");
            control.then(|| fs::read_to_string(&name).ok()).flatten()
        });
        let mut all: Vec<String> = files.flat_map(|file| recipients(&file)).collect();
        all.sort();
        all
    }

    /// It with a connection for its input and output; timeout(1) ends it when it hangs.
    fn program(&self) -> Command {
        let mut command = peer::bounded();
        command
            .args(["unshare", "--uts", "sh", "-c", START, "sh"])
            .arg(&self.program)
            .arg("-C")
            .arg(self.path().join("sendmail.cf"))
            .arg("-bs")
            .env("LD_LIBRARY_PATH", &self.libraries);
        command
    }

    /// Serves whoever connects, each by a process of its own.
    pub fn serve(self: &Arc<Self>) -> Serving {
        let sendmail = self.clone();
        Serving::new(move || sendmail.program())
    }
}

/// Those of a message, by its lines `RPFD:<mailbox>`.
fn recipients(control: &str) -> Vec<String> {
    let lines = control.lines().filter(|line| line.starts_with('R'));
    let mailboxes = lines.filter_map(|line| line.split_once(':'));
    mailboxes.map(|(_, mailbox)| mailbox.trim_matches(['<', '>']).to_owned()).collect()
}
