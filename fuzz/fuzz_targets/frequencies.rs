//! Reads arbitrary bytes as a saved table of document frequencies. The library must refuse
//! them, or read a table that scores captions and can be saved.
#![no_main]

use attend_metrics::{DocumentFrequencies, cider_with};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(table) = DocumentFrequencies::read(bytes) else {
        return;
    };
    let caption = ["a", "dog", "on", "a", "beach"];
    let score = cider_with(&table, &[caption.to_vec()], &[vec![caption.to_vec()]]);
    assert!((0.0..=10.0 + 1e-9).contains(&score.corpus), "{score:?}");
    let mut saved = Vec::new();
    table.write(&mut saved).expect("memory takes any bytes");
    let mut again = Vec::new();
    let table = DocumentFrequencies::read(&saved[..]).expect("what was written can be read");
    table.write(&mut again).expect("memory takes any bytes");
    assert_eq!(again, saved);
});
