//! Recognises the ResNet in a pickled encoder.

use super::PARTS;
use attend_model::pickled::Object;
use attend_model::{Arch, LastStage, ResNetConfig, StrideIn};

const ARCHS: [Arch; 5] = [
    Arch::Resnet18,
    Arch::Resnet34,
    Arch::Resnet50,
    Arch::Resnet101,
    Arch::Resnet152,
];
const STAGES: [LastStage; 4] = [
    LastStage::Layer1,
    LastStage::Layer2,
    LastStage::Layer3,
    LastStage::Layer4,
];

/// Maximum number of modules that a message is made from.
const MOST_MODULES: usize = 10_000;

/// The architecture of the encoder's `resnet`.
///
/// # Errors
/// What it is instead.
pub(super) fn recognise<'a>(encoder: Object<'a>) -> Result<ResNetConfig, String> {
    let Some(resnet) = encoder.module("resnet") else {
        return Err(format!(
            "its encoder has no `resnet`, but {}",
            classes(encoder)
        ));
    };
    let other = |what: String| format!("its encoder is no ResNet that this program knows: {what}");
    let parts = resnet.modules();
    let fits = |(at, (place, part)): (usize, &(&str, Object))| {
        let expected = ["Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d", "Sequential"][at.min(4)];
        *place == at.to_string() && name(*part) == expected
    };
    if !(5..=PARTS.len()).contains(&parts.len()) || !parts.iter().enumerate().all(fits) {
        return Err(other(looks_like(resnet)));
    }
    let blocks = |(_, layer): &(&str, Object<'a>)| -> Vec<Object<'a>> {
        let blocks = layer.modules().into_iter();
        blocks.map(|(_, block)| block).collect()
    };
    let layers: Vec<Vec<Object>> = parts[4..].iter().map(blocks).collect();
    let first = layers[0].first().map(|block| name(*block));
    let bottleneck = first == Some("Bottleneck");
    let block = match bottleneck {
        true => "Bottleneck",
        false => "BasicBlock",
    };
    let is_block = |other: &Object| name(*other) == block && other.modules().len() < 10;
    if !layers.iter().flatten().all(is_block) {
        return Err(other(looks_like(resnet)));
    }
    let depths: Vec<usize> = layers.iter().map(Vec::len).collect();
    let is =
        |arch: &&Arch| arch.is_bottleneck() == bottleneck && arch.blocks().starts_with(&depths);
    let Some(arch) = ARCHS.iter().find(is) else {
        return Err(other(format!(
            "a ResNet with {depths:?} blocks of class {block}"
        )));
    };
    let second = layers.get(1).and_then(|layer| layer.first());
    let stride = second.and_then(|block| integers(*block, "conv1", "stride"));
    let stride_in = match stride {
        Some(stride) if bottleneck && stride == [2, 2] => StrideIn::Conv1x1,
        _ => StrideIn::Conv3x3,
    };
    let config = ResNetConfig {
        arch: *arch,
        last_stage: STAGES[layers.len() - 1],
        stride_in,
    };
    match odd(resnet, &layers, &config) {
        Some(what) => Err(other(what)),
        None => Ok(config),
    }
}

/// A property of its convolutions and BatchNorms that torchvision's ResNets don't have.
fn odd(resnet: Object, layers: &[Vec<Object>], config: &ResNetConfig) -> Option<String> {
    let strided = match (config.arch.is_bottleneck(), config.stride_in) {
        (true, StrideIn::Conv3x3) => "conv2",
        _ => "conv1",
    };
    let mut wide = None;
    let mut modules: Vec<(&str, Object, i64)> =
        vec![("0", resnet, 2), ("1", resnet, 1), ("3", resnet, 2)];
    for (n, layer) in layers.iter().enumerate() {
        for (k, block) in layer.iter().enumerate() {
            for (unit, _) in block.modules() {
                let halves = n > 0 && k == 0 && (unit == strided || unit == "downsample");
                let stride = if halves { 2 } else { 1 };
                match unit {
                    "downsample" => modules.extend([
                        ("downsample.0", *block, stride),
                        ("downsample.1", *block, stride),
                    ]),
                    _ => modules.push((unit, *block, stride)),
                }
            }
            let width = integers(*block, "conv1", "out_channels").unwrap_or_default();
            if width != [64 << n] {
                wide = Some(format!(
                    "a wide ResNet, with {width:?} channels in layer{}",
                    n + 1
                ));
            }
        }
    }
    for (unit, block, stride) in modules {
        let has = |attribute| integers(block, unit, attribute).unwrap_or_default();
        let is = |attribute, value: i64| {
            let numbers = has(attribute);
            !numbers.is_empty() && numbers.iter().all(|n| *n == value)
        };
        let class = block.module(unit).map_or("", name);
        let eps = block
            .module(unit)
            .and_then(|norm| norm.attribute("eps")?.number());
        if class == "Conv2d" && !is("groups", 1) {
            return Some(format!("a ResNeXt, with {:?} groups", has("groups")));
        }
        if class == "Conv2d" && !is("dilation", 1) {
            return Some("a ResNet with dilated convolutions".to_owned());
        }
        if ["Conv2d", "MaxPool2d"].contains(&class) && !is("stride", stride) {
            let stride = has("stride");
            return Some(format!(
                "a ResNet with strides of its own, {stride:?} in a {unit}"
            ));
        }
        if class == "BatchNorm2d" && eps != Some(1e-5) {
            return Some("a ResNet with an eps of its own in BatchNorm".to_owned());
        }
    }
    wide
}

fn integers(block: Object, module: &str, attribute: &str) -> Option<Vec<i64>> {
    block.module(module)?.attribute(attribute)?.integers()
}

/// The name of a module's class, without its Python module.
fn name<'a>(module: Object<'a>) -> &'a str {
    let class = module.class().unwrap_or("an unknown class");
    class.rsplit('.').next().unwrap_or(class)
}

/// Which network this looks like, by the classes of its modules.
fn looks_like(network: Object) -> String {
    let mut all = vec![network];
    let mut at = 0;
    while at < all.len() && all.len() < MOST_MODULES {
        all.extend(all[at].modules().into_iter().map(|(_, module)| module));
        at += 1;
    }
    let library = |module: &Object| -> Option<String> {
        let class = module.class()?;
        let rest = class.split_once("models.")?.1;
        let (file, _) = rest.split_once('.')?;
        (!file.starts_with("resnet")).then(|| format!("it looks like {file} ({class})"))
    };
    if let Some(known) = all.iter().find_map(library) {
        return known;
    }
    let plain = |module: &&Object| {
        !["Sequential", "Conv2d", "ReLU", "MaxPool2d", "BatchNorm2d"].contains(&name(**module))
    };
    match all.iter().find(plain) {
        None if all.len() > 8 => format!("it looks like vgg: {}", classes(network)),
        _ => classes(network),
    }
}

/// The classes of its modules.
fn classes(module: Object) -> String {
    let mut found: Vec<&str> = Vec::new();
    for (_, part) in module.modules() {
        if !found.contains(&name(part)) && found.len() < 6 {
            found.push(name(part));
        }
    }
    match found.is_empty() {
        true => "nothing".to_owned(),
        false => format!("modules of {}", found.join(", ")),
    }
}
