"""Trains with the PyTorch tutorial's own code, imports its checkpoint, and compares captions.

    git clone https://github.com/sgrvinod/a-PyTorch-Tutorial-to-Image-Captioning CHECKOUT
    pip install torch torchvision h5py nltk tqdm pillow safetensors
    attend-hdf5 export HDF5 --input dataset=DATASET --input vocabulary=VOCABULARY
    python compare_tutorial.py CHECKOUT HDF5 DATASET BIN WORK [--weights FILE] [--captions N]

BIN is the folder of attend-train, attend-evaluate and attend-verify; WORK a folder for what
this makes. Nothing of the tutorial is changed on disk: what today's libraries need is changed
as its files are loaded. WEIGHTS are those of a ResNet-50 up to layer3 with the stride in its
1x1 convolutions; without them it is a ResNet-101 with random weights. A trained.pth.tar
that is in WORK already is taken instead of training.

Checks, at beam sizes 3 and 5: the imported model says of every test image what the tutorial's
`caption_image_beam_search` says, where that does not crash; a file of before PyTorch 1.6 gives
the same model as a zip file; the exported checkpoint has the same weights and, in `caption.py`,
the same captions; `train.py` goes on from it.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import types
from unittest import mock

import h5py
import numpy as np
import torch
import torchvision
from PIL import Image

BEAMS = [3, 5]

# What PyTorch and SciPy have changed since: (file, old, new).
CHANGES = [
    ("train", "scores, _ = pack_padded_sequence", "scores, *_ = pack_padded_sequence"),
    ("train", "targets, _ = pack_padded_sequence", "targets, *_ = pack_padded_sequence"),
    ("train", "checkpoint = torch.load(checkpoint)", "checkpoint = torch.load(checkpoint, weights_only=False)"),
    ("datasets", "self.split is 'TRAIN'", "self.split == 'TRAIN'"),
    ("caption", "top_k_words / vocab_size", "top_k_words // vocab_size"),
]


def load(checkout, name):
    """A file of the tutorial as a module of its name, so that pickles find its classes."""
    source = (checkout / f"{name}.py").read_text()
    for file, old, new in CHANGES:
        if file == name:
            assert old in source, (name, old)
            source = source.replace(old, new)
    module = types.ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, f"{name}.py", "exec"), module.__dict__)
    return module


def libraries():
    """Stands in for what is gone from SciPy, and for what only draws."""
    misc = types.ModuleType("scipy.misc")
    misc.imread = lambda path: np.asarray(Image.open(path).convert("RGB"))
    misc.imresize = lambda image, size: np.asarray(Image.fromarray(image).resize(size[::-1], Image.BILINEAR))
    sys.modules["scipy"] = mock.MagicMock(misc=misc)
    sys.modules["scipy.misc"] = misc
    for name in ["matplotlib", "matplotlib.pyplot", "matplotlib.cm", "skimage", "skimage.transform"]:
        sys.modules[name] = mock.MagicMock()


def resnet50_to_layer3(file):
    """In place of torchvision's ResNet-101, from the weights in a file."""
    from safetensors.torch import load_file

    net = torchvision.models.resnet50()
    for layer in [net.layer2, net.layer3]:
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    del net.layer4
    missing, unexpected = net.load_state_dict({k: v.float() for k, v in load_file(file).items()}, strict=False)
    assert not unexpected and all(name.startswith("fc.") or "num_batches" in name for name in missing)
    return net


def say(encoder, decoder, caption, images, word_map, beam):
    """What the tutorial says of each image; None where its search crashes."""
    words = {number: word for word, number in word_map.items()}
    silent = {word_map[name] for name in ["<start>", "<end>", "<pad>"]}
    said = []
    for image in images:
        try:
            with torch.no_grad():
                sequence, _ = caption.caption_image_beam_search(encoder, decoder, str(image), word_map, beam)
            said.append(" ".join(words[number] for number in sequence if number not in silent))
        except ValueError as error:  # no hypothesis ended: max() of nothing
            assert "empty" in str(error), error
            said.append(None)
    return said


def modules(file):
    """Encoder and decoder as `caption.py` loads them."""
    checkpoint = torch.load(file, map_location="cpu", weights_only=False)
    return checkpoint["encoder"].eval(), checkpoint["decoder"].eval()


