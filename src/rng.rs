//! Random numbers that belong to a name, not to a sequence.
//!
//! Every draw is a function of (seed, sample, instance, parameter), so the same numbers come whatever the number of
//! workers or the order of evaluation, and one sample can be replayed alone. The generator is Philox4x32-10 of J. K.
//! Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC11 (2011). The key
//! is the seed; the counter holds the sample and 64 bits of BLAKE3 over instance and parameter.

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// The block of four 32-bit words that Philox4x32-10 gives for a counter and a key.
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let mut counters = counter.map(|word| [word]);
    philox4x32_lanes(&mut counters, key);
    counters.map(|[word]| word)
}

/// [`philox4x32`] of counters side by side, in place; inlined, so that it is compiled for what its caller is.
#[inline(always)]
pub fn philox4x32_lanes<const LANES: usize>(counters: &mut [[u32; LANES]; 4], mut key: [u32; 2]) {
    let [a, b, c, d] = counters;
    for round in 0..ROUNDS {
        if round > 0 {
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        for lane in 0..LANES {
            let first = u64::from(MULTIPLIERS[0]) * u64::from(a[lane]);
            let second = u64::from(MULTIPLIERS[1]) * u64::from(c[lane]);
            a[lane] = (second >> 32) as u32 ^ b[lane] ^ key[0];
            b[lane] = second as u32;
            c[lane] = (first >> 32) as u32 ^ d[lane] ^ key[1];
            d[lane] = first as u32;
        }
    }
}

/// 64 random bits for (seed, sample, instance, parameter).
pub fn bits(seed: u64, sample: u64, instance: &str, parameter: &str) -> u64 {
    let mut hasher = blake3::Hasher::new();
    // The length keeps ("ab", "c") apart from ("a", "bc").
    hasher.update(&(instance.len() as u64).to_le_bytes());
    hasher.update(instance.as_bytes());
    hasher.update(parameter.as_bytes());
    let digest = hasher.finalize();
    let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|k| digest.as_bytes()[at + k]));
    let counter = [word(0), word(4), sample as u32, (sample >> 32) as u32];
    let block = philox4x32(counter, [seed as u32, (seed >> 32) as u32]);
    u64::from(block[0]) | u64::from(block[1]) << 32
}

/// Uniform in the open interval (0, 1).
pub fn uniform(seed: u64, sample: u64, instance: &str, parameter: &str) -> f64 {
    // Steps of 2^-52, in their middle: 0 and 1 cannot come.
    ((bits(seed, sample, instance, parameter) >> 12) as f64 + 0.5) * 2f64.powi(-52)
}

/// Standard normal: mean 0, standard deviation 1, by inversion, so within 8.2 sigma.
pub fn normal(seed: u64, sample: u64, instance: &str, parameter: &str) -> f64 {
    normal_quantile(uniform(seed, sample, instance, parameter))
}

