//! What calls in line take from the heap: nothing, unless there is something to keep. Counts; a clock would not tell on a
//! busy machine.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::*;

thread_local! {
    /// Each test has a thread of its own.
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

/// The system's heap, with a count of what was taken from it.
struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;

// SAFETY: all of it is the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.set(TAKEN.get() + 1);
        // SAFETY: by the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: by the caller's promise.
        unsafe { System.dealloc(place, layout) };
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.set(TAKEN.get() + 1);
        // SAFETY: by the caller's promise.
        unsafe { System.realloc(place, layout, size) }
    }
}

/// How often asking takes from the heap.
fn taken(dispatch: &Dispatch, ask: Ask) -> usize {
    let ask = Arc::new(ask);
    let before = TAKEN.get();
    now(dispatch.ask(ask));
    TAKEN.get() - before
}

#[test]
fn calls_that_come_to_nothing_take_nothing_from_the_heap() {
    let mut rig = Rig::default();
    for name in ["a", "b", "c", "d", "e"] {
        rig.plugin(name, Run::Inline);
        for event in [abi::EM_SMTPCOMMAND, abi::EM_SMTPMAIL, abi::EM_SMTPMESSAGEACCEPT] {
            let flags = abi::EM_REG_BEFORE | abi::EM_REG_AFTER;
            rig.on(event, flags, |_| abi::ERR_EM_CONTINUE);
        }
    }
    let dispatch = rig.dispatch();
    let command =
        || ask(Question::Command { line: b"MAIL FROM:<>"[..].into() }, Stage::Before, None);
    let ok = Reply::new(250, None, "Ok");
    let after = || Ask { stage: Stage::After, reply: Some(ok.clone()), ..mail() };
    // A thread's first call in line gives it its cell for the watchdog.
    taken(&dispatch, mail());
    for question in [command(), mail(), after(), accept()] {
        let (event, stage) = (question.question.event(), question.stage);
        assert_eq!(taken(&dispatch, question), 0, "{event:?} {stage:?}");
    }
}

#[test]
fn an_edit_is_kept_on_the_heap() {
    let mut rig = Rig::default();
    rig.plugin("p", Run::Inline).on(abi::EM_SMTPMAIL, abi::EM_REG_BEFORE, |record| {
        let edits: &abi::EmEditsService = service(abi::EM_EDITS_ID);
        // SAFETY: the sheet is this call's.
        let held = unsafe { (edits.hold)(sheet(record), lend("why")) };
        if held == abi::NOERROR { abi::ERR_EM_CONTINUE } else { abi::EM_FAULT }
    });
    assert!(taken(&rig.dispatch(), mail()) > 0);
}
