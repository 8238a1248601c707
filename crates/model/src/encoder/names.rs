//! The parameters of a ResNet under the names that other libraries give them.

use crate::weights::StateDict;

/// The tensors of `dict` under torchvision's names, if they are called as in Hugging Face's
/// transformers, or by their places in a `Sequential` of torchvision's modules
/// (`nn.Sequential(*list(resnet.children())[:-2])`). timm's names are torchvision's. Prefixes
/// stay, and so do all other names.
pub(super) fn as_torchvision(dict: &StateDict) -> StateDict {
    let sequence = (dict.keys())
        .filter_map(|name| name.strip_suffix("4.0.conv1.weight"))
        .find(|prefix| is_prefix(prefix));
    let renamed = |name: &str| {
        transformers(name).or_else(|| {
            let (prefix, rest) = name.split_at_checked(sequence?.len())?;
            (Some(prefix) == sequence)
                .then(|| sequential(prefix, rest))
                .flatten()
        })
    };
    (dict.iter())
        .map(|(name, tensor)| {
            let name = renamed(name).unwrap_or_else(|| name.clone());
            (name, tensor.shallow_clone())
        })
        .collect()
}

/// Whether names may begin with this: it is empty or the path of a module.
pub(super) fn is_prefix(text: &str) -> bool {
    text.is_empty() || text.ends_with('.')
}

/// torchvision's name of a parameter of `transformers.ResNetModel`.
fn transformers(name: &str) -> Option<String> {
    let after = |mark: &str| {
        name.split_once(mark)
            .filter(|(prefix, _)| is_prefix(prefix))
    };
    let number = |text: &str| Some(text.parse::<usize>().ok()? + 1);
    if let Some((prefix, rest)) = after("embedder.embedder.") {
        return match rest.split_once('.')? {
            ("convolution", parameter) => Some(format!("{prefix}conv1.{parameter}")),
            ("normalization", parameter) => Some(format!("{prefix}bn1.{parameter}")),
            _ => None,
        };
    }
    let (prefix, rest) = after("encoder.stages.")?;
    let (stage, block, unit, parameter) = match rest.split('.').collect::<Vec<_>>()[..] {
        [stage, "layers", block, "layer", n, module, parameter] => {
            let kind = match module {
                "convolution" => "conv",
                "normalization" => "bn",
                _ => return None,
            };
            (stage, block, format!("{kind}{}", number(n)?), parameter)
        }
        [stage, "layers", block, "shortcut", module, parameter] => {
            let place = match module {
                "convolution" => 0,
                "normalization" => 1,
                _ => return None,
            };
            (stage, block, format!("downsample.{place}"), parameter)
        }
        _ => return None,
    };
    let layer = number(stage)?;
    Some(format!("{prefix}layer{layer}.{block}.{unit}.{parameter}"))
}

/// torchvision's name of a parameter in a sequence of its modules.
fn sequential(prefix: &str, rest: &str) -> Option<String> {
    let (place, rest) = rest.split_once('.')?;
    let module = match place {
        "0" => "conv1",
        "1" => "bn1",
        "4" => "layer1",
        "5" => "layer2",
        "6" => "layer3",
        "7" => "layer4",
        _ => return None,
    };
    Some(format!("{prefix}{module}.{rest}"))
}
