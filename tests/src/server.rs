//! Real servers for tests: built once, configured in a folder of their own, started, watched and ended.
//! Knows the program's command line and its log; knows no SMTP.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::thread::{self, JoinHandle};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::cargo;
use crate::client::Client;
use crate::log::Log;
use crate::plugin::compile_c;
use crate::process::Ended;

/// What every test server is configured with; tests add their own sections.
const BASE: &str = r#"
hostname = "mx.example.test"
state_dir = "state"

[log]
format = "json"

[[listen]]
name = "mx"
address = "127.0.0.1:0"

[[local_domain]]
name = "example.test"
mailboxes = "any"
maildir = "mail"

"#;

/// The server's program, built with the plug-ins that come with it: as `cargo run` builds them.
///
/// # Panics
///
/// When it can't be built, with what cargo said.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM
        .get_or_init(|| cargo::build(&["stagepost", "example-c", "example-rust"]).join("stagepost"))
}

/// A plug-in that comes with the server: `example_c` or `example_rust`.
pub fn plugin(name: &str) -> PathBuf {
    program().with_file_name(format!("lib{name}.so"))
}

/// The section of a plug-in in a configuration, with further settings of it.
pub fn plugin_section(name: &str, file: &Path, further: &str) -> String {
    format!("[[plugin]]\nname = \"{name}\"\npath = \"{}\"\n{further}\n", file.display())
}

/// The sections of both example plug-ins.
pub fn example_plugins() -> String {
    plugin_section("example-c", &plugin("example_c"), "")
        + &plugin_section("example-rust", &plugin("example_rust"), "")
}

/// A folder with a configuration and everything of a server that outlives a run.
pub struct Site {
    folder: TempDir,
}

impl Site {
    /// Makes a site: local domain `example.test` with a mailbox for everybody, and further sections.
    pub fn new(further: &str) -> Self {
        let folder = TempDir::with_prefix("site").expect("a temporary folder");
        let site = Self { folder };
        site.configure(further);
        site
    }

    /// Writes the configuration anew.
    pub fn configure(&self, further: &str) {
        self.write_config(&format!("{BASE}{further}"));
    }

    /// Writes a configuration of the test's own, without what [`Site::configure`] puts first.
    pub fn write_config(&self, text: &str) {
        fs::write(self.path().join("stagepost.toml"), text).expect("the configuration is written");
    }

