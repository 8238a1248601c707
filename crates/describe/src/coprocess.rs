//! A foreign encoder: a program that runs beside this one.
//!
//! For each image it reads pixels u8 [3, H, W] from standard input, and answers with cells
//! f32 [h * w, C], little-endian, on standard output. It is started once, and ends when its
//! input ends. What it writes to standard error becomes log lines.

use crate::command::EncoderCommand;
use crate::process::{Answer, ENDING, Process};
use attend_artifact::model::ForeignConfig;
use attend_model::{Cells, Error, FrozenEncoder, Result};
use attend_program::interrupted;
use std::process::Command;
use std::sync::mpsc::RecvTimeoutError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tch::{Device, Kind, Tensor};

/// Time without an answer after which a program is taken to hang.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Time between two looks for a signal while waiting.
const MOMENT: Duration = Duration::from_millis(50);

/// Time after which the user is told whom we wait for.
const QUIET: Duration = Duration::from_secs(10);

/// A running encoder.
pub struct Coprocess {
    encoder: ForeignConfig,
    command: String,
    patience: Duration,
    process: Mutex<Process>,
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
        start.args(arguments);
        let bytes = 4 * encoder.grid[0] * encoder.grid[1] * encoder.channels;
        let process = Process::start(start, bytes as usize).map_err(|e| {
            let place = match program.as_bytes() {
                [b'/', ..] => "",
                name if name.contains(&b'/') => "; it is looked up in the working directory",
                _ => "; it is looked up on PATH",
            };
            Error::Encoder(format!(
                "the encoder's command `{text}` can't be started: {program}: {e}{place}"
            ))
        })?;
        Ok(Coprocess {
            encoder: encoder.clone(),
            command: text,
            patience,
            process: Mutex::new(process),
        })
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, process: &Process, what: &str) -> Error {
        let said = match process.last_line().as_str() {
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
