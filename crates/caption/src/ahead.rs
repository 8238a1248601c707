//! Reads and decodes images on threads of their own, ahead of the model, in order.

use crate::input::Input;
use crate::inputs::Inputs;
use crate::read;
use attend_image::{DecodeOptions, Photograph};
use attend_program::{Error, Result, check_interrupt};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use std::io::BufReader;
use std::path::PathBuf;
use std::time::Duration;

/// An image that is ready for the model, or the reason why it is not.
pub enum Read {
    /// Its path or name, its pixels at the model's size and, if a picture of it will be drawn,
    /// the photograph.
    Image(PathBuf, Vec<u8>, Option<Photograph>),
    /// Its path or name, and why it can't be read.
    Unread(PathBuf, String),
    /// Nothing more comes.
    Failed(Error),
}

/// How images are read.
#[derive(Clone)]
pub struct Reading {
    /// How they are decoded.
    pub options: DecodeOptions,
    /// The model's image size, [height, width].
    pub size: [u32; 2],
    /// Whether photographs are kept at full size.
    pub keep: bool,
    /// Number of threads that decode.
    pub threads: usize,
    /// Number of images that are ready at most.
    pub most: usize,
}

/// The images, as they get ready.
pub struct Ahead {
    ready: Receiver<Receiver<Read>>,
    /// The next image, which is being read.
    next: Option<Receiver<Read>>,
}

/// How long a wait goes on before it looks whether the user wants to end.
const TICK: Duration = Duration::from_millis(100);

impl Ahead {
    /// Begins to read.
    pub fn begin(inputs: Inputs, reading: &Reading) -> Ahead {
        let (queue, ready) = bounded(reading.most);
        let (work, todo) = bounded::<(Input, Sender<Read>)>(reading.most);
        for _ in 0..reading.threads.max(1) {
            let (todo, reading) = (todo.clone(), reading.clone());
            std::thread::spawn(move || {
                for (input, done) in todo {
                    let _ = done.send(read(input, &reading));
                }
            });
        }
        std::thread::spawn(move || {
            let stdin = BufReader::new(std::io::stdin());
            let send = |input, work: &Sender<_>| {
                let (done, one) = bounded(1);
                queue.send(one).is_ok() && work.send((input, done)).is_ok()
            };
            if let Err(error) = inputs.each(stdin, &mut |input| send(input, &work)) {
                let (done, one) = bounded(1);
                let _ = done.send(Read::Failed(error));
                let _ = queue.send(one);
            }
        });
        Ahead { ready, next: None }
    }

    /// The next images, at most `most`, none at the end. Waits until there are so many, or
    /// with `eager` only for the first.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn batch(&mut self, most: usize, eager: bool) -> Result<Vec<Read>> {
        let mut batch = Vec::new();
        while batch.len() < most {
            let wait = batch.is_empty() || !eager;
            if self.next.is_none() {
                self.next = receive(&self.ready, wait)?;
            }
            let Some(next) = &self.next else { break };
            let Some(read) = receive(next, wait)? else {
                break;
            };
            self.next = None;
            batch.push(read);
        }
        Ok(batch)
    }
}

/// The next message; `None` if there is none now, or will never be.
fn receive<T>(from: &Receiver<T>, wait: bool) -> Result<Option<T>> {
    loop {
        check_interrupt()?;
        match wait {
            false => {
                return match from.try_recv() {
                    Ok(message) => Ok(Some(message)),
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => Ok(None),
                };
            }
            true => match from.recv_timeout(TICK) {
                Ok(message) => return Ok(Some(message)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
            },
        }
    }
}

fn read(input: Input, reading: &Reading) -> Read {
    let (path, photograph) = match input {
        Input::Unread(path, reason) => return Read::Unread(path, reason),
        Input::File(path) => {
            let read = read::photograph(&path, &reading.options);
            (path, read)
        }
        Input::Bytes(name, bytes) => (name, read::decode(&bytes, &reading.options)),
    };
    match photograph {
        Err(reason) => Read::Unread(path, reason),
        Ok(photograph) => {
            let [height, width] = reading.size;
            let pixels = attend_image::resize(&photograph, height, width);
            let pixels = attend_image::to_planar(&pixels, height, width);
            Read::Image(path, pixels, reading.keep.then_some(photograph))
        }
    }
}
