//! Reads arbitrary bytes as a file of captions. The library must refuse them with one line
//! that names the file, or read captions that can be scored.
#![no_main]

use attend_metrics::captions::{File, pair, references, results};
use attend_metrics::{Corpus, Error, Metric, Scorer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let files = [File::new("captions", bytes)];
    if let Some(results) = checked("captions", results(&files[0])) {
        // The results serve as their own references, whatever the images are called.
        let count = results.images().len();
        let pairs = checked(
            "captions",
            references(&files, None).and_then(|references| pair(results, references)),
        );
        if let Some(pairs) = pairs {
            assert_eq!(pairs.results.len(), count);
            let captions: Vec<_> = pairs.results.iter().map(|(_, caption)| caption).collect();
            let corpus = Corpus::of_captions(&captions, &pairs.references);
            Scorer::default().score(&Metric::ALL, &corpus);
        }
    }
    checked("captions", references(&files, Some("test")));
    // Two files of plain text, one image per line.
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

/// The value, or `None` after a check that the error is one line and begins with `name`.
fn checked<T>(name: &str, read: Result<T, Error>) -> Option<T> {
    let one_line = |e: &Error| {
        let e = e.to_string();
        assert!(e.starts_with(name) && !e.contains('\n'), "{e}");
    };
    read.inspect_err(one_line).ok()
}
