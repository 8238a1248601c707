#!/usr/bin/env python3
"""A vocabulary of word pieces: frequent words stay whole, rare ones are cut (`walk ##ing`), so
that a small vocabulary spells every word. `pip install attend-artifacts tokenizers`"""

from __future__ import annotations

from collections import Counter

import attend
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

PARAMETERS = {"pieces": {"size": 1000, "min_count": 2, "max_length": 60}}


@attend.stage(
    "word-pieces",
    "1",
    about="Makes a vocabulary of word pieces, learnt from the train split",
    inputs={"dataset": True},
    output="vocabulary",
    parameters=PARAMETERS,
)
def main(stage: attend.Stage) -> None:
    own = stage.config["pieces"]
    captions = stage.input("dataset").captions.to_pylist()
    train = [row["caption"] for row in captions if row["split"] == "train"]
    words = attend.Words(learnt(train, own["size"], own["min_count"]))

    encoded, rejected = [], []
    counts: Counter = Counter()
    for row in captions:
        ids = words.encode(row["caption"])
        length = len(ids) - 2
        if 1 <= length <= own["max_length"]:
            kept = {key: row[key] for key in ("caption_id", "image_id", "split")}
            encoded.append({**kept, "tokens": ids})
            counts.update(ids if row["split"] == "train" else [])
        else:
            reason = "too-long" if length else "wordless"
            ids = row["caption_id"], row["image_id"]
            rejected.append(attend.left_out("caption", *ids, reason, f"{length} pieces"))
    in_order = [counts[n] for n in words.ids.values()]
    stage.out.json("vocab.json", words.file(in_order, own["min_count"], own["max_length"]))
    stage.out.table("encoded.parquet", encoded)
    if rejected:
        stage.out.table("rejected.parquet", rejected)
    stage.out.counts(dropped=len(rejected))


def learnt(captions: list[str], size: int, min_count: int) -> list[str]:
    """The pieces, in the order in which they were learnt."""
    captions = [" ".join(attend.split(caption)) for caption in captions]
    learner = Tokenizer(models.WordPiece(unk_token="<unk>"))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordPieceTrainer(
        vocab_size=size,
        min_frequency=min_count,
        # Named in this order, because the learner's own order of letters is another each time.
        special_tokens=["<unk>", *(attend.PIECE + c for c in sorted({*"".join(captions)} - {" "}))],
        continuing_subword_prefix=attend.PIECE,
        show_progress=False,
    )
    learner.train_from_iterator(captions, trainer)
    known = learner.get_vocab()
    return [piece for piece in sorted(known, key=known.__getitem__) if piece != "<unk>"]


if __name__ == "__main__":
    main()