def main(args):
    args.work.mkdir(parents=True, exist_ok=True)
    libraries()
    files = {name: load(args.checkout, name) for name in ["models", "datasets", "utils", "caption", "train"]}
    models, datasets, train, caption = (files[name] for name in ["models", "datasets", "train", "caption"])
    if args.weights:
        torchvision.models.resnet101 = lambda pretrained: resnet50_to_layer3(args.weights)
        models.DecoderWithAttention.__init__.__defaults__ = (1024, 0.5)
    else:
        original = torchvision.models.resnet101
        torchvision.models.resnet101 = lambda pretrained: original()

    (wordmap,) = args.hdf5.glob("WORDMAP_*.json")
    base = wordmap.stem.removeprefix("WORDMAP_")
    train.data_folder, train.data_name = str(args.hdf5), base
    train.epochs, train.batch_size, train.print_freq, train.workers = 1, 16, 5, 0
    count = datasets.CaptionDataset.__len__
    datasets.CaptionDataset.__len__ = lambda self: min(count(self), args.captions)
    torch.manual_seed(1)

    def run(*command):
        program, *rest = command
        subprocess.run([args.bin / program, *map(str, rest)], check=True)

    os.chdir(args.work)
    zipped = pathlib.Path("trained.pth.tar")
    if not zipped.exists():
        train.main()
        pathlib.Path(f"checkpoint_{base}.pth.tar").rename(zipped)
    legacy = pathlib.Path("legacy.pth.tar")
    whole = torch.load(zipped, weights_only=False)
    torch.save(whole, legacy, _use_new_zipfile_serialization=False)
    encoder, decoder = modules(zipped)

    with h5py.File(next(args.hdf5.glob("TEST_IMAGES_*.hdf5"))) as file:
        pixels = file["images"][:]
    images = []
    for row, image in enumerate(pixels):
        images.append(pathlib.Path(f"{row}.png"))
        Image.fromarray(image.transpose(1, 2, 0)).save(images[-1])
    word_map = json.loads(wordmap.read_text())
    said = {beam: say(encoder, decoder, caption, images, word_map, beam) for beam in BEAMS}

    for file, model in [(zipped, "model"), (legacy, "model-legacy")]:
        run("attend-train", "import", "--tutorial", file, "--wordmap", wordmap, "--output", model)
        run("attend-verify", model)
    for name in ["encoder.safetensors", "decoder.safetensors"]:
        one, other = (pathlib.Path(model, "checkpoints/best", name) for model in ["model", "model-legacy"])
        assert one.read_bytes() == other.read_bytes(), name
    pathlib.Path("evaluate.toml").write_text(
        f'[search]\nbeams = {BEAMS}\nforbid_unk = false\n[evaluate]\nsplit = "test"\nprimary_beam = 3\nmetrics = ["bleu"]\n'
    )
    run("attend-evaluate", "--config", "evaluate.toml", "--input", "model=model", "--input", f"dataset={args.dataset}", "--output", "evaluation")
    for beam in BEAMS:
        ours = [row["caption"] for row in json.loads(pathlib.Path(f"evaluation/results-beam-{beam}.json").read_text())]
        assert len(ours) == len(images)
        compared = [(row, a, b) for row, (a, b) in enumerate(zip(said[beam], ours)) if a is not None]
        for row, theirs, mine in compared:
            if theirs != mine:
                print(f"beam {beam}, image {row}: {theirs!r}, here {mine!r}")
        equal = sum(a == b for _, a, b in compared)
        print(
            f"beam {beam}: {equal} of {len(compared)} captions equal, {len(set(ours))} different ones; "
            f"the tutorial's search crashes on {len(images) - len(compared)} images; e.g. {ours[0]!r}"
        )
        assert equal == len(compared)

    exported = pathlib.Path("BEST_checkpoint_exported.pth.tar")
    run("attend-train", "export", "--tutorial", "model", "--output", exported)
    assert json.loads(pathlib.Path("WORDMAP_exported.json").read_text()) == word_map
    for before, after in zip([encoder, decoder], modules(exported)):
        assert type(before) is type(after)
        state = {k: v for k, v in after.state_dict().items() if "num_batches" not in k}
        assert state.keys() == {k for k in before.state_dict() if "num_batches" not in k}
        assert all(torch.equal(value, before.state_dict()[name]) for name, value in state.items())
        assert str(before) == str(after), (before, after)
    for beam in BEAMS:
        assert say(*modules(exported), caption, images, word_map, beam) == said[beam]
    print("exported: the same weights, modules and captions")
    train.checkpoint, train.epochs, args.captions = str(exported), 2, 32
    train.main()
    print("train.py goes on from the exported checkpoint")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name in ["checkout", "hdf5", "dataset", "bin", "work"]:
        parser.add_argument(name, type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--weights", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--captions", type=int, default=10**9, help="train on this many only")
    main(parser.parse_args())
