//! Two network namespaces with a line between them that is cut and joined, and how commands are run at its ends.
//! Knows unshare(1), nsenter(1) and ip(8); knows no server.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use crate::peer;
use crate::process::Ended;

/// The addresses of the two ends.
pub const NEAR: &str = "192.0.2.1";
/// The same of the other one.
pub const FAR: &str = "192.0.2.2";

/// A line. It goes, with both namespaces, when it is dropped and nothing runs in them any more.
pub struct Line {
    near: Namespace,
    far: Namespace,
}

/// A namespace, kept by a process that does nothing in it.
struct Namespace(Ended);

/// What stands before a command that is run at one end of a line.
pub type Prefix = Vec<String>;

impl Line {
    /// Makes a line, which is joined.
    ///
    /// # Panics
    ///
    /// When the system does not let us.
    pub fn new() -> Self {
        let unshare = peer::need("unshare").display().to_string();
        let near = Namespace::make(&[&[&*unshare], &["--map-root-user", "--net"][..]].concat());
        // Of the same user, who may then tie them together.
        let inside = near.prefix();
        let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
        let far = Namespace::make(&[&*inside, &[&*unshare, "--net"]].concat());
        let line = Self { near, far };
        let far = line.far.0.0.id().to_string();
        line.near.ip(&format!("link add line type veth peer name line netns {far}"));
        for (end, address) in [(&line.near, NEAR), (&line.far, FAR)] {
            end.ip("link set lo up");
            end.ip(&format!("address add {address}/24 dev line"));
            end.ip("link set line up");
        }
        line
    }

    /// Cuts it: nothing goes through, and nobody is told.
    pub fn cut(&self) {
        self.near.ip("link set line down");
    }

    /// Joins it again.
    pub fn join(&self) {
        self.near.ip("link set line up");
    }

    /// Runs commands at the end with the address [`NEAR`].
    pub fn near(&self) -> Prefix {
        self.near.prefix()
    }

    /// Runs commands at the end with the address [`FAR`].
    pub fn far(&self) -> Prefix {
        self.far.prefix()
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl Namespace {
    fn make(command: &[&str]) -> Self {
        let (program, arguments) = command.split_first().expect("a program");
        let mut child = Command::new(program)
            .args(arguments)
            .arg("cat")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it can be started");
        // Once it answers it is inside.
        let stdin = child.stdin.as_mut().expect("stdin is piped");
        stdin.write_all(b"there\n").expect("it reads");
        let mut said = String::new();
        let stdout = child.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut said).expect("it answers");
        assert_eq!(said, "there\n", "{command:?}");
        Self(Ended(child))
    }

    fn prefix(&self) -> Prefix {
        let nsenter = peer::need("nsenter").display().to_string();
        let target = format!("--target={}", self.0.0.id());
        let rest = [&target, "--user", "--net", "--preserve-credentials"];
        std::iter::once(nsenter).chain(rest.map(str::to_owned)).collect()
    }

    fn ip(&self, arguments: &str) {
        let prefix = self.prefix();
        let output = Command::new(&prefix[0])
            .args(&prefix[1..])
            .arg(peer::need("ip"))
            .args(arguments.split(' '))
            .output()
            .expect("it can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ip {arguments}: {said}");
    }
}
