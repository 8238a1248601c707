//! A program that runs beside this one, with a thread for each of its pipes.

use attend_program::interrupted;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

/// Time that a program has to end after its input has ended.
pub(crate) const ENDING: Duration = Duration::from_secs(5);

/// Maximum length of a line of standard error, in bytes.
const LONGEST: u64 = 4096;

/// The process and its pipes.
pub(crate) struct Process {
    child: Child,
    /// To its input, which ends when this is dropped.
    pub(crate) pixels: Option<Sender<Vec<u8>>>,
    pub(crate) answers: Receiver<Answer>,
    errors: Option<JoinHandle<()>>,
    last_line: Arc<Mutex<String>>,
    /// Images that it has answered.
    pub(crate) done: usize,
}

/// What came from its output.
pub(crate) enum Answer {
    /// The cells of an image.
    Cells(Vec<u8>),
    /// The end, after some bytes of an answer.
    End(usize),
}

impl Process {
    /// Starts the program of a command, whose answers have `answer` bytes each.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn start(mut command: Command, answer: usize) -> std::io::Result<Process> {
        command.process_group(0); // Ctrl-C is for us
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        dies_with_us(command.stderr(Stdio::piped()));
        let mut child = command.spawn()?;
        let (pixels, to_write) = channel();
        let (answered, answers) = sync_channel(1);
        let last_line = Arc::new(Mutex::new(String::new()));
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let _ = stdin.map(|stdin| spawn(move || write(stdin, &to_write)));
        let _ = stdout.map(|stdout| spawn(move || read(stdout, answer, &answered)));
        let line = Arc::clone(&last_line);
        let stderr = child.stderr.take();
        let errors = stderr.map(|stderr| spawn(move || log(stderr, &line)));
        Ok(Process {
            child,
            pixels: Some(pixels),
            answers,
            errors,
            last_line,
            done: 0,
        })
    }

    /// The last line of its standard error.
    pub(crate) fn last_line(&self) -> String {
        let line = self.last_line.lock();
        line.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends its input, and waits a little for it and for its last line of standard error.
    /// Returns how it ended; `None` if it did not, and was killed.
    pub(crate) fn end(&mut self) -> Option<ExitStatus> {
        self.pixels = None;
        let soon = |mut done: Box<dyn FnMut() -> bool + '_>| {
            let begun = Instant::now();
            while !done() && begun.elapsed() < ENDING && !interrupted() {
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        let mut status = None;
        soon(Box::new(|| {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        }));
        self.kill();
        if let Some(errors) = self.errors.take() {
            soon(Box::new(|| errors.is_finished()));
        }
        status
    }

    /// Ends it and all processes that it has started in its group.
    fn kill(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Lets Linux kill the program as soon as this one is gone, however that came.
fn dies_with_us(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        let parent = rustix::process::getpid();
        let set = move || {
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
            match rustix::process::getppid() {
                Some(now) if now == parent => Ok(()),
                _ => Err(std::io::Error::other("its parent is gone")),
            }
        };
        // SAFETY: between fork and exec it only makes two system calls.
        unsafe { command.pre_exec(set) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

fn write(mut stdin: ChildStdin, pixels: &Receiver<Vec<u8>>) {
    for bytes in pixels {
        if stdin.write_all(&bytes).is_err() {
            break; // it has ended, or wants no more
        }
    }
}

fn read(mut stdout: ChildStdout, size: usize, answered: &SyncSender<Answer>) {
    loop {
        let mut cells = Vec::with_capacity(size);
        let read = stdout.by_ref().take(size as u64).read_to_end(&mut cells);
        let whole = read.is_ok() && cells.len() == size;
        let answer = match whole {
            true => Answer::Cells(cells),
            false => Answer::End(cells.len()),
        };
        if answered.send(answer).is_err() || !whole {
            break;
        }
    }
}

fn log(stderr: ChildStderr, last_line: &Mutex<String>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    while let Ok(1..) = stderr.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if !text.is_empty() {
            tracing::info!("encoder: {text}");
            *last_line.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
        line.clear();
    }
}
