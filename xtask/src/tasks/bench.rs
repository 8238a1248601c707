//! `cargo xtask bench`: measures our programs against those that people use today, and
//! against the machine's limits, with the Python scripts of `benches/`.

use crate::child;
use crate::programs::Programs;
use crate::setup::cache::Cache;
use crate::setup::pip;
use crate::workspace::Workspace;
use attend_program::{Error, Result, say};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// Command line of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Args {
    /// What to measure
    #[arg(required_unless_present = "device")]
    what: Option<What>,
    /// Measure training on a CUDA device, against PyTorch on the same device
    #[arg(long, conflicts_with = "what")]
    device: Option<OnDevice>,
    /// A Python that has the packages to compare with [default: python3, with packages
    /// that are downloaded]
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// Arguments of the script, such as `-- --rounds 9`
    #[arg(last = true, value_name = "ARGUMENTS")]
    more: Vec<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum What {
    /// Turning photographs into shards, against libjpeg-turbo, Pillow and OpenCV
    Ingest,
    /// Computing ResNet-101's features, against torchvision in PyTorch (a 5 GB download)
    Features,
    /// A training step of the decoder, against PyTorch
    Training,
    /// A training step of the transformer, against PyTorch's own modules
    Transformer,
    /// Quality of a captioner that PyTorch trains on a run's features: `-- artifacts/rsicd RESULTS`
    Captioner,
    /// The search for captions, against PyTorch's: `-- artifacts/coco-mini`
    Search,
    /// A step of training by reward, against ruotianluo's code: `-- RUN CHECKOUT CIDER`
    Reward,
    /// From a cold start to one caption, against PyTorch: `-- artifacts/coco-mini/model IMAGE`
    Start,
    /// Whole epochs with a frozen encoder, against the way of the PyTorch tutorial
    Epoch,
    /// Memory of the trainer with two sizes of the data set
    Memory,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum OnDevice {
    /// The first CUDA device
    Cuda,
}

/// Python packages to compare with, and the folder of the cache that holds them. Other
/// packages need another folder name.
struct Peers {
    folder: &'static str,
    packages: &'static [&'static str],
}

const IMAGES: Peers = Peers {
    folder: "bench-ingest-1",
    packages: &[
        "pillow==13.0.0",
        "numpy==2.4.6",
        "opencv-python-headless==5.0.0.93",
    ],
};
const TORCH: Peers = Peers {
    folder: "bench-torch-1",
    packages: &[
        "torch==2.11.0",
        "torchvision==0.26.0",
        "safetensors==0.8.0",
        "numpy==2.4.6",
        "pyarrow==26.0.1",
        "pillow==13.0.0",
    ],
};

const REWARD: Peers = Peers {
    folder: "bench-reward-1",
    packages: &[
        "torch==2.11.0",
        "safetensors==0.8.0",
        "numpy==2.4.6",
        "pyarrow==26.0.1",
        "pycocoevalcap==1.2",
        "six==1.17.0",
    ],
};

/// Builds our programs, installs the Python packages and runs the script.
pub fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let with_photographs = !matches!(
        args.what,
        Some(What::Captioner | What::Memory | What::Reward | What::Search | What::Start)
    );
    if with_photographs && std::env::var_os("ATTEND_DATA").is_none() {
        return Err(Error::usage(
            "ATTEND_DATA is not set: it must name a folder with coco-mini/{train2014,val2014}/ of full-size photographs and coco-mini/dataset_coco.json",
        ));
    }
    let program = |name: &str| -> Result<PathBuf> {
        let programs = Programs::prepare(workspace, [name], Some("release"))?;
        let command = programs.command(&[name.to_owned()])?;
        Ok(command.get_program().into())
    };
    let (script, programs, peers) = match args.what {
        None => {
            let step = example(workspace, "attend-train", "step")?;
            ("cuda.py", vec![step], Some(TORCH))
        }
        Some(What::Ingest) => {
            let floor = example(workspace, "attend-image", "decode")?;
            (
                "ingest.py",
                vec![program("attend-ingest")?, floor],
                Some(IMAGES),
            )
        }
        Some(What::Features) => {
            let programs = vec![program("attend-ingest")?, program("attend-features")?];
            ("features.py", programs, Some(TORCH))
        }
        Some(What::Epoch) => {
            let step = example(workspace, "attend-train", "step")?;
            let programs = vec![program("attend-ingest")?, program("attend-features")?, step];
            ("epoch.py", programs, Some(TORCH))
        }
        Some(What::Memory) => {
            let names = ["scenes", "ingest", "vocab", "train"];
            let programs = names.map(|name| program(&format!("attend-{name}")));
            let programs: Result<Vec<PathBuf>> = programs.into_iter().collect();
            ("memory.py", programs?, None)
        }
        Some(What::Captioner) => ("captioner.py", Vec::new(), Some(TORCH)),
        Some(What::Search) => {
            let search = example(workspace, "attend-describe", "search")?;
            ("search.py", vec![search], Some(TORCH))
        }
        Some(What::Reward) => {
            let reward = example(workspace, "attend-train", "reward")?;
            ("reward.py", vec![reward], Some(REWARD))
        }
        Some(What::Start) => ("start.py", vec![program("attend-caption")?], Some(TORCH)),
        Some(What::Training) => {
            let step = example(workspace, "attend-train", "step")?;
            ("training.py", vec![step], Some(TORCH))
        }
        Some(What::Transformer) => {
            let step = example(workspace, "attend-train", "step")?;
            ("transformer.py", vec![step], Some(TORCH))
        }
    };
    let python = args.python.as_deref();
    let mut python = Command::new(python.unwrap_or("python3".as_ref()));
    if let (None, Some(peers)) = (&args.python, &peers) {
        python.env("PYTHONPATH", install(peers)?);
    }
    python
        .arg(workspace.root.join("benches").join(script))
        .args(programs)
        .args(&args.more);
    child::run_ok(&mut python)
}

/// Builds an example of one of our packages.
fn example(workspace: &Workspace, package: &str, name: &str) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "build",
            "--release",
            "--message-format=json-render-diagnostics",
        ])
        .args(["--package", package, "--example", name])
        .current_dir(&workspace.root);
    let (status, output) = child::run_for_output(&mut cargo)?;
    let mut messages = (output.lines()).filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let built = messages.find_map(|m| Some(m.get("executable")?.as_str()?.into()));
    built
        .filter(|_| status.success())
        .ok_or_else(|| Error::internal(format!("{name} could not be built, see above")))
}

/// The folder of the Python packages; downloads them once per machine.
fn install(peers: &Peers) -> Result<PathBuf> {
    let cache = Cache::locate()?;
    let _lock = cache.lock()?;
    cache.tree(peers.folder, |folder| {
        pip::version()?;
        say!("downloading {}", peers.packages.join(", "));
        let mut command = Command::new("python3");
        command
            .args(["-m", "pip", "--disable-pip-version-check", "install"])
            .args(["--only-binary=:all:", "--target"])
            .arg(folder)
            .args(peers.packages);
        child::run_ok(&mut command)
    })
}
