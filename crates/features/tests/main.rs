//! Runs `attend-features`: its features are the encoder's, even after interruptions, and it
//! refuses weights of another model.
#![allow(clippy::unwrap_used)]

use attend_artifact::Artifact;
use attend_artifact::dataset::Dataset;
use attend_artifact::features::Features;
use attend_artifact::model::EncoderConfig;
use attend_model::{Arch, Encoder, LastStage, ResNetConfig, StrideIn, encoder, weights};
use attend_testing::{DataSet, Split};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;
use tch::{Device, Kind, Tensor, nn, no_grad};

const SIZE: usize = 32;
const ENCODER: ResNetConfig = ResNetConfig {
    arch: Arch::Resnet18,
    last_stage: LastStage::Layer2,
    stride_in: StrideIn::Conv3x3,
};

struct World {
    folder: tempfile::TempDir,
    vars: nn::VarStore,
    encoder: Box<dyn Encoder>,
}

impl World {
    /// Two shards of noise, and an encoder of random weights.
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        dataset(&folder.path().join("dataset"));
        tch::manual_seed(7);
        let vars = nn::VarStore::new(Device::Cpu);
        let encoder = encoder::new(&vars.root(), &ENCODER);
        weights::write(
            &folder.path().join("w.safetensors"),
            &vars.variables().into_iter().collect(),
        )
        .unwrap();
        World {
            folder,
            vars,
            encoder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, output: &str, set: &[&str]) -> Output {
        self.command(output, set).output().unwrap()
    }

    fn command(&self, output: &str, set: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_attend-features"));
        command
            .args([
                "--set=encoder.arch=resnet18",
                "--set=encoder.last_stage=layer2",
                "--jobs=1",
            ])
            .arg(format!(
                "--set=encoder.weights=\"{}\"",
                self.path("w.safetensors").display()
            ))
            .args(set.iter().map(|item| format!("--set={item}")))
            .arg(format!(
                "--input=dataset={}",
                self.path("dataset").display()
            ))
            .arg("--output")
            .arg(self.path(output));
        command
    }

    fn made(&self, output: &str, set: &[&str]) -> Artifact {
        let result = self.run(output, set);
        assert!(
            result.status.success(),
            "{}",
            String::from_utf8_lossy(&result.stderr)
        );
        Artifact::open(&self.path(output)).unwrap()
    }
}

fn dataset(folder: &Path) {
    write(folder, &|image_id| {
        let noise = |n: i64| ((n * 37 + n * n * 11 + image_id * 101) % 256) as u8;
        (0..3 * (SIZE * SIZE) as i64).map(noise).collect()
    });
}

fn write(folder: &Path, pixels: &dyn Fn(i64) -> Vec<u8>) {
    let split = |name, first| Split {
        name,
        first,
        count: 7,
    };
    let data = DataSet {
        side: SIZE,
        splits: &[split("train", 0), split("val", 10)],
        pixels,
        captions: &|_| Vec::new(),
        objects: &[],
    };
    data.write(folder);
}

#[test]
fn features_are_the_encoders() {
    let world = World::new();
    let artifact = world.made("features", &["features.dtype=f32", "features.batch=3"]);
    let features = Features::open(&artifact).unwrap();
    assert_eq!(
        (features.grid(), features.channels(), features.len()),
        ([4, 4], 128, 14)
    );
    let dataset = Dataset::open(&Artifact::open(&world.path("dataset")).unwrap()).unwrap();
    for image in dataset.images() {
        let pixels =
            Tensor::from_data_size(dataset.pixels(image).unwrap(), &[1, 3, 32, 32], Kind::Uint8);
        let expected = no_grad(|| world.encoder.encode(&pixels, false, Kind::Float).cells);
        let row = Tensor::from_data_size(
            features.row(image.image_id).unwrap(),
            &[1, 16, 128],
            Kind::Float,
        );
        let worst = (&row - &expected).abs().max().double_value(&[]);
        let scale = expected.abs().max().double_value(&[]);
        assert!(
            worst <= 1e-4 * scale,
            "image {}: {worst} of {scale}",
            image.image_id
        );
    }
    // f16 on disk holds the same numbers, rounded.
    let half = Features::open(&world.made("half", &["features.batch=3"])).unwrap();
    let row = |from: &Features, kind: Kind| {
        Tensor::from_data_size(from.row(3).unwrap(), &[16, 128], kind)
    };
    assert!(row(&half, Kind::Half).equal(&row(&features, Kind::Float).to_kind(Kind::Half)));
    drop(world.vars);
}

