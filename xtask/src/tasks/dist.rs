//! `cargo xtask dist`: one archive that runs on a machine without Rust, Python and this
//! checkout: the programs with this one as `attend`, the libraries that they need, the
//! pipelines, configs and licences.

use crate::folders::name;
use crate::programs::{self, Programs};
use crate::workspace::{Workspace, shown};
use attend_program::text::human;
use attend_program::{At, Error, Result, say, whole};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Command line of `cargo xtask dist`.
#[derive(clap::Args)]
pub struct Args {
    /// The archive: .tar.gz, .tar.zst (needs the program zstd) or .tar [default:
    /// attend-VERSION-SYSTEM.tar.gz]
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Pack attend-stats, too, whose first build takes long
    #[arg(long)]
    stats: bool,
}

/// Libraries that are never packed: the C library belongs to the kernel and the loader of the
/// machine, and brings libgcc_s with it (Debian's libc6 depends on libgcc-s1).
const OF_SYSTEM: [&str; 10] = [
    "linux-vdso",
    "ld-linux",
    "libc.so",
    "libm.so",
    "libdl.so",
    "libpthread.so",
    "librt.so",
    "libutil.so",
    "libresolv.so",
    "libgcc_s.so",
];

/// As `crates/model/rpath.rs` sets it.
const RPATH: &[u8] = b"$ORIGIN/../lib";

const README: &str = "\
Show, Attend and Tell: image captioning as a pipeline of programs.

    bin/attend demo       draws a small data set, trains on it, captions unseen pictures
    bin/attend            lists all tasks
    bin/attend run captioning --config configs/coco2014.toml

Runs go to artifacts/ in the working directory. docs/parameters.md has every key of the
configs. Put bin/attend on your PATH by a link, or call it where it is; keep the folders
beside it together. The source's `cargo xtask TASK` is `attend TASK` here.
";

/// What the archive holds: path -> content.
type Entries = BTreeMap<String, Content>;

enum Content {
    File(PathBuf),
    Program(PathBuf),
    Text(String),
}

/// Collects what belongs into the archive, and writes it.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Err(Error::usage("dist works on Linux"));
    }
    let system = format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH);
    let folder = format!("attend-{}-{system}", env!("CARGO_PKG_VERSION"));
    let output = args.output.clone();
    let output = output.unwrap_or_else(|| format!("{folder}.tar.gz").into());
    let packed = Packed::of(&output)?;
    let entries = entries(workspace, args)?;
    whole::write(&output, |file| packed.write(file, &folder, &entries))?;
    let bytes = output.metadata().at(&output)?.len();
    super::print(format!(
        "{}: {} ({} files)",
        shown(&output),
        human(bytes),
        entries.len()
    ))
}

fn entries(workspace: &Workspace, args: &Args) -> Result<Entries> {
    let mut entries = Entries::new();
    let mut libraries = BTreeMap::new();
    for (program, path) in built(workspace, args)? {
        let needed = libraries_of(&path)?;
        if !needed.is_empty() && !holds(&path, RPATH)? {
            return Err(Error::internal(format!(
                "{}: was linked by an older checkout and would not find its libraries; build it again",
                path.display()
            )));
        }
        libraries.extend(needed);
        entries.insert(format!("bin/{program}"), Content::Program(path));
    }
    let own = std::env::current_exe().map_err(Error::internal)?;
    entries.insert("bin/attend".to_owned(), Content::Program(own));
    for (library, path) in libraries {
        entries.insert(format!("lib/{library}"), Content::Program(path));
    }
    for folder in ["configs", "pipelines"] {
        let path = workspace.root.join(folder);
        for entry in path.read_dir().at(&path)?.flatten() {
            let name = format!("{folder}/{}", name(&entry.path()));
            entries.insert(name, Content::File(entry.path()));
        }
    }
    for name in ["LICENSE-APACHE", "LICENSE-MIT", "docs/parameters.md"] {
        entries.insert(name.to_owned(), Content::File(workspace.root.join(name)));
    }
    for name in ["LICENSE", "NOTICE"] {
        let path = workspace.libtorch().join(name);
        if path.is_file() {
            entries.insert(format!("licences/libtorch/{name}"), Content::File(path));
        }
    }
    entries.insert("README.md".to_owned(), Content::Text(README.to_owned()));
    let licences = licences(workspace)?;
    entries.insert("licences/crates.txt".to_owned(), Content::Text(licences));
    Ok(entries)
}

/// All our programs, with their paths.
fn built(workspace: &Workspace, args: &Args) -> Result<Vec<(String, PathBuf)>> {
    let names = programs::names(workspace, args.stats)?;
    let programs = Programs::prepare(workspace, names.iter().map(String::as_str), None)?;
    let mut found = Vec::new();
    for name in names {
        match programs.command(std::slice::from_ref(&name)) {
            Ok(command) => found.push((name, PathBuf::from(command.get_program()))),
            // In a folder of programs that the user has named, some may be missing.
            Err(why) if workspace.programs().is_some() => say!("left out: {why}"),
            Err(why) => return Err(why),
        }
    }
    Ok(found)
}

/// The libraries that the loader finds for a program, by name, except those of the system.
fn libraries_of(program: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let output = Command::new(program)
        .env("LD_TRACE_LOADED_OBJECTS", "1") // as `ldd` does
        .stdin(Stdio::null())
        .output()
        .at(program)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut libraries = BTreeMap::new();
    for line in text.lines().map(str::trim) {
        let Some((library, found)) = line.split_once(" => ") else {
            continue; // the loader, and what the kernel provides
        };
        if found.starts_with("not found") {
            return Err(Error::internal(format!("{}: {line}", program.display())));
        }
        if OF_SYSTEM.iter().any(|known| library.starts_with(known)) {
            continue;
        }
        let path = found.split(" (0x").next().unwrap_or(found);
        let path = Path::new(path).canonicalize().at(Path::new(path))?;
        libraries.insert(library.to_owned(), path);
    }
    Ok(libraries)
}

