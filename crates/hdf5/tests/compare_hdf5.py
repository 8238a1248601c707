"""Reads an export with h5py, as the PyTorch tutorial's datasets.py does, and
compares it with the artifacts that it was made from.

    pip install h5py pyarrow
    attend-hdf5 export OUT --input dataset=DATASET --input vocabulary=VOCABULARY
    python compare_hdf5.py OUT DATASET VOCABULARY
"""

import json
import pathlib
import sys
from collections import defaultdict

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SPLITS = {"TRAIN": ("train", "restval"), "VAL": ("val",), "TEST": ("test",)}


def main(out, dataset, vocabulary):
    (wordmap,) = out.glob("WORDMAP_*.json")
    base = wordmap.stem.removeprefix("WORDMAP_")
    vocab = json.loads((vocabulary / "vocab.json").read_text())
    expected = {word["word"]: word["id"] for word in vocab["words"]} | vocab["specials"]
    assert json.loads(wordmap.read_text()) == expected
    length = vocab["max_length"] + 2

    tokens = defaultdict(list)
    encoded = pq.read_table(vocabulary / "encoded.parquet")
    for image, ids in zip(encoded["image_id"].to_pylist(), encoded["tokens"].to_pylist()):
        tokens[image].append(ids)
    images = pq.read_table(dataset / "images.parquet").to_pylist()
    shards = {}
    compared = 0
    for split, ours in SPLITS.items():
        mine = [i for i in images if i["split"] in ours and tokens[i["image_id"]]]
        path = out / f"{split}_IMAGES_{base}.hdf5"
        if not mine:
            assert not path.exists()
            continue
        captions, lengths = (
            json.loads((out / f"{split}_{what}_{base}.json").read_text()) for what in ("CAPTIONS", "CAPLENS")
        )
        with h5py.File(path, "r") as file:
            pixels, each = file["images"], int(file.attrs["captions_per_image"])
            assert pixels.dtype == np.uint8 and pixels.shape[:2] == (len(mine), 3)
            assert len(captions) == len(lengths) == each * len(mine)
            for row, image in enumerate(mine):
                if image["shard"] not in shards:
                    reader = pa.ipc.open_file(pa.memory_map(str(dataset / image["shard"])))
                    column = reader.read_all()["image"].combine_chunks()
                    shards[image["shard"]] = column.to_numpy_ndarray()
                assert (pixels[row] == shards[image["shard"]][image["row"]]).all(), image
                for nth in range(each):
                    of_image = tokens[image["image_id"]]
                    ids = of_image[nth] if nth < len(of_image) else of_image[nth % len(of_image)]
                    at = row * each + nth
                    assert lengths[at] == len(ids)
                    assert captions[at] == ids + [0] * (length - len(ids))
                compared += 1
        print(f"{split}: {len(mine)} images x {each} captions, the same")
    assert compared


if __name__ == "__main__":
    main(*map(pathlib.Path, sys.argv[1:]))
