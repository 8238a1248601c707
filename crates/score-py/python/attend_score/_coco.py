"""COCO's caption files, and the evaluation of results."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, Optional, Union

from ._captions import CaptionError, kind
from ._scorers import Bleu, Cider, Meteor, PTBTokenizer, Rouge

Path = Union[str, os.PathLike[str]]


class COCO:
    """A file of captions, as `pycocotools.coco.COCO` reads it."""

    def __init__(self, annotation_file: Optional[Path] = None) -> None:
        self.dataset: dict[str, Any] = {}
        self.anns: dict[Any, dict[str, Any]] = {}
        self.imgs: dict[Any, dict[str, Any]] = {}
        self.imgToAnns: dict[Any, list[dict[str, Any]]] = {}
        if annotation_file is not None:
            dataset = _load(annotation_file)
            if not isinstance(dataset, dict):
                what = f"expected an object with images and annotations, not {kind(dataset)}"
                raise CaptionError(f"{annotation_file}: {what}")
            self.dataset = dataset
            self.createIndex()

    def createIndex(self) -> None:
        """Finds images and captions by their ids."""
        self.anns, self.imgs, self.imgToAnns = {}, {}, _Lists()
        for number, row in enumerate(_rows(self.dataset, "annotations")):
            if "image_id" not in row or "id" not in row:
                raise CaptionError(f"annotations[{number}]: has no image_id or no id")
            self.imgToAnns.setdefault(row["image_id"], []).append(row)
            self.anns[row["id"]] = row
        for number, row in enumerate(_rows(self.dataset, "images")):
            if "id" not in row:
                raise CaptionError(f"images[{number}]: has no id")
            self.imgs[row["id"]] = row

    def getImgIds(self, imgIds: Any = (), catIds: Any = ()) -> list[Any]:
        """The ids of all images, or those of `imgIds` that are there."""
        del catIds  # captions have no categories
        wanted = _list(imgIds)
        return [image for image in wanted if image in self.imgs] if wanted else list(self.imgs)

    def getAnnIds(self, imgIds: Any = (), **unused: Any) -> list[Any]:
        """The ids of all captions, or of those of some images."""
        images = _list(imgIds)
        rows = [row for image in images for row in self.imgToAnns.get(image, [])]
        return [row["id"] for row in rows] if images else list(self.anns)

    def loadAnns(self, ids: Any = ()) -> list[dict[str, Any]]:
        """The captions with these ids."""
        return [self.anns[one] for one in _list(ids)]

    def loadImgs(self, ids: Any = ()) -> list[dict[str, Any]]:
        """The images with these ids."""
        return [self.imgs[one] for one in _list(ids)]

    def loadRes(self, resFile: Union[Path, Sequence[dict[str, Any]]]) -> COCO:
        """Results, `[{"image_id", "caption"}, …]` in a file or a list, as captions of these
        images."""
        named = isinstance(resFile, (str, os.PathLike))
        rows = _load(resFile) if named else resFile
        what = str(resFile) if named else "results"
        if not isinstance(rows, (list, tuple)):
            raise CaptionError(f"{what}: expected a list of results, not {kind(rows)}")
        own = []
        for number, row in enumerate(rows):
            if not isinstance(row, dict) or not {"image_id", "caption"} <= row.keys():
                raise CaptionError(f'{what}[{number}]: expected {{"image_id", "caption"}}')
            if row["image_id"] not in self.imgs:
                raise CaptionError(f"{what}[{number}]: no image {row['image_id']!r}")
            own.append({**row, "id": number + 1})
        described = {row["image_id"] for row in own}
        result = COCO()
        images = [row for row in self.dataset.get("images", []) if row["id"] in described]
        result.dataset = {"images": images, "annotations": own}
        result.createIndex()
        return result


class COCOEvalCap:
    """Scores results: `eval` has the scores of all images, `imgToEval` those of each."""

    def __init__(self, coco: COCO, cocoRes: COCO) -> None:
        self.evalImgs: list[dict[str, Any]] = []
        self.eval: dict[str, Any] = {}
        self.imgToEval: dict[Any, dict[str, Any]] = {}
        self.coco = coco
        self.cocoRes = cocoRes
        self.params = {"image_id": coco.getImgIds()}

    def evaluate(self) -> None:
        """Tokenises and scores the images of `params["image_id"]`, and prints as the tool does.
        Leaves METEOR out if its data is not there. The tool's SPICE needs Java."""
        images = self.params["image_id"]
        gts = {image: self.coco.imgToAnns[image] for image in images}
        res = {image: self.cocoRes.imgToAnns[image] for image in images}
        print("tokenization...")
        tokenizer = PTBTokenizer()
        gts, res = tokenizer.tokenize(gts), tokenizer.tokenize(res)
        print("setting up scorers...")
        scorers = [
            (Bleu(4), ["Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4"]),
            (Meteor(), "METEOR"),
            (Rouge(), "ROUGE_L"),
            (Cider(), "CIDEr"),
        ]
        for scorer, method in scorers:
            print(f"computing {scorer.method()} score...")
            try:
                score, scores = scorer.compute_score(gts, res)
            except FileNotFoundError as why:
                print(f"no METEOR: {why}")
                continue
            if isinstance(method, str):
                score, scores, method = [score], [scores], [method]
            for of_all, of_image, name in zip(score, scores, method):
                self.setEval(of_all, name)
                self.setImgToEvalImgs(of_image, gts.keys(), name)
                print(f"{name}: {of_all:0.3f}")
        self.setEvalImgs()

    def setEval(self, score: Any, method: str) -> None:
        self.eval[method] = score

    def setImgToEvalImgs(self, scores: Iterable[Any], imgIds: Iterable[Any], method: str) -> None:
        for image, score in zip(imgIds, scores):
            self.imgToEval.setdefault(image, {"image_id": image})[method] = score

    def setEvalImgs(self) -> None:
        self.evalImgs = list(self.imgToEval.values())


class _Lists(dict[Any, list[dict[str, Any]]]):
    """Has an empty list for each image without captions, as the tool's index."""

    def __missing__(self, image: Any) -> list[dict[str, Any]]:
        return self.setdefault(image, [])


def _load(path: Path) -> Any:
    with open(path, encoding="utf-8") as file:
        try:
            return json.load(file)
        except ValueError as why:
            raise CaptionError(f"{os.fspath(path)}: is no JSON: {why}") from None


def _rows(dataset: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rows = dataset.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CaptionError(f"{name}: expected a list of objects")
    return rows


def _list(ids: Any) -> list[Any]:
    return list(ids) if isinstance(ids, Iterable) and not isinstance(ids, str) else [ids]
