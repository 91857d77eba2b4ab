//! Asks another server about each recipient, on no thread of its own: it must know the name by VRFY, and is given what waits
//! for a domain. Knows no host.

use std::time::Duration;

use stagepost_sdk::{
    Answer, AsyncPlugin, Edits, Host, Level, OutboundError, OutboundState, OutboundTls, Outcome,
    Pending, Plugin, Rcpt, Reversal, StartError, Target, export_plugin,
};

struct Caller {
    host: Host,
    port: u16,
}

impl Plugin for Caller {
    fn start(host: Host) -> Result<Self, StartError> {
        let port = host.config().integer("port")?.unwrap_or_default();
        Ok(Self { host, port: u16::try_from(port).map_err(StartError::failed)? })
    }
}

impl Caller {
    /// What the other server says, and whether mail was taken.
    async fn ask(&self, call: &Pending, name: &str) -> Result<String, OutboundError> {
        let target = Target {
            host: "127.0.0.1",
            port: self.port,
            tls: OutboundTls::None,
            implicit: false,
            deadline: Duration::from_secs(30),
        };
        let session = self.host.outbound(&target)?;
        session.open(call).await?;
        if session.keyword("auth").is_some_and(|mechanisms| mechanisms.contains("CRAM-MD5")) {
            session.auth(call, "tim", "tanstaaftanstaaf", true).await?;
        }
        let known = session.command(call, &format!("VRFY {name}")).await?;
        session.push(call, "waiting.test").await?;
        let refused = session.reverse(call, &Reversal::default()).await;
        let progress = session.progress();
        let remote = session.remote();
        assert_eq!(progress.state, OutboundState::Ready);
        session.quit(call).await?;
        let refused = refused.err().map_or_else(|| "reversed".to_owned(), |why| why.to_string());
        Ok(format!("{known} / {} of {} / {refused} / {remote}", progress.done, progress.pushed))
    }
}

impl AsyncPlugin for Caller {
    async fn before_rcpt(&self, event: &Rcpt<'_>, _: &mut Edits<'_>, call: &Pending) -> Outcome {
        let name = event.recipient.split('@').next().unwrap_or_default();
        if name == "direct" {
            return Ok(Answer::Continue);
        }
        call.extend(Duration::from_secs(20))?;
        match self.ask(call, name).await {
            Ok(said) => {
                self.host.log(Level::Info, format_args!("asked: {said}"));
                Ok(Answer::Continue)
            }
            Err(error) => {
                self.host.log(Level::Info, format_args!("not asked: {error}"));
                Ok(Answer::defer(450, "4.4.1", "Nobody knows"))
            }
        }
    }
}

export_plugin! {
    type = Caller,
    name = "caller-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [],
    async_stages = [before_rcpt],
    edits = [verdict, outbound, queue],
}
