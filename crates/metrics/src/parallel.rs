//! Work on all cores.

/// Splits `0..length` into one equal part per thread, calls `work` on each, and returns
/// the results in order.
pub(crate) fn in_parts<T: Send>(
    length: usize,
    threads: usize,
    work: impl Fn(std::ops::Range<usize>) -> T + Sync,
) -> Vec<T> {
    let begin = |thread: usize| thread * length / threads;
    std::thread::scope(|scope| {
        let work = &work;
        let part = |thread| work(begin(thread)..begin(thread + 1));
        let started: Vec<_> = (1..threads)
            .map(|thread| scope.spawn(move || part(thread)))
            .collect();
        let first = part(0);
        std::iter::once(first)
            .chain(started.into_iter().map(join))
            .collect()
    })
}

/// How many threads the machine runs at once.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The thread's result. Panics if the thread panicked.
fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    let panicked = |panic| std::panic::resume_unwind(panic);
    thread.join().unwrap_or_else(panicked)
}
