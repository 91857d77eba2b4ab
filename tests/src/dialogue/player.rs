//! Plays a script on a server, however that is reached.
//! Knows the order of the steps; a `Player` knows the server.

use std::time::Duration;

use stagepost_smtp::{BodyFault, Event, Route, Stage, Stored, Verdict, Verified};

use super::script::{Need, Script, Step, StoredMessage};

/// A server and a connection to it.
///
/// Methods that set an answer up are called only when [`Player::can`] says yes to the need; those that look into
/// the server (`expect_*`) may let everything pass where nothing can be seen.
pub trait Player {
    /// Whether the player can do this for a script.
    fn can(&self, need: Need) -> bool;
    /// Sends octets in one piece.
    fn send(&mut self, octets: &[u8]) -> Result<(), Mismatch>;
    /// The next reply line, without its CRLF.
    fn reply_line(&mut self) -> Result<String, Mismatch>;
    /// Expects that the server closes, with nothing said before.
    fn expect_close(&mut self) -> Result<(), Mismatch>;
    /// Closes the connection.
    fn hang_up(&mut self) -> Result<(), Mismatch>;
    /// Makes the TLS handshake; with `fails`, sends something else in its place.
    fn handshake(&mut self, fails: bool) -> Result<(), Mismatch>;
    /// Lets time pass.
    fn pass(&mut self, time: Duration) -> Result<(), Mismatch>;
    /// Tells the server to stop.
    fn shut_down(&mut self) -> Result<(), Mismatch>;
    /// Answers the next question of this kind so.
    fn verdict(&mut self, stage: Stage, event: Event, verdict: Verdict);
    /// Answers so when this recipient's route is asked for.
    fn route(&mut self, recipient: &str, route: Route);
    /// Answers so when the next message is to be stored.
    fn stored(&mut self, stored: Stored);
    /// Answers so when somebody is to log in next.
    fn verified(&mut self, verified: Verified);
    /// Answers so when the next octets are lent.
    fn taken(&mut self, fault: BodyFault);
    /// Expects that exactly these questions were put since the last call.
    fn expect_asked(&mut self, questions: &[(Stage, Event)]) -> Result<(), Mismatch>;
    /// Expects that this message was stored, and no other since the last call.
    fn expect_message(&mut self, message: &StoredMessage) -> Result<(), Mismatch>;
    /// Expects that lent octets were called back.
    fn expect_abandoned(&mut self) -> Result<(), Mismatch>;
    /// Expects that the connection was reversed, and mail of these destinations sent over it.
    fn expect_reversed(&mut self, destinations: &[String]) -> Result<(), Mismatch>;
    /// Expects that the replies since the last `send` came in so many writes.
    fn expect_writes(&mut self, writes: usize) -> Result<(), Mismatch>;
    /// Expects that nothing is left that no step named.
    fn finish(&mut self) -> Result<(), Mismatch>;
}

/// What came is not what the script says.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(pub String);

/// Where and how a script failed.
#[derive(Debug, thiserror::Error)]
#[error("{script}:{line}: {mismatch}")]
pub struct PlayError {
    /// The script's name.
    pub script: String,
    /// The line of the step.
    pub line: usize,
    /// What happened instead.
    pub mismatch: Mismatch,
}

/// What playing a script came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Played {
    /// Every step went as it says.
    Passed,
    /// The player can't do what the script needs.
    Skipped(Vec<Need>),
}

/// Plays a script from its first step to its last.
///
/// # Errors
/// The step that did not go as the script says.
pub fn play(script: &Script, player: &mut dyn Player) -> Result<Played, PlayError> {
    let mut missing = script.needs();
    missing.retain(|&need| !player.can(need));
    if !missing.is_empty() {
        return Ok(Played::Skipped(missing));
    }
    let fault = |line, mismatch| PlayError { script: script.name.clone(), line, mismatch };
    let mut line = 0;
    for numbered in &script.steps {
        line = numbered.line;
        carry_out(&numbered.step, player).map_err(|mismatch| fault(line, mismatch))?;
    }
    player.finish().map_err(|mismatch| fault(line, mismatch))?;
    Ok(Played::Passed)
}

fn carry_out(step: &Step, player: &mut dyn Player) -> Result<(), Mismatch> {
    match step {
        Step::Send(octets) => player.send(octets)?,
        Step::Line(pattern) => {
            let line = player.reply_line()?;
            if !pattern.matches(&line) {
                let wanted = pattern.as_str();
                return Err(Mismatch(format!("wanted {wanted:?}, got {line:?}")));
            }
        }
        Step::Reply(code) => expect_reply(*code, player)?,
        Step::Close => player.expect_close()?,
        Step::Hangup => player.hang_up()?,
        Step::Tls => player.handshake(false)?,
        Step::TlsFails => player.handshake(true)?,
        Step::Time(time) => player.pass(*time)?,
        Step::Shutdown => player.shut_down()?,
        Step::Verdict(stage, event, verdict) => player.verdict(*stage, *event, verdict.clone()),
        Step::Asked(questions) => player.expect_asked(questions)?,
        Step::Route(recipient, route) => player.route(recipient, *route),
        Step::Stored(stored) => player.stored(stored.clone()),
        Step::Verified(verified) => player.verified(verified.clone()),
        Step::Taken(fault) => player.taken(*fault),
        Step::Message(message) => player.expect_message(message)?,
        Step::Abandoned => player.expect_abandoned()?,
        Step::Reversed(destinations) => player.expect_reversed(destinations)?,
        Step::Writes(writes) => player.expect_writes(*writes)?,
    }
    Ok(())
}

/// RFC 5321 section 4.2.1: all lines of a reply have its code, and a hyphen behind it but in the last.
fn expect_reply(code: u16, player: &mut dyn Player) -> Result<(), Mismatch> {
    loop {
        let line = player.reply_line()?;
        if line.starts_with(&format!("{code} ")) {
            return Ok(());
        }
        if !line.starts_with(&format!("{code}-")) {
            return Err(Mismatch(format!("wanted a reply {code}, got {line:?}")));
        }
    }
}
