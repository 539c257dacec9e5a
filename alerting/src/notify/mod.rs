//! From firing alerts to delivered messages.
//!
//! ```text
//! firing alerts → routes → alert groups → outbox (durable) → one sender per integration → receiver
//! ```
//!
//! A group's decision to notify is saved together with the message it leads to; only then is the
//! message handed to its sender. So a crash loses no message, and at worst repeats the one that
//! was being delivered, under the same `Message-ID`.

mod backoff;
pub(crate) mod config;
mod dispatch;
mod email;
mod links;
mod matcher;
mod message;
mod notifier;
mod route;
mod sender;
mod webhook;

pub(crate) use config::NotificationConfig;
pub(crate) use dispatch::FiringAlert;
pub(crate) use notifier::{FiringSource, Notifier};
