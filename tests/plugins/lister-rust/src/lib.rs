//! Refuses clients that are on a list in the DNS, with the text that stands there. `class = blocking` waits on the pool at EHLO
//! too: for an address of the name that the client gives.

use std::net::IpAddr;

use stagepost_sdk::{
    Answer, AsyncPlugin, Connect, DnsError, Edits, Ehlo, Host, Outcome, Pending, Plugin,
    StartError, export_plugin,
};

struct Lister;

impl Plugin for Lister {
    fn start(_: Host) -> Result<Self, StartError> {
        Ok(Self)
    }

    fn before_ehlo(&self, event: &Ehlo<'_>, edits: &mut Edits<'_>) -> Outcome {
        match edits.dns_wait().a(event.name) {
            Ok(_) | Err(DnsError::NoData) => Ok(Answer::Continue),
            Err(DnsError::NoName) => Ok(Answer::reject(550, "", "No such name")),
            Err(DnsError::Trouble) => Ok(Answer::defer(451, "", "Nobody knows your name now")),
            Err(DnsError::Refused(refusal)) => Err(refusal.into()),
        }
    }
}

impl AsyncPlugin for Lister {
    async fn before_connect(
        &self,
        event: &Connect<'_>,
        _: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        let IpAddr::V4(client) = event.remote_ip.parse()? else { return Ok(Answer::Continue) };
        let [a, b, c, d] = client.octets();
        match call.dns().txt(&format!("{d}.{c}.{b}.{a}.list.test")).await {
            Ok(texts) => {
                let text = texts.first().map(|text| String::from_utf8_lossy(text).into_owned());
                Ok(Answer::reject(554, "", text.unwrap_or_default()))
            }
            Err(DnsError::Refused(refusal)) => Err(refusal.into()),
            Err(_) => Ok(Answer::Continue),
        }
    }
}

export_plugin! {
    type = Lister,
    name = "lister-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = blocking,
    stages = [before_ehlo],
    async_stages = [before_connect],
    edits = [verdict],
}
