//! Start and reload with plug-ins whose handlers do not return in time.
//! Time is the test's own.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Condvar, Mutex};

use super::*;
use crate::dispatch::tests::Rig;
use crate::plugin::Run;
use crate::trace::{Trace, TraceFilter, Traced};

/// Where handlers wait until the test lets them go.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    inside: AtomicUsize,
    calls: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.inside.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        drop(self.changed.wait_while(open, |open| !*open).unwrap());
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn inside(&self) -> usize {
        self.inside.load(Ordering::SeqCst)
    }
}

/// A plug-in that waits at the gate, before and after an event.
fn waiting(rig: &mut Rig, name: &str, event: abi::EID, gate: &Arc<Gate>) -> &'static Host {
    let gate = gate.clone();
    rig.plugin(name, Run::Pool).on(event, abi::EM_REG_BEFORE | abi::EM_REG_AFTER, move |_| {
        gate.pass();
        abi::ERR_EM_CONTINUE
    });
    rig.host()
}

fn section(plugin: &str, value: i64) -> NewSection {
    let json = serde_json::json!({ "value": value });
    NewSection {
        plugin: plugin.to_owned(),
        section: Section::new("test", json, BTreeMap::default()),
    }
}

async fn until(reached: impl Fn() -> bool) {
    while !reached() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_plug_in_whose_config_call_is_out_is_asked_no_more_until_it_is_back() {
    let (mut rig, slow, quick) =
        (Rig::default(), Arc::new(Gate::default()), Arc::new(Gate::default()));
    quick.open();
    let first = waiting(&mut rig, "slow", abi::EM_CONFIG, &slow);
    let plugins = [first, waiting(&mut rig, "quick", abi::EM_CONFIG, &quick)];
    let both = || vec![section("slow", 1), section("quick", 1)];
    let reloading = tokio::spawn(async move { reload(&plugins, both()).await });
    until(|| slow.inside() == 1).await;
    tokio::time::advance(CONFIG_MAX).await;
    let late = Err(ReloadError::Late { plugin: "slow".to_owned() });
    assert_eq!(reloading.await.unwrap(), late);

    let out = Err(ReloadError::Out { plugin: "slow".to_owned() });
    assert_eq!(reload(&plugins, both()).await, out);
    let others = reload(&plugins, vec![section("quick", 2)]).await.unwrap();
    assert_eq!(others.changed, ["quick"]);
    let own = section_in_force(first);
    let same = reload(&plugins, vec![own, section("quick", 2)]).await.unwrap();
    assert_eq!(same.changed, Vec::<String>::new());
    assert_eq!((slow.inside(), slow.calls.load(Ordering::SeqCst)), (1, 1));
    // Asked and told twice: with another section and with the same, not by the reload that failed before its turn.
    assert_eq!(quick.calls.load(Ordering::SeqCst), 4);

    slow.open();
    until(|| !first.config_out.load(Ordering::Acquire)).await;
    assert_eq!(reload(&plugins, both()).await.unwrap().changed, ["slow", "quick"]);
    assert_eq!(slow.calls.load(Ordering::SeqCst), 3);
}

/// Calls of a plug-in's own life are shown, of no session; what refuses says so.
#[tokio::test]
async fn calls_of_a_life_are_traced() {
    let mut rig = Rig::default();
    let both = abi::EM_REG_BEFORE | abi::EM_REG_AFTER;
    rig.plugin("lively", Run::Inline).on(abi::EM_CONFIG, both, |_| abi::ERR_EM_CONTINUE);
    rig.on(abi::EM_START, abi::EM_REG_BEFORE, |_| abi::ERR_NOT_FOUND);
    rig.on(abi::EM_STOP, abi::EM_REG_BEFORE, |_| abi::EM_FAULT);
    let host = rig.host();
    let filter = TraceFilter { session: None, plugin: Some("lively".to_owned()) };
    let mut trace = Trace::begin(filter).unwrap();
    let mut of_sessions =
        Trace::begin(TraceFilter { session: Some(0), plugin: Some("lively".to_owned()) }).unwrap();
    reload(&[host], vec![section("lively", 1)]).await.unwrap();
    ask_to_start(host, Duration::from_secs(300)).await.unwrap_err();
    stop(&[host]).await;
    let mut shown = Vec::new();
    for _ in 0..4 {
        let Traced::Call(call) = trace.next().await else { panic!("some were lost") };
        assert!(call.session.is_none() && call.took.is_some(), "{call:?}");
        let words = call.words.as_deref().unwrap_or("-");
        shown.push(format!("{} {} {} {words}", call.stage.name(), call.event, call.answer));
    }
    let wanted = [
        "before config continue -",
        "after config continue -",
        "before start refuse status 0x0404",
        "before stop fault status 0x3303",
    ];
    assert_eq!(shown, wanted);
    let other = tokio::time::timeout(Duration::ZERO, of_sessions.next()).await;
    assert!(other.is_err(), "{other:?}");
}

/// The section that a plug-in has: nothing new for it.
fn section_in_force(host: &'static Host) -> NewSection {
    NewSection { plugin: host.name.to_string(), section: host.configured().section.clone() }
}

#[tokio::test(start_paused = true)]
async fn a_start_waits_for_a_bounded_time() {
    let (mut rig, gate) = (Rig::default(), Arc::new(Gate::default()));
    let host = waiting(&mut rig, "slow", abi::EM_START, &gate);
    let deadline = Duration::from_secs(300);
    for before in [true, false] {
        let starting = tokio::spawn(async move {
            if before {
                return ask_to_start(host, deadline).await;
            }
            tell_started(host, deadline).await;
            Ok(())
        });
        let inside = if before { 1 } else { 2 };
        until(|| gate.inside() == inside).await;
        tokio::time::advance(deadline - Duration::from_secs(1)).await;
        tokio::task::yield_now().await;
        assert!(!starting.is_finished());
        tokio::time::advance(START_NAMED).await;
        assert_eq!(starting.await.unwrap(), if before { Err(NoStart::Late) } else { Ok(()) });
    }
    gate.open();
    assert_eq!(ask_to_start(host, deadline).await, Ok(()));
}
