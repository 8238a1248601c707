//! Asks questions on the terminal.

use crate::{Result, check_interrupt, text};
use std::io::{BufRead, IsTerminal, Write};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

/// Asks `question`, and returns whether the user says yes; `None` if there is no terminal
/// to ask on.
///
/// # Errors
/// [`crate::Error::Interrupted`] if the user presses Ctrl-C instead.
pub fn ask(question: &str) -> Result<Option<bool>> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(None);
    }
    let _ = write!(std::io::stderr(), "{} [y/N] ", text::escaped(question));
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut answer = String::new();
        let _ = std::io::stdin().lock().read_line(&mut answer);
        sender.send(answer)
    });
    loop {
        match receiver.recv_timeout(Duration::from_millis(50)) {
            Ok(answer) => return Ok(Some(answer.trim().eq_ignore_ascii_case("y"))),
            Err(RecvTimeoutError::Timeout) => check_interrupt()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(Some(false)),
        }
    }
}
