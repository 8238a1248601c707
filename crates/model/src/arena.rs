//! Named tensors in one buffer.

use tch::{Device, Kind, Tensor};

/// Named tensors that are contiguous in one buffer: the gradients of a model, or an
/// optimizer's moments.
///
/// An operation on all of them is one operation on [`Arena::numbers`].
pub struct Arena {
    numbers: Tensor,
    views: Vec<(String, Tensor)>,
}

impl Arena {
    /// Zeros with the names, shapes and order of these tensors, of the first one's kind and
    /// on its device.
    pub fn like<N: Into<String>>(tensors: impl IntoIterator<Item = (N, Tensor)>) -> Arena {
        let tensors: Vec<(String, Tensor)> = (tensors.into_iter())
            .map(|(name, tensor)| (name.into(), tensor))
            .collect();
        let options = (tensors.first()).map_or((Kind::Float, Device::Cpu), |(_, tensor)| {
            (tensor.kind(), tensor.device())
        });
        let count: usize = tensors.iter().map(|(_, tensor)| tensor.numel()).sum();
        let numbers = Tensor::zeros([count as i64], options);
        let mut first = 0;
        let views = tensors.into_iter().map(|(name, tensor)| {
            let view = numbers.narrow(0, first, tensor.numel() as i64);
            first += tensor.numel() as i64;
            (name, view.view(tensor.size().as_slice()))
        });
        Arena {
            views: views.collect(),
            numbers,
        }
    }

    /// All numbers as one vector.
    pub fn numbers(&self) -> &Tensor {
        &self.numbers
    }

    /// Names and tensors, in the order of the buffer. The tensors are views of it.
    pub fn views(&self) -> &[(String, Tensor)] {
        &self.views
    }

    /// The tensor with this name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        let named = self.views.iter().find(|(other, _)| other == name);
        named.map(|(_, view)| view)
    }

    /// Successive tensors as one: the rows of each below those of the previous one.
    ///
    /// # Panics
    /// If they are not successive, or their rows differ in length.
    pub fn joined(&self, names: &[&str]) -> Tensor {
        let place = |name: &str| self.views.iter().position(|(other, _)| other == name);
        let first = names.first().and_then(|name| place(name)).unwrap_or(0);
        let views = &self.views[first..][..names.len()];
        assert!(views.iter().map(|(name, _)| name).eq(names), "{names:?}");
        let before = numbers_in(&self.views[..first]);
        let all = self.numbers.narrow(0, before, numbers_in(views));
        let mut size = views[0].1.size();
        size[0] = -1;
        assert!(views.iter().all(|(_, view)| view.size()[1..] == size[1..]));
        all.view(size.as_slice())
    }

    /// The first `count` tensors and the rest, both as views of the same buffer.
    ///
    /// # Panics
    /// If there are fewer than `count`.
    pub fn split(&self, count: usize) -> (Arena, Arena) {
        let (head, tail) = self.views.split_at(count);
        let part = |views: &[(String, Tensor)], first: i64| Arena {
            numbers: self.numbers.narrow(0, first, numbers_in(views)),
            views: (views.iter())
                .map(|(name, view)| (name.clone(), view.shallow_clone()))
                .collect(),
        };
        (part(head, 0), part(tail, numbers_in(head)))
    }

    /// The Euclidean norm of all numbers together.
    pub fn norm(&self) -> f64 {
        let norm = self.numbers.norm_scalaropt_dtype(2, Kind::Double);
        norm.double_value(&[])
    }
}

fn numbers_in(views: &[(String, Tensor)]) -> i64 {
    views.iter().map(|(_, view)| view.numel() as i64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_and_parts_are_the_buffer() {
        let sizes: [(&str, &[i64]); 3] = [("a", &[2, 3]), ("b", &[1]), ("c", &[4])];
        let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::Float, Device::Cpu));
        let arena = Arena::like(sizes.map(|(name, size)| (name, zeros(size))));
        for (place, (_, view)) in arena.views().iter().enumerate() {
            let _ = view.shallow_clone().fill_(place as f64);
        }
        let numbers = Vec::<f32>::try_from(arena.numbers()).unwrap();
        assert_eq!(numbers, [0., 0., 0., 0., 0., 0., 1., 2., 2., 2., 2.]);
        assert_eq!(arena.norm(), 17f64.sqrt());
        assert_eq!(arena.joined(&["b", "c"]).size(), [5]);
        let (head, tail) = arena.split(2);
        assert_eq!(head.numbers().size(), [7]);
        let _ = tail.numbers().shallow_clone().fill_(9.0);
        assert_eq!(arena.get("c").unwrap().double_value(&[3]), 9.0);
        assert!(tail.get("a").is_none());
    }
}
