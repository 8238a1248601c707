//! `cargo xtask doctor`: what is installed on this machine, and what is missing.

use super::print;
use crate::setup::cache::{Cache, free_megabytes};
use crate::setup::{libtorch, meteor, pip, platform, tools};
use crate::workspace::Workspace;
use attend_program::table::{Align, Table};
use attend_program::{Error, Result};

#[derive(Clone)]
struct Finding {
    name: &'static str,
    /// What was found, or how to install it.
    found: std::result::Result<String, String>,
    needed: bool,
}

/// Prints the findings; fails if something needed is missing.
pub fn run(workspace: &Workspace) -> Result<()> {
    let cache = Cache::locate()?;
    let findings = [
        tool_chain(),
        python(),
        built_things(workspace, &cache),
        places(workspace, &cache),
    ]
    .concat();
    let mut missing = Vec::new();
    let mut table = Table::new([Align::Left; 3]);
    for Finding {
        name,
        found,
        needed,
    } in &findings
    {
        let (mark, text) = match found {
            Ok(text) => ("ok", text),
            Err(text) if *needed => ("MISSING", text),
            Err(text) => ("-", text),
        };
        table.row([mark, name, text]);
        if found.is_err() && *needed {
            missing.push(*name);
        }
    }
    print(table)?;
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::internal(format!("missing: {}", missing.join(", "))))
    }
}

fn tool_chain() -> Vec<Finding> {
    let rust = |program: &str| {
        tools::answer(program, "--version")
            .ok_or_else(|| "install Rust 1.95 or newer (rustup)".to_owned())
    };
    let cxx = tools::first_that_runs("CXX", &["c++", "g++", "clang++"]);
    vec![
        Finding {
            name: "rustc",
            found: rust("rustc"),
            needed: true,
        },
        Finding {
            name: "cargo",
            found: rust("cargo"),
            needed: true,
        },
        Finding {
            name: "C compiler",
            found: tools::compiler()
                .map(|name| with_version(&name))
                .map_err(|e| e.to_string()),
            needed: true,
        },
        Finding {
            name: "C++ compiler",
            found: cxx.map(|name| with_version(&name)).ok_or_else(|| {
                "install one (Debian, Ubuntu: `apt-get install build-essential`)".to_owned()
            }),
            needed: true,
        },
    ]
}

fn with_version(program: &str) -> String {
    format!(
        "{program}: {}",
        tools::answer(program, "--version").unwrap_or_default()
    )
}

/// Python and pip are needed only to download what is missing.
fn python() -> Vec<Finding> {
    vec![Finding {
        name: "python3 + pip",
        found: pip::version().map_err(|e| e.to_string()),
        needed: false,
    }]
}

fn built_things(workspace: &Workspace, cache: &Cache) -> Vec<Finding> {
    let setup = |what: &str| format!("`cargo xtask setup` installs {what}");
    let folder = libtorch::of_user(workspace).unwrap_or_else(|| workspace.libtorch());
    let torch = match libtorch::inspect(&folder) {
        Ok(version) => Ok(format!("{version}, {}", resolved(&folder))),
        Err(_) if !folder.exists() => {
            Err(platform::current().map_or_else(|e| e.to_string(), |_| setup("libtorch")))
        }
        Err(why) => Err(format!("{} {why}; {}", folder.display(), setup("another"))),
    };
    let tool = |path: std::path::PathBuf, flag: &str| {
        tools::answer(&path, flag)
            .map(|version| format!("{version}, {}", resolved(&path)))
            .ok_or_else(|| setup("it"))
    };
    vec![
        Finding {
            name: "libtorch",
            found: torch,
            needed: true,
        },
        Finding {
            name: "cmake",
            found: tool(tools::cmake(workspace), "--version"),
            needed: true,
        },
        Finding {
            name: "nasm",
            found: tool(tools::nasm(workspace), "-v"),
            needed: cfg!(target_arch = "x86_64"),
        },
        Finding {
            name: "cargo-deny",
            found: tools::deny(cache)
                .map(|path| path.display().to_string())
                .ok_or_else(|| "`cargo xtask test` builds it".to_owned()),
            needed: false,
        },
        Finding {
            name: "METEOR data",
            found: meteor::folder(cache)
                .map(|path| path.display().to_string())
                .ok_or_else(|| "`cargo xtask setup --meteor` installs it".to_owned()),
            needed: false,
        },
    ]
}

fn resolved(path: &std::path::Path) -> String {
    path.canonicalize()
        .unwrap_or_else(|_| path.to_owned())
        .display()
        .to_string()
}

fn places(workspace: &Workspace, cache: &Cache) -> Vec<Finding> {
    let data = match std::env::var("ATTEND_DATA") {
        Err(_) => Err(
            "not set: the folder of data sets; tests on real data are skipped without it"
                .to_owned(),
        ),
        Ok(folder) if std::path::Path::new(&folder).is_dir() => Ok(folder),
        Ok(folder) => Err(format!("{folder} is not a folder")),
    };
    let room = |path: &std::path::Path| {
        let free = free_megabytes(path)
            .ok_or_else(|| format!("{}: free space unknown", path.display()))?;
        Ok(format!(
            "{}, {:.1} GB free",
            path.display(),
            free as f64 / 1000.0
        ))
    };
    vec![
        Finding {
            name: "ATTEND_DATA",
            found: data,
            needed: false,
        },
        Finding {
            name: "cache",
            found: room(&cache.root),
            needed: false,
        },
        Finding {
            name: "checkout",
            found: room(&workspace.root),
            needed: false,
        },
    ]
}
