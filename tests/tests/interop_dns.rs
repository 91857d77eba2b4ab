//! Other people's name servers and access-control: hosts' names from dnsmasq, a list from rbldnsd behind it.
//! `cargo verify` skips what can't be had.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::fs::{self, Permissions};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use stagepost_tests::client::Client;
use stagepost_tests::log::Log;
use stagepost_tests::peer::command as program;
use stagepost_tests::plugin::build_rust;
use stagepost_tests::process::Ended;
use stagepost_tests::server::{self, Server, Site, plugin_section};

/// A port that nobody has. Whoever takes it before its server does makes that one end, and say why.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A name server, ready when it has said so.
struct Running {
    _child: Ended,
    /// Read on, or it would wait.
    _log: Log,
}

/// Starts a name server; it ends with this.
fn start(mut command: Command, word: &str) -> Running {
    let (read, write) = std::io::pipe().unwrap();
    command.stdout(write.try_clone().unwrap()).stderr(write);
    let child = Ended(command.spawn().unwrap());
    // It holds the ends that are written to.
    drop(command);
    let (log, _) = Log::follow(read);
    log.wait_for(word, |line| line.as_str().contains(word));
    Running { _child: child, _log: log }
}

/// Builds what is tested: first, since a name server is ended in time.
fn plugin() -> PathBuf {
    server::program();
    build_rust("access-control")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

mod dnsmasq {
    use super::*;

    fn dnsmasq(port: u16, further: &[String]) -> Running {
        let mut command = program("dnsmasq");
        command.args(["--no-daemon", "--conf-file=/dev/null", "--listen-address=127.0.0.1"]);
        command.args(["--bind-interfaces", "--no-resolv", "--no-hosts", "--pid-file="]);
        command.args(["--local=/#/", &format!("--port={port}")]).args(further);
        if is_root() {
            command.arg("--user=root");
        }
        start(command, "cleared cache")
    }

    /// A server with the plug-in that asks this name server, and believes a proxy on loopback.
    fn server(site: &Site, plugin: &Path, port: u16, section: &str) -> Server {
        let plugin = plugin_section("access-control", plugin, section);
        let names = format!("[dns]\nservers = [\"127.0.0.1:{port}\"]\ntimeout = \"5s\"\n");
        site.configure_listener("proxy_from = [\"127.0.0.0/8\"]\n", &format!("{names}{plugin}"));
        site.start()
    }

    /// What MAIL and RCPT to elsewhere are answered for a client with this address.
    fn mail(server: &Server, address: &str) -> [String; 2] {
        let mut client = Client::connect(server.address());
        client.send(format!("PROXY TCP4 {address} 192.0.2.25 4000 25\r\n").as_bytes());
        client.expect(220);
        client.say("EHLO client.test", 250);
        let mail = client.ask("MAIL FROM:<a@sender.test>").to_string();
        [mail, client.ask("RCPT TO:<bob@example.test>").to_string()]
    }

    #[test]
    fn names_and_senders_are_looked_up() {
        let plugin = plugin();
        let port = free_port();
        let records = [
            "--host-record=good.test,192.0.2.1",
            "--host-record=bad.test,192.0.2.2",
            "--mx-host=sender.test,good.test,10",
        ];
        let _names = dnsmasq(port, &records.map(str::to_owned));
        let site = Site::new("");
        let section = "[plugin.config.connection]\nverify_host_name = true\ndeny = [\"bad.test\"]\nrefuse_at = \"mail\"\n\
            [plugin.config.sender]\nverify_domain = true\n";
        let server = server(&site, &plugin, port, section);
        for (address, wanted) in [
            ("192.0.2.1", "250 "),
            ("192.0.2.2", "554 5.7.1 Connection denied"),
            ("192.0.2.3", "550 5.7.25 "),
        ] {
            let [reply, _] = mail(&server, address);
            assert!(reply.starts_with(wanted), "{address}: {reply}");
        }
        server.stop();
    }

    mod rbldnsd {
        use super::*;

        #[test]
        fn its_lists_are_tested_and_asked() {
            let plugin = plugin();
            // It does not run as root, and what it runs as must find its file.
            let folder = tempfile::tempdir().unwrap();
            fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
            let zone = folder.path().join("zone");
            let entries = ":127.0.0.2:$ is listed\n127.0.0.2\n192.0.2.7\n198.51.100.0/24 :127.0.0.10:$ is a dial-up\n";
            fs::write(&zone, entries).unwrap();
            let (list_port, port) = (free_port(), free_port());
            let mut command = program("rbldnsd");
            command.args(["-n", "-b", &format!("127.0.0.1/{list_port}")]);
            if is_root() {
                command.args(["-u", "nobody"]);
            }
            command.arg(format!("black.test:ip4set:{}", zone.display()));
            let _list = start(command, "started");
            let _names = dnsmasq(port, &[format!("--server=/black.test/127.0.0.1#{list_port}")]);
            let section = "[plugin.config.dns_black]\naction = \"reject\"\ntext = \"{txt}\"\nthreshold = 2\n\
                zones = [{ name = \"black.test\", answers = [\"127.0.0.2\"], weight = 2 }, \"missing.test\"]\n";
            let site = Site::new("");
            let server = server(&site, &plugin, port, section);
            for (address, wanted) in [
                ("192.0.2.7", "554 5.7.1 192.0.2.7 is listed"),
                ("192.0.2.8", "250 "),
                ("198.51.100.1", "250 "),
            ] {
                let [reply, _] = mail(&server, address);
                assert!(reply.starts_with(wanted), "{address}: {reply}");
            }
            let log = server.stop();
            for said in
                ["black.test is tested, and asked from now on", "missing.test is not asked: "]
            {
                let lines = log.matching(|line| line.message().starts_with(said));
                assert_eq!(lines.len(), 1, "{said}\n{log}");
            }
        }
    }
}
