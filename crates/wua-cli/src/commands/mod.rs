//! The commands: each turns its arguments into calls of the engine, and what comes back into words.

pub(crate) mod act;
pub(crate) mod agent;
pub(crate) mod bridge;
pub(crate) mod choosing;
pub(crate) mod codes;
pub(crate) mod demo;
pub(crate) mod flags;
pub(crate) mod history;
pub(crate) mod jobs;
pub(crate) mod plan_view;
pub(crate) mod repair;
pub(crate) mod sandbox;
pub(crate) mod search;
pub(crate) mod settings;
pub(crate) mod shell;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod web;
pub(crate) mod wine;
