//! What came of the last call of each connection, kept beyond the process.
//! Knows no call and no schedule; what can't be kept or read is told, and nothing depends on it.

use serde::{Deserialize, Serialize};
use stagepost_sdk::{Host, Level, State};

use crate::peer::Last;

/// What the keys begin with; the name of the connection follows.
const PREFIX: &str = "last/";
/// A text is kept up to so many octets, and the server's replies up to so many of them.
const TEXT_OCTETS_MAX: usize = 500;
const REPLIES_MAX: usize = 20;

/// A connection as it was left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) last: Last,
    /// Calls in a row that came to nothing.
    pub(crate) failures: u32,
}

/// Keeps what came of a call. Waits for the disk.
pub(crate) fn keep(host: Host, name: &str, kept: &Kept) {
    let Some(state) = host.state() else { return };
    let made = serde_json::to_vec(&bounded(kept.clone())).map_err(|error| error.to_string());
    let put = |value: Vec<u8>| {
        state.put_wait(key(name).as_bytes(), &value).map_err(|refusal| refusal.to_string())
    };
    if let Err(error) = made.and_then(put) {
        let line = format_args!("connection {name}: what came of the call can't be kept: {error}");
        host.log(Level::Error, line);
    }
}

/// All that is kept, by the names of the connections. Waits for the disk.
pub(crate) fn recall(host: Host) -> Vec<(String, Kept)> {
    let Some(state) = host.state() else { return Vec::new() };
    let mut all = Vec::new();
    let mut after = Vec::new();
    loop {
        match next(&state, &after) {
            Ok(Some((key, name, kept))) => {
                all.extend(kept.map(|kept| (name, kept)));
                after = key;
            }
            Ok(None) => return all,
            Err(error) => {
                let line = format_args!("what came of calls before can't be read: {error}");
                host.log(Level::Error, line);
                return all;
            }
        }
    }
}

/// Forgets a connection that there is no more. Waits for the disk.
pub(crate) fn forget(host: Host, name: &str) {
    let Some(state) = host.state() else { return };
    if let Err(refusal) = state.remove_wait(key(name).as_bytes()) {
        host.log(Level::Error, format_args!("connection {name} can't be forgotten: {refusal}"));
    }
}

/// A key behind another one, the connection that it is of, and what is kept of that: nothing that can be read, if an other
/// version of the plug-in has written it.
type Found = (Vec<u8>, String, Option<Kept>);

fn next(state: &State, after: &[u8]) -> Result<Option<Found>, stagepost_sdk::Refusal> {
    let Some(key) = state.next_wait(PREFIX.as_bytes(), after)? else { return Ok(None) };
    let value = state.get_wait(&key)?;
    let kept = value.and_then(|value| serde_json::from_slice(&value).ok());
    let name = String::from_utf8_lossy(&key[PREFIX.len().min(key.len())..]).into_owned();
    Ok(Some((key, name, kept)))
}

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// As much as is kept.
fn bounded(mut kept: Kept) -> Kept {
    let done = &mut kept.last.done;
    done.replies.truncate(REPLIES_MAX);
    for text in done.replies.iter_mut().chain(&mut kept.last.error) {
        text.truncate(text.floor_char_boundary(TEXT_OCTETS_MAX));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Done;
    use crate::peer::Reason;

    /// However much a server says, it fits into a value: each octet is six at most when it is written down.
    #[test]
    fn what_is_kept_is_bounded_and_comes_back() {
        let (long, replies) = ("\u{1}".repeat(5000), vec!["\u{1}".repeat(5000); 100]);
        let done = Done { pushed: 3, delivered: 2, received: 1, promised: Some(7), replies };
        let at = "2026-11-23T12:00:00Z".parse().unwrap();
        let last = Last { at, reason: Reason::LowPriority, error: Some(long), done };
        let kept = bounded(Kept { last, failures: 4 });
        let written = serde_json::to_vec(&kept).unwrap();
        assert!(written.len() <= 65_536, "{}", written.len());
        assert_eq!(serde_json::from_slice::<Kept>(&written).unwrap(), kept);
        assert_eq!((kept.last.done.replies.len(), kept.last.done.replies[0].len()), (20, 500));
    }
}
