//! `stagepost etrn`: looks what a server has for those who ask it for their mail.
//! Knows the form of the plug-in's answer; talks to no server itself.

use std::fmt;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::json;

use super::pull::{Asked, shown};
use super::watch::refused;
use super::{print_json, terminal};

#[derive(Debug, Subcommand)]
pub(super) enum EtrnCommand {
    /// Look whether a server offers ETRN and ATRN, and whether it would accept us
    ///
    /// The running server dials it. With the name of a connection all goes as in a call: port, TLS and login. Without --node
    /// nothing is asked for, so that no mail is sent. Exit code 1 when it is not to be talked to, or accepts nothing.
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    asked: Asked,
    /// A connection, or a server: a name or an address
    #[arg(value_name = "HOST")]
    host: String,
    /// Its port; without it 25, or that of the connection
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// What is wanted of TLS, where it is no connection
    #[arg(long, value_name = "POLICY", default_value = "opportunistic")]
    tls: Tls,
    /// TLS comes before anything else
    #[arg(long)]
    implicit_tls: bool,
    /// Ask for this by ETRN: a domain, @domain or #queue. Mail that waits is sent then
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Tls {
    None,
    Opportunistic,
    Required,
    Verified,
}

impl Tls {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Opportunistic => "opportunistic",
            Self::Required => "required",
            Self::Verified => "verified",
        }
    }
}

/// What the plug-in has found.
#[derive(Debug, Deserialize)]
struct Checked {
    server: String,
    error: Option<String>,
    tls: bool,
    etrn: bool,
    atrn: bool,
    auth: Vec<String>,
    login: Option<String>,
    reply: Option<String>,
}

impl Checked {
    fn is_good(&self) -> bool {
        let refused = self.login.as_deref().is_some_and(|login| login != "accepted");
        let granted = self.reply.as_deref().is_none_or(|reply| reply.starts_with("25"));
        self.error.is_none() && !refused && granted && (self.etrn || self.atrn)
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |yes| if yes { "yes" } else { "no" };
        writeln!(out, "server  {}", terminal::line(&self.server))?;
        if let Some(error) = &self.error {
            writeln!(out, "error   {}", terminal::line(error))?;
        }
        writeln!(out, "TLS     {}", yes(self.tls))?;
        writeln!(out, "ETRN    {}", yes(self.etrn))?;
        writeln!(out, "ATRN    {}", yes(self.atrn))?;
        if !self.auth.is_empty() {
            writeln!(out, "AUTH    {}", terminal::line(&self.auth.join(" ")))?;
        }
        if let Some(login) = &self.login {
            writeln!(out, "login   {}", terminal::line(login))?;
        }
        if let Some(reply) = &self.reply {
            writeln!(out, "reply   {}", terminal::line(reply))?;
        }
        Ok(())
    }
}

pub(super) fn run(command: &EtrnCommand) -> ExitCode {
    let EtrnCommand::Check(args) = command;
    let asked = &args.asked;
    let wish = json!({ "host": args.host, "port": args.port, "tls": args.tls.name(),
        "implicit_tls": args.implicit_tls, "node": args.node });
    let checked = asked
        .server
        .ask(|socket| async move { asked.call::<Checked>(&socket, "check", wish).await });
    match checked {
        Ok((json, _)) if asked.json => print_json(&json),
        Ok((_, checked)) => shown(checked.is_good(), &checked),
        Err(error) => refused(&error),
    }
}
