"""What is no set of captions ends in an exception that says what is wrong, never in an abort."""

from __future__ import annotations

import unittest

import attend_score as scores

GTS = {1: ["a dog"], 2: ["a cat", "the cat"]}
RES = {1: ["a dog"], 2: ["a cat"]}


class Hostile(unittest.TestCase):
    def refused(self, why, call, *arguments, **named):
        with self.assertRaises((ValueError, TypeError)) as raised:
            call(*arguments, **named)
        self.assertRegex(str(raised.exception), why)
        return raised.exception

    def test_captions_of_another_form(self):
        for scorer in (scores.Bleu(), scores.Rouge(), scores.Cider(), scores.CiderD()):
            for gts, res, why in (
                (None, RES, "gts: expected a dict of images, not None"),
                (GTS, [["a"]], "res" if not isinstance(scorer, scores.CiderD) else "res.0."),
                ({1: ["a"]}, RES, "gts: lacks image 2"),
                (GTS, {1: ["a"]}, "res: lacks image 2"),
                (GTS, {**RES, 2: []}, r"res\[2\]: has no caption"),
                (GTS, {**RES, 2: ["a", "b"]}, r"res\[2\]: expected one caption, not 2"),
                (GTS, {**RES, 2: "a cat"}, r"res\[2\]: expected a list of captions, not str"),
                ({**GTS, 2: []}, RES, r"gts\[2\]: has no caption"),
                ({**GTS, 2: [None]}, RES, r"gts\[2\]: expected a caption as text, not None"),
                ({**GTS, 2: [3.5]}, RES, "not float"),
                ({**GTS, 2: [b"a cat"]}, RES, "not bytes"),
                ({**GTS, 2: ["a \ud800"]}, RES, "no text in Unicode"),
            ):
                with self.subTest(scorer=scorer.method(), why=why):
                    found = self.refused(why, scorer.compute_score, gts, res)
                    self.assertIsInstance(found, AssertionError)  # as the tool's

    def test_nothing_at_all(self):
        for scorer in (scores.Bleu(), scores.Rouge(), scores.Cider()):
            scorer.compute_score({}, {})
        self.assertEqual(scores.PTBTokenizer().tokenize({}), {})
        self.assertEqual(scores.score([], [], "bleu").corpus["bleu4"], 0.0)
        self.assertEqual(len(scores.CiderD(GTS).rewards([], [])), 0)

    def test_odd_captions(self):
        odd = ["", " ", "\0", "\x85\x1c", "a" * 1_000_000, "a " * 100_000, "\U0010ffff", "🐕 " * 9]
        gts = {n: [text, "a dog"] for n, text in enumerate(odd)}
        res = {n: [text] for n, text in enumerate(odd)}
        for scorer in (scores.Bleu(), scores.Cider()):
            scorer.compute_score(gts, res)
        short = {n: text for n, text in gts.items() if len(text[0]) < 100}
        scores.Rouge().compute_score(short, {n: res[n] for n in short})
        scores.PTBTokenizer().tokenize({n: [{"caption": t}] for n, (t, _) in gts.items()})

    def test_tokeniser(self):
        tokenize = scores.PTBTokenizer().tokenize
        self.refused("expected a dict", tokenize, [1])
        self.refused('expected {"caption": text}', tokenize, {1: ["a dog"]})
        self.refused("expected a list", tokenize, {1: "a dog"})
        self.refused("not None", tokenize, {1: [{"caption": None}]})

    def test_rewards(self):
        reward = scores.CiderD(GTS)
        self.refused("no references of 5", reward.rewards, [1, 5], ["a", "b"])
        self.refused(r"no references of \[1\]", reward.rewards, [[1]], ["a"])
        self.refused("1 images, but 2 captions", reward.rewards, [1], ["a", "b"])
        self.refused(r"texts\[1\].*not None", reward.rewards, [1, 2], ["a", None])
        self.refused(r"texts\[0\].*Unicode", reward.rewards, [1], ["\udc80"])
        self.refused("needs references", scores.CiderD().rewards, [1], ["a"])

        def breaks():
            yield "a dog"
            raise RuntimeError("the caller's own")

        with self.assertRaisesRegex(RuntimeError, "the caller's own"):
            reward.rewards([1, 2], breaks())

    def test_lists(self):
        itself = []
        itself.append(itself)
        for references, candidates, why in (
            (None, ["a"], "references: expected a list, not None"),
            ([["a"]], 3, "candidates: expected a list, not int"),
            ([["a"]], "a", "candidates: expected a list, not str"),
            ([None], ["a"], r"references\[0\]: expected a list of captions, not None"),
            ([[]], ["a"], r"references\[0\]: has no caption"),
            ([["a"], ["b", 7]], ["a", "b"], r"references\[1\]: .* not int"),
            ([["a"], ["b", "\ud800"]], ["a", "b"], r"references\[1\]: .* no text in Unicode"),
            ([["a"]], [None], r"candidates\[0\]: .* not None"),
            ([["a"]], [float("nan")], r"candidates\[0\]: .* not float"),
            ([["a"]], ["\udfff"], r"candidates\[0\]: .* no text in Unicode"),
            ([["a"]], [["a", "b"]], r"candidates\[0\]: .* not list"),
            ([["a"]], [itself], r"candidates\[0\]: .* not list"),
            ([itself], ["a"], r"references\[0\]: .* not list"),
            ({2**400: ["a"]}, {-1: "a"}, "lack image -1"),
            ({2**400: [b"a"]}, {2**400: "a"}, "not bytes"),
        ):
            for tokenize in (True, False):
                with self.subTest(why=why, tokenize=tokenize):
                    self.refused(
                        why, scores.score, references, candidates, ["bleu"], tokenize=tokenize
                    )

    def test_captions_that_raise(self):
        class Own(Exception):
            pass

        def breaks():
            yield ["a dog"]
            raise Own("the caller's own")

        class Odd(dict):
            def __getitem__(self, image):
                raise Own("the caller's own")

        class Long(list):
            def __len__(self):
                return 2**62

        metric = scores.CaptionMetric(["bleu"])
        for call in (
            lambda: scores.score(breaks(), ["a", "b"], ["bleu"]),
            lambda: scores.score([["a"], ["b"]], breaks(), ["bleu"]),
            lambda: scores.score(Odd({1: ["a"]}), {1: "a"}, ["bleu"]),
            lambda: scores.Bleu().compute_score(GTS, Odd(RES)),
            lambda: scores.PTBTokenizer().tokenize({1: [Odd(caption="a")]}),
            lambda: scores.CiderD(GTS).compute_score(GTS, breaks()),
            lambda: scores.DocumentFrequencies(Odd(GTS)),
            lambda: metric.update(["a"], breaks()),
        ):
            with self.assertRaises((Own, scores.CaptionError)):
                call()
        self.assertEqual(metric.compute()["bleu1"], 0.0)
        found = scores.score([Long(["a dog"])], ["a dog"], ["bleu"])
        self.assertAlmostEqual(found["bleu2"], 1.0)

    def test_threads_that_change_the_captions(self):
        from concurrent.futures import ThreadPoolExecutor

        references = [["a dog", "the dog"] for _ in range(500)]
        candidates = ["a dog"] * 500
        odd = [None, "\ud800", 3, [], "a cat"]

        def change(turn):
            for n in range(500):
                references[n] = [odd[(n + turn) % 5], "a dog"]
                candidates[n] = odd[(n + 2 * turn) % 5]
                references.append(references.pop())

        def count(_):
            try:
                scores.score(references, candidates, ["bleu", "rouge", "cider"])
            except (ValueError, TypeError):
                return 1
            return 0

        with ThreadPoolExecutor(4) as pool:
            changes = [pool.submit(change, turn) for turn in range(10)]
            list(pool.map(count, range(30)))
            for one in changes:
                one.result()
        self.assertEqual(count(0), 1)

    def test_huge_captions(self):
        long = " ".join(f"w{n % 9}" for n in range(3000))
        found = scores.score([[long, "a dog"]], [long], ["bleu", "rouge", "cider"])
        self.assertAlmostEqual(found["rouge_l"], 1.0)
        many = ["a dog"] * 100_000
        self.assertAlmostEqual(scores.score([many], ["a dog"], ["bleu"])["bleu2"], 1.0)

    def test_below_the_package(self):
        from attend_score import _native

        self.refused("expected ptb, blanks or space", _native.Corpus, ["a"], [["a"]], "other")
        self.refused("image 0 has no reference", _native.Corpus, ["a"], [[]], "ptb")
        self.refused("1 hypotheses, but", _native.Corpus, ["a"], [], "ptb")
        rewards = _native.Rewards([["a"]])
        with self.assertRaisesRegex(IndexError, "no image 1"):
            rewards.scores([1], ["a"])
        with self.assertRaises(OverflowError):
            rewards.scores([-1], ["a"])
        self.refused("NUL|null", _native.read_files, ["a\0b"], "c", None)

    def test_settings(self):
        self.refused("n = 5", scores.Bleu, 5)
        self.refused("n = '4'", scores.Bleu, "4")
        self.refused("n = 3", scores.Cider, n=3)
        self.refused(
            "df: expected DocumentFrequencies, not int", scores.score, [["a"]], ["a"], df=5
        )
        self.refused("not int", scores.score, [["a"]], ["a"], ["meteor"], meteor=5)
        self.refused("not int", scores.CiderD, 5)
        self.refused("2 preds, but target of 1", scores.CaptionMetric().update, ["a", "b"], [["a"]])
        self.refused("'blue' is none of", scores.score, [["a"]], ["a"], ["blue"])
        self.refused("2 candidates, but references of 1", scores.score, [["a"]], ["a", "b"])
        self.refused("two dicts or two lists", scores.score, {1: ["a"]}, ["a"])
        self.refused("expected a list of captions, not str", scores.score, ["a dog"], ["a"])
        with self.assertRaises(FileNotFoundError):
            scores.Meteor("/no/such/folder").compute_score(GTS, RES)
        with self.assertRaises(FileNotFoundError):
            scores.CiderD("/no/such/file")


if __name__ == "__main__":
    unittest.main()
