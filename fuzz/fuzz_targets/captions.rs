//! Any bytes as a file of captions, of each kind: refused with one line that names
//! the file, or read; and what was read can be scored.
#![no_main]

use attend_metrics::captions::{File, references, results};
use attend_metrics::{Corpus, Error, Metric, Scorer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for name in ["captions.json", "captions.txt"] {
        let file = File::new(name, bytes);
        if let Some(results) = said(name, results(&file)) {
            let said: Vec<_> = results.iter().map(|(_, caption)| caption).collect();
            let wrote: Vec<_> = said.iter().map(|caption| [caption]).collect();
            let corpus = Corpus::of_captions(&said, &wrote);
            assert_eq!(corpus.images(), results.len());
            Scorer::default().score(&Metric::ALL, &corpus);
        }
        let files = [file];
        for split in [None, Some("test")] {
            said(name, references(&files, split));
        }
    }
    // Two files, line by line.
    let half = bytes.len() / 2;
    let files = [
        File::new("a.txt", &bytes[..half]),
        File::new("b.txt", &bytes[half..]),
    ];
    if let Ok(references) = references(&files, None) {
        assert!(references.values().all(|captions| captions.len() <= 2));
    }
});

fn said<T>(name: &str, read: Result<T, Error>) -> Option<T> {
    read.inspect_err(|e| assert!(e.to_string().starts_with(name)))
        .ok()
}
