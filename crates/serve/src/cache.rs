//! Captions of pictures that came before, bounded in bytes.

use attend_describe::Description;
use lru::LruCache;
use std::sync::{Arc, Mutex, PoisonError};

/// A picture with the options of its search: BLAKE3 of both.
pub type Key = blake3::Hash;

/// The captions of a picture, best first.
pub type Captions = Arc<Vec<Description>>;

/// The captions that were used last.
pub struct Cache {
    /// Maximum of `bytes`.
    limit: usize,
    held: Mutex<Held>,
}

struct Held {
    captions: LruCache<Key, Captions>,
    bytes: usize,
}

impl Cache {
    /// A cache of at most about `limit` bytes; 0 keeps nothing.
    pub fn new(limit: usize) -> Cache {
        let captions = LruCache::unbounded();
        let held = Mutex::new(Held { captions, bytes: 0 });
        Cache { limit, held }
    }

    /// The captions for this key, if it has them.
    pub fn get(&self, key: &Key) -> Option<Captions> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.captions.get(key).cloned()
    }

    /// Keeps captions, and drops those that were not used for longest, if there is no room.
    pub fn put(&self, key: Key, captions: Captions) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.bytes += size(&captions);
        if let Some((_, old)) = held.captions.push(key, captions) {
            held.bytes -= size(&old);
        }
        while held.bytes > self.limit {
            let Some((_, old)) = held.captions.pop_lru() else {
                break;
            };
            held.bytes -= size(&old);
        }
    }
}

/// About how many bytes of memory captions take.
fn size(captions: &Captions) -> usize {
    let one = |caption: &Description| {
        let words: usize = caption.words.iter().map(|word| 64 + word.len()).sum();
        let cells: usize = caption.alphas.iter().map(|alphas| 4 * alphas.len()).sum();
        256 + words + cells
    };
    256 + captions.iter().map(one).sum::<usize>()
}
