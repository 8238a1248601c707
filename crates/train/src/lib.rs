//! The trainer's parts; the program is `attend-train`.
//!
//! | module | what it is |
//! |---|---|
//! | [`config`] | the parameters |
//! | [`begin`], [`start`], [`embeddings`] | inputs and initial weights |
//! | [`data`], [`order`] | captions and images, and the order of the batches |
//! | [`network`] | encoder, decoder, gradients and optimizers |
//! | [`reward`] | captions that the model draws, and what they earn |
//! | [`mod@run`], [`schedule`] | the training loop and its learning rates |
//! | [`mod@validate`] | the score of an epoch |
//! | [`checkpoint`], [`resume`] | the state of a run, and resuming from it |
//! | [`metrics`], [`tensorboard`] | logs of a run |
//! | [`mod@average`] | `attend-train average` |
//! | [`tutorial`] | `attend-train import` and `export` |
#![deny(missing_docs)]

pub mod average;
pub mod begin;
pub mod checkpoint;
pub mod config;
pub mod data;
pub mod embeddings;
pub mod metrics;
pub mod network;
pub mod order;
pub mod resume;
pub mod reward;
pub mod run;
pub mod schedule;
pub mod start;
pub mod tensorboard;
pub mod tutorial;
pub mod validate;
