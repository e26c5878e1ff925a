//! The one state of a job that its callers, its feed and its notifier share, and the lock around it.
//!
//! All changes go through [`Shared::change`], which wakes whoever waits after the lock is given back. What comes out of the
//! state and belongs to others (hooks, wakers, their state object) is handed out and dropped there, never under the lock.

use std::any::Any;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread::ThreadId;
use std::time::Instant;

use uuid::Uuid;
use wua_types::Update;
use wua_types::event::Operation;

use crate::kind::JobKind;
use crate::mailbox::Mailbox;
use crate::record::{News, Record};

pub(crate) struct Shared<K: JobKind> {
    pub(crate) id: Uuid,
    pub(crate) operation: Operation,
    pub(crate) updates: Arc<[Update]>,
    /// Set once, with the lock held.
    pub(crate) outcome: OnceLock<Arc<K::Outcome>>,
    /// The thread that calls the observer, where there is one.
    pub(crate) notifier: OnceLock<ThreadId>,
    /// The thread that does the observer's work for it while a call runs.
    pub(crate) lent: Mutex<Option<ThreadId>>,
    state: Mutex<State<K>>,
    changed: Condvar,
}

pub(crate) struct State<K: JobKind> {
    pub(crate) record: Record<K>,
    pub(crate) callbacks: Callbacks<K>,
    pub(crate) followers: Vec<Follower<K>>,
    pub(crate) completed_at: Option<Instant>,
    pub(crate) ended: bool,
    pub(crate) abort_requested: bool,
    pub(crate) on_abort: Option<AbortHook>,
    pub(crate) async_state: Option<AsyncState>,
}

/// How the observer stands.
pub(crate) enum Callbacks<K: JobKind> {
    /// The call that starts the job has not returned yet (rule R15).
    Held(Mailbox<K>),
    /// Notices are delivered.
    Flowing(Mailbox<K>),
    /// No further call is made; the observer goes when the running one returned (rule R23).
    Disconnecting,
    /// There is no observer any more, or there never was one.
    Released,
}

/// A stream over the job.
pub(crate) struct Follower<K: JobKind> {
    pub(crate) key: u64,
    pub(crate) mailbox: Mailbox<K>,
    pub(crate) waker: Option<Waker>,
}

pub(crate) type AbortHook = Box<dyn FnOnce() + Send>;
pub(crate) type AsyncState = Arc<dyn Any + Send + Sync>;

impl<K: JobKind> Shared<K> {
    pub(crate) fn new(
        id: Uuid,
        operation: Operation,
        updates: Arc<[Update]>,
        callbacks: Callbacks<K>,
    ) -> Self {
        let state = State {
            record: Record::new(updates.len()),
            callbacks,
            followers: Vec::new(),
            completed_at: None,
            ended: false,
            abort_requested: false,
            on_abort: None,
            async_state: None,
        };
        Self {
            id,
            operation,
            updates,
            outcome: OnceLock::new(),
            notifier: OnceLock::new(),
            lent: Mutex::new(None),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// The state, to look at. Nothing panics with the lock held, so what a poisoned lock protects is sound.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then wakes all who wait for news of it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State<K>) -> T) -> T {
        let mut state = self.lock();
        let answer = change(&mut state);
        let completed = self.outcome.get().is_some();
        let ready = state
            .followers
            .iter_mut()
            .filter(|follower| completed || !follower.mailbox.is_empty());
        let wakers: Vec<Waker> = ready.filter_map(|follower| follower.waker.take()).collect();
        drop(state);
        self.changed.notify_all();
        wakers.into_iter().for_each(Waker::wake);
        answer
    }

    /// Waits for a change of the state, at most until `deadline`.
    pub(crate) fn wait<'a>(
        &self,
        state: MutexGuard<'a, State<K>>,
        deadline: Option<Instant>,
    ) -> MutexGuard<'a, State<K>> {
        match deadline {
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(instant) => {
                let time = instant.saturating_duration_since(Instant::now());
                self.changed
                    .wait_timeout(state, time)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        }
    }

    /// Waits until `look` finds what it looks for; none if the deadline comes first.
    pub(crate) fn wait_for<T>(
        &self,
        deadline: Option<Instant>,
        mut look: impl FnMut(&State<K>) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&state) {
                return Some(found);
            }
            if deadline.is_some_and(|instant| instant <= Instant::now()) {
                return None;
            }
            state = self.wait(state, deadline);
        }
    }
}

impl<K: JobKind> State<K> {
    /// Gives a piece of news to all who are told.
    pub(crate) fn post(&mut self, News { snapshot, weight }: News<K>) {
        for follower in &mut self.followers {
            follower.mailbox.post(snapshot.clone(), weight);
        }
        if let Callbacks::Held(mailbox) | Callbacks::Flowing(mailbox) = &mut self.callbacks {
            mailbox.post(snapshot, weight);
        }
    }

    /// Makes no further calls to the observer, if there is one.
    pub(crate) fn disconnect(&mut self) {
        if let Callbacks::Held(_) | Callbacks::Flowing(_) = self.callbacks {
            self.callbacks = Callbacks::Disconnecting;
        }
    }
}
