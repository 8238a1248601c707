//! The architecture of a ResNet (He et al. 2015) up to one of its layers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The depth of the ResNet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Arch {
    Resnet18,
    Resnet34,
    Resnet50,
    Resnet101,
    Resnet152,
}

impl Arch {
    /// Blocks of each of the four layers.
    pub fn blocks(self) -> [usize; 4] {
        match self {
            Arch::Resnet18 => [2, 2, 2, 2],
            Arch::Resnet34 | Arch::Resnet50 => [3, 4, 6, 3],
            Arch::Resnet101 => [3, 4, 23, 3],
            Arch::Resnet152 => [3, 8, 36, 3],
        }
    }

    /// Whether its blocks are bottlenecks: 1x1, 3x3 and 1x1, the last four times as wide.
    pub fn is_bottleneck(self) -> bool {
        !matches!(self, Arch::Resnet18 | Arch::Resnet34)
    }
}

/// The layer whose output is the feature map.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LastStage {
    Layer1,
    Layer2,
    Layer3,
    Layer4,
}

/// Where a bottleneck that halves the map has its stride of 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StrideIn {
    /// In the 3x3 convolution: torchvision ("v1.5").
    Conv3x3,
    /// In the first 1x1 convolution: the original.
    Conv1x1,
}

/// Architecture of a ResNet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ResNetConfig {
    /// The depth of the ResNet.
    pub arch: Arch,
    /// The layer whose output is the feature map.
    pub last_stage: LastStage,
    /// Where bottlenecks have their stride.
    pub stride_in: StrideIn,
}

impl Default for ResNetConfig {
    fn default() -> Self {
        ResNetConfig {
            arch: Arch::Resnet101,
            last_stage: LastStage::Layer4,
            stride_in: StrideIn::Conv3x3,
        }
    }
}

impl ResNetConfig {
    /// Channels of the feature map.
    pub fn channels(&self) -> i64 {
        let expansion = if self.arch.is_bottleneck() { 4 } else { 1 };
        (64 << self.last_stage as i64) * expansion
    }

    /// Pixels of an image per cell of the feature map, along each side.
    pub fn stride(&self) -> i64 {
        4 << self.last_stage as i64
    }

    /// Height and width of the feature map of images of this height and width.
    pub fn grid(&self, image_size: [i64; 2]) -> [i64; 2] {
        // Each halving rounds up.
        image_size.map(|pixels| (pixels + self.stride() - 1) / self.stride())
    }
}
