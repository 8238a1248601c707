//! Rows of images side by side, so that each image's tensors are read once for all of them.

use tch::{Device, Tensor};

/// Places for the B rows of n images: as many for each image as one has at most.
pub(super) struct Slots {
    /// n
    images: i64,
    /// Places of an image.
    most: i64,
    /// The place of each row among all, (B); `None` if each image has one row.
    place: Option<Tensor>,
}

impl Slots {
    /// Of the rows of a step: `image` (B) says which of the `images` each belongs to, and
    /// ascends.
    pub fn new(images: i64, image: &[i64], device: Device) -> Slots {
        let runs = || image.chunk_by(|a, b| a == b);
        let most = runs().map(<[i64]>::len).max().unwrap_or(0) as i64;
        let of_run = |run: &[i64]| (0..).zip(run).map(|(n, image)| image * most + n).collect();
        let place: Vec<i64> = runs().flat_map(|run| -> Vec<i64> { of_run(run) }).collect();
        let is_full = place.len() as i64 == images * most;
        Slots {
            images,
            most,
            place: (!is_full).then(|| Tensor::from_slice(&place).to_device(device)),
        }
    }

    /// One row of each image.
    pub fn each(images: i64) -> Slots {
        Slots {
            images,
            most: 1,
            place: None,
        }
    }

    /// Rows (B, W) at their places, (n, most, W); 0 at places without a row.
    pub fn spread(&self, rows: &Tensor) -> Tensor {
        let size = [self.images, self.most, -1];
        match &self.place {
            None => rows.reshape(size),
            Some(place) => {
                let all = [self.images * self.most, rows.size()[1]];
                let zeros = Tensor::zeros(all, (rows.kind(), rows.device()));
                zeros.index_copy(0, place, rows).view(size)
            }
        }
    }

    /// The rows at their places (n, most, W), as rows (B, W).
    pub fn collect(&self, places: &Tensor) -> Tensor {
        let rows = places.flatten(0, 1);
        match &self.place {
            None => rows,
            Some(place) => rows.index_select(0, place),
        }
    }
}
