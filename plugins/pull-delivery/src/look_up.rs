//! The names of a client by the DNS, each of which has the client's address in turn.
//! Knows no rule; every question is bounded in number and time.

use std::net::IpAddr;
use std::time::Duration;

use stagepost_sdk::{Pending, before, together};

use crate::scope::folded;

/// The most names of one address that count: more come of nobody who means well.
const NAMES_MAX: usize = 8;

/// How long a question is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The names of an address that are confirmed, folded. Trouble is no confirmation.
pub(crate) async fn confirmed_names(call: &Pending, address: IpAddr) -> Vec<String> {
    // An operator who gives the call less time than that has it end at its own deadline.
    let _ = call.extend(PATIENCE * 2 + Duration::from_secs(2));
    let question = call.dns().ptr(&address.to_string());
    let Some(Ok(names)) = before(question, call.timer(PATIENCE)).await else {
        return Vec::new();
    };
    let names = names.into_iter().take(NAMES_MAX).map(|name| async move {
        let question = call.dns().has_address(&name, address);
        let confirmed = before(question, call.timer(PATIENCE)).await == Some(Ok(true));
        confirmed.then(|| folded(&name))
    });
    together(names).await.into_iter().flatten().collect()
}
