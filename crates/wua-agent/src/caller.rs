//! Who calls, and what that caller may do. A handler that acts takes a [`Member`] or an [`Owner`]: there is no other way to
//! get one than to be one.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use wua_types::HResult;
use wua_types::api::Access;

use crate::problem::Problem;

/// Through which socket a caller came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// `read.sock`: everybody, for looking.
    Read,
    /// `control.sock`: whom its permissions let in, for acting.
    Control,
}

/// The program at the other end of a connection, as the kernel names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    uid: u32,
    access: Access,
}

impl Caller {
    /// A caller with the user id `uid` behind `door`, of an agent that runs as `agent`. Root, and whoever the agent itself runs
    /// as, own the machine.
    pub(crate) fn at(door: Door, uid: u32, agent: u32) -> Self {
        let access = match door {
            Door::Read => Access::Read,
            Door::Control if uid == 0 || uid == agent => Access::Owner,
            Door::Control => Access::Member,
        };
        Self { uid, access }
    }

    /// The agent itself, and its schedule.
    pub(crate) fn itself() -> Self {
        Self {
            uid: rustix::process::geteuid().as_raw(),
            access: Access::Owner,
        }
    }

    pub(crate) fn uid(self) -> u32 {
        self.uid
    }

    pub(crate) fn access(self) -> Access {
        self.access
    }

    fn need(self, access: Access) -> Result<Self, Problem> {
        if self.access >= access {
            return Ok(self);
        }
        let (what, next) = match self.access {
            Access::Read => (
                "this socket is for looking only",
                "Use `control.sock`, which root and members of the group `wua` can open.",
            ),
            Access::Member | Access::Owner => (
                "only root may do that",
                "Do it as root; members of the group `wua` refresh, download, install, and stop their own jobs.",
            ),
        };
        Err(Problem::new(HResult::E_ACCESSDENIED, what).next(next))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts
            .extensions
            .get::<Self>()
            .copied()
            .ok_or_else(|| Problem::new(HResult::E_ACCESSDENIED, "the caller is not known"))
    }
}

/// A caller who may refresh, download and install.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member(Caller);

impl Member {
    pub(crate) fn caller(self) -> Caller {
        self.0
    }
}

impl TryFrom<Caller> for Member {
    type Error = Problem;
    fn try_from(caller: Caller) -> Result<Self, Problem> {
        caller.need(Access::Member).map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Member {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, state).await?.try_into()
    }
}

/// A caller who may do everything.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner(Caller);

impl TryFrom<Caller> for Owner {
    type Error = Problem;
    fn try_from(caller: Caller) -> Result<Self, Problem> {
        caller.need(Access::Owner).map(Self)
    }
}

impl From<Owner> for Member {
    fn from(Owner(caller): Owner) -> Self {
        Self(caller)
    }
}

impl<S: Sync> FromRequestParts<S> for Owner {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Caller::from_request_parts(parts, state).await?.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_door_and_the_user_decide_what_a_caller_may() {
        const AGENT: u32 = 0;
        assert_eq!(Caller::at(Door::Read, 0, AGENT).access(), Access::Read);
        assert_eq!(Caller::at(Door::Control, 0, AGENT).access(), Access::Owner);
        assert_eq!(Caller::at(Door::Control, 1000, AGENT).access(), Access::Member);
        // A practice machine is served by its owner.
        assert_eq!(Caller::at(Door::Control, 1000, 1000).access(), Access::Owner);
    }

    #[test]
    fn a_reader_is_no_member_and_a_member_no_owner() {
        let reader = Caller::at(Door::Read, 1000, 0);
        assert!(Member::try_from(reader).is_err());
        let member = Caller::at(Door::Control, 1000, 0);
        assert!(Member::try_from(member).is_ok());
        let refused = Owner::try_from(member).expect_err("no owner");
        assert_eq!(refused.code(), HResult::E_ACCESSDENIED);
    }
}
