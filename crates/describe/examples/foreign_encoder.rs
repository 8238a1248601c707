//! A foreign encoder: reads images of SIDE x SIDE pixels from standard input, and answers
//! each with its cells ([`attend_testing::foreign`]). A second word makes it fail in some way.
#![allow(clippy::unwrap_used, reason = "a program of the tests")]

use attend_testing::foreign::cells;
use std::io::{Read, Write};
use std::time::Duration;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let side: usize = words[0].parse().unwrap();
    let fault = words.get(1).map_or("", String::as_str);
    let mut image = vec![0; 3 * side * side];
    let (mut pixels, mut answers) = (std::io::stdin().lock(), std::io::stdout().lock());
    for number in 1.. {
        if pixels.read_exact(&mut image).is_err() {
            break;
        }
        let mut numbers = cells(&image);
        match (fault, number) {
            ("nan", 2) => numbers[3] = f32::NAN,
            ("little", 2) => drop(numbers.split_off(7)),
            ("much", 2) => numbers.push(0.5),
            ("double", _) => numbers.extend(numbers.clone()),
            ("hang", 2) => loop {
                std::thread::sleep(Duration::from_secs(60));
            },
            ("ends", 2) => {
                eprintln!("loading\nno such \u{1b}[31mlayer");
                std::process::exit(7);
            }
            _ => {}
        }
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        answers.write_all(&bytes).unwrap();
        answers.flush().unwrap();
        if fault == "little" && number == 2 {
            return;
        }
    }
    std::process::exit(if fault == "badly" { 7 } else { 0 });
}