/// The standard normal's quantile for `p` in (0, 1): M. J. Wichura, algorithm AS 241 (PPND16), *Applied Statistics* 37
/// (1988) 477-484; relative accuracy about 1e-16. NaN outside (0, 1).
pub fn normal_quantile(p: f64) -> f64 {
    const A: [f64; 8] = [
        3.387_132_872_796_366_5,
        133.141_667_891_784_38,
        1_971.590_950_306_551_3,
        13_731.693_765_509_46,
        45_921.953_931_549_87,
        67_265.770_927_008_7,
        33_430.575_583_588_13,
        2_509.080_928_730_122_7,
    ];
    const B: [f64; 8] = [
        1.0,
        42.313_330_701_600_91,
        687.187_007_492_057_9,
        5_394.196_021_424_751,
        21_213.794_301_586_597,
        39_307.895_800_092_71,
        28_729.085_735_721_943,
        5_226.495_278_852_854,
    ];
    const C: [f64; 8] = [
        1.423_437_110_749_683_5,
        4.630_337_846_156_546,
        5.769_497_221_460_691,
        3.647_848_324_763_204_5,
        1.270_458_252_452_368_4,
        0.241_780_725_177_450_6,
        0.022_723_844_989_269_184,
        7.745_450_142_783_414e-4,
    ];
    const D: [f64; 8] = [
        1.0,
        2.053_191_626_637_759,
        1.676_384_830_183_803_8,
        0.689_767_334_985_1,
        0.148_103_976_427_480_08,
        0.015_198_666_563_616_457,
        5.475_938_084_995_345e-4,
        1.050_750_071_644_416_9e-9,
    ];
    const E: [f64; 8] = [
        6.657_904_643_501_103,
        5.463_784_911_164_114,
        1.784_826_539_917_291_3,
        0.296_560_571_828_504_87,
        0.026_532_189_526_576_124,
        1.242_660_947_388_078_4e-3,
        2.711_555_568_743_487_6e-5,
        2.010_334_399_292_288_1e-7,
    ];
    const F: [f64; 8] = [
        1.0,
        0.599_832_206_555_888,
        0.136_929_880_922_735_8,
        0.014_875_361_290_850_615,
        7.868_691_311_456_133e-4,
        1.846_318_317_510_054_8e-5,
        1.421_511_758_316_446e-7,
        2.044_263_103_389_939_8e-15,
    ];
    let ratio = |numerator: &[f64; 8], denominator: &[f64; 8], x: f64| {
        let horner = |c: &[f64; 8]| c.iter().rev().fold(0.0, |sum, &c| sum * x + c);
        horner(numerator) / horner(denominator)
    };
    if !(p > 0.0 && p < 1.0) {
        return f64::NAN;
    }
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        return q * ratio(&A, &B, 0.180_625 - q * q);
    }
    let r = (-(if q < 0.0 { p } else { 1.0 - p }).ln()).sqrt();
    let tail = if r <= 5.0 { ratio(&C, &D, r - 1.6) } else { ratio(&E, &F, r - 5.0) };
    if q < 0.0 { -tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The three vectors for `philox4x32 10` in Random123's `kat_vectors`.
    #[test]
    fn philox_gives_the_known_answers_of_random123() {
        assert_eq!(philox4x32([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox4x32([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox4x32([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    /// Quantiles printed to 16 digits in tables of the normal distribution.
    #[test]
    fn quantiles_agree_with_the_tables() {
        for (p, z) in [
            (0.5, 0.0),
            (0.975, 1.959_963_984_540_054),
            (0.84134474606854293, 1.0),
            (1e-10, -6.361_340_902_404_056),
            (1e-20, -9.262_340_089_798_408),
        ] {
            assert!((normal_quantile(p) - z).abs() < 2e-14 * (1.0 + z.abs()), "{p}: {}", normal_quantile(p));
        }
        assert!(normal_quantile(0.0).is_nan() && normal_quantile(1.0).is_nan());
    }

    #[test]
    fn normals_have_the_moments_of_a_standard_normal() {
        const N: u64 = 40_000;
        let draws: Vec<f64> = (0..N).map(|sample| normal(7, sample, "cell[3,5].xn1", "delvto")).collect();
        let moment = |power: i32| draws.iter().map(|z| z.powi(power)).sum::<f64>() / N as f64;
        // Five standard errors each: 1/sqrt(N), sqrt(2/N), sqrt(96/N).
        assert!(moment(1).abs() < 0.025, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.036, "{}", moment(2));
        assert!((moment(4) - 3.0).abs() < 0.25, "{}", moment(4));
    }

    #[test]
    fn every_part_of_the_name_counts() {
        let reference = bits(1, 2, "a", "b");
        for other in [bits(2, 2, "a", "b"), bits(1, 3, "a", "b"), bits(1, 2, "b", "b"), bits(1, 2, "a", "c")] {
            assert_ne!(reference, other);
        }
        assert_ne!(bits(1, 2, "ab", "c"), bits(1, 2, "a", "bc"));
        assert_ne!(bits(1, 1 << 40, "a", "b"), bits(1, 0, "a", "b"));
        assert_eq!(reference, bits(1, 2, "a", "b"));
    }
}
