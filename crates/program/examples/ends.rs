//! A program that ends in the way that its argument names; the tests run it.

use attend_program::{Error, end};
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let how = std::env::args().nth(1).unwrap_or_default();
    end::with(
        || {
            let _ = write!(std::io::stdout(), "said");
            match how.as_str() {
                "panic" => fault(),
                "thread" => std::thread::scope(|scope| drop(scope.spawn(fault))),
                "caught" => drop(std::panic::catch_unwind(fault)),
                "foreign" => foreign(),
                _ => return Err(Error::Reported(3)),
            }
            Ok(())
        },
        "",
    )
}

fn fault() {
    assert!(std::hint::black_box(false), "first line\nsecond line");
}

extern "C" fn foreign() {
    fault();
}