#[test]
fn the_same_inputs_give_the_same_digest() {
    let world = World::new();
    let whole = world.made("whole", &[]);
    let first = world.made("cut", &[]);
    assert_eq!(first.manifest, whole.manifest);
    let again = world.made("cut", &[]);
    assert_eq!(again.manifest, whole.manifest);
    let changed = world.made("cut", &["features.dtype=f32"]);
    assert_ne!(changed.manifest.digest, whole.manifest.digest);
}

#[test]
fn weights_of_another_model_and_no_weights_are_refused() {
    let world = World::new();
    let refused = |set: &[&str], code: i32, words: &str| {
        let result = world.run("refused", set);
        let log = String::from_utf8_lossy(&result.stderr).into_owned();
        assert!(
            result.status.code() == Some(code) && log.contains(words),
            "{log}"
        );
        assert!(!world.path("refused").exists());
    };
    refused(&["encoder.arch=resnet34"], 3, "missing");
    refused(&["encoder.weights=/no/such.pth"], 3, "no such file");
    refused(&["encoder.weights=/tmp"], 3, "a folder");
    refused(&["features.dtype=f8"], 2, "f16 or f32");
    refused(&["features.device=tpu"], 2, "tpu");
}

#[test]
fn weights_that_are_no_numbers_never_become_features() {
    let world = World::new();
    let refused = |name: &str, tensor: &str, number: f64, set: &[&str], words: &[&str]| {
        let path = world.path(name);
        let mut dict = weights::read(&world.path("w.safetensors")).unwrap();
        let _ = dict.get_mut(tensor).unwrap().get(0).fill_(number);
        weights::write(&path, &dict).unwrap();
        let file = format!("encoder.weights=\"{}\"", path.display());
        let result = world.run("refused", &[&[&*file], set].concat());
        let log = String::from_utf8_lossy(&result.stderr).into_owned();
        assert_eq!(result.status.code(), Some(3), "{log}");
        assert!(words.iter().all(|word| log.contains(word)), "{log}");
        assert!(!world.path("refused").exists());
    };
    let nan = ["nan.safetensors", "layer1.0.bn1.weight"];
    refused(nan[0], nan[1], f64::NAN, &[], &nan);
    let negative = ["negative.safetensors", "bn1.running_var"];
    refused(negative[0], negative[1], -1.0, &[], &negative);
    // Finite weights whose features overflow f16 or even f32: the message names the first image.
    let bias = "layer2.1.bn2.bias";
    let image = ["shards/train-00000.arrow", "image 0 (0.png)"];
    refused(
        "large",
        bias,
        1e6,
        &[],
        &[image[0], image[1], "features.dtype = \"f32\""],
    );
    let scale = "layer2.1.bn2.weight";
    let words = [image[0], "NaN or infinite; check encoder.weights"];
    refused("huge", scale, 3e38, &["features.dtype=f32"], &words);
    let file = format!("encoder.weights=\"{}\"", world.path("large").display());
    world.made("f32", &[&file, "features.dtype=f32"]);
}

/// A module that averages pixels into cells of a grid of 4 x 4.
fn module(path: &Path) {
    let images = Tensor::zeros([2, 3, 32, 32], (Kind::Float, Device::Cpu));
    let mut traced = |inputs: &[Tensor]| {
        let map = inputs[0].avg_pool2d([8, 8], [8, 8], [0, 0], false, true, None);
        vec![map]
    };
    let module = tch::CModule::create_by_tracing("Net", "forward", &[images], &mut traced);
    module.unwrap().save(path).unwrap();
}

