//! The model against PyTorch and torchvision. `fixtures/generate.py` wrote the
//! expected numbers; weights and inputs are rebuilt from names on both sides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "main/decoder.rs"]
mod decoder;
#[path = "main/encoder.rs"]
mod encoder;
#[path = "main/names.rs"]
mod names;
#[path = "main/pickled.rs"]
mod pickled;
#[path = "main/real.rs"]
mod real;
#[path = "main/rebuilt.rs"]
mod rebuilt;
#[path = "main/search.rs"]
mod search;
#[path = "main/straightforward.rs"]
mod straightforward;
#[path = "main/threads.rs"]
mod threads;
#[path = "main/torchscript.rs"]
mod torchscript;
#[path = "main/weights.rs"]
mod weights;
