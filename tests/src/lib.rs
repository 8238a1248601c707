//! Tests of several crates together: whole pipelines, run as a user runs them. They are
//! in `tests/tests/`; this library is empty.
