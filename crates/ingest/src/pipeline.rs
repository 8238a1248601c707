//! Processes a list in threads. Results come in the list's order, and their number in
//! memory is limited.

use attend_program::{Error, Result};
use crossbeam::channel::{Receiver, Sender, bounded};

/// Number of results per thread that may wait for an earlier one.
const AHEAD: usize = 8;

/// Calls `work` with each of `items` in `jobs` threads. `consume` takes the results one by
/// one, in the order of the items, and may stop early.
///
/// # Errors
/// Those of `consume`. A result is an error only if its thread panicked.
pub fn ordered<I: Send, R: Send, T>(
    jobs: usize,
    items: impl Iterator<Item = I> + Send,
    work: impl Fn(I) -> R + Sync,
    consume: impl FnOnce(&mut dyn Iterator<Item = Result<R>>) -> Result<T>,
) -> Result<T> {
    // Each item carries the sender of its own result; the receivers queue up in
    // the items' order. A full queue holds the feeder back.
    let (to_workers, from_feeder) = bounded::<(I, Sender<R>)>(jobs);
    let (to_consumer, in_order) = bounded::<Receiver<R>>(jobs * AHEAD);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (queue, work) = (from_feeder.clone(), &work);
            scope.spawn(move || {
                for (item, result) in queue {
                    // The receiver is gone if the consumer stopped early.
                    let _ = result.send(work(item));
                }
            });
        }
        drop(from_feeder);
        scope.spawn(move || {
            for item in items {
                let (sender, receiver) = bounded(1);
                if to_consumer.send(receiver).is_err() || to_workers.send((item, sender)).is_err() {
                    break;
                }
            }
        });
        let mut results = in_order.into_iter().map(|result| {
            result
                .recv()
                .map_err(|_| Error::internal("a worker thread panicked"))
        });
        consume(&mut results)
    })
}