#[test]
fn a_torchscript_module_makes_features_and_is_kept_beside_them() {
    let world = World::new();
    let path = world.path("module.pt");
    module(&path);
    let file = format!("torchscript.file=\"{}\"", path.display());
    let set = [
        &*file,
        "torchscript.mean=[0.0,0.0,0.0]",
        "torchscript.std=[1.0,1.0,1.0]",
        "features.dtype=f32",
        "features.batch=3",
    ];
    let artifact = world.made("features", &set);
    let kept = |name: &str| std::fs::read(artifact.file(name).unwrap()).unwrap();
    assert_eq!(kept("encoder.pt"), std::fs::read(&path).unwrap());
    assert!(artifact.file("encoder.safetensors").is_err());
    let config = EncoderConfig::read(&artifact.file("encoder.json").unwrap()).unwrap();
    assert_eq!((config.grid([32, 32]), config.channels()), ([4, 4], 3));
    assert_eq!(artifact.manifest.inputs["torchscript"].kind, "torchscript");
    let weights = config.weights_blake3(&artifact).unwrap();
    assert_eq!(weights, artifact.manifest.inputs["torchscript"].digest);
    // Cell 1, blue, of an image: by hand.
    let features = Features::open(&artifact).unwrap();
    let dataset = Dataset::open(&Artifact::open(&world.path("dataset")).unwrap()).unwrap();
    let image = &dataset.images()[3];
    let pixels = dataset.pixels(image).unwrap();
    let blue = &pixels[2 * SIZE * SIZE..];
    let sum: f32 = (0..8)
        .flat_map(|y| &blue[y * SIZE + 8..y * SIZE + 16])
        .map(|p| f32::from(*p))
        .sum();
    let row = features.row(image.image_id).unwrap();
    let cell = f32::from_ne_bytes(row[20..24].try_into().unwrap());
    assert!((cell - sum / 64.0 / 255.0).abs() < 1e-6, "{cell}");
    // Shards are made again alone, to the byte.
    std::fs::remove_file(world.path("features/shards/val-00000.arrow")).unwrap();
    let made = world.made("features", &set).manifest;
    assert_eq!(made, artifact.manifest);
    let refused = |more: &[&str], code: i32, words: &str| {
        let result = world.run("refused", &[&[&*file], more].concat());
        let log = String::from_utf8_lossy(&result.stderr).into_owned();
        assert!(
            result.status.code() == Some(code) && log.contains(words),
            "{log}"
        );
    };
    refused(
        &["torchscript.std=[1.0,0.0,1.0]"],
        2,
        "three numbers above 0",
    );
    refused(&["torchscript.output=tokens"], 3, "[2, tokens, channels]");
    refused(&["torchscript.output=maps"], 2, "torchscript.output");
    refused(&["torchscript.file=/no/such.pt"], 3, "torchscript.file");
    let weights = format!(
        "torchscript.file=\"{}\"",
        world.path("w.safetensors").display()
    );
    refused(&[&weights], 3, "w.safetensors: no TorchScript module");
}

/// The stage with further arguments.
fn says(world: &World, output: &str, args: &[&str]) -> (i32, String) {
    let result = world.command(output, &[]).args(args).output().unwrap();
    let log = String::from_utf8_lossy(&result.stderr).into_owned();
    (result.status.code().unwrap(), log)
}

#[test]
fn killed_at_any_instant_it_goes_on_to_the_same_end() {
    let world = World::new();
    let begun = Instant::now();
    let whole = world.made("whole", &[]).manifest;
    let took = begun.elapsed();
    let (mut kills, mut ends) = (0u32, 0);
    for n in 0..400u32 {
        let mut child = world.command("killed", &[]);
        let mut child = child.stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(took * (n * 37 % 50 + 10) / 50);
        child.kill().unwrap(); // SIGKILL
        if child.wait().unwrap().code().is_none() {
            kills += 1;
        }
        let output = world.path("killed");
        if output.exists() {
            let artifact = Artifact::open(&output).unwrap();
            artifact.verify().unwrap();
            assert_eq!(artifact.manifest, whole);
            std::fs::remove_dir_all(output).unwrap();
            ends += 1;
        }
        if kills >= 50 && ends > 0 {
            break;
        }
    }
    assert!(kills >= 50 && ends > 0, "{kills} kills, {ends} ends");
}

