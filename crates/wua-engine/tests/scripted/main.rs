//! The engine against scripted sources and handlers: one file a theme, no package manager, no sleeping.

mod aborting;
mod batches;
mod common;
mod downloading;
mod following;
mod healing;
mod hostile_handlers;
mod installing;
mod keepers_die;
mod limits;
mod plans;
mod properties;
mod remembering;
mod searching;
mod starting;
mod taking_back;
mod telling_time;
