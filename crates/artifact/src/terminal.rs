//! The terminal that progress is drawn on.

use indicatif::TermLike;
use rustix::termios::{Winsize, tcgetwinsize};
use std::fmt::Write as _;
use std::io::{Result, Write as _, stderr};
use std::sync::Mutex;

/// Standard error. A terminal that is gone, since its window was closed, is no error;
/// indicatif's own ends the process then.
#[derive(Debug, Default)]
pub(crate) struct Terminal(Mutex<String>);

impl Terminal {
    fn put(&self, text: std::fmt::Arguments) -> Result<()> {
        if let Ok(mut buffer) = self.0.lock() {
            let _ = buffer.write_fmt(text);
        }
        Ok(())
    }

    fn size(&self) -> Option<Winsize> {
        let size = tcgetwinsize(stderr()).ok();
        size.filter(|size| size.ws_col > 0 && size.ws_row > 0)
    }

    /// Moves the cursor; zero would be one.
    fn go(&self, n: usize, direction: char) -> Result<()> {
        match n {
            0 => Ok(()),
            n => self.put(format_args!("\x1b[{n}{direction}")),
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.size().map_or(80, |size| size.ws_col)
    }

    fn height(&self) -> u16 {
        self.size().map_or(24, |size| size.ws_row)
    }

    fn move_cursor_up(&self, n: usize) -> Result<()> {
        self.go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> Result<()> {
        self.go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> Result<()> {
        self.go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> Result<()> {
        self.go(n, 'D')
    }

    fn write_line(&self, text: &str) -> Result<()> {
        self.put(format_args!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> Result<()> {
        self.put(format_args!("{text}"))
    }

    fn clear_line(&self) -> Result<()> {
        self.put(format_args!("\r\x1b[2K"))
    }

    fn flush(&self) -> Result<()> {
        if let Ok(mut buffer) = self.0.lock() {
            let _ = stderr().write_all(buffer.as_bytes());
            buffer.clear();
        }
        Ok(())
    }
}
