//! What a caller is authorised to have done. An [`Order`] is made once, from a caller and either a plan that was made for that
//! caller or a selection; nothing can change it, it cannot be copied, and beginning a job uses it up. Only the job's worker reads it again,
//! from the file that the agent alone can write.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use uuid::Uuid;
use wua_types::api::{JobRequest, PlanRequest};
use wua_types::{HResult, Operation, PlanHash, UpdateId, UpdateOperation};

use crate::caller::{Caller, Member, Owner};
use crate::problem::Problem;

/// How long a plan waits for its caller's word.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// How many plans wait at most for one caller, and in all; the oldest make room.
const WAITING: (usize, usize) = (16, 256);

/// Under which id the schedule's jobs stand in history.
const SCHEDULE: &str = "wua automatic updates";

/// The most letters of a caller's own name for itself.
const LONGEST_NAME: usize = 128;

/// The most updates of one job.
pub(crate) const MOST_UPDATES: usize = 5000;

/// The plans that wait for their callers' word.
#[derive(Debug, Default)]
pub(crate) struct Plans {
    waiting: Mutex<Vec<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    uid: u32,
    hash: PlanHash,
    request: PlanRequest,
    since: Instant,
}

impl Plans {
    /// Keeps a plan that was made for `member`, until that caller authorises it.
    pub(crate) fn keep(&self, member: Member, request: PlanRequest, hash: PlanHash) {
        let uid = member.caller().uid();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|plan| plan.since.elapsed() < PATIENCE && (plan.uid, plan.hash) != (uid, hash));
        let of_caller = waiting.iter().filter(|plan| plan.uid == uid).count();
        let oldest = if of_caller >= WAITING.0 {
            waiting.iter().position(|plan| plan.uid == uid)
        } else {
            (waiting.len() >= WAITING.1).then_some(0)
        };
        if let Some(oldest) = oldest {
            waiting.remove(oldest);
        }
        waiting.push(Waiting {
            uid,
            hash,
            request,
            since: Instant::now(),
        });
    }

    /// Takes a plan of the caller's out; it can be authorised once.
    fn take(&self, uid: u32, hash: PlanHash) -> Option<PlanRequest> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let place = waiting
            .iter()
            .position(|plan| plan.uid == uid && plan.hash == hash && plan.since.elapsed() < PATIENCE)?;
        Some(waiting.remove(place).request)
    }
}

/// What is to be done, by whom it was authorised, and when.
#[derive(Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    uid: u32,
    since: Timestamp,
    request: JobRequest,
    /// The updates, in the caller's order.
    updates: Vec<UpdateId>,
}

impl Order {
    /// Authorises `caller` to what `request` says. A plan is used up, whatever comes of it.
    ///
    /// # Errors
    /// `E_ACCESSDENIED` where the caller may not; `E_INVALIDARG` or `WU_E_NO_UPDATE` where the request is no whole one;
    /// `WU_E_INVALID_OPERATION` where no such plan waits for this caller's word.
    pub(crate) fn authorize(caller: Caller, request: JobRequest, plans: &Plans) -> Result<Self, Problem> {
        let member = match request.operation {
            Operation::Search | Operation::Download | Operation::Install => Member::try_from(caller)?,
            Operation::Repair if !request.allow_removals => Member::try_from(caller)?,
            Operation::Repair | Operation::Uninstall => Owner::try_from(caller)?.into(),
        };
        let uid = member.caller().uid();
        let wrong = |what: &str| Problem::new(HResult::E_INVALIDARG, what);
        if let Some(name) = &request.client_application_id
            && (name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) || name == SCHEDULE)
        {
            return Err(wrong(
                "this is no `client_application_id`: at most 128 letters, and not the schedule's own",
            ));
        }
        if request.allow_removals && request.operation != Operation::Repair {
            return Err(wrong("`allow_removals` goes with a repair only"));
        }
        let updates = match (request.operation, &request.plan) {
            (Operation::Search | Operation::Repair, None) if request.updates.is_empty() => Vec::new(),
            (Operation::Search | Operation::Repair, _) => {
                return Err(wrong("a search or repair takes neither updates nor a plan"));
            }
            (_, None) => request.updates.clone(),
            (Operation::Download, Some(_)) => {
                return Err(wrong("a download takes updates, no plan"));
            }
            (_, Some(_)) if !request.updates.is_empty() => {
                return Err(wrong("either a plan or updates say on what, not both"));
            }
            (operation, Some(hash)) => {
                let hash: PlanHash = hash.parse().map_err(|_| wrong("the plan's hash is none"))?;
                let planned = plans.take(uid, hash).ok_or_else(|| {
                    let what = format!("no plan {hash} waits for your word");
                    Problem::new(HResult::WU_E_INVALID_OPERATION, what)
                        .next("Have it made by `POST /plans` at this socket; each can be authorised once, within an hour.")
                })?;
                let same = matches!(
                    (operation, planned.operation),
                    (Operation::Install, UpdateOperation::Installation)
                        | (Operation::Uninstall, UpdateOperation::Uninstallation)
                ) && (planned.is_forced, planned.force_quiet)
                    == (request.is_forced, request.force_quiet);
                if !same {
                    return Err(wrong("the plan is one of another operation, or of other options"));
                }
                planned.updates
            }
        };
        let acts_on_updates = !matches!(request.operation, Operation::Search | Operation::Repair);
        check_updates(&updates, acts_on_updates)?;
        Ok(Self {
            uid,
            since: Timestamp::now(),
            request,
            updates,
        })
    }

    /// What the machine's own schedule has done: its policy and settings authorise it.
    pub(crate) fn of_schedule(operation: Operation, updates: Vec<UpdateId>) -> Self {
        let mut request = JobRequest::new(operation);
        request.updates.clone_from(&updates);
        request.client_application_id = Some(SCHEDULE.into());
        Self {
            uid: rustix::process::geteuid().as_raw(),
            since: Timestamp::now(),
            request,
            updates,
        }
    }

    /// Whether it is of the machine's owner, or of the agent itself.
    pub(crate) fn is_owners(&self) -> bool {
        self.uid == 0 || self.uid == rustix::process::geteuid().as_raw()
    }

    /// Whether both are the same request of the same caller.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.uid == other.uid && self.request == other.request
    }

    /// When it was authorised.
    pub(crate) fn since(&self) -> Timestamp {
        self.since
    }

    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// What was asked for, as it was asked.
    pub(crate) fn request(&self) -> &JobRequest {
        &self.request
    }

    pub(crate) fn updates(&self) -> &[UpdateId] {
        &self.updates
    }

    /// The plan that the job is held to.
    pub(crate) fn plan(&self) -> Option<PlanHash> {
        self.request.plan.as_ref().and_then(|hash| hash.parse().ok())
    }
}

