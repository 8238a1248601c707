//! The program of a foreign encoder.
//!
//! An artifact may name it, but only the user's own words start it: a model from elsewhere
//! never runs a program by itself, whatever was allowed for another model.

use attend_artifact::Input;
use attend_artifact::model::{EncoderConfig, ForeignConfig};
use attend_program::{Error, Result};

/// A program and its arguments, as the user gave them, for a foreign encoder.
#[derive(Clone, Debug)]
pub struct EncoderCommand {
    /// The program, and its arguments. A name without `/` is looked up on `PATH`, any other
    /// relative to the working directory.
    pub words: Vec<String>,
}

impl EncoderCommand {
    /// The command for describing pixels with this encoder: the words of `given`, split as a
    /// shell does. `None` if the encoder is not foreign. `option` is how the user gives a
    /// command, for messages: `--encoder-command=`.
    ///
    /// # Errors
    /// [`Error::Input`], with the model's own suggestion, if the encoder is foreign and
    /// `given` is empty; [`Error::Usage`] if it is not needed or not a command.
    pub fn of(
        encoder: &EncoderConfig,
        given: &str,
        option: &str,
    ) -> Result<Option<EncoderCommand>> {
        let option_name = option.trim_end_matches('=');
        let EncoderConfig::Foreign(foreign) = encoder else {
            return match given.is_empty() {
                true => Ok(None),
                false => Err(Error::usage(format!(
                    "{option_name}: the model's encoder is {encoder}, which needs no program; leave it out"
                ))),
            };
        };
        if given.is_empty() {
            return Err(refusal(encoder, foreign, option));
        }
        let words = shlex::split(given).filter(|words| !words.is_empty());
        let words = words.ok_or_else(|| {
            Error::usage(format!(
                "{option_name}: {given:?} is not a program and its arguments, quoted as in a shell"
            ))
        })?;
        Ok(Some(EncoderCommand { words }))
    }

    /// This command as an input in a manifest.
    pub fn input(&self) -> Input {
        let words = serde_json::json!(self.words).to_string();
        Input {
            kind: "command".into(),
            digest: blake3::hash(words.as_bytes()).to_hex().to_string(),
        }
    }

    /// The command as it is typed.
    pub fn text(&self) -> String {
        typed(&self.words)
    }
}

/// Says how to describe pixels with a foreign encoder.
fn refusal(encoder: &EncoderConfig, foreign: &ForeignConfig, option: &str) -> Error {
    let other = "or evaluate features that it made (attend-evaluate --input features=PATH)";
    Error::input(match &foreign.command {
        Some(words) => {
            let command = typed(words);
            let quoted = shlex::try_quote(&command).unwrap_or_default();
            format!(
                "the model's encoder is {encoder}, whose program makes cells of photographs. The model names the command `{command}`; it is not run unless you give it: {option}{quoted}; {other}"
            )
        }
        None => format!(
            "the model's encoder is {encoder}, whose program makes cells of photographs, and the model names no command; give one ({option}'PROGRAM ARGUMENT…'), {other}"
        ),
    })
}

fn typed(words: &[String]) -> String {
    let joined = shlex::try_join(words.iter().map(String::as_str));
    joined.unwrap_or_else(|_| words.join(" "))
}
