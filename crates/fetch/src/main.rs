//! `attend-fetch`: downloads data sets and weights that others publish.

use attend_fetch::client::Client;
use attend_fetch::download::{Downloader, Outcome, is_there};
use attend_fetch::list::{Collection, List};
use attend_program::table::{Align, Table};
use attend_program::text::human;
use attend_program::{At, Error, Result, output, program, signal};
use clap::Parser;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf, absolute};
use std::process::ExitCode;
use std::time::Duration;

/// Downloads data sets and weights that others publish: COCO, Karpathy's splits,
/// torchvision's ResNets, GloVe.
///
/// Without a name, lists what there is. What was interrupted goes on with the same command;
/// a file has its name only once it is whole. HTTPS_PROXY, HTTP_PROXY and NO_PROXY are
/// obeyed.
#[derive(Parser)]
#[command(name = "attend-fetch", version)]
struct Args {
    /// What to download
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// The folder to download to
    #[arg(long, value_name = "DIR", default_value = ".")]
    to: PathBuf,
    /// Another server, which has the files under the same paths or under their names alone
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Only say what would be downloaded, and how much
    #[arg(long)]
    dry_run: bool,
    /// A list of your own, in the form of crates/fetch/src/list.toml
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Seconds to wait for a server's next word
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..))]
    patience: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    program(|| fetch(&args))
}

fn fetch(args: &Args) -> Result<()> {
    let list = List::read(args.list.as_deref())?;
    let mirror = args.mirror.as_deref();
    if let Some(mirror) = mirror
        && !(mirror.starts_with("https://") || mirror.starts_with("http://"))
    {
        return Err(Error::usage(format!(
            "--mirror {mirror}: expected an address that begins with https:// or http://"
        )));
    }
    if args.names.is_empty() {
        return describe(&list.all().collect::<Vec<_>>());
    }
    let chosen = args.names.iter().map(|name| {
        let found = list.find(name)?;
        Ok((name.as_str(), found))
    });
    let chosen: Vec<(&str, &Collection)> = chosen.collect::<Result<_>>()?;
    if args.dry_run {
        return preview(&chosen, mirror, &args.to);
    }
    std::fs::create_dir_all(&args.to).at(&args.to)?;
    let downloader = Downloader {
        client: Client::new(Duration::from_secs(args.patience)),
        mirror,
        pause: Duration::from_secs(1),
    };
    let folder = absolute(&args.to).at(&args.to)?;
    let mut variables = BTreeSet::new();
    for (name, collection) in &chosen {
        for entry in &collection.files {
            // What has arrived stays, so a signal may end the program at any moment.
            let outcome = signal::waiting(|| downloader.bring(entry, &args.to))??;
            let what = match outcome {
                Outcome::Present => "is there already",
                Outcome::Arrived => "has arrived",
            };
            tracing::info!("{name}: {} {what}", entry.name());
        }
        variables.extend(&collection.variable);
    }
    for variable in variables {
        output::print(format!("export {variable}={}", folder.display()))?;
    }
    Ok(())
}

/// Lists names, sizes and what they are.
fn describe(all: &[(&str, &Collection)]) -> Result<()> {
    let mut table = Table::new([Align::Left, Align::Right, Align::Left]);
    for (name, collection) in all {
        let files = collection.files.iter();
        let sizes = files.map(|entry| entry.bytes.or(entry.about));
        let size = sizes.sum::<Option<u64>>().map_or_else(String::new, human);
        table.row([*name, &size, &collection.about]);
    }
    output::print(table).map(drop)
}

/// Lists the files to download, with their sizes, and how they are verified.
fn preview(chosen: &[(&str, &Collection)], mirror: Option<&str>, folder: &Path) -> Result<()> {
    let mut table = Table::new([Align::Left, Align::Right, Align::Left, Align::Left]);
    for entry in chosen.iter().flat_map(|(_, collection)| &collection.files) {
        let state = match is_there(entry, folder)? {
            true => "is there",
            false => "to download",
        };
        let check = match (&entry.sha256, entry.bytes) {
            (Some(digits), _) => format!("SHA-256 {digits}…"),
            (None, Some(_)) => "size".to_owned(),
            (None, None) => "no check".to_owned(),
        };
        let url = entry.urls(mirror).swap_remove(0);
        table.row([state, &entry.size(), &check, &url]);
    }
    output::print(table).map(drop)
}
