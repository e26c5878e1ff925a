//! Places for what is served at once: so many in all, and so many for each user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The places. Clones are the same places.
#[derive(Clone, Debug)]
pub(crate) struct Seats {
    all: usize,
    each: usize,
    taken: Arc<Mutex<HashMap<u32, usize>>>,
}

/// A place of a user's, as long as it is kept.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Seats,
    uid: u32,
}

impl Seats {
    /// `all` places, at most `each` of them for one user.
    pub(crate) fn new(all: usize, each: usize) -> Self {
        Self {
            all,
            each,
            taken: Arc::default(),
        }
    }

    /// A place for the user; none where there is none left.
    pub(crate) fn take(&self, uid: u32) -> Option<Seat> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_user = taken.get(&uid).copied().unwrap_or_default();
        if of_user >= self.each || taken.values().sum::<usize>() >= self.all {
            return None;
        }
        taken.insert(uid, of_user + 1);
        Some(Seat {
            seats: self.clone(),
            uid,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_user) = taken.get_mut(&self.uid) {
            *of_user -= 1;
            if *of_user == 0 {
                taken.remove(&self.uid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_leaves_places_for_others() {
        let seats = Seats::new(5, 3);
        let mut of_one: Vec<_> = std::iter::from_fn(|| seats.take(1000)).collect();
        assert_eq!(of_one.len(), 3);
        let of_other: Vec<_> = std::iter::from_fn(|| seats.take(1001)).collect();
        assert_eq!(of_other.len(), 2);
        of_one.pop();
        assert!(seats.take(1002).is_some());
    }
}
