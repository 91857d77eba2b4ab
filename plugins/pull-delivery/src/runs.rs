//! Runs: what waits for a destination is made due, one run for each destination at a time, on threads of its own.
//! Knows no queue: what a run does is given to it. A run goes on when the client that asked for it is gone.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::scope::Scope;

/// How many runs are carried out at once; others wait their turn.
const THREADS_MAX: usize = 4;

/// The runs that wait and those under way. Any thread.
#[derive(Clone)]
pub(crate) struct Runs {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// There is more to do.
    more: Condvar,
    run: Box<dyn Fn(&Scope) + Send + Sync>,
}

#[derive(Default)]
struct State {
    known: HashMap<Scope, Phase>,
    waiting: VecDeque<Scope>,
    threads: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Running,
    /// Asked for while it ran: mail may have come behind it.
    RunningAgain,
}

/// There are as many runs as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Runs {
    /// - run: makes what waits for a destination due.
    pub(crate) fn new(run: impl Fn(&Scope) + Send + Sync + 'static) -> Self {
        let (state, more, run) = (Mutex::default(), Condvar::new(), Box::new(run));
        Self { shared: Arc::new(Shared { state, more, run }) }
    }

    /// Begins the threads that carry runs out, unless there are some: before anybody asks, who need not wait for that.
    pub(crate) fn start(&self) -> io::Result<()> {
        let mut state = self.shared.state();
        while state.threads < THREADS_MAX {
            let shared = Arc::clone(&self.shared);
            let named = thread::Builder::new().name("etrn runs".to_owned());
            named.spawn(move || shared.work())?;
            state.threads += 1;
        }
        Ok(())
    }

    /// Begins a run for each destination, or has the one that is there already include what waits now. How many are new.
    ///
    /// - most: how many there may be that wait or are under way.
    ///
    /// # Errors
    /// No room for all of them, or no thread to be had: none is begun.
    pub(crate) fn begin(&self, scopes: &[Scope], most: usize) -> Result<usize, Full> {
        let mut state = self.shared.state();
        let new = scopes.iter().filter(|scope| !state.known.contains_key(*scope)).count();
        if state.known.len() + new > most || new > 0 && state.threads == 0 {
            return Err(Full);
        }
        for scope in scopes {
            match state.known.entry(scope.clone()) {
                Entry::Occupied(mut known) => known.get_mut().ask_again(),
                Entry::Vacant(unknown) => {
                    unknown.insert(Phase::Waiting);
                    state.waiting.push_back(scope.clone());
                }
            }
        }
        drop(state);
        // Outside the lock, so that nobody who is woken waits for it.
        (0..new.min(THREADS_MAX)).for_each(|_| self.shared.more.notify_one());
        Ok(new)
    }
}

impl Shared {
    /// Carries runs out, as long as the process lasts.
    fn work(&self) {
        let mut state = self.state();
        loop {
            if let Some(scope) = state.next() {
                drop(state);
                (self.run)(&scope);
                state = self.state();
                state.ended(scope);
            } else {
                state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> Option<Scope> {
        let scope = self.waiting.pop_front()?;
        self.known.insert(scope.clone(), Phase::Running);
        Some(scope)
    }

    fn ended(&mut self, scope: Scope) {
        if self.known.get(&scope) == Some(&Phase::RunningAgain) {
            self.known.insert(scope.clone(), Phase::Waiting);
            self.waiting.push_back(scope);
        } else {
            self.known.remove(&scope);
        }
    }
}

impl Phase {
    fn ask_again(&mut self) {
        if *self == Self::Running {
            *self = Self::RunningAgain;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// Runs that each tell their destination, and wait to be let go on.
    fn runs() -> (Runs, Receiver<String>, SyncSender<()>) {
        let (tell, told) = sync_channel(100);
        let (go_on, wait) = sync_channel(100);
        let wait = Mutex::new(wait);
        let runs = Runs::new(move |scope| {
            let _ = tell.send(scope.to_string());
            // The test is over.
            let _ = wait.lock().unwrap().recv();
        });
        runs.start().unwrap();
        (runs, told, go_on)
    }

    fn scopes(texts: &[&str]) -> Vec<Scope> {
        texts.iter().map(|text| Scope::read(text).unwrap()).collect()
    }

    #[test]
    fn a_destination_has_one_run_at_a_time() {
        let (runs, told, go_on) = runs();
        assert_eq!(runs.begin(&scopes(&["a.test"]), 9), Ok(1));
        assert_eq!(told.recv().unwrap(), "a.test");
        // However often it is asked for while it runs, it runs once more.
        for _ in 0..5 {
            assert_eq!(runs.begin(&scopes(&["a.test"]), 9), Ok(0));
        }
        go_on.send(()).unwrap();
        assert_eq!(told.recv().unwrap(), "a.test");
        go_on.send(()).unwrap();
        // Nobody waits any more, so a further one is new.
        while !runs.shared.state().known.is_empty() {
            thread::yield_now();
        }
        assert!(told.try_recv().is_err());
        assert_eq!(runs.begin(&scopes(&["a.test"]), 9), Ok(1));
        assert_eq!(told.recv().unwrap(), "a.test");
        go_on.send(()).unwrap();
    }

    #[test]
    fn without_threads_nothing_is_promised() {
        let runs = Runs::new(|_| ());
        assert_eq!(runs.begin(&scopes(&["a.test"]), 9), Err(Full));
        assert_eq!(runs.begin(&[], 9), Ok(0));
    }

    #[test]
    fn there_are_so_many_runs_and_no_more() {
        let (runs, told, go_on) = runs();
        assert_eq!(runs.begin(&scopes(&["a.test", "b.test"]), 3), Ok(2));
        assert_eq!(runs.begin(&scopes(&["b.test", "c.test", "d.test"]), 3), Err(Full));
        assert_eq!(runs.begin(&scopes(&["b.test", "c.test"]), 3), Ok(1));
        assert_eq!(runs.begin(&scopes(&["d.test"]), 3), Err(Full));
        assert_eq!(runs.begin(&scopes(&["a.test"]), 3), Ok(0));
        for _ in 0..3 {
            go_on.send(()).unwrap();
        }
        let mut ran: Vec<_> = (0..3).map(|_| told.recv().unwrap()).collect();
        ran.sort();
        assert_eq!(ran, ["a.test", "b.test", "c.test"]);
        // One of them may have been asked for while it ran.
        go_on.send(()).unwrap();
    }
}
