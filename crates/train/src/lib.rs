//! The trainer's parts; the program is `attend-train`.
#![deny(missing_docs)]

pub mod average;
pub mod checkpoint;
pub mod config;
pub mod data;
pub mod embeddings;
pub mod metrics;
pub mod network;
pub mod order;
pub mod resume;
pub mod run;
pub mod start;
pub mod tensorboard;
pub mod validate;
