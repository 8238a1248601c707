import doctest
import importlib
import json
import pickle
import pkgutil
import sys
import types
import unittest
from pathlib import Path
from unittest import mock

import attend
import numpy as np
from help import Case, dataset, features

README = Path(__file__).parents[1] / "README.md"


def load_tests(loader, tests, pattern):
    """The examples of all doc comments are tests, too."""
    for module in [attend.__name__] + [
        f"attend.{found.name}" for found in pkgutil.iter_modules(attend.__path__)
    ]:
        tests.addTests(doctest.DocTestSuite(importlib.import_module(module)))
    tests.addTests(doctest.DocFileSuite(str(README), module_relative=False))
    return tests


class Reading(Case):
    def test_an_artifact_reads_back(self):
        features(self.path, config={"x": {"rate": 1e-8}})
        read = attend.open(self.path, verify=True, kind="features")
        self.assertEqual(
            read.counts, {"images": 3, "channels": 3, "grid_height": 2, "grid_width": 2}
        )
        self.assertEqual((read.grid, read.ids, len(read)), ((2, 2), [0, 1, 2], 3))
        self.assertEqual(read.config, {"x": {"rate": 1e-8}})
        np.testing.assert_array_equal(read.row(2), np.ones((4, 3), np.float16))
        self.assertTrue(1 in read and 3 not in read)
        self.refused(attend.Error, "no image 3", read.row, 3)
        again = pickle.loads(pickle.dumps(read))
        self.assertEqual(again.row(0).shape, (4, 3))

    def test_tables_are_arrow_and_polars(self):
        dataset(self.path, ["a dog", "two dogs"])
        read = attend.open(self.path)
        self.assertEqual(read.captions["caption"].to_pylist(), ["a dog", "two dogs"])
        self.assertEqual(read.polars("captions.parquet")["image_id"].to_list(), [1, 1])
        self.assertEqual((read.split("train"), read.image_size), ([1], (2, 2)))
        self.refused(attend.BadInput, "it has train", read.split, "val")

    def test_what_is_no_artifact_is_named(self):
        self.refused(attend.Refused, "does not exist", attend.open, self.path)
        self.path.mkdir()
        self.refused(attend.Refused, "no manifest.json", attend.open, self.path)
        (self.path / "manifest.json").write_text("{")
        self.refused(attend.Refused, "not a manifest", attend.open, self.path)

    def changed(self, change) -> None:
        manifest = self.path / "manifest.json"
        value = json.loads(manifest.read_text())
        change(value)
        manifest.write_text(json.dumps(value))

    def test_a_changed_manifest_and_damaged_files_are_refused(self):
        features(self.path)
        self.refused(
            attend.Refused, "of kind 'features', not 'model'", attend.open, self.path, kind="model"
        )
        shard = self.path / "shards" / "train-00000.arrow"
        data = shard.read_bytes()
        shard.write_bytes(data[:-1])
        self.refused(attend.Refused, f"has {len(data) - 1} bytes", attend.open, self.path)
        shard.write_bytes(data[:-1] + b"x")
        attend.open(self.path)
        self.refused(
            attend.Refused, "1 of 2 files are damaged", attend.open, self.path, verify=True
        )
        self.refused(attend.Refused, "not a shard", attend.open(self.path).shard, "train-00000")
        self.changed(lambda value: value["counts"].update(images=4))
        self.refused(attend.Refused, "the manifest was changed", attend.open, self.path)
        self.changed(lambda value: value.update(schema=3))
        self.refused(attend.Refused, "schema version 3 is newer", attend.open, self.path)

    def test_no_file_outside_the_artifact_is_read(self):
        features(self.path)
        self.changed(lambda value: value["files"][0].update(name="../secret"))
        self.refused(attend.Refused, "not in this folder", attend.open, self.path)

    def test_tensors_are_views_of_the_map(self):
        features(self.path, rows=70_000)  # two batches of at most 1 MiB
        shard = attend.open(self.path).shard("train-00000")
        self.assertEqual(len(shard.batches()), 2)
        self.assertEqual((len(shard), shard.numpy().shape), (70_000, (70_000, 4, 3)))
        self.assertFalse(shard[69_999].flags.owndata or shard[0].flags.writeable)
        self.assertEqual(shard[0].__array_interface__["data"][0] % 64, 0)
        self.assertRaises(IndexError, shard.__getitem__, 70_000)

    def test_a_torch_tensor_shares_the_map_and_writes_to_no_file(self):
        features(self.path)
        before = (self.path / "shards" / "train-00000.arrow").read_bytes()
        stand_in = types.SimpleNamespace(from_numpy=lambda array: array)
        with mock.patch.dict(sys.modules, torch=stand_in):
            items = attend.open(self.path).torch([2, 0])
            self.assertEqual((len(items), items[0][0]), (2, 2))
            items[0][1][:] = 5  # torch can't know that numpy's array is not to be written
            self.assertEqual(items.artifact.row(2)[0, 0], 5)
        self.assertEqual(attend.open(self.path).row(2)[0, 0], 1)
        self.assertEqual((self.path / "shards" / "train-00000.arrow").read_bytes(), before)

    @unittest.skipUnless(importlib.util.find_spec("torch"), "torch is not installed")
    def test_torch_shares_the_memory(self):
        import torch

        features(self.path)
        items = attend.open(self.path).torch()
        self.assertEqual((len(items), items[2][0], items[2][1].dtype), (3, 2, torch.float16))
        loader = torch.utils.data.DataLoader(items, batch_size=3)
        self.assertEqual(next(iter(loader))[1].shape, (3, 4, 3))


class Words(Case):
    def test_pieces_spell_unknown_words(self):
        words = attend.Words(["un", "##know", "##n", "##known"])
        self.assertEqual(words.encode("Unknown UN!"), [6, 1, 4, 1, 7])
        self.assertEqual(words.encode("unseen"), [6, words.unk, 7])
        self.assertEqual(words.decode([6, 1, 2, 3, 1, 7, 1]), "unknown un")
        self.refused(attend.Error, "8 is no id of this vocabulary of 8", words.decode, [8])

    def test_a_wrong_vocabulary_is_refused(self):
        made_from = {"dataset": attend.Input("dataset", "0" * 64)}
        with attend.artifact("vocabulary", self.path, ("x", "1"), inputs=made_from) as out:
            content = attend.Words(["a"]).file([1], 1, 9)
            content["specials"]["<unk>"] = 7
            out.json("vocab.json", content)
            out.table("encoded.parquet", [])
        self.refused(attend.Refused, "the specials are", attend.open(self.path).encode, "a")