fn holds(file: &Path, bytes: &[u8]) -> Result<bool> {
    let content = std::fs::read(file).at(file)?;
    Ok(content.windows(bytes.len()).any(|window| window == bytes))
}

/// The licences of all crates: each text once, after the names of the crates that have it.
fn licences(workspace: &Workspace) -> Result<String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version=1", "--locked"]);
    let output = cargo
        .current_dir(&workspace.root)
        .output()
        .map_err(Error::internal)?;
    let failed = |e| Error::internal(format!("cargo metadata: {e}"));
    let metadata: Json = serde_json::from_slice(&output.stdout).map_err(failed)?;
    let packages = metadata.get("packages").and_then(Json::as_array);
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages.into_iter().flatten() {
        let text = |key: &str| package.get(key).and_then(Json::as_str).unwrap_or_default();
        if text("source").is_empty() {
            continue; // our own
        }
        let name = format!("{} {} ({})", text("name"), text("version"), text("license"));
        let folder = Path::new(text("manifest_path"))
            .parent()
            .unwrap_or(Path::new("."));
        let files = folder
            .read_dir()
            .at(folder)?
            .flatten()
            .map(|entry| entry.path());
        let is_licence = |path: &PathBuf| {
            let name = self::name(path).to_uppercase();
            let known = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];
            known.iter().any(|word| name.starts_with(word)) && path.is_file()
        };
        let mut found: Vec<PathBuf> = files.filter(is_licence).collect();
        found.sort();
        if found.is_empty() {
            texts
                .entry("(no text in the package)\n".to_owned())
                .or_default()
                .push(name.clone());
        }
        for file in found {
            let text = String::from_utf8_lossy(&std::fs::read(&file).at(&file)?).into_owned();
            texts.entry(text).or_default().push(name.clone());
        }
    }
    let mut all: Vec<(Vec<String>, String)> = texts.into_iter().map(|(t, n)| (n, t)).collect();
    all.sort();
    let line = "=".repeat(78);
    let part = |(names, text): &(Vec<String>, String)| {
        format!(
            "{line}\n{}\n{line}\n\n{}\n\n",
            names.join("\n"),
            text.trim_end()
        )
    };
    Ok(all.iter().map(part).collect())
}

/// How an archive is packed.
enum Packed {
    Plain,
    Gzip,
    Zstd,
}

impl Packed {
    fn of(output: &Path) -> Result<Packed> {
        let name = name(output);
        match name.rsplit_once(".tar") {
            Some((_, "")) => Ok(Packed::Plain),
            Some((_, ".gz")) => Ok(Packed::Gzip),
            Some((_, ".zst")) => Ok(Packed::Zstd),
            _ => Err(Error::usage(format!(
                "--output {name}: the name must end in .tar.gz, .tar.zst or .tar"
            ))),
        }
    }

    fn write(&self, file: &mut File, folder: &str, entries: &Entries) -> Result<()> {
        match self {
            Packed::Plain => pack(BufWriter::new(file), folder, entries).map(drop),
            Packed::Gzip => {
                let level = flate2::Compression::default();
                let gzip = flate2::write::GzEncoder::new(BufWriter::new(file), level);
                let gzip = pack(gzip, folder, entries)?;
                gzip.finish()
                    .and_then(|mut file| file.flush())
                    .map_err(Error::internal)
            }
            Packed::Zstd => {
                let mut zstd = Command::new("zstd");
                zstd.args(["--quiet", "-T0", "-9", "--stdout"]);
                zstd.stdin(Stdio::piped());
                zstd.stdout(file.try_clone().map_err(Error::internal)?);
                let started = zstd.spawn().map_err(|e| {
                    Error::usage(format!(
                        "zstd can't be started ({e}): install it, or choose a name that ends in .tar.gz"
                    ))
                });
                let mut child = started?;
                // The pipe is closed at the end of this line; zstd waits for that.
                let written = child
                    .stdin
                    .take()
                    .map(|pipe| pack(pipe, folder, entries).map(drop));
                let status = child.wait().map_err(Error::internal)?;
                written.transpose()?;
                match status.success() {
                    true => Ok(()),
                    false => Err(Error::internal(format!("zstd failed ({status})"))),
                }
            }
        }
    }
}

/// Writes a tar archive. Owner, times and order are always the same, so that the same files
/// give the same archive.
fn pack<W: Write>(to: W, folder: &str, entries: &Entries) -> Result<W> {
    let mut tar = tar::Builder::new(to);
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(946_684_800); // the year 2000: some tools warn of older files
        header.set_mode(if matches!(content, Content::Program(_)) {
            0o755
        } else {
            0o644
        });
        let path = format!("{folder}/{name}");
        let written = match content {
            Content::File(file) | Content::Program(file) => {
                let open = File::open(file).at(file)?;
                header.set_size(open.metadata().at(file)?.len());
                tar.append_data(&mut header, &path, open)
            }
            Content::Text(text) => {
                header.set_size(text.len() as u64);
                tar.append_data(&mut header, &path, text.as_bytes())
            }
        };
        written.map_err(|e| Error::internal(format!("{name}: {e}")))?;
    }
    tar.into_inner().map_err(Error::internal)
}
