//! Which captions each step sees: a function of the seed and the epoch, so that
//! a resumed run continues in the same order.

use attend_program::random::mix;

/// The captions of one image that share a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Index of the image.
    pub image: usize,
    /// Indices of its captions.
    pub captions: Vec<usize>,
    /// The view of the image that is seen; 0 is the image itself.
    pub view: usize,
}

/// Chooses one of `views` views for each group of an epoch.
pub fn turn(plan: &mut [Vec<Group>], views: usize, seed: u64, epoch: u64) {
    for (group, n) in plan.iter_mut().flatten().zip(0..) {
        group.view = (mix(&[seed, epoch, 2, n]) % views as u64) as usize;
    }
}

/// The batches of an epoch: each caption once; at most `batch` captions, in
/// groups of at most `per_image` captions of one image. `captions` holds the image index
/// of each caption.
pub fn batches(
    captions: &[usize],
    batch: usize,
    per_image: usize,
    seed: u64,
    epoch: u64,
) -> Vec<Vec<Group>> {
    let key = |kind: u64, n: usize| mix(&[seed, epoch, kind, n as u64]);
    let mut order: Vec<usize> = (0..captions.len()).collect();
    order.sort_by_cached_key(|caption| (captions[*caption], key(0, *caption)));
    let mut groups: Vec<Group> = order
        .chunk_by(|a, b| captions[*a] == captions[*b])
        .flat_map(|of_image| of_image.chunks(per_image))
        .map(|chunk| Group {
            image: captions[chunk[0]],
            captions: chunk.to_vec(),
            view: 0,
        })
        .collect();
    groups.sort_by_cached_key(|group| (key(1, group.captions[0]), group.captions[0]));
    let mut batches: Vec<Vec<Group>> = Vec::new();
    let mut size = batch;
    for group in groups {
        if size + group.captions.len() > batch {
            batches.push(Vec::new());
            size = 0;
        }
        size += group.captions.len();
        if let Some(last) = batches.last_mut() {
            last.push(group);
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_caption_once_and_groups_whole() {
        let captions: Vec<usize> = (0..103).map(|caption| caption / 5).collect();
        for (batch, per_image) in [(32, 1), (30, 5), (7, 3), (5, 5)] {
            let epoch = batches(&captions, batch, per_image, 1, 0);
            let mut seen: Vec<usize> = epoch
                .iter()
                .flatten()
                .flat_map(|group| group.captions.clone())
                .collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..103).collect::<Vec<_>>());
            for groups in &epoch {
                assert!(
                    groups
                        .iter()
                        .map(|group| group.captions.len())
                        .sum::<usize>()
                        <= batch
                );
            }
            for group in epoch.iter().flatten() {
                assert!(group.captions.len() <= per_image);
                assert!(
                    group
                        .captions
                        .iter()
                        .all(|caption| captions[*caption] == group.image)
                );
            }
            assert_eq!(epoch, batches(&captions, batch, per_image, 1, 0));
            assert_ne!(epoch, batches(&captions, batch, per_image, 1, 1));
            assert_ne!(epoch, batches(&captions, batch, per_image, 2, 0));
        }
    }

    #[test]
    fn each_view_is_seen_as_often_in_another_order_each_epoch() {
        let captions: Vec<usize> = (0..4000).collect();
        let of = |seed, epoch| {
            let mut plan = batches(&captions, 100, 1, 1, 0);
            turn(&mut plan, 8, seed, epoch);
            let views: Vec<usize> = plan.iter().flatten().map(|group| group.view).collect();
            views
        };
        let first = of(1, 0);
        for view in 0..8 {
            let count = first.iter().filter(|seen| **seen == view).count();
            assert!((430..570).contains(&count), "{view}: {count} of 4000");
        }
        assert_eq!(of(1, 0), first);
        for other in [of(1, 1), of(2, 0)] {
            let same = other.iter().zip(&first).filter(|(a, b)| a == b).count();
            assert!((430..570).contains(&same), "{same} of 4000 are the same");
        }
        let mut plan = batches(&captions, 100, 1, 1, 0);
        turn(&mut plan, 1, 1, 0);
        assert_eq!(plan, batches(&captions, 100, 1, 1, 0));
    }

    #[test]
    fn the_order_is_not_the_images_order() {
        let captions: Vec<usize> = (0..1000).collect();
        let first = &batches(&captions, 100, 1, 1, 0)[0];
        let mean = first.iter().map(|group| group.image).sum::<usize>() / first.len();
        assert!((400..600).contains(&mean), "{mean}");
    }
}
