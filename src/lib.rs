//! Rapport: an open-source, multi-tenant CRM behind one GraphQL API.
//!
//! # The floors
//!
//! Imports go down only: `main`, `cli`, `http` → `app` → `graphql` → `services` → `jobs`, `events` → `integrations` →
//! `data` → `condition`, `auth` → `config`, `clock`, `error`, `metrics` → the crates `entity` and `migration`. A test reads the
//! imports and holds this.

pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod condition;
pub mod config;
pub mod data;
pub mod error;
pub mod events;
pub mod failpoint;
pub mod graphql;
pub mod http;
pub mod integrations;
pub mod jobs;
pub mod logging;
pub mod metrics;
pub mod services;
