//! A notes.ini of Domino, and what its settings are here: written as tables of our configuration, or said why not.
//! Knows names and values; knows no document, which is where Domino keeps its lists.

use std::fmt::{self, Write};

/// The largest file that is read.
pub(crate) const OCTETS_MAX: u64 = 1 << 20;

/// The sessions of one address and of one network, unless they are set: no more than all.
const PER_ADDRESS: u32 = 100;
const PER_NETWORK: u32 = 1000;

/// The time-outs that SMTPTimeoutMultiplier is about, with their defaults in minutes, and what they are at most.
const TIMEOUTS: [(&str, u32); 2] = [("command", 5), ("data_block", 3)];
const TIMEOUT_MINUTES_MAX: u32 = 60;

/// Where a setting belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Table {
    Limits,
    Timeouts,
    Relay,
    Sender,
    Bridge,
}

impl Table {
    fn is_of_access_control(self) -> bool {
        matches!(self, Self::Relay | Self::Sender)
    }

    fn head(self) -> &'static str {
        match self {
            Self::Limits => "[limits]",
            Self::Timeouts => "[timeouts]",
            Self::Relay => "[plugin.config.relay]",
            Self::Sender => "[plugin.config.sender]",
            Self::Bridge => "[plugin.config]",
        }
    }
}

/// What a setting is here.
enum Taken {
    /// Lines of a table.
    As(Table, Vec<String>),
    /// Nothing has to be written.
    Same(&'static str),
    /// It can't be taken over.
    Not(&'static str),
}

/// A setting as the file has it.
struct Setting<'f> {
    line: usize,
    name: &'f str,
    value: &'f str,
}

/// What has become of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Import {
    /// Tables, each with what it says and where that comes from.
    tables: Vec<(Table, Vec<String>)>,
    remarks: Vec<String>,
}

/// Takes over what a notes.ini says of SMTP. Of a setting that stands twice the later one counts, as in Domino.
pub(crate) fn import(text: &str) -> Import {
    let mut settings: Vec<Setting<'_>> = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let Some((name, value)) = text.split_once('=') else { continue };
        let (name, value) = (name.trim(), value.trim());
        let ours = ["smtp", "extmgr_addins"].iter().any(|start| {
            name.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
        });
        if ours {
            settings.retain(|earlier| !earlier.name.eq_ignore_ascii_case(name));
            settings.push(Setting { line, name, value });
        }
    }
    let mut import = Import::default();
    for Setting { line, name, value } in settings {
        let from = format!("line {line}: {name}={value}");
        match take(&name.to_ascii_lowercase(), value) {
            Taken::As(table, lines) => {
                let at = import.tables.iter().position(|(found, _)| *found == table);
                let at = at.unwrap_or_else(|| {
                    import.tables.push((table, Vec::new()));
                    import.tables.len() - 1
                });
                import.tables[at].1.push(format!("# {from}"));
                import.tables[at].1.extend(lines);
            }
            Taken::Same(why) => import.remarks.push(format!("{from}: {why}")),
            Taken::Not(why) => import.remarks.push(format!("{from}: not taken over: {why}")),
        }
    }
    import.tables.sort_by_key(|(table, _)| *table);
    import
}

