//! The command line.

use attend_artifact::model::Checkpoint;
use attend_image::DecodeOptions;
use attend_program::{Error, Result};
use axum::http::HeaderValue;
use clap::Parser;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

/// Describes photographs over HTTP, and has a page for people.
///
/// Prints its address on standard output once it listens, and a log line per request on
/// standard error. SIGTERM, SIGINT (Ctrl-C) and SIGHUP end it: what was accepted is answered
/// first. A second signal ends it at once.
///
/// Exit codes: 0 ended by a signal, with everything answered; 1 internal error, 2 wrong command
/// line, 4 no usable model, 130 ended before everything was answered.
#[derive(Parser)]
#[command(name = "attend-serve", version)]
pub struct Args {
    /// Folder of a model artifact, or of a checkpoint
    #[arg(long, value_name = "DIR")]
    pub model: PathBuf,
    /// Checkpoint of the model artifact
    #[arg(long, default_value = "best", value_parser = ["best", "last"])]
    pub checkpoint: String,
    /// Address and port to listen at; port 0 is any free one. Beyond this machine only with a
    /// token, or with --open
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000")]
    pub listen: String,
    /// Answer only requests with this token (`Authorization: Bearer TOKEN`). Other users of the
    /// machine can read command lines; better use --token-file or the variable ATTEND_TOKEN
    #[arg(long, conflicts_with = "token_file")]
    pub token: Option<String>,
    /// Read the token from this file
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Answer everybody who can reach the address, without a token
    #[arg(long)]
    pub open: bool,
    /// Origin whose pages may ask, scheme and name, or * for all [default: none]
    #[arg(long, value_name = "ORIGIN")]
    pub cors: Option<HeaderValue>,
    /// Maximum size of a request's body in MiB
    #[arg(long, value_name = "MIB", default_value_t = 20, value_parser = range(1, 1024))]
    pub max_body: usize,
    /// Maximum size of all requests' bodies together in MiB; beyond it, requests get 429
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = range(1, 65536))]
    pub max_memory: usize,
    /// Refuse images with more pixels than this
    #[arg(long, value_name = "N", default_value_t = DecodeOptions::default().max_pixels, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_pixels: u64,
    /// Maximum number of pictures that wait; beyond it, requests get 429
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = range(1, 65536))]
    pub queue: usize,
    /// Maximum number of connections
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = range(1, 65536))]
    pub connections: usize,
    /// Seconds in which a request's body must arrive
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = range(1, 3600))]
    pub body_timeout: usize,
    /// Seconds in which a picture must be described, from the time that its body has arrived
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = range(1, 3600))]
    pub timeout: usize,
    /// Seconds for what was accepted when a signal came
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = range(1, 3600))]
    pub grace: usize,
    /// Maximum number of pictures in a batch
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = range(1, 1024))]
    pub batch: usize,
    /// Milliseconds that a batch waits for pictures that are being decoded
    #[arg(long, value_name = "MS", default_value_t = 5, value_parser = range(0, 1000))]
    pub window: usize,
    /// Size in MiB of the cache of captions; 0 keeps none
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = range(0, 65536))]
    pub cache: usize,
    /// Device to run on: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "cpu")]
    pub device: String,
    /// Number of threads of the model, and of those that decode [default: all cores]
    #[arg(long, value_parser = range(1, 4096))]
    pub jobs: Option<usize>,
    /// Program of the model's encoder, if that is another program's network: the words as
    /// in a shell. It is started once and gets the photographs' pixels
    #[arg(
        long,
        value_name = "COMMAND",
        default_value = "",
        hide_default_value = true
    )]
    pub encoder_command: String,
}

fn range(least: usize, most: usize) -> impl Fn(&str) -> Result<usize, String> + Clone {
    move |text| match text.parse() {
        Ok(n) if (least..=most).contains(&n) => Ok(n),
        _ => Err(format!("must be a number from {least} to {most}")),
    }
}

impl Args {
    /// The checkpoint that the arguments name.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let (path, name) = (&self.model, &self.checkpoint);
        Checkpoint::find(path, name)?.ok_or_else(|| {
            Error::refused(format!(
                "{} has no checkpoint {name:?}; name the folder of a model artifact, or train a model first",
                path.display()
            ))
        })
    }

    /// BLAKE3 of the token, if there is one.
    ///
    /// # Errors
    /// [`Error::Usage`] if it is empty or its file can't be read.
    pub fn token(&self) -> Result<Option<blake3::Hash>> {
        let token = match &self.token_file {
            Some(path) => {
                let wrong = |e| Error::usage(format!("--token-file {}: {e}", path.display()));
                Some(std::fs::read_to_string(path).map_err(wrong)?)
            }
            None => (self.token.clone()).or_else(|| std::env::var("ATTEND_TOKEN").ok()),
        };
        let Some(token) = token else {
            return Ok(None);
        };
        match token.trim() {
            "" => Err(Error::usage("the token is empty")),
            token => Ok(Some(blake3::hash(token.as_bytes()))),
        }
    }

    /// The addresses to listen at: this machine's own, unless there is a token or --open.
    ///
    /// # Errors
    /// [`Error::Usage`] if there are none, or others.
    pub fn addresses(&self, with_token: bool) -> Result<Vec<SocketAddr>> {
        let listen = &self.listen;
        let wrong = |e: &dyn std::fmt::Display| Error::usage(format!("--listen {listen}: {e}"));
        let found: Vec<SocketAddr> = listen.to_socket_addrs().map_err(|e| wrong(&e))?.collect();
        let inner = found.iter().all(|address| address.ip().is_loopback());
        if inner || with_token || self.open {
            return Ok(found);
        }
        Err(wrong(
            &"others can reach this address; give a token (--token-file FILE or ATTEND_TOKEN), or --open to answer everybody",
        ))
    }
}