/// Whether `updates` can be those of one job or plan.
///
/// # Errors
/// `WU_E_NO_UPDATE` for none where some are needed, `E_INVALIDARG` for too many or the same twice.
pub(crate) fn check_updates(updates: &[UpdateId], needed: bool) -> Result<(), Problem> {
    if needed && updates.is_empty() {
        return Err(Problem::new(HResult::WU_E_NO_UPDATE, "no updates were given"));
    }
    let distinct: BTreeSet<Uuid> = updates.iter().map(|id| id.0).collect();
    if distinct.len() != updates.len() {
        return Err(Problem::new(HResult::E_INVALIDARG, "an update is given twice"));
    }
    if updates.len() > MOST_UPDATES {
        let what = format!("more than {MOST_UPDATES} updates are too many for one job");
        return Err(Problem::new(HResult::E_INVALIDARG, what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Door;

    const HASH: &str = "00000000000000000000000000000000000000000000000000000000000000aa";

    fn caller(uid: u32) -> Caller {
        Caller::at(Door::Control, uid, 0)
    }

    fn plan() -> PlanRequest {
        PlanRequest {
            operation: UpdateOperation::Installation,
            updates: vec![UpdateId(Uuid::from_u128(1))],
            is_forced: false,
            force_quiet: false,
        }
    }

    fn request_of_plan() -> JobRequest {
        JobRequest {
            plan: Some(HASH.into()),
            ..JobRequest::new(Operation::Install)
        }
    }

    fn kept(uid: u32) -> Plans {
        let plans = Plans::default();
        let member = Member::try_from(caller(uid)).expect("a member");
        plans.keep(member, plan(), HASH.parse().expect("a hash"));
        plans
    }

    #[test]
    fn a_plan_is_authorised_once_and_by_whom_it_was_made_for() {
        let plans = kept(1000);
        let refused = Order::authorize(caller(1001), request_of_plan(), &plans).expect_err("another's");
        assert_eq!(refused.code(), HResult::WU_E_INVALID_OPERATION);
        // Root, too, authorises only what it was shown.
        assert!(Order::authorize(caller(0), request_of_plan(), &plans).is_err());
        let order = Order::authorize(caller(1000), request_of_plan(), &plans).expect("its own");
        assert_eq!(order.updates(), &plan().updates[..]);
        assert!(Order::authorize(caller(1000), request_of_plan(), &plans).is_err());
    }

    #[test]
    fn a_plan_with_other_options_is_not_the_one_that_was_shown() {
        let plans = kept(1000);
        let forced = JobRequest {
            is_forced: true,
            ..request_of_plan()
        };
        assert!(Order::authorize(caller(1000), forced, &plans).is_err());
        // It is used up all the same.
        assert!(Order::authorize(caller(1000), request_of_plan(), &plans).is_err());
    }

    #[test]
    fn members_do_not_take_back_and_do_not_consent_to_removals() {
        let plans = Plans::default();
        let mut undo = JobRequest::new(Operation::Uninstall);
        undo.updates = plan().updates;
        assert!(Order::authorize(caller(1000), undo.clone(), &plans).is_err());
        assert!(Order::authorize(caller(0), undo, &plans).is_ok());
        let mut repair = JobRequest::new(Operation::Repair);
        assert!(Order::authorize(caller(1000), repair.clone(), &plans).is_ok());
        repair.allow_removals = true;
        assert!(Order::authorize(caller(1000), repair, &plans).is_err());
    }

    #[test]
    fn the_plans_that_wait_for_one_caller_do_not_push_out_those_of_another() {
        let plans = kept(1000);
        let other = Member::try_from(caller(1001)).expect("a member");
        for number in 0..100 {
            plans.keep(other, plan(), format!("{number:064x}").parse().expect("a hash"));
        }
        assert!(Order::authorize(caller(1000), request_of_plan(), &plans).is_ok());
    }
}
