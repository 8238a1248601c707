//! Parallel loops on libtorch's own threads, so that no thread waits for a core.
//!
//! libtorch runs its loops on OpenMP's threads, which keep their cores busy for a while
//! after each loop. Other threads would compete with them for the cores. So a loop here
//! uses the same OpenMP library, which libtorch brings with it on Linux (GNU's); on other
//! systems it starts its own threads.

use std::ffi::{c_uint, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};

/// `GOMP_parallel`: runs a function on a team of threads, including the caller's.
type Team = unsafe extern "C" fn(extern "C" fn(*mut c_void), *mut c_void, c_uint, c_uint);

struct Loop<'a> {
    work: &'a (dyn Fn(usize) + Sync),
    next: AtomicUsize,
    parts: usize,
}

/// Calls `work` with each part and its index, each on its own thread.
///
/// # Panics
/// If `work` panics, the process ends.
pub fn parallel<T: Send>(parts: Vec<T>, work: impl Fn(usize, T) + Sync) {
    if parts.len() <= 1 {
        parts.into_iter().for_each(|part| work(0, part));
        return;
    }
    let parts: Vec<Mutex<Option<T>>> = (parts.into_iter())
        .map(|part| Mutex::new(Some(part)))
        .collect();
    run_all(parts.len(), &|place| {
        let part = parts[place].lock().ok().and_then(|mut part| part.take());
        part.into_iter().for_each(|part| work(place, part));
    });
}

fn run_all(parts: usize, work: &(dyn Fn(usize) + Sync)) {
    let task = Loop {
        work,
        next: AtomicUsize::new(0),
        parts,
    };
    match (team(), c_uint::try_from(parts)) {
        (Some(team), Ok(threads)) => {
            let data = std::ptr::from_ref(&task).cast_mut().cast();
            // SAFETY: the function and its arguments follow libgomp's ABI; it returns
            // when all threads are done with `task`, which is only read.
            unsafe { team(run, data, threads, 0) };
        }
        _ => std::thread::scope(|scope| {
            (1..parts).for_each(|_| drop(scope.spawn(|| task.run())));
            task.run();
        }),
    }
}

impl Loop<'_> {
    /// Works on parts until all are taken: with any number of threads, each is done once.
    fn run(&self) {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= self.parts {
                return;
            }
            (self.work)(part);
        }
    }
}

/// An `extern "C"` function that panics ends the process.
extern "C" fn run(task: *mut c_void) {
    // SAFETY: `run_all` passes a `Loop` that lives until all threads are done.
    let task = unsafe { &*task.cast::<Loop>() };
    task.run();
}

fn team() -> Option<Team> {
    static TEAM: OnceLock<Option<Team>> = OnceLock::new();
    #[cfg(target_os = "linux")]
    let find = || {
        // SAFETY: a look-up by name; the library's function has this type.
        unsafe {
            let found = libc::dlsym(libc::RTLD_DEFAULT, c"GOMP_parallel".as_ptr());
            std::mem::transmute::<*mut c_void, Option<Team>>(found)
        }
    };
    #[cfg(not(target_os = "linux"))]
    let find = || None;
    *TEAM.get_or_init(find)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_done_once() {
        for parts in [0, 1, 2, 3, 17] {
            let done: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
            parallel((0..parts).collect(), |place, part: usize| {
                assert_eq!(place, part);
                done[part].fetch_add(1, Ordering::Relaxed);
            });
            assert!(done.iter().all(|times| times.load(Ordering::Relaxed) == 1));
        }
    }
}
