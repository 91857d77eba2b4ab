//! A server with the bridge and add-ins, whose variables a test sets while it runs.
//! Knows the log lines of `addins/probe.c`.

use std::fs;
use std::path::{Path, PathBuf};

use stagepost_tests::add_in::{Making, bridge};
use stagepost_tests::client::Client;
use stagepost_tests::name_server::{NameServer, PTR};
use stagepost_tests::server::{Server, Site, plugin_section};

/// A name of 193 octets that no text can show as they are: as text it has four times as many.
const LONG_NAME: [u8; 193] = {
    let mut name = [1; 193];
    (name[0], name[64], name[128], name[192]) = (63, 63, 63, 0);
    name
};

/// A site with add-ins.
pub(crate) struct Rig {
    pub(crate) site: Site,
    names: NameServer,
}

impl Rig {
    /// A site without a configuration.
    pub(crate) fn new() -> Self {
        let names = NameServer::start(vec![
            ("1.0.0.127.in-addr.arpa", PTR, b"\x04host\x06client\x04test\0"),
            ("1.2.0.192.in-addr.arpa", PTR, b"\x02mx\x06client\x04test\0"),
            ("3.2.0.192.in-addr.arpa", PTR, &LONG_NAME),
        ]);
        let rig = Self { site: Site::new(""), names };
        rig.set("");
        rig
    }

    pub(crate) fn folder(&self) -> &Path {
        self.site.path()
    }

    /// Makes an add-in.
    pub(crate) fn make(&self, source: &str, name: &str, making: Making<'_>) -> PathBuf {
        making.make(source, self.folder(), name)
    }

    /// Sets the variables of notes.ini to these, one a line, also of a server that runs.
    pub(crate) fn set(&self, variables: &str) {
        let (fresh, place) = (self.folder().join("notes.new"), self.folder().join("notes.ini"));
        fs::write(&fresh, variables).unwrap();
        fs::rename(fresh, place).unwrap();
    }

    /// Writes the configuration.
    ///
    /// - before: sections before the plug-in's. fields: of the plug-in. section: of its own section.
    pub(crate) fn configure(&self, before: &str, fields: &str, section: &str) {
        self.configure_listener("", before, fields, section);
    }

    /// The same with fields of the listener.
    pub(crate) fn configure_listener(
        &self,
        listener: &str,
        before: &str,
        fields: &str,
        section: &str,
    ) {
        let folder = self.folder().display();
        let own = format!(
            "{fields}\n[plugin.config]\ndirectory = \"{folder}\"\nnotes_ini = \"{folder}/notes.ini\"\n{section}"
        );
        let plugin = plugin_section("domino-bridge", &bridge(), &own);
        self.site
            .configure_listener(listener, &format!("{}{before}{plugin}", self.names.section()));
    }

    /// Starts a server with these add-ins.
    pub(crate) fn start(&self, add_ins: &[&str]) -> Server {
        self.configure("", "", &format!("addins = {add_ins:?}\n"));
        self.site.start()
    }
}

/// A site with the probe, as it is made by default.
pub(crate) fn probe() -> (Rig, Server) {
    let rig = Rig::new();
    rig.make("probe.c", "probe", Making::default());
    let server = rig.start(&["probe"]);
    (rig, server)
}

/// What the bridge's plug-in has logged so far.
pub(crate) fn said(server: &Server) -> Vec<String> {
    let lines = server.log().matching(|line| line.text("plugin") == "domino-bridge");
    lines.iter().map(|line| line.message().to_owned()).collect()
}

/// Waits for all these lines of an add-in.
pub(crate) fn wait_for_all(server: &Server, add_in: &str, lines: &[&str]) {
    for line in lines {
        let whole = format!("{add_in}: {line}");
        server.log().wait_for(&whole, |one| one.message() == whole);
    }
}

/// How many of its lines have this in them.
pub(crate) fn count(server: &Server, part: &str) -> usize {
    said(server).iter().filter(|line| line.contains(part)).count()
}

/// Waits for a line with this in it.
pub(crate) fn wait_for(server: &Server, part: &str) -> String {
    server.log().wait_for(part, |line| line.message().contains(part)).message().to_owned()
}

/// A client that has said EHLO.
pub(crate) fn greeted(server: &Server) -> Client {
    let mut client = Client::connect(server.address());
    client.expect(220);
    client.say("EHLO client.test", 250);
    client
}
