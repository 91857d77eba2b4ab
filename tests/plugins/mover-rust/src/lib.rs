//! Does what `XMAIL count|hold|release|flush DESTINATION` says with the mail that waits, without a thread that waits.
//! Knows no host.

use stagepost_sdk::{
    Answer, AsyncPlugin, Command, Edits, Host, Outcome, Pending, Plugin, Queue, StartError,
    export_plugin,
};

struct Mover {
    queue: Queue,
}

impl Plugin for Mover {
    fn start(host: Host) -> Result<Self, StartError> {
        Ok(Self { queue: host.queue() })
    }
}

impl AsyncPlugin for Mover {
    async fn before_command(
        &self,
        event: &Command<'_>,
        _: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        let line = String::from_utf8_lossy(event.line);
        let mut words = line.split(' ');
        let (Some("XMAIL"), Some(what), Some(destination)) =
            (words.next(), words.next(), words.next())
        else {
            return Ok(Answer::Continue);
        };
        let queue = &self.queue;
        let text = match what {
            "count" => {
                let count = queue.count(call, destination).await?;
                format!("{} {} {}", count.queued, count.held, count.octets)
            }
            "hold" => queue.hold(call, destination, "asked for").await?.to_string(),
            "release" => queue.release(call, destination).await?.to_string(),
            _ => queue.flush(call, destination).await?.to_string(),
        };
        Ok(Answer::handled(250, "2.0.0", text))
    }
}

export_plugin! {
    type = Mover,
    name = "mover-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [],
    async_stages = [before_command],
    edits = [verdict, queue],
}