#[test]
fn shards_are_made_by_tasks_and_made_again_alone() {
    let world = World::new();
    let whole = world.made("whole", &[]).manifest;
    let (code, log) = says(&world, "out", &["--task", "2/2"]);
    assert_eq!(code, 0, "{log}");
    let (code, log) = says(&world, "out", &["--finalize"]);
    assert!(code == 4 && log.contains("1 of 2 files"), "{log}");
    assert_eq!(says(&world, "out", &["--task", "1/2"]).0, 0);
    assert!(!world.path("out").exists());
    assert_eq!(says(&world, "out", &["--finalize"]).0, 0);
    let artifact = || Artifact::open(&world.path("out")).unwrap();
    assert_eq!(artifact().manifest, whole);

    for file in [
        "shards/val-00000.arrow",
        "encoder.json",
        "encoder.safetensors",
    ] {
        let path = world.path("out").join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 2;
        std::fs::write(&path, bytes).unwrap();
        assert!(artifact().verify().is_err());
        assert_eq!(says(&world, "out", &["--repair"]).0, 0);
        artifact().verify().unwrap();
        assert_eq!(artifact().manifest, whole);
    }
    assert_eq!(says(&world, "out", &["--shards", "train-00000"]).0, 0);
    assert_eq!(artifact().manifest, whole);
}

/// Pixels [3, SIZE, SIZE] of which those at (y, x) are those of `pixels` at `from(y, x)`.
fn moved(pixels: &[u8], from: impl Fn(usize, usize) -> (usize, usize)) -> Vec<u8> {
    let plane = SIZE * SIZE;
    let at = |n: usize| {
        let (y, x) = from(n % plane / SIZE, n % SIZE);
        pixels[n / plane * plane + y * SIZE + x]
    };
    (0..3 * plane).map(at).collect()
}

#[test]
fn views_are_the_features_of_the_flipped_and_turned_images() {
    let world = World::new();
    let artifact = world.made("features", &["features.dtype=f32", "features.views=8"]);
    assert_eq!(artifact.manifest.counts["views"], 8);
    let features = Features::open(&artifact).unwrap();
    let dataset = Dataset::open(&Artifact::open(&world.path("dataset")).unwrap()).unwrap();
    type From = fn(usize, usize) -> (usize, usize);
    const END: usize = SIZE - 1;
    let views: [From; 8] = [
        |y, x| (y, x),
        |y, x| (y, END - x),
        |y, x| (END - y, x),
        |y, x| (END - y, END - x),
        |y, x| (x, END - y),
        |y, x| (END - x, END - y),
        |y, x| (x, y),
        |y, x| (END - x, y),
    ];
    // Counterclockwise: the upper right corner becomes the upper left one.
    assert_eq!(views[4](0, 0), (0, END));
    for image in dataset
        .images()
        .iter()
        .filter(|image| image.split == "train")
    {
        let pixels = dataset.pixels(image).unwrap();
        let mut seen: Vec<Vec<u8>> = Vec::new();
        for (view, from) in views.iter().enumerate() {
            let pixels = moved(pixels, from);
            let tensor = Tensor::from_data_size(&pixels, &[1, 3, 32, 32], Kind::Uint8);
            let expected = no_grad(|| world.encoder.encode(&tensor, false, Kind::Float).cells);
            let row = features.view(image.image_id, view).unwrap();
            let found = Tensor::from_data_size(row, &[1, 16, 128], Kind::Float);
            let worst = (&found - &expected).abs().max().double_value(&[]);
            let scale = expected.abs().max().double_value(&[]);
            assert!(worst < 1e-5 * scale, "view {view}: {worst} of {scale}");
            assert!(!seen.contains(&pixels));
            seen.push(pixels);
        }
    }
    let val = dataset
        .images()
        .iter()
        .find(|image| image.split == "val")
        .unwrap();
    assert!(features.view(val.image_id, 1).is_none());
}

