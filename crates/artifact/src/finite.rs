//! Checks that numbers are finite.

/// Types of floating-point numbers.
#[derive(Clone, Copy)]
pub(crate) enum Float {
    F16,
    BF16,
    F32,
    F64,
}

impl Float {
    /// Whether none of these numbers, native-endian, is infinite or NaN.
    pub(crate) fn all_finite(self, bytes: &[u8]) -> bool {
        // Only infinities and NaNs have an exponent of all ones.
        match self {
            Float::F16 => none(bytes, |n| u16::from_ne_bytes(n) & 0x7c00 == 0x7c00),
            Float::BF16 => none(bytes, |n| u16::from_ne_bytes(n) & 0x7f80 == 0x7f80),
            Float::F32 => none(bytes, |n| !f32::from_ne_bytes(n).is_finite()),
            Float::F64 => none(bytes, |n| !f64::from_ne_bytes(n).is_finite()),
        }
    }
}

/// Whether none of the numbers is wrong. Checks all of them without an early exit, so that
/// the loop is vectorised.
pub(crate) fn none<const N: usize>(bytes: &[u8], wrong: impl Fn([u8; N]) -> bool) -> bool {
    let (numbers, _) = bytes.as_chunks::<N>();
    !numbers.iter().fold(false, |any, n| any | wrong(*n))
}

#[cfg(test)]
mod tests {
    use super::Float;

    #[test]
    fn only_infinities_and_nan_are_not_finite() {
        let f32s =
            |numbers: [f32; 3]| Float::F32.all_finite(numbers.map(f32::to_ne_bytes).as_flattened());
        assert!(f32s([0.0, f32::MAX, f32::MIN_POSITIVE / 2.0]));
        assert!(!f32s([0.0, 1.0, f32::NAN]) && !f32s([f32::NEG_INFINITY, 0.0, 0.0]));
        let f64s = |number: f64| Float::F64.all_finite(&number.to_ne_bytes());
        assert!(f64s(f64::MIN) && !f64s(f64::INFINITY) && !f64s(-f64::NAN));
        // 65504, infinity, a NaN; the same in bfloat16.
        let f16s = |bits: u16| Float::F16.all_finite(&bits.to_ne_bytes());
        assert!(f16s(0x7bff) && !f16s(0xfc00) && !f16s(0x7e01));
        let bf16s = |bits: u16| Float::BF16.all_finite(&bits.to_ne_bytes());
        assert!(bf16s(0x7f7f) && bf16s(0x7c00) && !bf16s(0x7f80) && !bf16s(0xffc0));
    }
}
