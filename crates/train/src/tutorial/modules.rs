//! The tutorial's modules, as PyTorch pickles them.

use super::PARTS;
use attend_artifact::model::{DecoderConfig, ModelCard, ResNetConfig, StrideIn};
use attend_model::pickled::{Python, ordered};
use attend_model::weights::StateDict;
use tch::Tensor;

/// A class, as (module, name).
type Class = (&'static str, &'static str);

/// Attributes or items.
type Entries = Vec<(String, Python)>;

/// Weights by their names.
pub(super) struct Weights(pub(super) StateDict);

/// The dict that `train.py` saves.
///
/// # Errors
/// Names the weight that is missing.
pub(super) fn checkpoint(
    card: &ModelCard,
    resnet: &ResNetConfig,
    grid: i64,
    encoder: &Weights,
    decoder: &Weights,
) -> Result<Python, String> {
    let parameters = decoder
        .0
        .values()
        .map(|tensor| Python::Parameter(tensor.shallow_clone(), true));
    let optimizer = adam(parameters.collect());
    Ok(Python::Dict(entries([
        ("epoch", Python::Int(0)),
        ("epochs_since_improvement", Python::Int(0)),
        ("bleu-4", Python::Float(0.0)),
        ("encoder", encoder_module(resnet, grid, encoder)?),
        ("decoder", decoder_module(&card.decoder, decoder)?),
        ("encoder_optimizer", Python::None),
        ("decoder_optimizer", optimizer),
    ])))
}

fn encoder_module(config: &ResNetConfig, grid: i64, weights: &Weights) -> Result<Python, String> {
    let mut parts = Entries::new();
    for (n, part) in PARTS[..=config.last_stage as usize + 4].iter().enumerate() {
        let module = match *part {
            "conv1" => weights.convolution(part, 2, 3)?,
            "bn1" => weights.norm(part)?,
            "relu" => relu(true),
            "maxpool" => module(
                ("torch.nn.modules.pooling", "MaxPool2d"),
                entries([
                    ("kernel_size", Python::Int(3)),
                    ("stride", Python::Int(2)),
                    ("padding", Python::Int(1)),
                    ("dilation", Python::Int(1)),
                    ("return_indices", Python::Bool(false)),
                    ("ceil_mode", Python::Bool(false)),
                ]),
                vec![],
                vec![],
                vec![],
            ),
            layer => {
                let blocks = (0..config.arch.blocks()[n - 4]).map(|block| {
                    let stride = if n > 4 && block == 0 { 2 } else { 1 };
                    Ok((
                        block.to_string(),
                        weights.block(config, &format!("{layer}.{block}"), stride)?,
                    ))
                });
                sequential(blocks.collect::<Result<_, String>>()?)
            }
        };
        parts.push((n.to_string(), module));
    }
    let pool = module(
        ("torch.nn.modules.pooling", "AdaptiveAvgPool2d"),
        entries([("output_size", pair(grid))]),
        vec![],
        vec![],
        vec![],
    );
    Ok(module(
        ("models", "Encoder"),
        entries([("enc_image_size", Python::Int(grid))]),
        vec![],
        vec![],
        entries([("resnet", sequential(parts)), ("adaptive_pool", pool)]),
    ))
}

