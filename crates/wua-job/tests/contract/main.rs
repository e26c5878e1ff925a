//! The asynchronous contract of jobs, held against its rules, its published clients and random behaviour.

mod clients;
mod common;
mod properties;
mod rules;
mod streams;
