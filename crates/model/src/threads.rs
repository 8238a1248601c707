//! What a process settles before it computes.

/// Lets libtorch compute on so many threads, and keeps freed memory.
///
/// An encoder's maps are tens of MB each and live for one layer. The system's allocator
/// gives such memory back at once, and every new map is zeroed anew, page by page: a
/// third of the time of ResNet-101's features. What is kept is never more than what
/// was needed at one time.
pub fn set_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: plain numbers; where the allocator does not know them, it says so.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}

/// How many threads libtorch computes on, at least 1.
pub fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1)
}
