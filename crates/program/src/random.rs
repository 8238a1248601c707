//! Random numbers as functions of a key: the same on every machine, in any order.

/// A well-mixed 64-bit number for a key: the output function of SplitMix64
/// (Steele, Lea, Flood 2014), once per word of the key.
pub fn mix(key: &[u64]) -> u64 {
    key.iter().fold(0x243F_6A88_85A3_08D3, |state, word| {
        let mut z = (state ^ word).wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}

/// A number in [0, 1) of the first 53 of these bits.
pub fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}
