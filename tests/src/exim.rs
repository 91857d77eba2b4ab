//! An Exim of one's own: everything of it is in one folder, which goes with it. Of use to root alone.
//! Knows how it is set up and started; what it is to do, a test says.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;

use crate::inetd::Serving;
use crate::peer;

/// The number of the account that its installation would make, which is `mail` on every Debian.
const ACCOUNT: u32 = 8;

/// Has the program see accounts of its own, and a /dev/null that everybody may write to, then starts it. Nobody else sees them.
const START: &str = "\
    for file in passwd group; do mount --bind \"$0/$file\" \"/etc/$file\" || exit 1; done\n\
    case $(stat -c %a /dev/null) in\n\
    *6) ;;\n\
    *) mount --bind \"$0/null\" /dev/null || exit 1 ;;\n\
    esac\n\
    exec \"$@\"";

/// One that is set up.
pub struct Exim {
    folder: TempDir,
    program: PathBuf,
    libraries: String,
}

impl Exim {
    /// Sets one up with further settings; `FOLDER` in them is where it is.
    ///
    /// # Panics
    ///
    /// When that can't be done.
    pub fn new(further: &str) -> Self {
        let usr = peer::unpacked("exim4", "sbin/exim4");
        let (program, libraries) = (usr.join("sbin/exim4"), peer::libraries(&usr));
        // It gives up being root, and must get there all the same.
        let folder = tempfile::Builder::new().prefix("exim").tempdir_in("/tmp");
        let folder = folder.expect("a temporary folder");
        let path = folder.path();
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("our own folder");
        for name in ["spool", "log", "mail"] {
            fs::create_dir(path.join(name)).expect("a folder of our own");
            chown(path.join(name), Some(ACCOUNT), Some(ACCOUNT)).expect("we are root");
        }
        for (name, line) in [
            ("passwd", "Debian-exim:x:8:8::/nonexistent:/bin/false\n"),
            ("group", "Debian-exim:x:8:\n"),
        ] {
            let known = fs::read_to_string(Path::new("/etc").join(name)).expect("accounts");
            let others = known.lines().filter(|line| !line.starts_with("Debian-exim:"));
            let others: String = others.map(|line| format!("{line}\n")).collect();
            fs::write(path.join(name), others + line).expect("a file of our own");
        }
        // For a system whose own is not for everybody.
        let null = path.join("null");
        let device = rustix::fs::makedev(1, 3);
        let kind = rustix::fs::FileType::CharacterDevice;
        rustix::fs::mknodat(rustix::fs::CWD, &null, kind, rustix::fs::Mode::empty(), device)
            .expect("we are root");
        fs::set_permissions(&null, Permissions::from_mode(0o666)).expect("our own file");
        let place = path.display();
        let main = format!(
            "exim_path = {}\nspool_directory = {place}/spool\nlog_file_path = {place}/log/%slog\n\
             keep_environment = LD_LIBRARY_PATH\nadd_environment = LD_LIBRARY_PATH={libraries}\n\
             tls_advertise_hosts =\ndeliver_drop_privilege\n{}",
            program.display(),
            further.replace("FOLDER", &place.to_string()),
        );
        fs::write(path.join("exim.conf"), main).expect("a file of our own");
        Self { folder, program, libraries }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("log/mainlog")).unwrap_or_default()
    }

    /// Has it send a message, whose lines end with LF, at once.
    ///
    /// # Panics
    ///
    /// When it does not come to a good end.
    pub fn send(&self, sender: &str, recipients: &[&str], text: &str) {
        let file = self.path().join("message");
        fs::write(&file, text).expect("a file of our own");
        let text = fs::File::open(file).expect("a file of our own");
        let mut program = self.program(&["-odf", "-i", "-f", sender]);
        peer::run(program.args(recipients).stdin(text));
    }

    /// It with these arguments; timeout(1) ends it when it hangs.
    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = peer::bounded();
        command
            .args(["unshare", "--mount", "sh", "-c", START])
            .arg(self.path())
            .arg(&self.program)
            .arg("-C")
            .arg(self.path().join("exim.conf"))
            .args(arguments)
            .env("LD_LIBRARY_PATH", &self.libraries);
        command
    }

    /// Serves whoever connects, each by a process of its own.
    pub fn serve(self: &Arc<Self>) -> Serving {
        let exim = self.clone();
        Serving::new(move || exim.program(&["-bs"]))
    }
}