fn take(name: &str, value: &str) -> Taken {
    let on = value != "0" && !value.is_empty();
    let switch = |table, line: &str| match on {
        true => Taken::As(table, vec![line.to_owned()]),
        false => Taken::Same("the default here too"),
    };
    match name {
        "smtpmaxsessions" => number(value, max_sessions),
        // There it counts both: what is wrong, and what is refused.
        "smtperrorlimit" => number(value, |limit| {
            let lines = [format!("errors_max = {limit}"), format!("refusals_max = {limit}")];
            Taken::As(Table::Limits, lines.into())
        }),
        "smtptimeoutmultiplier" => number(value, timeouts),
        "smtprelayhostsanddomains" | "smtprelayallowhostsanddomains" => {
            switch(Table::Relay, "deny_wins = true")
        }
        "smtpallhostsexternal" => switch(Table::Relay, "enforce = \"all\""),
        "smtpverifyauthenticatedsender" => switch(Table::Sender, "authenticated = \"message\""),
        "smtpexpanddnsblstats" | "smtpexpanddnswlstats" => {
            Taken::Same("`stagepost stats smtp` always counts each zone")
        }
        "smtpstrict821linesyntax" | "smtpstrict821addresssyntax" if on => {
            Taken::Same("always so here")
        }
        "smtpstrict821linesyntax" => Taken::Not("lines end with CRLF alone here"),
        "smtpstrict821addresssyntax" => Taken::Not("addresses stand in angle brackets here"),
        "smtp_config_update_interval" => {
            Taken::Same("`stagepost reload` at once, and files of lists by themselves")
        }
        "smtpdebug" | "smtpdebugio" | "smtpclientdebug" => {
            Taken::Same("`stagepost trace`, and `level` in [log]")
        }
        "smtpdenynotuniquercpt" if on => Taken::Same(
            "the default here too, `ambiguous` in [ldap]; otherwise an address has one mailbox",
        ),
        "smtpdenynotuniquercpt" => {
            Taken::Same("the document says it; here it is `ambiguous` in [ldap]")
        }
        "smtpdenymailtogroups" if on => Taken::Same(
            "groups get mail only where `alias_filter` in [ldap] finds them, or an alias stands for them",
        ),
        "smtpdenymailtogroups" => {
            Taken::Same("the document says it; here it is `alias_filter` in [ldap]")
        }
        "smtpgreeting" => Taken::Not("a plug-in can change the greeting, after connect"),
        "extmgr_addins" => addins(value),
        _ => Taken::Not("there is nothing like it here"),
    }
}

fn number(value: &str, taken: impl Fn(u32) -> Taken) -> Taken {
    match value.parse() {
        Ok(0) => Taken::Not("0 is no limit in Domino, and there always is one here"),
        Ok(number) => taken(number),
        Err(_) => Taken::Not("it is no number"),
    }
}

fn max_sessions(max: u32) -> Taken {
    let mut lines = vec![format!("sessions_max = {max}")];
    for (key, default) in
        [("sessions_per_address_max", PER_ADDRESS), ("sessions_per_network_max", PER_NETWORK)]
    {
        if default > max {
            lines.push(format!("{key} = {max}"));
        }
    }
    Taken::As(Table::Limits, lines)
}

fn timeouts(times: u32) -> Taken {
    let lines = TIMEOUTS.map(|(key, minutes)| {
        let minutes = minutes.saturating_mul(times).min(TIMEOUT_MINUTES_MAX);
        format!("{key} = \"{minutes}m\"")
    });
    Taken::As(Table::Timeouts, lines.into())
}

fn addins(value: &str) -> Taken {
    let names: Vec<_> = value.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Taken::Same("no add-ins");
    }
    let lines = [
        &*format!("addins = {names:?}"),
        "# Where their files are, and what they read their variables from: both have to be written.",
        "#directory = \"/opt/addins\"",
        "#notes_ini = \"/opt/addins/notes.ini\"",
    ];
    Taken::As(Table::Bridge, lines.map(str::to_owned).into())
}

impl fmt::Display for Import {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut access_control = false;
        for (table, lines) in &self.tables {
            if table.is_of_access_control() && !access_control {
                access_control = true;
                write_plugin(out, "access-control", "")?;
            }
            if *table == Table::Bridge {
                // Asked before the server's own controls, as in Domino.
                write_plugin(out, "domino-bridge", "priority = -10\n")?;
            }
            writeln!(out, "{}", table.head())?;
            for line in lines {
                // A value of the file must not become a line of ours.
                out.write_str(&line.replace(|c: char| c.is_control(), "?"))?;
                out.write_char('\n')?;
            }
            writeln!(out)?;
        }
        for remark in &self.remarks {
            writeln!(out, "# {}", remark.replace(|c: char| c.is_control(), "?"))?;
        }
        if self.tables.is_empty() && self.remarks.is_empty() {
            writeln!(out, "# nothing about SMTP")?;
        }
        Ok(())
    }
}

