//! Any bytes as a file of captions: refused with one line that names the file, or
//! read; and what was read can be scored.
#![no_main]

use attend_metrics::captions::{File, pair, references, results};
use attend_metrics::{Corpus, Error, Metric, Scorer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let files = [File::new("captions", bytes)];
    if let Some(results) = said("captions", results(&files[0])) {
        // Results are their own references, whatever they are called.
        let count = results.images().len();
        let pairs = said(
            "captions",
            references(&files, None).and_then(|wrote| pair(results, wrote)),
        );
        if let Some(pairs) = pairs {
            assert_eq!(pairs.results.len(), count);
            let said: Vec<_> = pairs.results.iter().map(|(_, caption)| caption).collect();
            let corpus = Corpus::of_captions(&said, &pairs.references);
            Scorer::default().score(&Metric::ALL, &corpus);
        }
    }
    said("captions", references(&files, Some("test")));
    // Two files, line by line.
    let half = bytes.len() / 2;
    let files = [
        File::new("a.txt", &bytes[..half]),
        File::new("b.txt", &bytes[half..]),
    ];
    if let Ok(references) = references(&files, None) {
        assert!(
            references
                .images()
                .iter()
                .all(|image| image.captions.len() <= 2)
        );
    }
});

fn said<T>(name: &str, read: Result<T, Error>) -> Option<T> {
    let one_line = |e: &Error| {
        let e = e.to_string();
        assert!(e.starts_with(name) && !e.contains('\n'), "{e}");
    };
    read.inspect_err(one_line).ok()
}
