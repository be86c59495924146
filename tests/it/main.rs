//! The integration tests: one program, one module a subject.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    missing_docs,
    reason = "a test that cannot go on fails, and one that draws lots prints its seed"
)]

#[path = "../support/agents/mod.rs"]
mod agents;
mod alert_mail;
mod alert_rules;
mod alert_sending;
mod alerts;
mod api;
mod audit;
mod backups;
mod certificates;
mod cli;
mod clients;
mod commands;
mod console;
mod console_scale;
mod delivery;
mod demo;
mod devices;
mod directory;
mod documents;
mod enrol;
mod events;
mod executors;
mod files;
mod health;
mod hostile;
mod hostile_device;
mod lifecycle;
mod mcp;
mod metrics;
mod oidc;
mod on_hosts;
mod oracle;
mod peers;
mod programs;
mod prometheus;
mod random;
mod restored;
mod round_trips;
mod served_documents;
mod sign_in;
mod support;
mod targets;
mod tls;
mod traces;
mod track;
mod traffic;
mod updates;
mod vectors;
mod web;
