/// Numbers for jitter, the same ones for the same seed (xorshift64*, Vigna 2016). Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A separate sequence for every `seed`.
    pub fn new(seed: u64) -> Self {
        Self((seed ^ 0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// `value`, ± up to `percent` percent.
    pub fn around(&mut self, value: u64, percent: u64) -> u64 {
        let spread = value.saturating_mul(percent) / 100;
        value - spread + self.below(2 * spread + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_its_bounds_and_moves() {
        let mut random = Random::new(7);
        let values: Vec<_> = (0..1000).map(|_| random.around(1000, 10)).collect();
        assert!(values.iter().all(|value| (900..=1100).contains(value)));
        assert!(values.iter().any(|value| *value < 950) && values.iter().any(|v| *v > 1050));
        assert_eq!(random.around(0, 50), 0);
    }
}
