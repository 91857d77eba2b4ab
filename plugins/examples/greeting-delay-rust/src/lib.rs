//! Lets every client wait `delay_ms` milliseconds (default 5,000) for the greeting, and holds no thread for it. Senders in a
//! hurry leave, or talk before their turn and are refused for it.

use std::time::Duration;

use stagepost_sdk::{
    Answer, AsyncPlugin, Connect, Edits, Host, Outcome, Pending, Plugin, StartError, export_plugin,
};

/// What the answer itself may take.
const GRACE: Duration = Duration::from_secs(1);

struct GreetingDelay {
    delay: Duration,
}

impl Plugin for GreetingDelay {
    fn start(host: Host) -> Result<Self, StartError> {
        let config = host.config();
        match config.integer("delay_ms")?.unwrap_or(5000) {
            delay @ 0..=600_000 => Ok(Self { delay: Duration::from_millis(delay.unsigned_abs()) }),
            _ => Err(config.error("delay_ms", "must be 0 to 600000").into()),
        }
    }
}

impl AsyncPlugin for GreetingDelay {
    async fn before_connect(&self, _: &Connect<'_>, _: &mut Edits<'_>, call: &Pending) -> Outcome {
        call.extend(self.delay + GRACE)?;
        call.timer(self.delay).await?;
        Ok(Answer::Continue)
    }
}

export_plugin! {
    type = GreetingDelay,
    name = "greeting-delay-rust",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [],
    async_stages = [before_connect],
    edits = [],
}
