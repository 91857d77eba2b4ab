//! Gets the programs that checks and tests need, and tells what must be skipped without them.
//! Knows Debian's packages; knows no test but by the name of its module.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::step::{Runner, Step};
use super::tally::Tally;
use crate::peer;

/// How long apt-get may take for one thing.
const LIMIT: Duration = Duration::from_secs(300);

/// Something that some tests need and a machine may not have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requirement {
    /// A program, or what else it is.
    name: &'static str,
    source: Source,
}

/// Where a requirement comes from.
#[derive(Clone, Copy, Debug)]
enum Source {
    /// A Debian package that starts nothing when it is installed.
    Package(&'static str),
    /// A Debian package that would put a server of its own in place: it is only unpacked.
    Unpacked(&'static str),
    /// The same, of use to root alone.
    Rooted(&'static str),
    /// A module of Perl's, which a peer needs for some of what it does.
    Perl { module: &'static str, package: &'static str },
    /// A file system of one's own, in a namespace of one's own.
    Mount,
    /// Networks of one's own with a line between them.
    Line,
    /// The C compiler's AddressSanitizer, on a system that it works on.
    Sanitizer,
    /// A part of the Rust toolchain that a minimal installation lacks; the cargo command that it brings.
    Component(&'static str),
    /// The port of the built-in configuration, which a server that runs already would have.
    Port(u16),
}

const REQUIREMENTS: [Requirement; 29] = [
    Requirement { name: "rustfmt", source: Source::Component("fmt") },
    Requirement { name: "clippy", source: Source::Component("clippy") },
    Requirement { name: "curl", source: Source::Package("curl") },
    Requirement { name: "swaks", source: Source::Package("swaks") },
    Requirement { name: "python3", source: Source::Package("python3") },
    Requirement { name: "msmtp", source: Source::Package("msmtp") },
    Requirement { name: "fetchmail", source: Source::Package("fetchmail") },
    Requirement { name: "gsasl", source: Source::Package("gsasl") },
    Requirement { name: "dnsmasq", source: Source::Package("dnsmasq-base") },
    Requirement { name: "rbldnsd", source: Source::Unpacked("rbldnsd") },
    Requirement { name: "slapd", source: Source::Unpacked("slapd") },
    Requirement { name: "strace", source: Source::Package("strace") },
    Requirement { name: "smtp-source", source: Source::Unpacked("postfix") },
    Requirement { name: "smtp-sink", source: Source::Unpacked("postfix") },
    Requirement { name: "postfix", source: Source::Rooted("postfix") },
    Requirement { name: "dovecot", source: Source::Rooted("dovecot-lmtpd") },
    Requirement { name: "exim4", source: Source::Rooted("exim4-daemon-light") },
    Requirement { name: "sendmail", source: Source::Rooted("sendmail-bin") },
    Requirement { name: "nmap", source: Source::Package("nmap") },
    Requirement {
        name: "net-ssleay",
        source: Source::Perl { module: "Net::SSLeay", package: "libnet-ssleay-perl" },
    },
    Requirement { name: "valgrind", source: Source::Package("valgrind") },
    Requirement { name: "clang", source: Source::Package("clang") },
    Requirement {
        name: "x86_64-w64-mingw32-g++",
        source: Source::Package("g++-mingw-w64-x86-64-win32"),
    },
    Requirement { name: "aarch64-linux-gnu-g++", source: Source::Package("g++-aarch64-linux-gnu") },
    Requirement { name: "qemu-aarch64", source: Source::Package("qemu-user") },
    Requirement { name: "tmpfs", source: Source::Mount },
    Requirement { name: "veth", source: Source::Line },
    Requirement { name: "libasan", source: Source::Sanitizer },
    Requirement { name: "development", source: Source::Port(2525) },
];

impl Requirement {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        self.name
    }

    /// What the names of its tests contain: they are in a module of its name, as far as a module can have it.
    pub(super) fn tests(self) -> String {
        format!("{}::", self.name.replace('-', "_").replace('+', "x"))
    }

    fn is_there(self) -> bool {
        match self.source {
            // Not everywhere may one process trace another.
            Source::Package("strace") => succeeds(Command::new("strace").arg("true")),
            Source::Package(_) | Source::Unpacked(_) => peer::find(self.name).is_some(),
            Source::Rooted(_) => is_root() && peer::find(self.name).is_some(),
            Source::Perl { module, .. } => {
                succeeds(Command::new("perl").args([&format!("-M{module}"), "-e1"]))
            }
            Source::Sanitizer => peer::libasan().is_some(),
            Source::Component(command) => succeeds(cargo().args([command, "--version"])),
            Source::Port(port) => TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok(),
            Source::Mount => succeeds(Command::new("unshare").args([
                "--map-root-user",
                "--mount",
                "mount",
                "-t",
                "tmpfs",
                "none",
                "/mnt",
            ])),
            Source::Line => succeeds(Command::new("unshare").args([
                "--map-root-user",
                "--net",
                "ip",
                "link",
                "add",
                "near",
                "type",
                "veth",
                "peer",
                "name",
                "far",
            ])),
        }
    }

    fn remedy(self) -> String {
        match self.source {
            Source::Package(package) | Source::Unpacked(package) => {
                format!("install the Debian package {package}, or run as root")
            }
            Source::Rooted(package) => {
                format!("run as root, with the Debian package {package} at hand")
            }
            Source::Perl { package, .. } => {
                format!("install the Debian package {package}, or run as root")
            }
            Source::Sanitizer => {
                "install the C compiler's libasan; sysctl vm.mmap_rnd_bits=28".to_owned()
            }
            Source::Component(_) => format!("rustup component add {}", self.name),
            Source::Port(port) => format!("stop what listens on port {port}"),
            Source::Mount => "allow unshare(1) to make namespaces of mounts".to_owned(),
            Source::Line => {
                "install the Debian package iproute2, and allow unshare(1) to make networks"
                    .to_owned()
            }
        }
    }
}

/// Gets what is missing and can be had; returns what is missing still.
///
/// With `CI=true` each of them is a failure: there a skipped test would go unnoticed.
pub(super) fn set_up(peers: &Path, runner: &Runner, tally: &mut Tally) -> Vec<Requirement> {
    let missing = || REQUIREMENTS.into_iter().filter(|one| !one.is_there()).collect::<Vec<_>>();
    let first = missing();
    for one in &first {
        if matches!(one.source, Source::Component(_)) {
            let step = Step::new(&format!("installing {}", one.name), "rustup", LIMIT);
            runner.run(&step.args(&["component", "add", one.name]));
        }
    }
    if !first.is_empty() && peer::find("apt-get").is_some() {
        get(&first, peers, runner);
    }
    let left = missing();
    let strict = std::env::var_os("CI").is_some_and(|value| value == "true");
    for one in &left {
        println!("{} is missing: {}; what needs it is skipped", one.name, one.remedy());
        if strict {
            tally.failed("set-up", format!("{} is missing, and CI=true", one.name));
        }
    }
    let there = REQUIREMENTS.len() - left.len();
    println!("set-up: {there} of {} things are there", REQUIREMENTS.len());
    if left.is_empty() {
        tally.passed();
    }
    left
}

fn get(missing: &[Requirement], peers: &Path, runner: &Runner) {
    let mut packages: Vec<&str> = Vec::new();
    let mut unpacked: Vec<&str> = Vec::new();
    for one in missing {
        match one.source {
            Source::Package(package) | Source::Perl { package, .. } => packages.push(package),
            Source::Unpacked(package) | Source::Rooted(package) if !unpacked.contains(&package) => {
                unpacked.push(package)
            }
            _ => {}
        }
    }
    let is_root = is_root();
    if is_root && !(packages.is_empty() && unpacked.is_empty()) {
        runner.run(&apt("apt-get update", &["update"]));
    }
    if is_root && !packages.is_empty() {
        let args = ["install", "--yes", "--no-install-recommends"];
        let name = format!("installing {}", packages.join(", "));
        runner.run(&apt(&name, &args).args(&packages));
    }
    for package in unpacked {
        if let Err(error) = unpack(package, peers, runner) {
            println!("unpacking {package}: {error}");
        }
    }
}

fn apt(name: &str, args: &[&str]) -> Step {
    Step::new(name, "apt-get", LIMIT)
        .args(&["-o", "DPkg::Lock::Timeout=120"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
}

/// Downloads a package with what it depends on and is not installed, and unpacks all of it: no script of it runs, and
/// the system stays as it is. Each has a folder of its own: several bring a file of the same name, `sendmail` for one.
fn unpack(package: &str, peers: &Path, runner: &Runner) -> io::Result<()> {
    let folder = &peers.join(package);
    let archives = folder.join("archives");
    fs::create_dir_all(archives.join("partial"))?;
    let cache = format!("Dir::Cache::archives={}", archives.display());
    let download = apt(
        &format!("downloading {package}"),
        // Its locks are those of the system's package cache, which is not used here.
        &["-o", "Debug::NoLocking=1", "-o", &cache, "--yes", "--no-install-recommends"],
    );
    runner.run(&download.args(&["--download-only", "install", package]));
    for entry in fs::read_dir(&archives)? {
        let archive = entry?.path();
        if archive.extension().is_none_or(|extension| extension != "deb") {
            continue;
        }
        let args = ["-x", &archive.to_string_lossy(), &folder.to_string_lossy()];
        runner.run_silently(&Step::new("unpacking", "dpkg-deb", LIMIT).args(&args));
    }
    for one in REQUIREMENTS {
        if matches!(one.source, Source::Unpacked(from) | Source::Rooted(from) if from == package) {
            write_starter(one.name, folder)?;
        }
    }
    Ok(())
}

/// Writes a script that starts an unpacked program with the libraries that came with it.
fn write_starter(program: &str, folder: &Path) -> io::Result<()> {
    let found = ["usr/sbin", "usr/bin", "usr/libexec/sendmail"]
        .map(|place| folder.join(place).join(program))
        .into_iter()
        .find(|file| file.is_file());
    let Some(file) = found else { return Ok(()) };
    let mut libraries = library_folders(&folder.join("usr/lib"))?;
    libraries.push(folder.join("usr/lib"));
    let libraries: Vec<String> =
        libraries.iter().map(|library| library.display().to_string()).collect();
    let script = format!(
        "#!/bin/sh\nLD_LIBRARY_PATH='{}' exec '{}' \"$@\"\n",
        libraries.join(":"),
        file.display()
    );
    let bin = folder.join("bin");
    fs::create_dir_all(&bin)?;
    let starter = bin.join(program);
    fs::write(&starter, script)?;
    fs::set_permissions(starter, fs::Permissions::from_mode(0o755))
}

fn library_folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
