import os
import subprocess
import sys
import textwrap
import time
from functools import partial

import attend
import numpy as np
import pyarrow as pa
from help import PRODUCER, Case, features

KILLED = """
import os, shutil, sys, attend
from attend import _disk
count = 0
def point(original):
    def call(*arguments):
        global count
        count += 1
        if count == int(sys.argv[2]):
            os._exit(9)
        return original(*arguments)
    return call
for owner, names in (
    (os, "rename replace fsync"),
    (shutil, "rmtree"),
    (_disk, "_exchange remove remove_staging"),
):
    for name in names.split():
        setattr(owner, name, point(getattr(owner, name)))
sys.path.insert(0, os.environ["TESTS"])
from help import features
features(sys.argv[1], 2.0)
"""


class Writing(Case):
    def names(self):
        return sorted(path.name for path in self.folder.iterdir())

    def test_a_new_artifact_takes_the_place_of_the_old_one(self):
        features(self.path, 1.0)
        features(self.path, 2.0, config={"x": {"y": 2}})
        self.assertEqual(attend.open(self.path).row(0)[0, 0], 2)
        self.assertEqual(self.names(), ["artifact", "artifact.lock"])
        hidden = {name for name in os.listdir(self.path) if name.startswith(".")}
        self.assertEqual(hidden, {".journal.jsonl", ".work.json", ".sources"})

    def test_without_an_exchange_of_names_it_does_so_too(self):
        from attend import _disk

        features(self.path, 1.0)
        exchange, _disk._exchange = _disk._exchange, lambda a, b: False
        self.addCleanup(setattr, _disk, "_exchange", exchange)
        features(self.path, 2.0)
        self.assertEqual(attend.open(self.path).row(0)[0, 0], 2)
        self.assertEqual(self.names(), ["artifact", "artifact.lock"])

    def test_killed_at_any_moment_it_leaves_the_old_one_or_the_new_one(self):
        moments = 0
        for moment in range(1, 100):
            features(self.path, 1.0)
            tests = {"TESTS": os.path.dirname(__file__)}
            command = [sys.executable, "-c", KILLED, str(self.path), str(moment)]
            ended = subprocess.run(command, env={**os.environ, **tests}, capture_output=True)
            try:
                self.assertIn(attend.open(self.path, verify=True).row(0)[0, 0], (1, 2))
            except attend.Refused:
                self.assertFalse(self.path.exists(), "half an artifact")
            features(self.path, 2.0)  # continues or begins again
            self.assertEqual(attend.open(self.path, verify=True).row(0)[0, 0], 2)
            self.assertEqual(self.names(), ["artifact", "artifact.lock"])
            if ended.returncode == 0:
                break
            self.assertEqual(ended.returncode, 9, ended.stderr)
            moments += 1
        self.assertGreater(moments, 12)

    def test_nothing_is_lost_if_it_raises(self):
        features(self.path, 1.0)
        with self.assertRaises(KeyError):
            with attend.artifact("features", self.path, PRODUCER) as out:
                out.json("encoder.json", {})
                raise KeyError
        self.assertEqual(attend.open(self.path).row(0)[0, 0], 1)
        with attend.artifact("thing", self.folder / "other", PRODUCER) as out:
            self.assertFalse("a.json" in out)
        self.assertTrue((self.folder / "artifact.staging" / "encoder.json").exists())

    def test_a_run_continues_where_an_interrupted_one_ended(self):
        def run(interrupted):
            with attend.artifact("thing", self.path, PRODUCER, {"x": {"y": 1}}) as out:
                done = "train-00000" in out
                if not done:
                    with out.shard("train-00000", "x", (1,), "u8") as shard:
                        shard.append(1, b"a")
                if interrupted:
                    out.folder.joinpath("half.json").write_text("{")
                    raise KeyboardInterrupt
                out.json("end.json", [])
            return done

        self.assertRaises(KeyboardInterrupt, run, True)
        self.assertTrue(run(False))
        names = [file.name for file in attend.open(self.path, verify=True).files]
        self.assertEqual(names, ["end.json", "shards/train-00000.arrow"])
        self.assertFalse((self.path / "half.json").exists())

    def test_only_an_artifact_of_the_same_kind_is_replaced(self):
        def write(kind="thing", place=self.path):
            with attend.artifact(kind, place, PRODUCER):
                pass

        self.path.mkdir()
        (self.path / "photo.jpg").write_text("mine")
        self.refused(attend.Refused, "something that is not an artifact", write)
        self.assertEqual((self.path / "photo.jpg").read_text(), "mine")
        (self.path / "photo.jpg").unlink()
        write()
        self.refused(attend.Refused, "of kind 'thing', which test does not make", write, "other")
        (self.path / "photo.jpg").write_text("mine")
        self.refused(attend.Refused, "holds photo.jpg", write)
        (self.folder / "file").write_text("")
        self.refused(attend.Refused, "there is a file", write, place=self.folder / "file")
        self.refused(attend.Usage, "called so", write, place=self.folder / "a.staging")
        self.refused(attend.Usage, "is inside", write, place=self.path / "inner")
        (self.folder / "b.staging").mkdir()
        (self.folder / "b.staging" / "x").write_text("")
        self.refused(attend.Refused, "move it away", write, place=self.folder / "b")

    def test_an_output_is_no_input(self):
        features(self.path)
        inputs = {"features": self.path}
        make = partial(attend.artifact, "features", producer=PRODUCER, inputs=inputs)
        self.refused(attend.Usage, "which this run reads", make, path=self.path)
        link = self.folder / "link"
        link.symlink_to(self.path)
        self.refused(attend.Usage, "which this run reads", make, path=link)

    def test_hours_of_other_work_are_not_deleted_without_consent(self):
        features(self.path)
        work = self.path / ".work.json"
        work.write_text(work.read_text().replace('"seconds":0', '"seconds":7000'))
        other = dict(config={"x": {"y": 2}})
        self.refused(attend.Refused, "x.y none -> 2), 7000 s of work", features, self.path, **other)
        features(self.path, discard=True, **other)
        self.assertEqual(attend.open(self.path).config, other["config"])

    def test_two_writers_wait_for_each_other(self):
        code = """
            import attend, sys, time
            config = {"x": {"y": sys.argv[2]}}
            with attend.artifact("thing", sys.argv[1], ("x", "1"), config) as out:
                print("in", flush=True)
                time.sleep(0.4)
                out.json("a.json", sys.argv[2])
        """
        command = [sys.executable, "-c", textwrap.dedent(code), str(self.path)]
        first = subprocess.Popen([*command, "1"], stdout=subprocess.PIPE)
        first.stdout.readline()
        begun = time.monotonic()
        subprocess.run([*command, "2"], check=True, capture_output=True)
        self.assertGreater(time.monotonic() - begun, 0.5)
        self.assertEqual(first.wait(), 0)
        first.stdout.close()
        self.assertEqual(attend.open(self.path, verify=True).json("a.json"), "2")

    def test_rows_and_tensors_that_break_the_contract_are_refused(self):
        with attend.artifact("dataset", self.path, PRODUCER) as out:
            rows = [dict(caption_id=1, image_id=1, split="train")]
            self.refused(attend.Error, "no column 'caption'", out.table, "captions.parquet", rows)
            rows[0]["caption"] = None
            self.refused(attend.Error, "empty cell", out.table, "captions.parquet", rows)
            rows[0].update(caption="a", caption_id="x")
            self.refused(attend.Error, "captions.parquet: ", out.table, "captions.parquet", rows)
            for name in ("../a.json", "/a.json", "manifest.json", ".a", "a//b"):
                self.refused(attend.Error, "no name for a file", out.json, name, 1)
            with out.shard("a", "x", (2,), "f32") as shard:
                shard.append(1, np.ones(2, np.float32))
                refused = lambda words, *row: self.refused(attend.Error, words, shard.append, *row)  # noqa: E731
                self.refused(attend.Error, "as many images", shard.extend, [5, 6], [b"12345678"])
                refused("image 1 comes twice", 1, np.ones(2, np.float32))
                refused("float64 [2], not float32 [2]", 2, np.ones(2))
                refused("are NaN or infinite", 2, np.float32([1, np.inf]))
                refused("has 3 bytes, not 8", 2, b"abc")
            out.abandon()
        flat = {"seed": 1}
        self.refused(attend.Error, "give sections", attend.artifact, "x", self.path, PRODUCER, flat)
        self.assertFalse(self.path.exists())

    def test_what_the_kind_needs_must_be_there(self):
        with self.assertRaises(attend.Error) as caught:
            with attend.artifact("vocabulary", self.path, PRODUCER) as out:
                out.json("vocab.json", attend.Words([]).file([], 1, 1))
        self.assertIn("needs the input dataset", str(caught.exception))
        inputs = {"dataset": attend.Input("dataset", "0" * 64)}
        with self.assertRaises(attend.Error) as caught:
            with attend.artifact("vocabulary", self.path, PRODUCER, inputs=inputs) as out:
                out.json("vocab.json", attend.Words([]).file([], 1, 1))
        self.assertIn("needs encoded.parquet", str(caught.exception))

    def test_tables_have_the_types_of_the_contract(self):
        with attend.artifact("thing", self.path, PRODUCER) as out:
            columns = dict(caption_id=[1], image_id=[2], split=["train"], tokens=[[5, 1, 6]])
            out.table("encoded.parquet", columns)
            out.table("other.parquet", pa.table({"a": [1, 2]}))
        read = attend.open(self.path)
        encoded = read.table("encoded.parquet")
        self.assertEqual(encoded.schema.field("tokens").type.value_type, pa.int32())
        self.assertEqual(encoded["tokens"].to_pylist(), [[5, 1, 6]])
        self.assertEqual([file.rows for file in read.files], [1, 2])

    def test_loose_files_are_inputs_and_noted(self):
        loose = self.folder / "w.bin"
        loose.write_bytes(b"weights")
        inputs = {"weights": attend.Loose("weights", loose)}
        made = dict(kind="thing", path=self.path, producer=PRODUCER, inputs=inputs)
        with attend.artifact(**made):
            pass
        self.assertEqual(attend.open(self.path).inputs["weights"].digest, attend.digest_file(loose))
        self.assertIn(f'["{loose}",7,', (self.path / ".sources").read_text())
        self.assertTrue(attend.up_to_date(**made))
        loose.write_bytes(b"changed")
        self.assertFalse(attend.up_to_date(**made))
        loose.unlink()
        self.refused(attend.BadInput, "no such file", attend.artifact, **made)
