//! A foreign encoder: a program that runs beside this one.
//!
//! For each image it reads pixels u8 [3, H, W] from standard input, and answers with cells
//! f32 [h * w, C], little-endian, on standard output. It is started once, and ends when its
//! input ends. What it writes to standard error becomes log lines.

use crate::command::EncoderCommand;
use attend_artifact::model::ForeignConfig;
use attend_model::{Cells, Error, FrozenEncoder, Result};
use attend_program::interrupted;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

/// Time without an answer after which a program is taken to hang.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Time between two looks for a signal while waiting.
const MOMENT: Duration = Duration::from_millis(50);

/// Time after which the user is told whom we wait for.
const QUIET: Duration = Duration::from_secs(10);

/// Time that a program has to end after its input has ended.
const ENDING: Duration = Duration::from_secs(5);

/// Maximum length of a line of standard error, in bytes.
const LONGEST: u64 = 4096;

/// A running encoder.
pub struct Coprocess {
    encoder: ForeignConfig,
    command: String,
    patience: Duration,
    process: Mutex<Process>,
}

/// The process, with a thread for each of its pipes.
struct Process {
    child: Child,
    /// To its input, which ends when this is dropped.
    pixels: Option<Sender<Vec<u8>>>,
    answers: Receiver<Answer>,
    errors: Option<JoinHandle<()>>,
    /// The last line of its standard error.
    last_line: Arc<Mutex<String>>,
    /// Images that it has answered.
    done: usize,
}

/// What came from its output.
enum Answer {
    /// The cells of an image.
    Cells(Vec<u8>),
    /// The end, after some bytes of an answer.
    End(usize),
}

impl Coprocess {
    /// Starts the program. After `patience` without an answer it is taken to hang
    /// ([`PATIENCE`]).
    ///
    /// # Errors
    /// [`Error::Encoder`] if it can't be started.
    pub fn start(
        encoder: &ForeignConfig,
        command: &EncoderCommand,
        patience: Duration,
    ) -> Result<Coprocess> {
        let text = command.text();
        let [program, arguments @ ..] = &command.words[..] else {
            return Err(Error::Encoder("the encoder's command is empty".into()));
        };
        let mut start = Command::new(program);
        start.args(arguments).process_group(0); // Ctrl-C is for us
        start.stdin(Stdio::piped()).stdout(Stdio::piped());
        dies_with_us(start.stderr(Stdio::piped()));
        let child = start.spawn().map_err(|e| {
            let place = match program.as_bytes() {
                [b'/', ..] => "",
                name if name.contains(&b'/') => "; it is looked up in the working directory",
                _ => "; it is looked up on PATH",
            };
            Error::Encoder(format!(
                "the encoder's command `{text}` can't be started: {program}: {e}{place}"
            ))
        })?;
        let bytes = 4 * encoder.grid[0] * encoder.grid[1] * encoder.channels;
        Ok(Coprocess {
            encoder: encoder.clone(),
            command: text,
            patience,
            process: Mutex::new(Process::new(child, bytes as usize)),
        })
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, process: &Process, what: &str) -> Error {
        let said = process.last_line.lock();
        let said = said.unwrap_or_else(PoisonError::into_inner);
        let said = match said.as_str() {
            "" => String::new(),
            line => format!("; its last line on standard error: {line}"),
        };
        Error::Encoder(format!(
            "the encoder's command `{}` {what}{said}",
            self.command
        ))
    }

    /// What an answer is, for messages.
    fn answer(&self) -> String {
        let ForeignConfig { grid, channels, .. } = self.encoder;
        let cells = grid[0] * grid[1];
        let bytes = 4 * cells * channels;
        format!("for each image it writes {bytes} bytes, f32 [{cells}, {channels}], and flushes")
    }

    /// Waits for the cells of an image.
    fn wait(&self, process: &mut Process) -> Result<Vec<u8>> {
        let begun = Instant::now();
        let mut told = false;
        loop {
            match process.answers.recv_timeout(MOMENT) {
                Ok(Answer::Cells(cells)) => {
                    process.done += 1;
                    return Ok(cells);
                }
                Ok(Answer::End(bytes)) => return Err(self.ended(process, bytes)),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended(process, 0)),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if interrupted() {
                return Err(self.error(process, "was interrupted"));
            }
            if begun.elapsed() > self.patience {
                let what = format!(
                    "has not answered image {} within {} s; {}",
                    process.done + 1,
                    self.patience.as_secs(),
                    self.answer()
                );
                return Err(self.error(process, &what));
            }
            if begun.elapsed() > QUIET && !told {
                tracing::info!("waiting for the encoder's command `{}`", self.command);
                told = true;
            }
        }
    }

