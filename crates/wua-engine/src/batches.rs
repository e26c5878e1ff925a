//! Which updates go together in one run of the package manager (apt.md rules P2 and B1). Pure.
//!
//! A batch is as long as a caller may have to wait for an abort; updates that need each other are never parted. An update that
//! must be installed alone is a batch of its own by R11's check, which lets it come alone only.

/// Cuts updates into batches, in their order. `expected_seconds[i]` is how long update `i` will take, `together` are pairs that
/// must not be parted, `longest` is how many seconds a batch may take; 0 or less gives every group a batch of its own.
pub fn batches(expected_seconds: &[f64], together: &[(usize, usize)], longest: f64) -> Vec<Vec<usize>> {
    let mut cut: Vec<Vec<usize>> = Vec::new();
    let mut filled = 0.0;
    for group in groups(expected_seconds.len(), together) {
        let seconds: f64 = group.iter().map(|update| expected_seconds[*update]).sum();
        match cut.last_mut() {
            Some(batch) if filled + seconds <= longest => {
                batch.extend(group);
                filled += seconds;
            }
            _ => {
                cut.push(group);
                filled = seconds;
            }
        }
    }
    for batch in &mut cut {
        batch.sort_unstable();
    }
    cut
}

/// The updates that hang together, each group in order, groups by their first member.
fn groups(count: usize, together: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut leader: Vec<usize> = (0..count).collect();
    fn find(leader: &[usize], mut update: usize) -> usize {
        while leader[update] != update {
            update = leader[update];
        }
        update
    }
    for (one, other) in together
        .iter()
        .filter(|(one, other)| *one < count && *other < count)
    {
        let (one, other) = (find(&leader, *one), find(&leader, *other));
        leader[one.max(other)] = one.min(other);
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); count];
    for update in 0..count {
        groups[find(&leader, update)].push(update);
    }
    groups.retain(|group| !group.is_empty());
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_updates_share_a_batch_until_the_wait_would_be_too_long() {
        assert_eq!(
            batches(&[10.0, 10.0, 15.0, 1.0], &[], 30.0),
            vec![vec![0, 1], vec![2, 3]]
        );
    }

    #[test]
    fn updates_that_need_each_other_stay_together_however_long_it_takes() {
        assert_eq!(
            batches(&[20.0, 1.0, 20.0], &[(2, 0)], 30.0),
            vec![vec![0, 2], vec![1]]
        );
    }

    #[test]
    fn no_time_at_all_means_one_update_a_batch() {
        assert_eq!(batches(&[1.0, 1.0], &[], 0.0), vec![vec![0], vec![1]]);
    }

    proptest! {
        #[test]
        fn every_update_is_in_exactly_one_batch_and_pairs_are_never_parted(
            seconds in prop::collection::vec(0.0f64..40.0, 1..20),
            pairs in prop::collection::vec((0usize..20, 0usize..20), 0..12),
            longest in 0.0f64..60.0,
        ) {
            let cut = batches(&seconds, &pairs, longest);
            let mut all: Vec<usize> = cut.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..seconds.len()).collect::<Vec<_>>());
            for (one, other) in pairs.into_iter().filter(|(one, other)| *one < seconds.len() && *other < seconds.len()) {
                prop_assert!(cut.iter().any(|batch| batch.contains(&one) && batch.contains(&other)));
            }
        }
    }
}
