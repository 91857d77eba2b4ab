//! A bad plug-in in Rust: panics while it starts, at MAIL, after MAIL or when it is dropped, as `panic_at` says.
//! Knows no host.

use stagepost_sdk::{
    AfterEdits, Answer, Edits, Fault, Host, Mail, Outcome, Plugin, StartError, export_plugin,
};

struct Panicking {
    at: &'static str,
}

impl Panicking {
    fn reach(&self, place: &str) {
        assert!(self.at != place, "as configured: {place}");
    }
}

impl Plugin for Panicking {
    fn start(host: Host) -> Result<Self, StartError> {
        let at = host.config().text("panic_at")?.unwrap_or("before_mail");
        let panicking = Self { at };
        panicking.reach("start");
        Ok(panicking)
    }

    fn before_mail(&self, _: &Mail<'_>, _: &mut Edits<'_>) -> Outcome {
        self.reach("before_mail");
        Ok(Answer::Continue)
    }

    fn after_mail(&self, _: &Mail<'_>, _: &mut AfterEdits<'_>) -> Result<(), Fault> {
        self.reach("after_mail");
        Ok(())
    }
}

impl Drop for Panicking {
    fn drop(&mut self) {
        self.reach("drop");
    }
}

export_plugin! {
    type = Panicking,
    name = "panicking",
    version = env!("CARGO_PKG_VERSION"),
    class = inline,
    stages = [before_mail, after_mail],
    edits = [],
}
