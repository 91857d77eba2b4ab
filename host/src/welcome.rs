//! What a person reads on the terminal when the development server has started.
//! Knows the settings; what listens where is told by whoever bound it.

use std::env;
use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::Path;

use crate::config::{MailStore, Settings};

/// The lines for stdout: where it listens, how to send a first mail, where that lands.
pub(crate) fn text(settings: &Settings, listening: &[SocketAddr]) -> String {
    let mut text =
        String::from("Stagepost is running with its built-in development configuration.\n\n");
    for address in listening {
        text.push_str(&format!("  SMTP          {address}\n"));
    }
    text.push_str(&format!("  admin socket  {}\n", shown(&settings.admin_socket())));
    if let (Some(address), Some(domain)) = (listening.first(), settings.local_domains.first()) {
        if let MailStore::Maildir(folder) = &domain.store {
            let maildir = folder.join("you").join("new");
            text.push_str(&format!("  mail          {}\n", shown(&maildir)));
        }
        text.push_str("\nSend a first mail:\n\n");
        text.push_str(&format!("  {}\n", first_mail(*address, &domain.name)));
    }
    text.push_str(&format!("\n{} status shows how it is doing; Ctrl-C stops it.\n", program()));
    text
}

/// This program as a person in the working folder would call it: by its name where the shell finds it.
pub(crate) fn program() -> String {
    let (Ok(program), Ok(folder)) = (env::current_exe(), env::current_dir()) else {
        return "stagepost".to_owned();
    };
    let found = |path: OsString| env::split_paths(&path).any(|one| program.parent() == Some(&one));
    match program.file_name().and_then(OsStr::to_str) {
        Some(name) if env::var_os("PATH").is_some_and(found) => name.to_owned(),
        _ => shown(program.strip_prefix(folder).unwrap_or(&program)),
    }
}

/// A command for any shell. curl sends what it is given: the lines end in CRLF already.
pub(crate) fn first_mail(address: SocketAddr, domain: &str) -> String {
    format!(
        "printf 'From: you@{domain}\\r\\nTo: you@{domain}\\r\\nSubject: A first mail\\r\\n\\r\\nHello.\\r\\n' | \
         curl -sS --url smtp://{address}/client.{domain} --mail-from you@{domain} --mail-rcpt you@{domain} --upload-file -"
    )
}

/// A relative path begins with ./ so that it reads as a path.
fn shown(path: &Path) -> String {
    if path.is_absolute() { path.display().to_string() } else { format!("./{}", path.display()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_to_send_and_where_to_look() {
        let settings = crate::config::development().unwrap();
        let text = text(&settings, &["127.0.0.1:2525".parse().unwrap()]);
        for wanted in [
            "  SMTP          127.0.0.1:2525\n",
            "  admin socket  ./var/admin.sock\n",
            "  mail          ./var/mail/example.test/you/new\n",
            "curl -sS --url smtp://127.0.0.1:2525/client.example.test --mail-from you@example.test",
        ] {
            assert!(text.contains(wanted), "{wanted:?} in {text}");
        }
    }
}
