//! The extension type of a shard's tensor column.

use super::dtype::Dtype;
use arrow_schema::{DataType, Schema};

pub(super) const EXTENSION: &str = "arrow.fixed_shape_tensor";
pub(super) const NAME: &str = "ARROW:extension:name";
pub(super) const METADATA: &str = "ARROW:extension:metadata";

/// Type and shape of the tensor column, from its extension metadata.
pub(super) fn tensor_type(schema: &Schema) -> std::result::Result<(Dtype, Vec<usize>), String> {
    let [id, tensor] = schema.fields().as_ref() else {
        return Err(format!(
            "has {} columns, not image_id and a tensor",
            schema.fields().len()
        ));
    };
    let name = tensor.name();
    if id.name() != "image_id" {
        return Err(format!("its first column is {:?}, not image_id", id.name()));
    }
    let DataType::FixedSizeList(item, size) = tensor.data_type() else {
        return Err(format!("column {name:?} is not a tensor"));
    };
    let metadata = tensor.metadata();
    let extension = metadata.get(NAME).map(String::as_str);
    let described: Option<Tensor> = metadata
        .get(METADATA)
        .filter(|_| extension == Some(EXTENSION))
        .and_then(|text| serde_json::from_str(text).ok());
    let tensor_shape =
        described.ok_or_else(|| format!("column {name:?} has no {EXTENSION} metadata"))?;
    let shape = tensor_shape.shape;
    let order = tensor_shape.permutation.unwrap_or_default();
    if !order.iter().copied().eq(0..order.len()) {
        return Err(format!(
            "the numbers of column {name:?} are in another order (permutation {order:?}); write them row-major"
        ));
    }
    let elements = shape
        .iter()
        .try_fold(1usize, |product, n| product.checked_mul(*n));
    match (Dtype::from_arrow(item.data_type()), id.data_type()) {
        (Some(dtype), DataType::Int64) if elements == usize::try_from(*size).ok() => {
            Ok((dtype, shape))
        }
        _ => Err(format!(
            "columns of types {} and {}, shape {shape:?}",
            id.data_type(),
            tensor.data_type()
        )),
    }
}

/// Metadata of `arrow.fixed_shape_tensor`.
#[derive(serde::Deserialize)]
struct Tensor {
    shape: Vec<usize>,
    /// Logical dimension of each physical one; row-major if it is absent.
    permutation: Option<Vec<usize>>,
}
