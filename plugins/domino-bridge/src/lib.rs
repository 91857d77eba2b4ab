//! domino-bridge: SMTP add-ins written for Domino's Extension Manager, as one plug-in among others.
//! Holds what the four events of add-ins have to do with the host's; how add-ins come in and are called stands in files of its own.
//!
//! Unsafe code is where add-ins' pointers cross: `linker`, `arguments` and `api` (docs/decisions/010).

#[allow(unsafe_code, reason = "add-ins give and take pointers here")]
mod api;
#[allow(unsafe_code, reason = "add-ins are called here")]
mod arguments;
mod bridge;
mod environment;
mod events;
mod file;
mod handles;
#[allow(unsafe_code, reason = "code of others is loaded here")]
mod linker;
mod names;
mod note;
mod registry;
mod reply;
mod seat;
mod section;
mod start;
mod status;
mod threads;
mod visit;

use bridge::Bridge;
use registry::{AFTER, BEFORE, COMMAND, CONNECT, MESSAGE_ACCEPT};
use section::Section;
use stagepost_sdk::{
    AfterEdits, AsyncPlugin, Command, Config, Connect, Disconnect, Edits, Fault, Host, Level,
    MessageAccept, Outcome, Pending, Plugin, Stages, StartError, export_plugin, stage,
};

/// The plug-in.
struct DominoBridge(&'static Bridge);

impl Plugin for DominoBridge {
    fn start(host: Host) -> Result<Self, StartError> {
        start::start(host).map(Self)
    }

    /// Stages of which no add-in wants to hear; what a session has to keep begins with connect and ends with disconnect.
    fn unused(&self) -> Stages {
        let quiet = |event, at| self.0.registry.chain(event, at).is_empty();
        let message = [BEFORE, AFTER].iter().all(|at| quiet(MESSAGE_ACCEPT, *at));
        let unused = [
            (quiet(CONNECT, AFTER), stage::after_connect),
            (quiet(COMMAND, BEFORE), stage::before_command),
            (quiet(COMMAND, AFTER), stage::after_command),
            (message, stage::before_message_accept),
            (message, stage::after_message_accept),
        ];
        let none = Stages::all(&[]);
        Stages::all(&unused.map(|(is, stage)| if is { stage } else { none }))
    }

    fn after_connect(&self, event: &Connect<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        events::connect::after(self.0, event, edits)
    }

    fn after_command(&self, event: &Command<'_>, edits: &mut AfterEdits<'_>) -> Result<(), Fault> {
        events::command::after(self.0, event, edits)
    }

    fn after_message_accept(
        &self,
        event: &MessageAccept<'_>,
        edits: &mut AfterEdits<'_>,
    ) -> Result<(), Fault> {
        events::message::after(self.0, event, edits)
    }

    fn before_disconnect(&self, event: &Disconnect<'_>) -> Result<(), Fault> {
        events::leave(self.0, &event.session)
    }

    fn before_config(&self, section: &Config) -> Result<(), Fault> {
        let read = Section::read(section)?;
        let list = if read.addins.is_empty() { &self.0.add_ins } else { &read.addins };
        Ok(read.check_names(section, list)?)
    }

    fn after_config(&self, section: &Config) -> Result<(), Fault> {
        let section = Section::read(section)?;
        if section.addins != self.0.settings().addins {
            self.0.host.log(
                Level::Warn,
                "another list of add-ins is in force when the server starts again",
            );
        }
        self.0.follow(section);
        Ok(())
    }

    fn before_stop(&self) -> Result<(), Fault> {
        visit::terminate(self.0);
        Ok(())
    }
}

impl AsyncPlugin for DominoBridge {
    async fn before_connect(
        &self,
        event: &Connect<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        events::connect::before(self.0, event, edits, call).await
    }

    async fn before_command(
        &self,
        event: &Command<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        events::command::before(self.0, event, edits, call).await
    }

    async fn before_message_accept(
        &self,
        event: &MessageAccept<'_>,
        edits: &mut Edits<'_>,
        call: &Pending,
    ) -> Outcome {
        events::message::before(self.0, event, edits, call).await
    }
}

export_plugin! {
    type = DominoBridge,
    name = "domino-bridge",
    version = env!("CARGO_PKG_VERSION"),
    class = blocking,
    stages = [
        after_connect,
        after_command,
        after_message_accept,
        before_disconnect,
        before_config,
        after_config,
        before_stop,
    ],
    async_stages = [before_connect, before_command, before_message_accept],
    edits = [
        verdict,
        reply_text,
        reply_code,
        attribute,
        header,
        body,
        sender,
        recipient,
        hold,
        command,
    ],
}
