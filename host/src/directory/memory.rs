//! What was said about addresses, for as long as it is taken for true; and who else asks meanwhile waits for the same answer.
//! Knows no directory.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// The most addresses that are asked about at once; one more is trouble.
const COMING_MAX: usize = 20_000;
/// How long trouble is remembered: long enough that whoever asked is told, and no longer.
pub(super) const TROUBLE_KEPT: Duration = Duration::from_secs(2);

/// Answers by what was asked. Any thread.
#[derive(Debug)]
pub(super) struct Memory<V> {
    state: Mutex<State<V>>,
    /// How many are in `young` at most.
    generation: usize,
    /// What is said when nobody could be asked.
    trouble: V,
}

/// Two generations: what is in the old one and asked for again is young; when the young one is full the old one is forgotten.
#[derive(Debug)]
struct State<V> {
    young: Answers<V>,
    old: Answers<V>,
    coming: HashMap<Box<str>, watch::Receiver<Option<V>>>,
}

type Answers<V> = HashMap<Box<str>, (V, Instant)>;

impl<V: Clone + Send + Sync + 'static> Memory<V> {
    /// Remembers up to `most` answers. `trouble`: what is said when nobody could be asked.
    pub(super) fn new(most: usize, trouble: V) -> Self {
        let state = State { young: HashMap::new(), old: HashMap::new(), coming: HashMap::new() };
        Self { state: Mutex::new(state), generation: (most / 2).max(1), trouble }
    }

    /// What is remembered.
    pub(super) fn get(&self, key: &str) -> Option<V> {
        self.lock().get(key, self.generation, Instant::now())
    }

    /// What is remembered, or what is found now and for how long it is true. Inside a tokio runtime; goes on when nobody waits.
    pub(super) async fn get_or_find<F>(self: &Arc<Self>, key: &str, find: impl FnOnce() -> F) -> V
    where
        F: Future<Output = (V, Duration)> + Send + 'static,
    {
        let mut coming = {
            let mut state = self.lock();
            if let Some(known) = state.get(key, self.generation, Instant::now()) {
                return known;
            }
            match state.coming.get(key) {
                Some(coming) => coming.clone(),
                None if state.coming.len() >= COMING_MAX => {
                    drop(state);
                    return self.keep(key, self.trouble.clone(), TROUBLE_KEPT);
                }
                None => {
                    let (tell, coming) = watch::channel(None);
                    state.coming.insert(key.into(), coming.clone());
                    let asking = Asking { memory: self.clone(), key: key.into(), tell };
                    tokio::spawn(asking.find(find()));
                    coming
                }
            }
        };
        let found = coming.wait_for(Option::is_some).await;
        found.ok().and_then(|found| found.clone()).unwrap_or_else(|| self.trouble.clone())
    }

    /// Forgets all.
    pub(super) fn forget(&self) {
        let mut state = self.lock();
        state.young.clear();
        state.old.clear();
    }

    /// Remembers an answer for some time, and gives it back.
    pub(super) fn keep(&self, key: &str, value: V, time: Duration) -> V {
        let until = Instant::now() + time;
        self.lock().put(key.into(), (value.clone(), until), self.generation);
        value
    }

    fn lock(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Clone> State<V> {
    fn get(&mut self, key: &str, generation: usize, now: Instant) -> Option<V> {
        if let Some((value, until)) = self.young.get(key) {
            return (*until > now).then(|| value.clone());
        }
        let (key, kept) = self.old.remove_entry(key).filter(|(_, (_, until))| *until > now)?;
        let value = kept.0.clone();
        self.put(key, kept, generation);
        Some(value)
    }

    fn put(&mut self, key: Box<str>, kept: (V, Instant), generation: usize) {
        if self.young.len() >= generation && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, kept);
    }
}

/// A question under way. However it ends, whoever waits is told.
struct Asking<V: Clone + Send + Sync + 'static> {
    memory: Arc<Memory<V>>,
    key: Box<str>,
    tell: watch::Sender<Option<V>>,
}

impl<V: Clone + Send + Sync + 'static> Asking<V> {
    async fn find(self, finding: impl Future<Output = (V, Duration)>) {
        let (value, time) = finding.await;
        let kept = self.memory.keep(&self.key, value, time);
        self.tell.send_replace(Some(kept));
    }
}

impl<V: Clone + Send + Sync + 'static> Drop for Asking<V> {
    fn drop(&mut self) {
        // It panicked, or the server ends.
        if self.tell.borrow().is_none() {
            self.memory.keep(&self.key, self.memory.trouble.clone(), TROUBLE_KEPT);
        }
        self.memory.lock().coming.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn one_question_is_asked_once() {
        let memory = Arc::new(Memory::new(100, "trouble"));
        let asked = Arc::new(AtomicU32::new(0));
        let (go, gone) = watch::channel(false);
        let find = || {
            let (asked, mut gone) = (asked.clone(), gone.clone());
            async move {
                asked.fetch_add(1, Ordering::Relaxed);
                gone.wait_for(|gone| *gone).await.ok();
                ("found", LONG)
            }
        };
        assert_eq!(memory.get("a"), None);
        let (one, two) = (memory.get_or_find("a", find), memory.get_or_find("a", find));
        let go = async { go.send_replace(true) };
        let (one, two, _) = tokio::join!(one, two, go);
        assert_eq!((one, two, memory.get("a")), ("found", "found", Some("found")));
        assert_eq!(memory.get_or_find("a", find).await, "found");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        memory.forget();
        assert_eq!(memory.get("a"), None);
    }

    #[tokio::test]
    async fn what_panics_is_trouble_and_is_remembered_as_that() {
        let memory = Arc::new(Memory::new(100, "trouble"));
        let panics = || async { panic!("a look-up that fails") };
        assert_eq!(memory.get_or_find("a", panics).await, "trouble");
        assert_eq!(memory.get("a"), Some("trouble"));
        let time = Duration::ZERO;
        assert_eq!(memory.get_or_find("b", || async move { ("b", time) }).await, "b");
        assert_eq!(memory.get("b"), None);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_is_asked_for_stays() {
        let memory = Memory::new(20, 0);
        memory.keep("often", 1, LONG);
        for number in 0..1000 {
            memory.keep(&format!("once-{number}"), 2, LONG);
            assert_eq!(memory.get("often"), Some(1), "{number}");
            let state = memory.lock();
            assert!(state.young.len() + state.old.len() <= 21, "{number}");
        }
        assert_eq!(memory.get("once-1"), None);
    }
}
