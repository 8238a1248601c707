//! What `cargo xtask sweep` tries, and what came of it.
//!
//! - `grid`: keys with their values or ranges, and the combinations of these; `stages`: which
//!   stages a run needs, and what they have left; `table`: the scores of the combinations.

pub mod grid;
pub mod stages;
pub mod table;
