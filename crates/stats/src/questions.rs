//! The statistics, each computed from tables and returned as a table. Most have one row per
//! split, in the order of the data set, and a last row for all splits.

use attend_artifact::vocabulary::Tokenizer;
use polars::prelude::*;

/// Name of the row over all splits.
const ALL: &str = "all";

/// The captions (`split`, `image_id`), with their text split into a list of `words`.
pub(crate) fn words(captions: DataFrame, tokenizer: Tokenizer) -> PolarsResult<DataFrame> {
    let texts = captions.column("caption")?.str()?;
    let mut words = ListStringChunkedBuilder::new("words".into(), texts.len(), 12 * texts.len());
    for text in texts.iter() {
        let caption = tokenizer.words(text.unwrap_or_default());
        words.append_values_iter(caption.iter().map(String::as_str));
    }
    let mut captions = captions.drop("caption")?;
    captions.with_column(words.finish().into_column())?;
    Ok(captions)
}

/// Number of images and captions, captions per image, words per caption (mean, median,
/// maximum), tokens (all words) and types (distinct words).
pub(crate) fn splits(images: &DataFrame, captions: &DataFrame) -> PolarsResult<DataFrame> {
    let of_image = captions.clone().lazy();
    let of_image = of_image
        .group_by([col("image_id")])
        .agg([len().alias("captions")]);
    let per_image = images.clone().lazy();
    let per_image = per_image.left_join(of_image, col("image_id"), col("image_id"));
    let counts = by_split(
        per_image.with_column(col("captions").fill_null(0)),
        [
            len().alias("images"),
            col("captions").sum(),
            col("captions").mean().alias("captions_per_image"),
        ],
    )?;
    let lengths = by_split(
        captions
            .clone()
            .lazy()
            .select([col("split"), col("words").list().len()]),
        [
            col("words").mean().alias("words_mean"),
            col("words").median().alias("words_median"),
            col("words").max().alias("words_max"),
            col("words").sum().alias("tokens"),
        ],
    )?;
    let types = word_counts(captions)?;
    let types = types.group_by([col("split")]).agg([len().alias("types")]);
    ordered(images, [counts, lengths, types])
}

/// Width and height of the photographs before resizing, in pixels: smallest, median,
/// largest.
pub(crate) fn sizes(images: &DataFrame) -> PolarsResult<DataFrame> {
    let range = |side: &str| {
        let name = |what: &str| format!("{side}_{what}");
        [
            col(side).min().alias(name("min")),
            col(side).median().alias(name("median")),
            col(side).max().alias(name("max")),
        ]
    };
    let answers = [range("width"), range("height")].concat();
    ordered(images, [by_split(images.clone().lazy(), answers)?])
}

/// The fractions of the captions' tokens and types that are in the vocabulary, and the
/// fraction of tokens that are not.
pub(crate) fn coverage(
    images: &DataFrame,
    captions: &DataFrame,
    vocabulary: Vec<&str>,
) -> PolarsResult<DataFrame> {
    let known = df!("words" => vocabulary)?
        .lazy()
        .with_column(lit(true).alias("known"));
    let known = word_counts(captions)?.left_join(known, col("words"), col("words"));
    let is_known = col("known").is_not_null();
    let tokens = || col("tokens").sum().cast(DataType::Float64);
    let tokens_where = |condition: Expr| {
        col("tokens")
            .filter(condition)
            .sum()
            .cast(DataType::Float64)
            / tokens()
    };
    let answer = known.group_by([col("split")]).agg([
        tokens_where(is_known.clone()).alias("token_coverage"),
        tokens_where(is_known.clone().not()).alias("oov_rate"),
        is_known.clone().mean().alias("type_coverage"),
        is_known.not().sum().alias("unknown_types"),
    ]);
    ordered(images, [answer])
}

/// Number of images and captions left out, by kind and reason.
pub(crate) fn rejected(rejected: DataFrame) -> PolarsResult<DataFrame> {
    rejected
        .lazy()
        .group_by([col("kind"), col("reason")])
        .agg([len().alias("count")])
        .sort_by_exprs(
            [col("kind"), col("count"), col("reason")],
            SortMultipleOptions::default().with_order_descending_multi([true, true, false]),
        )
        .collect()
}

/// The number of occurrences of each word in each split, and in all: `split`, `words`,
/// `tokens`.
fn word_counts(captions: &DataFrame) -> PolarsResult<LazyFrame> {
    let options = ExplodeOptions {
        empty_as_null: false,
        keep_nulls: false,
    };
    let each = captions.clone().lazy().select([col("split"), col("words")]);
    let each = each.explode(by_name(["words"], true, false), options);
    let each = each
        .group_by([col("split"), col("words")])
        .agg([len().alias("tokens")]);
    let each = each.collect()?.lazy(); // used twice
    let all = each
        .clone()
        .group_by([col("words")])
        .agg([col("tokens").sum()]);
    let all = all.select([lit(ALL).alias("split"), col("words"), col("tokens")]);
    concat([each, all], UnionArgs::default())
}

/// Aggregates per split, and over all splits.
fn by_split(frame: LazyFrame, answers: impl AsRef<[Expr]>) -> PolarsResult<LazyFrame> {
    let all = frame.clone().with_column(lit(ALL).alias("split"));
    let both = concat([frame, all], UnionArgs::default())?;
    Ok(both.group_by([col("split")]).agg(answers))
}

/// Joins tables with a row per split, in the order of the splits in the data set.
fn ordered<const N: usize>(images: &DataFrame, tables: [LazyFrame; N]) -> PolarsResult<DataFrame> {
    let splits = images.column("split")?.unique_stable()?;
    let mut splits: Vec<&str> = splits.str()?.iter().flatten().collect();
    splits.push(ALL);
    let mut answer = df!("split" => splits)?.lazy();
    for table in tables {
        answer = answer
            .join_builder()
            .with(table)
            .left_on([col("split")])
            .right_on([col("split")])
            .how(JoinType::Left)
            .maintain_order(MaintainOrderJoin::Left)
            .finish();
    }
    answer.collect()
}
