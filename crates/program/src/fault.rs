//! Points at which a test ends a program, as `kill -9` or a power cut would.

/// Marks a moment at which the files on disk are between two states: before and after a
/// sync or a rename.
///
/// With `ATTEND_FAULT=N` in the environment, the Nth point that a process passes ends it,
/// with exit code 137. Release builds have no such points.
pub fn point() {
    #[cfg(debug_assertions)]
    {
        use std::sync::LazyLock;
        use std::sync::atomic::{AtomicU64, Ordering};
        static PASSED: AtomicU64 = AtomicU64::new(0);
        static FAULT: LazyLock<Option<u64>> =
            LazyLock::new(|| std::env::var("ATTEND_FAULT").ok()?.parse().ok());
        if let Some(fault) = *FAULT
            && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == fault
        {
            crate::end::now(137);
        }
    }
}
