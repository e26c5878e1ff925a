//! Notices waiting for their receiver (rule R18). A value without clock or threads: time comes in as an argument.
//!
//! First starts and final results of updates wait in order; of everything else only the newest waits, and at most ten of
//! those are handed to an observer in any second: one in 130 ms, and three at once after a while without, so that a job of a few
//! tenths of a second is heard of more than once. Whatever waits is newer than all that was handed out.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::kind::JobKind;
use crate::snapshot::Snapshot;

/// The time between two notices that could have been merged, on the whole.
const PACE: Duration = Duration::from_millis(130);
/// How far ahead of that they may be: three at once, where there were none for long.
const AHEAD: Duration = PACE.saturating_mul(2);

/// Whether a notice may be replaced by a newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// It may.
    Mergeable,
    /// It has to be delivered: the first start of an update, or its final result. At most two an update.
    Distinct,
}

pub(crate) struct Mailbox<K: JobKind> {
    distinct: VecDeque<Snapshot<K>>,
    newest: Option<Snapshot<K>>,
    /// When the next of those would be due, were all at their pace.
    due: Option<Instant>,
}

/// What a paced receiver gets.
pub(crate) enum Paced<K: JobKind> {
    Notice(Snapshot<K>),
    /// A notice waits, but comes too soon after the last.
    NotBefore(Instant),
    Empty,
}

impl<K: JobKind> Mailbox<K> {
    pub(crate) fn new() -> Self {
        Self {
            distinct: VecDeque::new(),
            newest: None,
            due: None,
        }
    }

    pub(crate) fn post(&mut self, notice: Snapshot<K>, weight: Weight) {
        match weight {
            Weight::Mergeable => self.newest = Some(notice),
            Weight::Distinct => {
                self.newest = None;
                self.distinct.push_back(notice);
            }
        }
    }

    /// The next notice that may not be left out.
    pub(crate) fn take_distinct(&mut self) -> Option<Snapshot<K>> {
        self.distinct.pop_front()
    }

    /// The next notice, for a receiver that asks when it has time.
    pub(crate) fn take(&mut self) -> Option<Snapshot<K>> {
        self.distinct.pop_front().or_else(|| self.newest.take())
    }

    /// The next notice for a receiver that is called, at `now`.
    pub(crate) fn take_paced(&mut self, now: Instant) -> Paced<K> {
        if let Some(notice) = self.distinct.pop_front() {
            return Paced::Notice(notice);
        }
        let Some(notice) = self.newest.take() else {
            return Paced::Empty;
        };
        let due = self.due.map_or(now, |due| due.max(now));
        if due > now + AHEAD {
            self.newest = Some(notice);
            return Paced::NotBefore(due - AHEAD);
        }
        self.due = Some(due + PACE);
        Paced::Notice(notice)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.distinct.is_empty() && self.newest.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Installation;
    use crate::snapshot::Results;
    use std::sync::Arc;
    use wua_types::{InstallationProgress, Progress as _};

    fn notice(revision: u64) -> Snapshot<Installation> {
        let nothing = InstallationProgress::nothing_done();
        Snapshot::new(revision, nothing, Arc::new(Results::new(0)), Arc::new([]))
    }

    fn revision(paced: Paced<Installation>) -> Option<u64> {
        match paced {
            Paced::Notice(notice) => Some(notice.revision()),
            Paced::NotBefore(_) | Paced::Empty => None,
        }
    }

    #[test]
    fn r18_the_newest_of_what_may_merge_wins() {
        let mut mailbox = Mailbox::new();
        for number in 1..=1000 {
            mailbox.post(notice(number), Weight::Mergeable);
        }
        assert_eq!(revision(mailbox.take_paced(Instant::now())), Some(1000));
        assert!(mailbox.is_empty());
    }

    #[test]
    fn r18_a_distinct_notice_replaces_what_it_is_newer_than_and_is_never_replaced() {
        use Weight::{Distinct, Mergeable};
        let mut mailbox = Mailbox::new();
        let mut told = |posted: &[(u64, Weight)]| {
            for (number, weight) in posted {
                mailbox.post(notice(*number), *weight);
            }
            let taken = std::iter::from_fn(|| mailbox.take());
            taken.map(|notice| notice.revision()).collect::<Vec<u64>>()
        };
        assert_eq!(told(&[(1, Mergeable), (2, Distinct), (3, Distinct)]), [2, 3]);
        assert_eq!(told(&[(4, Distinct), (5, Mergeable), (6, Mergeable)]), [4, 6]);
    }

    #[test]
    fn r18_at_most_ten_merged_notices_a_second() {
        let mut mailbox = Mailbox::new();
        let start = Instant::now();
        let mut delivered = Vec::new();
        for millisecond in 0..5000 {
            mailbox.post(notice(millisecond), Weight::Mergeable);
            let now = start + Duration::from_millis(millisecond);
            delivered.extend(revision(mailbox.take_paced(now)));
        }
        let most = delivered.iter().map(|from| {
            delivered
                .iter()
                .filter(|at| (*from..=from + 1000).contains(at))
                .count()
        });
        assert_eq!((delivered.len(), most.max()), (41, Some(10)));
        assert_eq!(
            delivered[..5],
            [0, 1, 2, 130, 260],
            "three at once, the rest at their pace"
        );
    }

    #[test]
    fn r18_distinct_notices_know_no_pace() {
        let mut mailbox = Mailbox::new();
        let now = Instant::now();
        for number in 1..=20 {
            mailbox.post(notice(number), Weight::Distinct);
            assert_eq!(revision(mailbox.take_paced(now)), Some(number));
        }
        for number in 21..=23 {
            mailbox.post(notice(number), Weight::Mergeable);
            assert_eq!(
                revision(mailbox.take_paced(now)),
                Some(number),
                "the pace is that of merged notices alone"
            );
        }
        mailbox.post(notice(24), Weight::Mergeable);
        assert!(matches!(mailbox.take_paced(now), Paced::NotBefore(instant) if instant == now + PACE));
        assert_eq!(revision(mailbox.take_paced(now + PACE)), Some(24));
    }
}
