//! Rows of images side by side, so that each image's tensors are read once for all of them.

use tch::{Device, Tensor};

/// Places for the B rows of n images: as many for each image as one has at most.
pub(super) struct Slots {
    /// n
    images: i64,
    /// Places of an image.
    most: i64,
    /// The place of each row among all, (B); `None` if they are all, in
    /// order.
    place: Option<Tensor>,
}

impl Slots {
    /// `image` (B) says which of the `images` each row belongs to.
    pub fn new(images: i64, image: &[i64], device: Device) -> Slots {
        let mut rows = vec![0; images as usize];
        let number = |image: &i64| {
            let rows = &mut rows[*image as usize];
            *rows += 1;
            *rows - 1
        };
        let number: Vec<i64> = image.iter().map(number).collect(); // among its image's rows
        let most = rows.into_iter().max().unwrap_or(0);
        let place = image
            .iter()
            .zip(number)
            .map(|(image, number)| image * most + number);
        let place: Vec<i64> = place.collect();
        let is_full = place.iter().copied().eq(0..images * most);
        Slots {
            images,
            most,
            place: (!is_full).then(|| Tensor::from_slice(&place).to_device(device)),
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