    /// Its output has ended after `bytes` of an answer, but there are images without one.
    fn ended(&self, process: &mut Process, bytes: usize) -> Error {
        let status = process.end();
        let how = match status {
            Some(status) => format!("ended ({status})"),
            None => "closed its standard output".to_owned(),
        };
        let image = process.done + 1;
        let what = match bytes {
            0 => format!("{how} before it answered image {image}"),
            bytes => format!("{how} after {bytes} bytes of the cells of image {image}"),
        };
        self.error(process, &format!("{what}; {}", self.answer()))
    }

    /// Refuses an answer that nobody asked for, or one that comes within `time`.
    fn check_silence(&self, process: &Process, time: Duration) -> Result<()> {
        match process.answers.recv_timeout(time) {
            Ok(Answer::Cells(_)) | Ok(Answer::End(1..)) => Err(self.too_much(process)),
            // Its end is noticed where an answer is missing.
            Ok(Answer::End(0)) | Err(_) => Ok(()),
        }
    }

    fn too_much(&self, process: &Process) -> Error {
        let what = format!(
            "wrote more than the cells of {} images, so the captions are wrong; {}",
            process.done,
            self.answer()
        );
        self.error(process, &what)
    }

    fn numbers(&self, process: &Process, cells: &[u8]) -> Result<Vec<f32>> {
        let (numbers, _) = cells.as_chunks();
        let numbers: Vec<f32> = numbers.iter().map(|n| f32::from_le_bytes(*n)).collect();
        match numbers.iter().all(|x| x.is_finite()) {
            true => Ok(numbers),
            false => {
                let what = format!("answered image {} with NaN or infinity", process.done);
                Err(self.error(process, &what))
            }
        }
    }
}

impl FrozenEncoder for Coprocess {
    fn cells(&self, pixels: &Tensor) -> Result<Cells> {
        let wrong = |e: tch::TchError| Error::Encoder(e.to_string());
        let mut process = self.process();
        let first = process.done == 0;
        self.check_silence(&process, Duration::ZERO)?;
        let pixels = pixels
            .to_device(Device::Cpu)
            .to_kind(Kind::Uint8)
            .contiguous();
        let mut bytes = vec![0; pixels.numel()];
        pixels
            .f_copy_data_u8(&mut bytes, pixels.numel())
            .map_err(wrong)?;
        if let Some(to) = &process.pixels {
            // Fails if its input is closed; then an answer will be missing.
            let _ = to.send(bytes);
        }
        let mut numbers = Vec::new();
        for _ in 0..pixels.size()[0] {
            let cells = self.wait(&mut process)?;
            numbers.extend(self.numbers(&process, &cells)?);
        }
        if first {
            // Answers of a wrong size are mostly noticed here, before there is a caption.
            self.check_silence(&process, 2 * MOMENT)?;
        }
        let ForeignConfig { grid, channels, .. } = self.encoder;
        let size = [pixels.size()[0], grid[0] * grid[1], channels];
        Ok(Cells {
            cells: Tensor::from_slice(&numbers).view(size),
            grid,
        })
    }

    fn end(&self) -> Result<()> {
        let mut process = self.process();
        process.pixels = None;
        let begun = Instant::now();
        while begun.elapsed() < ENDING && !interrupted() {
            match process.answers.recv_timeout(MOMENT) {
                Ok(Answer::Cells(_) | Answer::End(1..)) => return Err(self.too_much(&process)),
                Ok(Answer::End(0)) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        match process.end() {
            Some(status) if !status.success() => {
                let what = format!("ended badly ({status}) after {} images", process.done);
                Err(self.error(&process, &what))
            }
            Some(_) => Ok(()),
            None => {
                tracing::warn!(
                    "the encoder's command `{}` did not end with its input; it was killed",
                    self.command
                );
                Ok(())
            }
        }
    }
}

impl Process {
    /// `answer` is the size of an answer in bytes.
    fn new(mut child: Child, answer: usize) -> Process {
        let (pixels, to_write) = channel();
        let (answered, answers) = sync_channel(1);
        let last_line = Arc::new(Mutex::new(String::new()));
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let _ = stdin.map(|stdin| spawn(move || write(stdin, &to_write)));
        let _ = stdout.map(|stdout| spawn(move || read(stdout, answer, &answered)));
        let line = Arc::clone(&last_line);
        let stderr = child.stderr.take();
        let errors = stderr.map(|stderr| spawn(move || log(stderr, &line)));
        Process {
            child,
            pixels: Some(pixels),
            answers,
            errors,
            last_line,
            done: 0,
        }
    }

    /// Ends its input, and waits a little for it and for its last line of standard error.
    /// Returns how it ended; `None` if it did not, and was killed.
    fn end(&mut self) -> Option<std::process::ExitStatus> {
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
