"""The scores are the tool's: `crates/metrics/tests/fixtures` holds its own numbers."""

from __future__ import annotations

import json
import math
import random
import unittest
from pathlib import Path

import attend_score as scores
import numpy as np

FIXTURES = Path(__file__).resolve().parents[2] / "metrics" / "tests" / "fixtures"
TOOL = json.loads((FIXTURES / "scores.json").read_text())
TOKENS = json.loads((FIXTURES / "tokens.json").read_text())
GTS = {n: [" ".join(r) for r in image["references"]] for n, image in enumerate(TOOL["images"])}
RES = {n: [" ".join(image["hypothesis"])] for n, image in enumerate(TOOL["images"])}


class TheTools(unittest.TestCase):
    def close(self, ours, theirs):
        self.assertTrue(math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-12), (ours, theirs))

    def test_bleu(self):
        of_all, of_image = scores.Bleu(4).compute_score(GTS, RES)
        self.assertIs(type(of_all), list)
        self.assertIs(type(of_image[0]), list)
        for k in range(4):
            self.close(of_all[k], TOOL["corpus"]["bleu"][k])
            for ours, image in zip(of_image[k], TOOL["images"]):
                self.close(ours, image["bleu"][k])
        two, of_image = scores.Bleu(2).compute_score(GTS, RES)
        self.assertEqual((two, len(of_image)), (of_all[:2], 2))

    def test_rouge_and_cider(self):
        for scorer, key in (
            (scores.Rouge(), "rouge"),
            (scores.Cider(), "cider"),
            (scores.CiderD(), "cider"),
        ):
            of_all, of_image = scorer.compute_score(GTS, RES)
            self.assertIs(type(of_all), np.float64)
            self.assertEqual((type(of_image), of_image.dtype), (np.ndarray, np.float64))
            self.close(of_all, TOOL["corpus"][key])
            for ours, image in zip(of_image, TOOL["images"]):
                self.close(ours, image[key])

    def test_names(self):
        names = [s.method() for s in (scores.Bleu(), scores.Rouge(), scores.Cider())]
        self.assertEqual(names, ["Bleu", "Rouge", "CIDEr"])
        self.assertEqual(
            (scores.Meteor().method(), scores.CiderD().method()), ("METEOR", "CIDEr-D")
        )

    def test_tokeniser(self):
        tokenised = scores.PTBTokenizer().tokenize(
            {"b": [{"caption": "A man's T-shirt."}, {"caption": "Two\nlines", "id": 3}], 1: []}
        )
        self.assertEqual(tokenised, {"b": ["a man 's t-shirt", "two lines"]})

    def test_rewards_are_cider_d(self):
        reward = scores.CiderD(GTS)
        ids = [n for n in RES for _ in range(3)]
        texts = [RES[n][0] for n in ids]
        rewards = reward.rewards(ids, texts)
        for n, ours in zip(ids, rewards):
            self.close(ours, TOOL["images"][n]["cider"])
        rows = [{"image_id": n, "caption": [text]} for n, text in zip(ids, texts)]
        np.testing.assert_allclose(reward.compute_score(GTS, rows)[1], rewards, atol=1e-12)

    def test_a_table_of_frequencies_is_kept_in_a_file(self):
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.txt"
            table = scores.DocumentFrequencies(GTS)
            table.write(path)
            first = path.read_text().splitlines()[0]
            self.assertEqual(first, f"document frequencies of n-grams, images: {len(GTS)}")
            part = {n: GTS[n] for n in list(GTS)[5:12]}
            ours = scores.CiderD(path).compute_score(part, {n: RES[n] for n in part})[1]
            for n, value in zip(part, ours):
                self.close(value, TOOL["images"][n]["cider"])
            path.write_text("2\ta dog\n")
            with self.assertRaisesRegex(ValueError, "train.txt: line 1"):
                scores.DocumentFrequencies.read(path)
            with self.assertRaises(FileNotFoundError):
                scores.DocumentFrequencies.read(path.with_name("none"))
            # A file that can't be written leaves nothing.
            taken = path.with_name("folder")
            (taken / "file").mkdir(parents=True)
            with self.assertRaises(OSError):
                table.write(taken)
            self.assertEqual(
                sorted(p.name for p in Path(folder).iterdir()), ["folder", "train.txt"]
            )


class Lists(unittest.TestCase):
    def test_lists_and_dicts_give_the_same(self):
        references = [["A dog runs.", "The dog is running."], ["Two red buses at night."]]
        candidates = ["A dog runs.", "A bus."]
        metrics = ["cider", "bleu", "rouge"]
        listed = scores.score(references, candidates, metrics)
        ids = ["b", "a"]
        named = scores.score(dict(zip(ids, references)), dict(zip(ids, candidates)), metrics)
        self.assertEqual(listed.corpus, named.corpus)
        self.assertEqual(list(listed), ["cider", "bleu1", "bleu2", "bleu3", "bleu4", "rouge_l"])
        self.assertEqual((named.ids, listed.ids), (ids, [0, 1]))
        self.assertEqual(listed.per_image["cider"].shape, (2,))
        self.assertIn("cider", str(listed))
        # Tokenised beforehand.
        gts = scores.PTBTokenizer().tokenize(
            {n: [{"caption": c} for c in r] for n, r in enumerate(references)}
        )
        res = {0: "a dog runs", 1: "a bus"}
        again = scores.score(gts, res, metrics, tokenize=False)
        self.assertEqual(again.corpus, listed.corpus)

    def test_frames(self):
        found = scores.score([["a dog"], ["a cat"]], ["a dog", "a dog"], "rouge")
        try:
            import pandas
        except ImportError:
            pandas = None
        if pandas:
            frame = found.to_pandas()
            self.assertEqual(list(frame.columns), ["image", "rouge_l"])
        try:
            import polars
        except ImportError:
            self.skipTest("no polars")
        frame = found.to_polars()
        self.assertEqual(frame["rouge_l"].to_list(), found.per_image["rouge_l"].tolist())
        self.assertEqual(polars.Int64, frame["image"].dtype)

    def test_many_threads_give_what_one_gives(self):
        from concurrent.futures import ThreadPoolExecutor

        words = "a dog cat runs sits red blue bus on the beach with man".split()
        draw = random.Random(7)
        caption = lambda: " ".join(draw.choices(words, k=draw.randint(1, 12)))  # noqa: E731
        gts = {n: [caption() for _ in range(5)] for n in range(200)}
        reward = scores.CiderD(gts)
        ids = [draw.randrange(200) for _ in range(2000)]
        texts = [caption() for _ in ids]
        alone = reward.rewards(ids, texts)
        with ThreadPoolExecutor(8) as pool:
            for together in pool.map(lambda _: reward.rewards(ids, texts), range(8)):
                np.testing.assert_array_equal(together, alone)


if __name__ == "__main__":
    unittest.main()
