//! Linear layers of the steps, by the names of their parameters, and their backward pass.

use crate::decoder::Gradients;
use crate::decoder::parameters::Weights;
use crate::product::{across, add_product, linear, product, through};
use tch::Tensor;

/// A linear layer, or some columns of one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Linear {
    weight: &'static str,
    /// The first column and their number; `None`: all.
    columns: Option<(i64, i64)>,
    bias: Option<&'static str>,
}

impl Linear {
    /// A whole layer.
    pub const fn new(weight: &'static str, bias: &'static str) -> Linear {
        Linear {
            weight,
            columns: None,
            bias: Some(bias),
        }
    }

    /// Some columns, without a bias.
    pub const fn of_columns(weight: &'static str, (first, count): (i64, i64)) -> Linear {
        Linear {
            weight,
            columns: Some((first, count)),
            bias: None,
        }
    }

    /// With this bias.
    pub fn with_bias(self, bias: &'static str) -> Linear {
        Linear {
            bias: Some(bias),
            ..self
        }
    }

    /// The layer's part of a matrix of the weight's size.
    fn part(&self, matrix: &Tensor) -> Tensor {
        match self.columns {
            Some((first, count)) => matrix.narrow(1, first, count),
            None => matrix.shallow_clone(),
        }
    }

    /// `x w^T + bias` of a step's rows: (B, in) -> (B, out), of x's kind.
    pub fn of(&self, w: &Weights, x: &Tensor) -> Tensor {
        let size = [x.size()[0], w.get(self.weight).size()[0]];
        self.add(w, Tensor::zeros(size, (x.kind(), x.device())), x)
    }

    /// `sum += x w^T + bias`: sum (B, out), x (B, in). Returns the sum.
    pub fn add(&self, w: &Weights, mut sum: Tensor, x: &Tensor) -> Tensor {
        if let Some(bias) = self.bias {
            sum += w.get(bias);
        }
        add_product(&sum, x, &self.part(w.get(self.weight)));
        sum
    }

    /// `x w^T + bias` of many rows: (…, in) -> (…, out), computed in w's kind, returned in
    /// x's.
    pub fn of_rows(&self, w: &Weights, x: &Tensor) -> Tensor {
        let bias = self.bias.map(|bias| w.get(bias));
        linear(x, &self.part(w.get(self.weight)), bias)
    }

    /// The backward pass of [`Linear::of_rows`]: writes the parameters' gradients, and returns
    /// that of x. x (N, in), `grad` (N, out).
    pub fn back(&self, w: &Weights, x: &Tensor, grad: &Tensor, into: &Gradients) -> Tensor {
        self.write(x, grad, into);
        product(grad, &self.part(w.get(self.weight)))
    }

    /// Writes the parameters' gradients.
    pub fn write(&self, x: &Tensor, grad: &Tensor, into: &Gradients) {
        into.product(&self.part(into.view(self.weight)), grad, x);
        if let Some(bias) = self.bias {
            into.add_rows(into.view(bias), grad);
        }
    }
}

/// The backward pass of layers that each step uses: their parameters' gradients are one product
/// over the rows of all steps.
pub(super) struct Products<'a> {
    w: &'a Weights,
    /// The most rows of a step.
    most: i64,
    layers: Vec<Layer>,
}

struct Layer {
    linear: Linear,
    weight: Tensor,
    /// The weight transposed, where the products of a step read it like that.
    across: Option<Tensor>,
    /// x and the gradient of each step.
    steps: [Vec<Tensor>; 2],
}

impl<'a> Products<'a> {
    /// For steps of at most `most` rows.
    pub fn new(w: &'a Weights, most: i64) -> Products<'a> {
        Products {
            w,
            most,
            layers: Vec::new(),
        }
    }

    /// A step of a layer: x (B, in) and the gradient (B, out) of its result. Returns that
    /// of x.
    pub fn back(&mut self, linear: &Linear, x: &Tensor, grad: &Tensor) -> Tensor {
        let place = self.layers.iter().position(|layer| layer.linear == *linear);
        let place = place.unwrap_or_else(|| {
            let weight = linear.part(self.w.get(linear.weight));
            self.layers.push(Layer {
                linear: *linear,
                across: across(self.most, &weight),
                weight,
                steps: Default::default(),
            });
            self.layers.len() - 1
        });
        let layer = &mut self.layers[place];
        for (steps, rows) in layer.steps.iter_mut().zip([x, grad]) {
            steps.push(rows.shallow_clone());
        }
        through(grad, &layer.weight, &layer.across)
    }

    /// Writes the parameters' gradients.
    pub fn write(self, into: &Gradients) {
        for layer in self.layers {
            let [x, grad] = layer.steps.map(|steps| Tensor::cat(&steps, 0));
            layer.linear.write(&x, &grad, into);
        }
    }
}
