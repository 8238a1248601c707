//! A temporary checkout, with stages that are shell scripts.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

pub struct Place {
    folder: TempDir,
}

/// Exit code and output of a task.
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    /// With stages `first` -> alpha, `second`: alpha -> beta, in pipeline `two`.
    pub fn new() -> Place {
        let place = Place {
            folder: tempfile::tempdir().unwrap(),
        };
        place.stage(
            "first",
            "alpha",
            "",
            r#"{"draw": {"count": 3, "colour": "red", "seed": null}}"#,
            "",
        );
        place.stage(
            "second",
            "beta",
            r#"{"kind": "alpha", "required": true}"#,
            r#"{"learn": {"rate": 0.5, "epochs": 2}}"#,
            "",
        );
        place.write(
            "pipelines/two.toml",
            "[[stage]]\nname = \"learn\"\ncommand = [\"second\"]\ninputs = { alpha = \"alpha\" }\noutput = \"beta\"\n\n\
             [[stage]]\nname = \"draw\"\ncommand = [\"first\"]\noutput = \"alpha\"\n",
        );
        place.write(
            "c.toml",
            "[run]\nname = \"r\"\npipeline = \"two\"\n\n[draw]\ncount = 7\n\n[learn]\nepochs = 9\n",
        );
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Writes a file; never through a link to somewhere else.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        assert!(!path.is_symlink(), "{name} is a link");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn script(&self, name: &str, text: &str) {
        self.write(name, &format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A program that logs its arguments, does `work` with `$config` and `$out`, and leaves an
    /// artifact, of the digest `$digest` if that is set.
    pub fn stage(&self, name: &str, output: &str, inputs: &str, parameters: &str, work: &str) {
        let log = self.path("log");
        self.script(
            &format!("bin/{name}"),
            &format!(
                r#"if [ "$1" = --describe ]; then
  echo '{{"name": "{name}", "version": "1", "about": "", "inputs": [{inputs}], "output": "{output}", "parameters": {parameters}, "unrecorded": []}}'
  exit 0
fi
echo "{name} $*" >> '{log}'
while [ $# -gt 0 ]; do
  case "$1" in --config) config=$2 ;; --output) out=$2 ;; esac
  shift
done
{work}
mkdir -p "$out"
echo '{{"kind": "{output}", "digest": "'"${{digest:-0123456789abcdef}}"'", "counts": {{"things": 5}}}}' > "$out/manifest.json"
echo "scores of {name}""#,
                log = log.display()
            ),
        );
    }

    /// The programs and arguments of all stages that have run, a line each.
    pub fn log(&self) -> Vec<String> {
        self.read("log").lines().map(str::to_owned).collect()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("ATTEND_WORKSPACE", self.folder.path())
            .env("ATTEND_BIN_DIR", self.path("bin"))
            .env("ATTEND_CACHE", self.path("cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Cargo's configuration sets these to the checkout that is tested.
        for name in [
            "LIBTORCH",
            "LIBTORCH_USE_PYTORCH",
            "CMAKE",
            "ASM_NASM",
            "CC",
            "ATTEND_DATA",
        ] {
            command.env_remove(name);
        }
        command
    }

    pub fn xtask(&self, arguments: &[&str]) -> Outcome {
        finish(&mut self.command(arguments))
    }
}

pub fn finish(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = folder
        .read_dir()
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