#[test]
fn a_data_set_of_flipped_images_has_the_features_of_that_view() {
    let world = World::new();
    let settings = ["features.views=2"];
    let artifact = world.made("features", &settings);
    let mirrored = tempfile::tempdir().unwrap();
    let path = world.path("dataset");
    let original = mirrored.path().join("original");
    std::fs::rename(&path, &original).unwrap();
    let opened = Dataset::open(&Artifact::open(&original).unwrap()).unwrap();
    let pixels = |id: i64| {
        let image = opened
            .images()
            .iter()
            .find(|image| image.image_id == id)
            .unwrap();
        moved(opened.pixels(image).unwrap(), |y, x| (y, SIZE - 1 - x))
    };
    write(&path, &pixels);
    let flipped = Features::open(&world.made("flipped", &settings)).unwrap();
    let features = Features::open(&artifact).unwrap();
    for id in 0..7 {
        assert_eq!(features.view(id, 1).unwrap(), flipped.row(id).unwrap());
        assert_eq!(features.row(id).unwrap(), flipped.view(id, 1).unwrap());
        assert_ne!(features.row(id).unwrap(), flipped.row(id).unwrap());
    }
}

#[test]
fn without_views_an_artifact_is_what_it_was() {
    let world = World::new();
    let plain = world.made("features", &[]).manifest;
    let config = plain.config["features"].as_object().unwrap();
    assert_eq!(config.keys().collect::<Vec<_>>(), ["dtype", "batch"]);
    assert!(!plain.counts.contains_key("views"));
    let views = world.made("views", &["features.views=4"]).manifest;
    for file in &plain.files {
        assert_eq!(views.file(&file.name), Some(file));
    }
    let further = views
        .files
        .iter()
        .filter(|file| plain.file(&file.name).is_none());
    let further: Vec<&str> = further.map(|file| file.name.as_str()).collect();
    assert_eq!(further, ["views/train-00000.arrow"]);
}

#[test]
fn a_lost_shard_of_views_comes_back() {
    let world = World::new();
    let settings = ["features.views=2"];
    let before = world.made("features", &settings).manifest.digest;
    for again in [&["--repair"][..], &["--shards", "views/train-00000.arrow"]] {
        std::fs::remove_file(world.path("features/views/train-00000.arrow")).unwrap();
        let made = world.command("features", &settings).args(again).output();
        let made = made.unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let after = Artifact::open(&world.path("features")).unwrap();
        after.verify().unwrap();
        assert_eq!(after.manifest.digest, before);
    }
}

#[test]
fn pooled_features_are_means_of_cells() {
    let world = World::new();
    let settings = ["features.dtype=f32", "features.views=2"];
    let whole = Features::open(&world.made("whole", &settings)).unwrap();
    let pooled = [&settings[..], &["features.grid=[2,2]"]].concat();
    let pooled = Features::open(&world.made("pooled", &pooled)).unwrap();
    assert_eq!(pooled.grid(), [2, 2]);
    let tensor = |row: &[u8], cells| Tensor::from_data_size(row, &[cells, 128], Kind::Float);
    for (id, view) in [(0, 0), (3, 1), (12, 0)] {
        let cells = tensor(whole.view(id, view).unwrap(), 16); // 4 x 4
        let quarters = cells.reshape([2, 2, 2, 2, 128]); // (Y, y, X, x, C)
        let expected = quarters
            .mean_dim([1i64, 3].as_slice(), false, Kind::Float)
            .reshape([4, 128]);
        let found = tensor(pooled.view(id, view).unwrap(), 4);
        let worst = (found - expected).abs().max().double_value(&[]);
        assert!(worst < 1e-5, "{worst}");
    }
}

#[test]
fn views_and_grids_that_cannot_be_are_refused() {
    let world = World::new();
    for (set, words) in [
        (
            "features.views=3",
            "features.views = 3 must be 1, 2, 4 or 8",
        ),
        (
            "features.grid=[5,4]",
            "features.grid = [5, 4] must be [0, 0], or from [1, 1] to the encoder's grid, [4, 4]",
        ),
        ("features.grid=[0,4]", "features.grid = [0, 4] must be"),
    ] {
        for check in [&["--check"][..], &[]] {
            let result = world
                .command("features", &[set])
                .args(check)
                .output()
                .unwrap();
            let log = String::from_utf8_lossy(&result.stderr).into_owned();
            assert_eq!(result.status.code(), Some(2), "{log}");
            assert!(log.contains(words), "{log}");
            assert!(!world.path("features").exists());
        }
    }
}