fn decoder_module(config: &DecoderConfig, weights: &Weights) -> Result<Python, String> {
    let int = Python::Int;
    let attention = module(
        ("models", "Attention"),
        vec![],
        vec![],
        vec![],
        entries([
            ("encoder_att", weights.linear("attention.encoder_att")?),
            ("decoder_att", weights.linear("attention.decoder_att")?),
            ("full_att", weights.linear("attention.full_att")?),
            ("relu", relu(false)),
            ("softmax", activation("Softmax", entries([("dim", int(1))]))),
        ]),
    );
    let embedding = module(
        ("torch.nn.modules.sparse", "Embedding"),
        entries([
            ("num_embeddings", int(config.vocabulary)),
            ("embedding_dim", int(config.embedding)),
            ("padding_idx", Python::None),
            ("max_norm", Python::None),
            ("norm_type", Python::Float(2.0)),
            ("scale_grad_by_freq", Python::Bool(false)),
            ("sparse", Python::Bool(false)),
        ]),
        weights.parameters("embedding", &["weight"], true)?,
        vec![],
        vec![],
    );
    let dropout = module(
        ("torch.nn.modules.dropout", "Dropout"),
        entries([
            ("p", Python::Float(config.dropout)),
            ("inplace", Python::Bool(false)),
        ]),
        vec![],
        vec![],
        vec![],
    );
    let lstm = module(
        ("torch.nn.modules.rnn", "LSTMCell"),
        entries([
            ("input_size", int(config.embedding + config.channels)),
            ("hidden_size", int(config.hidden)),
            ("bias", Python::Bool(true)),
        ]),
        weights.parameters(
            "decode_step",
            &["weight_ih", "weight_hh", "bias_ih", "bias_hh"],
            true,
        )?,
        vec![],
        vec![],
    );
    Ok(module(
        ("models", "DecoderWithAttention"),
        entries([
            ("encoder_dim", int(config.channels)),
            ("attention_dim", int(config.attention)),
            ("embed_dim", int(config.embedding)),
            ("decoder_dim", int(config.hidden)),
            ("vocab_size", int(config.vocabulary)),
        ]),
        vec![],
        vec![],
        entries([
            ("attention", attention),
            ("embedding", embedding),
            ("dropout", dropout),
            ("decode_step", lstm),
            ("init_h", weights.linear("init_h")?),
            ("init_c", weights.linear("init_c")?),
            ("f_beta", weights.linear("f_beta")?),
            ("sigmoid", activation("Sigmoid", vec![])),
            ("fc", weights.linear("fc")?),
        ]),
    ))
}

impl Weights {
    fn tensor(&self, module: &str, name: &str) -> Result<Tensor, String> {
        let name = format!("{module}.{name}");
        let tensor = self.0.get(&name).map(Tensor::shallow_clone);
        tensor.ok_or_else(|| format!("lacks the weight {name}"))
    }

    fn parameters(&self, module: &str, names: &[&str], trained: bool) -> Result<Entries, String> {
        let parameter = |name: &&str| {
            let tensor = self.tensor(module, name)?;
            Ok(((*name).to_owned(), Python::Parameter(tensor, trained)))
        };
        names.iter().map(parameter).collect()
    }

    fn linear(&self, name: &str) -> Result<Python, String> {
        let size = self.tensor(name, "weight")?.size();
        Ok(module(
            ("torch.nn.modules.linear", "Linear"),
            entries([
                ("in_features", Python::Int(size[1])),
                ("out_features", Python::Int(size[0])),
            ]),
            self.parameters(name, &["weight", "bias"], true)?,
            vec![],
            vec![],
        ))
    }

    fn convolution(&self, name: &str, stride: i64, padding: i64) -> Result<Python, String> {
        let size = self.tensor(name, "weight")?.size();
        let mut parameters = self.parameters(name, &["weight"], false)?;
        parameters.push(("bias".to_owned(), Python::None));
        Ok(module(
            ("torch.nn.modules.conv", "Conv2d"),
            entries([
                ("in_channels", Python::Int(size[1])),
                ("out_channels", Python::Int(size[0])),
                ("kernel_size", pair(size[2])),
                ("stride", pair(stride)),
                ("padding", pair(padding)),
                ("dilation", pair(1)),
                ("transposed", Python::Bool(false)),
                ("output_padding", pair(0)),
                ("groups", Python::Int(1)),
                ("padding_mode", Python::Text("zeros".to_owned())),
            ]),
            parameters,
            vec![],
            vec![],
        ))
    }

    fn norm(&self, name: &str) -> Result<Python, String> {
        let buffer = |part: &str| Ok::<_, String>(Python::Tensor(self.tensor(name, part)?));
        Ok(module(
            ("torch.nn.modules.batchnorm", "BatchNorm2d"),
            entries([
                (
                    "num_features",
                    Python::Int(self.tensor(name, "bias")?.size()[0]),
                ),
                ("eps", Python::Float(1e-5)),
                ("momentum", Python::Float(0.1)),
                ("affine", Python::Bool(true)),
                ("track_running_stats", Python::Bool(true)),
            ]),
            self.parameters(name, &["weight", "bias"], false)?,
            entries([
                ("running_mean", buffer("running_mean")?),
                ("running_var", buffer("running_var")?),
                ("num_batches_tracked", Python::Tensor(Tensor::from(0i64))),
            ]),
            vec![],
        ))
    }