    /// Makes a certificate for a name, as an operator does to begin with: in the folder `tls`. Its file.
    ///
    /// # Panics
    ///
    /// When none can be made.
    pub fn certify(&self, name: &str) -> PathBuf {
        let made = self.run(&["tls", "self-signed", name, "--days", "30"]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.path().join("tls").join(format!("{name}.crt"))
    }

    /// Adds a user to the file `users`, as an operator does.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn add_user(&self, name: &str, password: &str) {
        let mut child = self
            .command(&["user", "add", name, "--file", "users"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut stdin = child.stdin.take().expect("stdin is piped");
        writeln!(stdin, "{password}").expect("it reads");
        drop(stdin);
        let made = child.wait_with_output().expect("it ends");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Writes a configuration whose listener `mx` has the certificate `mx` of [`Site::certify`] for its name, further fields
    /// of that listener, and further sections.
    pub fn configure_tls(&self, fields: &str, further: &str) {
        let fields = format!("certificates = [\"mx\"]\n{fields}");
        let certificate = "[[certificate]]\nname = \"mx\"\nchain = \"tls/mx.example.test.crt\"\nkey = \"tls/mx.example.test.key\"\n\n";
        self.configure_listener(&fields, &format!("{certificate}{further}"));
    }

    /// Writes a configuration with further fields of the listener `mx`, and further sections.
    pub fn configure_listener(&self, fields: &str, further: &str) {
        const ADDRESS: &str = "address = \"127.0.0.1:0\"\n";
        let base = BASE.replace(ADDRESS, &format!("{ADDRESS}{fields}"));
        self.write_config(&format!("{base}{further}"));
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The Maildir of a user of `example.test`.
    pub fn mailbox(&self, user: &str) -> PathBuf {
        self.path().join("mail").join(user)
    }

    /// The delivered messages of a user, in no order.
    pub fn mail(&self, user: &str) -> Vec<Vec<u8>> {
        let Ok(entries) = fs::read_dir(self.mailbox(user).join("new")) else { return Vec::new() };
        let read = |entry: fs::DirEntry| fs::read(entry.path()).expect("a delivered message");
        entries.map(|entry| read(entry.expect("a folder entry"))).collect()
    }

    /// Compiles a plug-in of the tests, `faults/slow.c` for example, into the folder.
    pub fn compile(&self, source: &str) -> PathBuf {
        self.compile_with(source, &[])
    }

    /// The same with definitions, given as [`compile_c`] takes them.
    pub fn compile_with(&self, source: &str, defines: &[&str]) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        compile_c(&source, self.path(), defines)
    }

    /// A command of the program, to be run in the folder.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        // Paths are relative, so that sockets have short names however deep the temporary folder is.
        command.env_remove("STAGEPOST_LOG");
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program runs")
    }

    /// Starts the server and waits until it listens.
    ///
    /// # Panics
    ///
    /// When it does not start, with its log.
    pub fn start(&self) -> Server {
        Server::start(self.command(&["run", "--config", "stagepost.toml"]))
    }

    /// Starts a server that must refuse to; its exit code and what it said on stderr.
    ///
    /// # Panics
    ///
    /// When it starts.
    pub fn refused(&self) -> (Option<i32>, String) {
        Self::refused_by(self.command(&["run", "--config", "stagepost.toml"]), Stdio::null())
    }

    /// The same of one that is passed a socket, as [`Server::start_passing`] does.
    ///
    /// # Panics
    ///
    /// When it starts.
    pub fn refused_passing(&self, socket: TcpListener, name: &str) -> (Option<i32>, String) {
        let (command, second) = passing(&[], self, vec![socket], name);
        Self::refused_by(command, second)
    }

    /// Starts a server that must not start: the one line that says why.
    ///
    /// # Panics
    ///
    /// When there is none, or more than one.
    pub fn refusal(&self) -> String {
        let (code, said) = self.refused();
        assert_eq!(code, Some(1), "{said}");
        let lines: Vec<&str> = said.lines().filter(|line| line.contains("refused")).collect();
        let [line] = lines[..] else { panic!("no single line of refusal in:\n{said}") };
        line.to_owned()
    }

    fn refused_by(mut command: Command, stdout: Stdio) -> (Option<i32>, String) {
        let mut child =
            command.stdout(stdout).stderr(Stdio::piped()).spawn().expect("the program runs");
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
        while let Some(Ok(line)) = lines.next() {
            said += &line;
            said.push('\n');
            if line.contains("\"listening\"") {
                child.kill().expect("it can be killed");
                child.wait().expect("it ends");
                panic!("the server should not have started:\n{said}");
            }
        }
        (child.wait().expect("it ends").code(), said)
    }
}

/// A running server; dropping it kills it.
pub struct Server {
    child: Ended,
    log: Log,
    reading: Vec<JoinHandle<()>>,
    address: SocketAddr,
}

impl Server {
    /// Starts a command that runs a server, and waits until it listens.
    ///
    /// # Panics
    ///
    /// When it does not start, with its log.
    pub fn start(command: Command) -> Self {
        Self::begin(command, Stdio::piped())
    }

    /// Starts a server as a service manager does that opens its sockets: the first as descriptor 3, the second, if there
    /// is one, as 4. `names`: theirs, with a colon between. What else the environment has is the command's own.
    ///
    /// # Panics
    ///
    /// When it does not start, with its log, or when there are other than one or two.
    pub fn start_passing(site: &Site, sockets: Vec<TcpListener>, names: &str) -> Self {
        Self::start_passing_inside(&[], site, sockets, names)
    }

    /// The same behind a command that puts it elsewhere and becomes it, such as into another network.
    ///
    /// # Panics
    ///
    /// As [`Server::start_passing`] does.
    pub fn start_passing_inside(
        inside: &[String],
        site: &Site,
        sockets: Vec<TcpListener>,
        names: &str,
    ) -> Self {
        let (command, second) = passing(inside, site, sockets, names);
        Self::begin(command, second)
    }

    fn begin(mut command: Command, stdout: Stdio) -> Self {
        let mut child =
            command.stdout(stdout).stderr(Stdio::piped()).spawn().expect("the program starts");
        let (log, following) = Log::follow(child.stderr.take().expect("stderr is piped"));
        let mut reading = vec![following];
        // What it says there is for a person at a terminal.
        reading.extend(child.stdout.take().map(|mut stdout| {
            thread::spawn(move || {
                let mut said = String::new();
                let _ = stdout.read_to_string(&mut said);
            })
        }));
        let child = Ended(child);
        let line = log.wait_for("listening", |line| line.message() == "listening");
        let address = line.text("address").parse().expect("a socket address");
        Self { child, log, reading, address }
    }

    /// Where a listener listens.
    pub fn listener(&self, name: &str) -> SocketAddr {
        let line = self
            .log
            .wait_for(name, |line| line.message() == "listening" && line.text("listener") == name);
        line.text("address").parse().expect("a socket address")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// What it has logged.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// A client that has read the greeting.
    pub fn connect(&self) -> Client {
        let mut client = Client::connect(self.address);
        client.expect(220);
        client
    }

    /// A client that has said EHLO.
    pub fn greeted(&self) -> Client {
        let mut client = self.connect();
        client.say("EHLO client.example.test", 250);
        client
    }

    /// Asks it to stop, without waiting.
    pub fn ask_to_stop(&self) {
        self.child.signal(Signal::TERM);
    }

    /// Waits for its end.
    pub fn wait(mut self) -> (ExitStatus, Log) {
        let status = self.child.0.wait().expect("it ends");
        for reading in self.reading.drain(..) {
            reading.join().expect("the log is read to its end");
        }
        (status, self.log.clone())
    }

    /// Stops it as an operator does.
    ///
    /// # Panics
    ///
    /// When it does not end with exit code 0, with its log.
    pub fn stop(self) -> Log {
        self.ask_to_stop();
        let (status, log) = self.wait();
        assert_eq!(status.code(), Some(0), "after SIGTERM; it said:\n{log}");
        log
    }

    /// Ends it as a power cut does.
    pub fn kill(self) -> Log {
        self.child.signal(Signal::KILL);
        self.wait().1
    }
}

/// A command that runs a server with sockets that are passed to it, and its standard output: the second of them.
fn passing(
    inside: &[String],
    site: &Site,
    sockets: Vec<TcpListener>,
    names: &str,
) -> (Command, Stdio) {
    let count = sockets.len();
    let mut sockets = sockets.into_iter().map(|socket| Stdio::from(OwnedFd::from(socket)));
    let first = sockets.next().expect("a socket");
    let second = sockets.next().unwrap_or_else(Stdio::null);
    assert!(sockets.next().is_none(), "no more than two");
    // The standard descriptors are the ones that a child can be given; a shell moves them, and stays the same process.
    const MOVE: &str = "exec 3<&0 4>&1 0</dev/null 1>/dev/null; export LISTEN_PID=$$; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", MOVE, "sh"]).args(inside).arg(program());
    command.args(["run", "--config", "stagepost.toml"]).current_dir(site.path());
    command.env_remove("STAGEPOST_LOG").env("LISTEN_FDS", count.to_string());
    command.env("LISTEN_FDNAMES", names).stdin(first);
    (command, second)
}
