//! Reads and decodes images on threads of their own, ahead of the model, in order.

use crate::input::Input;
use crate::inputs::Inputs;
use crate::read;
use attend_image::{DecodeOptions, Photograph};
use attend_program::{Error, Result, check_interrupt};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::io::BufReader;
use std::path::PathBuf;
use std::thread::JoinHandle;
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
    lister: Option<JoinHandle<()>>,
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
        let lister = std::thread::spawn(move || {
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
        Ahead {
            ready,
            next: None,
            lister: Some(lister),
        }
    }

    /// The next images, at most `most`, none at the end. Waits until there are so many, or
    /// with `eager` only for the first.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; [`Error::Internal`] if a thread has panicked.
    pub fn batch(&mut self, most: usize, eager: bool) -> Result<Vec<Read>> {
        let mut batch = Vec::new();
        while batch.len() < most {
            let wait = batch.is_empty() || !eager;
            let next = match self.next.take() {
                Some(next) => next,
                None => match receive(&self.ready, wait)? {
                    Got::Message(next) => next,
                    Got::Nothing => break,
                    Got::End => {
                        let lister = self.lister.take();
                        let listed = lister.map_or(Ok(()), JoinHandle::join);
                        listed.map_err(|_| Error::internal("listing the images failed"))?;
                        break;
                    }
                },
            };
            match receive(&next, wait)? {
                Got::Message(read) => batch.push(read),
                Got::Nothing => {
                    self.next = Some(next);
                    break;
                }
                // Otherwise the image would be missing without a word.
                Got::End => return Err(Error::internal("reading an image failed")),
            }
        }
        Ok(batch)
    }
}

/// What a channel has.
enum Got<T> {
    Message(T),
    /// Nothing now.
    Nothing,
    /// Nothing now and ever.
    End,
}

/// The next message; with `wait`, waits for it.
fn receive<T>(from: &Receiver<T>, wait: bool) -> Result<Got<T>> {
    loop {
        check_interrupt()?;
        let tick = if wait { TICK } else { Duration::ZERO };
        match from.recv_timeout(tick) {
            Ok(message) => return Ok(Got::Message(message)),
            Err(RecvTimeoutError::Disconnected) => return Ok(Got::End),
            Err(RecvTimeoutError::Timeout) if wait => {}
            Err(RecvTimeoutError::Timeout) => return Ok(Got::Nothing),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn ahead(ready: Receiver<Receiver<Read>>, lister: JoinHandle<()>) -> Ahead {
        Ahead {
            ready,
            next: None,
            lister: Some(lister),
        }
    }

    fn unread() -> Read {
        Read::Unread("a.jpg".into(), "no picture".into())
    }

    #[test]
    fn a_thread_that_panics_is_an_error_and_not_the_end() {
        // The thread that decodes: its answer will never come.
        let (queue, ready) = bounded(2);
        let (done, one) = bounded(1);
        done.send(unread()).unwrap();
        queue.send(one).unwrap();
        queue.send(bounded(1).1).unwrap();
        let mut read = ahead(ready, std::thread::spawn(|| ()));
        assert_eq!(read.batch(1, false).unwrap().len(), 1);
        assert_eq!(read.batch(1, false).err().unwrap().exit_code(), 1);
        // The thread that lists the images.
        let (queue, ready) = bounded(1);
        let panics = std::thread::spawn(move || {
            let _queue: Sender<Receiver<Read>> = queue;
            panic!("for the test");
        });
        let error = ahead(ready, panics).batch(1, false).err().unwrap();
        assert!(error.to_string().contains("listing"), "{error}");
        let (_, ready) = bounded(1);
        let mut at_the_end = ahead(ready, std::thread::spawn(|| ()));
        assert!(at_the_end.batch(1, false).unwrap().is_empty());
    }
}
