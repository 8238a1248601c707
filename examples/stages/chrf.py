#!/usr/bin/env python3
"""An evaluation with another score: chrF (Popović 2015) of the captions that an evaluation
holds. `pip install attend-artifacts sacrebleu`"""

from __future__ import annotations

from collections import defaultdict

import attend
from sacrebleu.metrics import CHRF

PARAMETERS = {"chrf": {"word_order": 0, "beta": 2}}


@attend.stage(
    "chrf",
    "1",
    about="Scores an evaluation's captions with chrF (chrF++ with chrf.word_order = 2)",
    inputs={"evaluation": True, "dataset": True},
    output="evaluation",
    parameters=PARAMETERS,
)
def main(stage: attend.Stage) -> None:
    scorer = CHRF(word_order=stage.config["chrf"]["word_order"], beta=stage.config["chrf"]["beta"])
    evaluation, out = stage.input("evaluation"), stage.out
    references = defaultdict(list)
    for row in stage.input("dataset").captions.to_pylist():
        references[row["image_id"]].append(row["caption"].lower())
    scored, by_beam = [], defaultdict(list)
    for row in evaluation.table("per_image.parquet").to_pylist():
        theirs = references[row["image_id"]]
        score = scorer.sentence_score(row["caption"], theirs).score / 100 if theirs else 0.0
        scored.append({**row, "chrf": score})
        by_beam[row["beam"]].append(row)

    beams = {str(k): {"chrf": corpus(scorer, rows, references)} for k, rows in by_beam.items()}
    given = evaluation.json("scores.json")
    out.json("scores.json", {"split": given["split"], "images": given["images"], "beams": beams})
    out.table("per_image.parquet", scored)
    for file in evaluation.files:  # the captions stay as they are
        if file.name.startswith("results"):
            out.json(file.name, evaluation.json(file.name))
    for beam, scores in beams.items():
        print(f"beam {beam}: chrF {100 * scores['chrf']:.2f}")


def corpus(scorer: CHRF, rows: list, references: dict) -> float:
    """chrF of all captions; sacrebleu wants equally many references of each image."""
    rows = [row for row in rows if references[row["image_id"]]]
    most = max((len(references[row["image_id"]]) for row in rows), default=0)
    theirs = [references[row["image_id"]] for row in rows]
    streams = [[texts[n % len(texts)] for texts in theirs] for n in range(most)]
    captions = [row["caption"] for row in rows]
    return scorer.corpus_score(captions, streams).score / 100 if rows else 0.0


if __name__ == "__main__":
    main()
