//! METEOR of a file of tokenised captions.
use attend_metrics::meteor::{Data, Meteor};
use std::path::Path;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    if a[1] == "compile" {
        Data::compile(Path::new(&a[2]), Path::new(&a[3])).unwrap();
        return;
    }
    #[derive(serde::Deserialize)]
    struct In {
        h: Vec<String>,
        r: Vec<Vec<String>>,
    }
    let i: In = serde_json::from_str(&std::fs::read_to_string(&a[3]).unwrap()).unwrap();
    let w = |s: &String| s.split(' ').map(String::from).collect::<Vec<_>>();
    let t = std::time::Instant::now();
    let d = Data::open(Path::new(&a[2])).unwrap();
    eprintln!("open {:?}", t.elapsed());
    let h: Vec<_> = i.h.iter().map(w).collect();
    let r: Vec<Vec<_>> = i.r.iter().map(|r| r.iter().map(w).collect()).collect();
    let t = std::time::Instant::now();
    let s = Meteor::new(&d).score(&h, &r);
    eprintln!("score {:?}", t.elapsed());
    std::fs::write(&a[4], serde_json::to_string(&s).unwrap()).unwrap();
}