    fn block(&self, config: &ResNetConfig, name: &str, stride: i64) -> Result<Python, String> {
        let (class, strides) = match (config.arch.is_bottleneck(), config.stride_in) {
            (false, _) => ("BasicBlock", vec![stride, 1]),
            (true, StrideIn::Conv3x3) => ("Bottleneck", vec![1, stride, 1]),
            (true, StrideIn::Conv1x1) => ("Bottleneck", vec![stride, 1, 1]),
        };
        let mut modules = Entries::new();
        for (n, stride) in (1..).zip(strides) {
            let conv = format!("{name}.conv{n}");
            let padding = self.tensor(&conv, "weight")?.size()[2] / 2;
            modules.push((
                format!("conv{n}"),
                self.convolution(&conv, stride, padding)?,
            ));
            modules.push((format!("bn{n}"), self.norm(&format!("{name}.bn{n}"))?));
        }
        modules.push(("relu".to_owned(), relu(true)));
        let mut attributes = entries([("stride", Python::Int(stride))]);
        let downsample = format!("{name}.downsample");
        if self.0.contains_key(&format!("{downsample}.0.weight")) {
            let conv = self.convolution(&format!("{downsample}.0"), stride, 0)?;
            let norm = self.norm(&format!("{downsample}.1"))?;
            modules.push((
                "downsample".to_owned(),
                sequential(entries([("0", conv), ("1", norm)])),
            ));
        } else {
            attributes.push(("downsample".to_owned(), Python::None));
        }
        Ok(module(
            ("torchvision.models.resnet", class),
            attributes,
            vec![],
            vec![],
            modules,
        ))
    }
}

/// A `torch.nn.Module` in the form of PyTorch 0.4; later versions add what they lack.
fn module(
    class: Class,
    attributes: Entries,
    parameters: Entries,
    buffers: Entries,
    modules: Entries,
) -> Python {
    let mut state = entries([
        ("training", Python::Bool(false)),
        ("_parameters", ordered(parameters)),
        ("_buffers", ordered(buffers)),
        ("_backward_hooks", ordered(vec![])),
        ("_forward_hooks", ordered(vec![])),
        ("_forward_pre_hooks", ordered(vec![])),
        ("_modules", ordered(modules)),
    ]);
    state.extend(attributes);
    Python::Instance(class, state)
}

fn sequential(modules: Entries) -> Python {
    let class = ("torch.nn.modules.container", "Sequential");
    module(class, vec![], vec![], vec![], modules)
}

fn activation(name: &'static str, attributes: Entries) -> Python {
    let class = ("torch.nn.modules.activation", name);
    module(class, attributes, vec![], vec![], vec![])
}

fn relu(inplace: bool) -> Python {
    activation("ReLU", entries([("inplace", Python::Bool(inplace))]))
}

/// `torch.optim.Adam` with the tutorial's learning rate and without moments.
fn adam(parameters: Vec<Python>) -> Python {
    let defaults = || {
        entries([
            ("lr", Python::Float(4e-4)),
            (
                "betas",
                Python::Tuple(vec![Python::Float(0.9), Python::Float(0.999)]),
            ),
            ("eps", Python::Float(1e-8)),
            ("weight_decay", Python::Int(0)),
            ("amsgrad", Python::Bool(false)),
        ])
    };
    let mut group = entries([("params", Python::List(parameters))]);
    group.extend(defaults());
    let dict = Python::Class("__builtin__", "dict");
    Python::Instance(
        ("torch.optim.adam", "Adam"),
        entries([
            ("defaults", Python::Dict(defaults())),
            (
                "state",
                Python::Call(("collections", "defaultdict"), vec![dict], vec![]),
            ),
            ("param_groups", Python::List(vec![Python::Dict(group)])),
        ]),
    )
}

fn pair(n: i64) -> Python {
    Python::Tuple(vec![Python::Int(n), Python::Int(n)])
}

fn entries<const N: usize>(entries: [(&str, Python); N]) -> Entries {
    entries.map(|(name, value)| (name.to_owned(), value)).into()
}
