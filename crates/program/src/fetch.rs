//! Which `cargo xtask fetch` brings a published file that is missing.

/// What a path contains, as a config spells it, and what `cargo xtask fetch` calls that.
const KNOWN: [(&str, &str); 9] = [
    ("resnet18-f37072fd.pth", "resnet18"),
    ("resnet34-b627a593.pth", "resnet34"),
    ("resnet50-0676ba61.pth", "resnet50"),
    ("resnet101-63fe2227.pth", "resnet101"),
    ("resnet152-394f9c45.pth", "resnet152"),
    ("glove.6B.", "glove"),
    ("dataset_coco.json", "karpathy"),
    ("dataset_flickr", "karpathy"),
    ("${COCO}", "coco2014 karpathy"),
];

/// Says which command brings the file at `path`, for the end of a message; `None` if it is
/// not a published one.
pub fn hint(path: &str) -> Option<String> {
    let (_, name) = KNOWN.iter().find(|(part, _)| path.contains(part))?;
    Some(format!("`cargo xtask fetch {name} --to DIR` brings it"))
}