fn write_plugin(out: &mut fmt::Formatter<'_>, name: &str, further: &str) -> fmt::Result {
    let file = name.replace('-', "_");
    writeln!(out, "[[plugin]]\nname = \"{name}\"\npath = \"{file}\"\n{further}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_tables_and_remarks() {
        let text = "[Notes]\r\nKitType=2\r\nSMTPMaxSessions=900\r\nsmtpmaxsessions = 50\r\nSMTPErrorLimit=5\r\n\
            SMTPRelayHostsandDomains=1\r\nSMTPVerifyAuthenticatedSender=1\r\nSMTPAllHostsExternal=0\r\n\
            EXTMGR_ADDINS=nspam, libtag.so,\r\nSMTPTimeoutMultiplier=15\r\nSMTPGreeting=Hello\u{7}\r\n\
            SMTPUnheardOf=x\r\nSMTPDebug=many\r\n";
        let written = import(text).to_string();
        let wanted = "[limits]\n# line 4: smtpmaxsessions=50\nsessions_max = 50\nsessions_per_address_max = 50\n\
            sessions_per_network_max = 50\n# line 5: SMTPErrorLimit=5\nerrors_max = 5\nrefusals_max = 5\n\n\
            [timeouts]\n# line 10: SMTPTimeoutMultiplier=15\ncommand = \"60m\"\ndata_block = \"45m\"\n\n\
            [[plugin]]\nname = \"access-control\"\npath = \"access_control\"\n\n\
            [plugin.config.relay]\n# line 6: SMTPRelayHostsandDomains=1\ndeny_wins = true\n\n\
            [plugin.config.sender]\n# line 7: SMTPVerifyAuthenticatedSender=1\nauthenticated = \"message\"\n\n\
            [[plugin]]\nname = \"domino-bridge\"\npath = \"domino_bridge\"\npriority = -10\n\n\
            [plugin.config]\n# line 9: EXTMGR_ADDINS=nspam, libtag.so,\naddins = [\"nspam\", \"libtag.so\"]\n\
            # Where their files are, and what they read their variables from: both have to be written.\n\
            #directory = \"/opt/addins\"\n#notes_ini = \"/opt/addins/notes.ini\"\n\n\
            # line 8: SMTPAllHostsExternal=0: the default here too\n\
            # line 11: SMTPGreeting=Hello?: not taken over: a plug-in can change the greeting, after connect\n\
            # line 12: SMTPUnheardOf=x: not taken over: there is nothing like it here\n\
            # line 13: SMTPDebug=many: `stagepost trace`, and `level` in [log]\n";
        assert_eq!(written, wanted);
        let parsed: toml::Table = written.parse().unwrap();
        assert_eq!(parsed["plugin"].as_array().unwrap().len(), 2);
        assert_eq!(import("[Notes]\nKeyfilename=x\n").to_string(), "# nothing about SMTP\n");
    }

    #[test]
    fn values_that_are_none_are_told() {
        for (text, wanted) in [
            (
                "SMTPMaxSessions=0",
                "# line 1: SMTPMaxSessions=0: not taken over: 0 is no limit in Domino, and there always is one here\n",
            ),
            (
                "SMTPErrorLimit=many",
                "# line 1: SMTPErrorLimit=many: not taken over: it is no number\n",
            ),
            ("EXTMGR_ADDINS=", "# line 1: EXTMGR_ADDINS=: no add-ins\n"),
            (
                "SMTPStrict821LineSyntax=0",
                "# line 1: SMTPStrict821LineSyntax=0: not taken over: lines end with CRLF alone here\n",
            ),
            ("SMTPStrict821LineSyntax=1", "# line 1: SMTPStrict821LineSyntax=1: always so here\n"),
            (
                "SMTPDenyMailToGroups=0",
                "# line 1: SMTPDenyMailToGroups=0: the document says it; here it is `alias_filter` in [ldap]\n",
            ),
        ] {
            assert_eq!(import(text).to_string(), wanted);
        }
    }
}
