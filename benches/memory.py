"""Measure the trainer's memory with data sets of two sizes.

    cargo xtask bench memory        # builds, runs this

Draws scenes, makes shards and a vocabulary from them, and trains on the shards for a
while. The trainer reads a fixed number of batches ahead and maps the shards, so its own
memory (RssAnon; the system can take back pages of mapped files) should grow only by the
captions.
"""

import argparse
import pathlib
import signal
import subprocess
import tempfile
import time

SMALL = {"encoder.arch": "resnet18", "encoder.last_stage": "layer2", "train.encoder": "whole", "train.batch": 40, "train.captions_per_image": 5}


def run(program, output, inputs=(), settings=None):
    command = [program, "--output", output, *(f"--input={path.name}={path}" for path in inputs)]
    for key, value in (settings or {}).items():
        command += ["--set", f"{key}={value}"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def done(process):
    log = process.communicate()[1]
    if process.returncode:
        raise SystemExit(log)


def own_memory(process):
    """RssAnon in MB; 0 if the process has ended."""
    lines = pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return max((int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon")), default=0)


def peak(programs, folder, images, seconds):
    scenes, ingest, vocab, train = programs
    done(run(scenes, folder / "scenes", settings={"scenes.train": images, "scenes.val": 20, "scenes.test": 20, "scenes.image_size": 64}))
    dataset = {"dataset.format": "karpathy", "dataset.annotations": "dataset_scenes.json", "dataset.image_size": 64}
    done(run(ingest, folder / "dataset", [folder / "scenes"], dataset))
    done(run(vocab, folder / "vocabulary", [folder / "dataset"], {"vocab.min_count": 1}))
    process = run(train, folder / "model", [folder / "dataset", folder / "vocabulary"], SMALL)
    most, begun = 0.0, time.monotonic()
    while time.monotonic() - begun < seconds and process.poll() is None:
        most = max(most, own_memory(process))
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    log = process.communicate()[1]
    if process.returncode not in (0, 130):
        raise SystemExit(log)
    return most


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", nargs=4, help="paths of attend-scenes, attend-ingest, attend-vocab and attend-train")
    parser.add_argument("--images", type=int, nargs="+", default=(1000, 10000), help="images in each data set")
    parser.add_argument("--seconds", type=float, default=30, help="training time")
    args = parser.parse_args()
    for images in args.images:
        with tempfile.TemporaryDirectory() as folder:
            most = peak(args.programs, pathlib.Path(folder), images, args.seconds)
        print(f"{images} images, {5 * images} captions: {most:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
