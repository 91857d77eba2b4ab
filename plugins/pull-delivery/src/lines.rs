//! The connections that are reversed at the moment: so many altogether, and so many of one user, so that each gets its share.
//! Knows no session: whoever holds a line gives it back by dropping it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The lines. Any thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Arc<Mutex<HashMap<Box<str>, u32>>>);

/// One line of a user.
#[derive(Debug)]
pub(crate) struct Line {
    lines: Lines,
    user: Box<str>,
}

/// Why there is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// The user has as many as one may have.
    User,
    /// There are as many as there may be.
    All,
}

impl Lines {
    /// Takes a line for a user.
    ///
    /// - per_user_max: how many one user may have; most: how many there may be.
    ///
    /// # Errors
    /// There is none for them now.
    pub(crate) fn take(&self, user: &str, per_user_max: u32, most: u32) -> Result<Line, Busy> {
        let mut lines = self.lock();
        let of_user = lines.get(user).copied().unwrap_or(0);
        if of_user >= per_user_max {
            return Err(Busy::User);
        }
        if lines.values().sum::<u32>() >= most {
            return Err(Busy::All);
        }
        lines.insert(user.into(), of_user + 1);
        Ok(Line { lines: self.clone(), user: user.into() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        if let Some(count) = lines.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                lines.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_a_share() {
        let lines = Lines::default();
        let take = |user| lines.take(user, 1, 2);
        let a = take("a").unwrap();
        assert_eq!(take("a").unwrap_err(), Busy::User);
        let b = take("b").unwrap();
        assert_eq!(take("c").unwrap_err(), Busy::All);
        drop(a);
        let c = take("c").unwrap();
        drop((b, c));
        assert!(lines.lock().is_empty());
    }
}
