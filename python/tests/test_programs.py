"""The package and the examples beside attend's own programs, which are in ATTEND_BIN_DIR."""

import json
import os
import random
import shlex
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import attend
import numpy as np
from help import PRODUCER, dataset, features

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "stages"
PROGRAMS = Path(os.environ["ATTEND_BIN_DIR"])
#: Less than the examples' configs say, so that the tests are quick.
SMALL = {
    "scenes": {"train": 60, "val": 12, "test": 12},
    "train": {"epochs": 1, "batch": 20},
    "search": {"beams": [1, 2], "max_length": 12},
    "evaluate": {"primary_beam": 2},
}


def run(*words, code=0, **named):
    """Runs a program: one of attend's by its name, or a file of the repository."""
    program = PROGRAMS / words[0] if "/" not in str(words[0]) else ROOT / words[0]
    command = [str(program), *map(str, words[1:])]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, **named)
    if ended.returncode != code:
        raise AssertionError(f"{command} ended with {ended.returncode}: {ended.stderr}")
    return ended


def verify(path):
    return run("attend-verify", path).stdout


class Programs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(tempfile.mkdtemp(prefix="attend-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.pipeline("chrf", cls.folder)

    @classmethod
    def pipeline(cls, name, folder, **more):
        """Runs an example's pipeline with its config, as the runner does."""
        stages = tomllib.loads((EXAMPLES / f"{name}.pipeline.toml").read_text())["stage"]
        config = tomllib.loads((EXAMPLES / f"{name}.toml").read_text())
        assert config.pop("run")["pipeline"] == f"examples/stages/{name}.pipeline.toml"
        for section, keys in {**SMALL, **more}.items():
            if section in config:
                config[section].update(keys)
        file = folder / "config.toml"
        lines = []
        for section, keys in config.items():
            lines += [f"[{section}]", *(f"{key} = {json.dumps(v)}" for key, v in keys.items())]
        file.write_text("\n".join(lines))
        for stage in stages:
            output = folder / stage["output"]
            if output.exists():
                continue
            given = []
            for kind, path in stage.get("inputs", {}).items():
                given += ["--input", f"{kind}={folder / path}"]
            run(*stage["command"], "--config", file, *given, "--output", output, "--jobs", 2)
            verify(output)

    def shared(self, *outputs):
        """A folder for a run, with links to outputs of the first one."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        for output in outputs:
            (folder / output).symlink_to(self.folder / output)
        return folder

    def same_shards(self, artifact, dim_names):
        for name in artifact.shards:
            shard, path = artifact.shard(name), self.folder / "shard.arrow"
            with open(path, "wb") as file:
                writer = attend.ShardWriter(
                    file, name, shard.column, shard.shape, shard.dtype, dim_names
                )
                writer.extend(shard.ids, shard)
                digest = writer.finish()
            self.assertEqual(path.read_bytes(), (artifact.path / name).read_bytes(), name)
            self.assertEqual(digest, artifact.manifest.file(name).blake3)

    def test_shards_have_the_bytes_of_attends_own(self):
        data = attend.open(self.folder / "dataset", verify=True)
        self.assertEqual(len(data), 84)
        self.same_shards(data, ("C", "H", "W"))
        weights = self.folder / "model" / "checkpoints" / "best" / "encoder.safetensors"
        for dtype in ("f16", "f32"):
            output = self.folder / f"features-{dtype}"
            keys = ["arch=resnet18", "last_stage=layer2", f"weights={weights}"]
            given = [f"encoder.{key}" for key in keys] + [f"features.dtype={dtype}"]
            run(
                "attend-features", "--input", f"dataset={data.path}", "--output", output,
                *(word for item in given for word in ("--set", item)),
            )  # fmt: skip
            made = attend.open(output, verify=True)
            self.assertEqual(made.shard("test-00000").dtype, dtype)
            self.same_shards(made, ("cell", "channel"))

    def test_manifests_of_attends_own_read_and_write_the_same(self):
        found = sorted(self.folder.glob("*/manifest.json"))
        self.assertGreater(len(found), 5)
        for path in found:
            self.assertEqual(attend.Manifest.read(path.parent).text(), path.read_text())

    def test_attends_own_programs_find_the_same_digest_for_any_number(self):
        source = random.Random(7)
        numbers = [0.0, -0.0, 1e-5, 9.99e-6, 1e15, 1e16, 123456789012345680.0, 5e-324, 1.8e307]
        numbers += [source.uniform(-10, 10) * 10.0 ** source.randint(-9, 20) for _ in range(3000)]
        bits = (struct.pack("<Q", source.getrandbits(62)) for _ in range(3000))
        numbers += [struct.unpack("<d", each)[0] for each in bits]
        words = {'ü\x7f"\\\n\x01': [0, -1, 2**63, 2**64 - 1], "\U0001f600": None, "\uffee": True}
        path = self.folder / "numbers"
        with attend.artifact("thing", path, PRODUCER, {"b": words, "a": {"numbers": numbers}}):
            pass
        self.assertIn(attend.open(path).digest[:12], verify(path))

    def test_captions_are_split_as_attends_own_tokenizers_split_them(self):
        source = random.Random(11)
        letters = "abcXYZ 019.,:;'\"_-  ßİÄΣς áéêñ ’·״׳ 東京かなカナ ไทย हिन्दी עברית'א ②½Ⅷ"
        letters = [*letters, "\u0301", "\u0338", "\u00ad", "\u202f", "<unk>", "<END>"]
        captions = [
            "".join(source.choice(letters) for _ in range(source.randint(2, 24)))
            for _ in range(4000)
        ]
        dataset(self.folder / "fuzz", captions)
        for tokenizer in ("lowercase-alphanumeric", "unicode-words"):
            output = self.folder / tokenizer
            run("attend-vocab", "--input", f"dataset={self.folder / 'fuzz'}", "--output", output,
                "--set", "vocab.min_count=1", "--set", f"vocab.tokenizer={tokenizer}")  # fmt: skip
            vocabulary = attend.open(output)
            rows = vocabulary.encoded.to_pylist()
            self.assertGreater(len(rows), 3900)
            for row in rows:
                caption = captions[row["caption_id"]]
                self.assertEqual(vocabulary.encode(caption), row["tokens"], caption)
            text = vocabulary.decode(vocabulary.encode("A a"))
            self.assertEqual(text, "a a")

    def test_attend_verify_takes_what_the_package_writes_and_no_damaged_one(self):
        path = self.folder / "own"
        features(path)
        self.assertIn("features", verify(path))
        shard = path / "shards" / "train-00000.arrow"
        shard.write_bytes(shard.read_bytes()[:-1] + b"x")
        run("attend-verify", path, code=4)

    def test_a_stage_of_attends_continues_what_the_package_left(self):
        """Both know the other's unfinished artifacts."""
        path = self.folder / "mine"
        with self.assertRaises(KeyError):
            with attend.artifact("vocabulary", path, PRODUCER) as out:
                out.json("vocab.json", {})
                raise KeyError
        ended = run("attend-vocab", "--input", f"dataset={self.folder / 'dataset'}",
                    "--output", path)  # fmt: skip
        self.assertIn("starting over", ended.stderr)
        self.assertFalse(path.with_name("mine.staging").exists())
        verify(path)

    def test_chrf(self):
        made = attend.open(self.folder / "chrf", verify=True)
        rows = made.table("per_image.parquet")
        self.assertEqual((rows.num_rows, made.counts), (24, {"images": 12, "beams": 2}))
        scores = made.json("scores.json")["beams"]
        self.assertEqual(sorted(scores), ["1", "2"])
        from sacrebleu.metrics import CHRF

        captions = attend.open(self.folder / "dataset").captions.to_pylist()
        results = made.json("results-beam-2.json")
        of = {row["image_id"]: [] for row in results}
        for caption in captions:
            of.get(caption["image_id"], []).append(caption["caption"])
        theirs = [of[row["image_id"]] for row in results]
        streams = [list(stream) for stream in zip(*theirs)]
        expected = CHRF().corpus_score([row["caption"] for row in results], streams).score / 100
        self.assertAlmostEqual(scores["2"]["chrf"], expected)

    def test_word_pieces(self):
        folder = self.shared("scenes", "dataset")
        self.pipeline("word_pieces", folder, pieces={"size": 60})  # many pieces
        vocabulary = attend.open(folder / "vocabulary", verify=True)
        self.assertIn("##", "".join(vocabulary.words.words))
        captions = attend.open(folder / "dataset").captions.to_pylist()
        for row, encoded in zip(captions, vocabulary.encoded.to_pylist()):
            self.assertEqual(vocabulary.decode(encoded["tokens"]), row["caption"].lower())
        for result in attend.open(folder / "evaluation").json("results.json"):
            self.assertNotIn(" ##", result["caption"])
        again = folder / "again"
        run("examples/stages/word_pieces.py", "--config", folder / "config.toml",
            "--input", f"dataset={folder / 'dataset'}", "--output", again)  # fmt: skip
        self.assertEqual(attend.open(again).digest, vocabulary.digest)

    def test_features_of_another_network(self):
        folder = self.shared("scenes", "dataset", "vocabulary")
        self.pipeline("features", folder)
        made = attend.open(folder / "features", verify=True)
        self.assertEqual((made.grid, made.counts["channels"]), ((8, 8), 40))
        # New photographs: the command of encoder.json turns pixels into the same cells.
        data, encoder = attend.open(folder / "dataset"), made.encoder
        ids = made.ids[:3]
        pixels = b"".join(data.row(n).tobytes() for n in ids)
        ended = subprocess.run(encoder["command"], input=pixels, capture_output=True, cwd=ROOT)
        cells = np.frombuffer(ended.stdout, "<f4").reshape(3, 64, 40)
        for n, described in zip(ids, cells):
            np.testing.assert_allclose(described.astype("f2"), made.row(n), rtol=2e-3, atol=2e-3)
        self.assertGreater(float(cells.std()), 0.1)
        photograph = next((self.folder / "scenes" / "images").iterdir())
        command = shlex.join(encoder["command"])
        ended = run(
            "attend-caption", "--model", folder / "model", "--encoder-command", command, photograph
        )
        words = attend.open(folder / "vocabulary").words
        said = ended.stdout.rstrip("\n").split("\t")[1].split(" ")
        self.assertTrue(said and set(said) <= set(words.words), said)

    def test_the_network_pads_as_it_was_trained(self):
        sys.path.insert(0, str(EXAMPLES))
        self.addCleanup(sys.path.remove, str(EXAMPLES))
        import efficientnet_lite0 as network

        same = network.cells(np.full((3, 64, 64), 127, np.uint8), 16)
        self.assertEqual(same.shape, (2, 2, 320))
        # A convolution, summed by hand.
        x = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
        kernel = np.ones((3, 3, 1, 1), np.float32)
        found = network.convolved(x, kernel, 2, np.matmul)[..., 0]
        np.testing.assert_array_equal(found, [[45, 39], [66, 50]])

    def test_sqlite_ingest_makes_the_shards_of_attends_ingest(self):
        folder, theirs = self.shared(), attend.open(self.folder / "dataset")
        file = folder / "photographs.sqlite"
        with sqlite3.connect(file) as database:
            database.execute("CREATE TABLE images (id, split, name, data)")
            database.execute("CREATE TABLE captions (id, image_id, caption)")
            for image in theirs.images.to_pylist():
                photograph = self.folder / "scenes" / "images" / Path(image["file_name"]).name
                row = image["image_id"], image["split"], image["file_name"]
                row = *row, photograph.read_bytes()
                database.execute("INSERT INTO images VALUES (?, ?, ?, ?)", row)
            for n, caption in enumerate(theirs.captions.to_pylist()):
                row = n, caption["image_id"], caption["caption"]
                database.execute("INSERT INTO captions VALUES (?, ?, ?)", row)
            broken = 999999, "train", "x.jpg", b"no jpeg"
            database.execute("INSERT INTO images VALUES (?, ?, ?, ?)", broken)
            database.execute("INSERT INTO captions VALUES (99999, 999999, 'a broken one')")
        database.close()
        self.pipeline("sqlite_ingest", folder, sqlite={"file": str(file)})
        made = attend.open(folder / "dataset", verify=True)
        self.assertEqual(made.shards, theirs.shards)
        for name in made.shards:
            self.assertEqual((made.path / name).read_bytes(), (theirs.path / name).read_bytes())
        self.assertEqual((made.counts["rejected"], made.counts["rejected.corrupt"]), (2, 1))
        self.assertNotIn(str(file), (made.path / "manifest.json").read_text())
        wrong = folder / "wrong.sqlite"
        wrong.write_bytes(b"no database at all, but long enough to be read as a page of one")
        ended = run("examples/stages/sqlite_ingest.py", "--output", folder / "x", "--set",
                    f"sqlite.file={wrong}", code=3)  # fmt: skip
        self.assertIn("file is not a database", ended.stderr)
        ended = run("examples/stages/sqlite_ingest.py", "--check", code=2)
        self.assertIn("sqlite.file is not set: name a file (sqlite)", ended.stderr)


class Examples(unittest.TestCase):
    def test_each_is_less_than_80_lines_and_one_line_of_a_pipeline(self):
        for path in EXAMPLES.glob("*.py"):
            self.assertLess(len(path.read_text().splitlines()), 80, path.name)
            pipeline = path.with_name(f"{path.stem}.pipeline.toml")
            if pipeline.exists():
                line = f'command = ["examples/stages/{path.name}"]'
                self.assertEqual(pipeline.read_text().splitlines().count(line), 1)
                self.assertTrue(os.access(path, os.X_OK))
