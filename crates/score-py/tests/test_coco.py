"""The tool's own way of working: annotations, results, evaluation; and the command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import attend_score
from attend_score import COCO, COCOEvalCap

ANNOTATIONS = {
    "images": [{"id": 7, "file_name": "7.jpg"}, {"id": 8}, {"id": 9}],
    "annotations": [
        {"image_id": 7, "id": 1, "caption": "A dog runs along the beach."},
        {"image_id": 7, "id": 2, "caption": "The dog is running."},
        {"image_id": 8, "id": 3, "caption": "Two red buses at night."},
        {"image_id": 9, "id": 4, "caption": "A man with a cat."},
    ],
}
RESULTS = [{"image_id": 8, "caption": "Two buses."}, {"image_id": 7, "caption": "A dog runs."}]


class Coco(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        self.annotations = self.folder / "captions.json"
        self.annotations.write_text(json.dumps(ANNOTATIONS))
        self.results = self.folder / "results.json"
        self.results.write_text(json.dumps(RESULTS))

    def test_the_tools_example(self):
        coco = COCO(self.annotations)
        self.assertEqual(coco.getImgIds(), [7, 8, 9])
        self.assertEqual(coco.getAnnIds(7), [1, 2])
        self.assertEqual(coco.loadAnns([3])[0]["caption"], "Two red buses at night.")
        self.assertEqual(coco.loadImgs(7)[0]["file_name"], "7.jpg")
        for given in (str(self.results), self.results, RESULTS):
            results = coco.loadRes(given)
            evaluation = COCOEvalCap(coco, results)
            evaluation.params["image_id"] = results.getImgIds()
            os.environ["ATTEND_METEOR"] = str(self.folder / "none")
            self.addCleanup(os.environ.pop, "ATTEND_METEOR", None)
            with contextlib.redirect_stdout(io.StringIO()) as told:
                evaluation.evaluate()
            self.assertIn("no METEOR", told.getvalue())
            names = ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "ROUGE_L", "CIDEr"]
            self.assertEqual(list(evaluation.eval), names)
            self.assertEqual([row["image_id"] for row in evaluation.evalImgs], [7, 8])
            self.assertEqual(evaluation.imgToEval[7]["ROUGE_L"], evaluation.evalImgs[0]["ROUGE_L"])
            references = {7: ["A dog runs along the beach.", "The dog is running."]}
            references[8] = ["Two red buses at night."]
            direct = attend_score.score(
                references, {7: "A dog runs.", 8: "Two buses."}, ["bleu", "rouge", "cider"]
            )
            self.assertEqual(list(evaluation.eval.values()), list(direct.corpus.values()))

    def test_what_is_no_result_is_named(self):
        coco = COCO(self.annotations)
        for rows, why in (
            ([{"image_id": 1, "caption": "a"}], "no image 1"),
            ([{"caption": "a"}], "expected"),
            ({"7": "a"}, "expected a list"),
            ([3], "expected"),
        ):
            with self.assertRaisesRegex(ValueError, why):
                coco.loadRes(rows)
        self.annotations.write_text("{")
        with self.assertRaisesRegex(ValueError, "captions.json: is no JSON"):
            COCO(self.annotations)
        self.annotations.write_text('{"annotations": [{"id": 1}]}')
        with self.assertRaisesRegex(ValueError, "has no image_id"):
            COCO(self.annotations)

    def test_an_image_without_result_is_named(self):
        coco = COCO(self.annotations)
        evaluation = COCOEvalCap(coco, coco.loadRes(RESULTS))
        with contextlib.redirect_stdout(io.StringIO()), self.assertRaisesRegex(ValueError, "9"):
            evaluation.evaluate()

    def test_in_the_place_of_the_tool(self):
        code = (
            "import attend_score; attend_score.replace_pycocoevalcap(coco=True);"
            "from pycocoevalcap.eval import COCOEvalCap; from pycocotools.coco import COCO;"
            "from pycocoevalcap.bleu.bleu import Bleu; import pycocoevalcap.cider.cider as c;"
            "from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer;"
            "print(Bleu.__module__, c.Cider is attend_score.Cider)"
        )
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        self.assertEqual(ended.stdout, "attend_score._scorers True\n", ended.stderr)

    def command(self, *words):
        command = [sys.executable, "-m", "attend_score", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True)

    def test_the_command_line(self):
        files = ("--references", self.annotations, "--results", self.results)
        table = self.folder / "images.csv"
        ended = self.command(*files, "--metrics", "bleu,cider", "--json", "--per-image", table)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        found = json.loads(ended.stdout)
        self.assertEqual(list(found), ["images", "bleu1", "bleu2", "bleu3", "bleu4", "cider"])
        lines = table.read_text().splitlines()
        self.assertEqual(lines[0], "image,caption,bleu1,bleu2,bleu3,bleu4,cider")
        self.assertEqual(len(lines), 3)
        self.assertIn("bleu4", self.command(*files, "--metrics", "bleu").stdout)
        wrong = self.command(*files, "--metrics", "blue")
        self.assertEqual(wrong.returncode, 3)
        self.assertIn("error: metrics: 'blue'", wrong.stderr)
        self.results.write_text("[")
        wrong = self.command(*files)
        self.assertEqual((wrong.returncode, wrong.stderr.count("\n")), (3, 1), wrong.stderr)


if __name__ == "__main__":
    unittest.main()
