//! The validity box: what lies outside is refused, or clamped and counted; never silent.

use std::ops::AddAssign;

use super::table::Validity;
use crate::error::{Kind, Problem, Result};

/// The quantities that have a validity box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Quantity {
    /// Driven level [V].
    Driven,
    /// Stored voltage [V].
    Stored,
    /// Write bit-line voltage in hold [V].
    WriteBitLine,
    /// Pulse width [s].
    Width,
    /// Bit-line voltage at the end of a read that did not clip [V].
    BitLine,
    /// Time since the write [s].
    Age,
    /// Charge into the first converter [C].
    ChargeUnsigned,
    /// Charge into the second converter [C].
    ChargeSigned,
}

impl Quantity {
    /// All of them, in the order of [`Tally`].
    pub const ALL: [Quantity; 8] = [
        Quantity::Driven,
        Quantity::Stored,
        Quantity::WriteBitLine,
        Quantity::Width,
        Quantity::BitLine,
        Quantity::Age,
        Quantity::ChargeUnsigned,
        Quantity::ChargeSigned,
    ];

    /// The key in the table's `validity`.
    pub fn name(self) -> &'static str {
        match self {
            Quantity::Driven => "v_driven_v",
            Quantity::Stored => "v_store_v",
            Quantity::WriteBitLine => "v_wbl_v",
            Quantity::Width => "t_pulse_s",
            Quantity::BitLine => "v_bl_v",
            Quantity::Age => "age_s",
            Quantity::ChargeUnsigned => "charge_unsigned_c",
            Quantity::ChargeSigned => "charge_signed_c",
        }
    }
}

/// What happens to a value outside its box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Outside {
    /// An error of [`Kind::OutsideValidity`].
    #[default]
    Refuse,
    /// The nearest value inside, counted in a [`Tally`].
    Clamp,
}

/// How often each quantity was clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    counts: [u64; Quantity::ALL.len()],
}

impl Tally {
    /// Counts one value of `quantity`.
    pub fn count(&mut self, quantity: Quantity) {
        self.counts[quantity as usize] += 1;
    }
    /// How many of `quantity`.
    pub fn of(&self, quantity: Quantity) -> u64 {
        self.counts[quantity as usize]
    }
    /// How many in all.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
    /// The quantities that were clamped, with their counts.
    pub fn entries(&self) -> impl Iterator<Item = (Quantity, u64)> {
        Quantity::ALL.into_iter().map(|quantity| (quantity, self.of(quantity))).filter(|(_, count)| *count > 0)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.counts.iter_mut().zip(other.counts).for_each(|(sum, count)| *sum += count);
    }
}

/// The boxes of one table and what to do outside them.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounds {
    limits: [[f64; 2]; Quantity::ALL.len()],
    outside: Outside,
}

impl Bounds {
    /// The boxes of `validity`.
    pub fn new(validity: &Validity, outside: Outside) -> Self {
        let limits = Quantity::ALL.map(|quantity| match quantity {
            Quantity::Driven => validity.v_driven_v,
            Quantity::Stored => validity.v_store_v,
            Quantity::WriteBitLine => validity.v_wbl_v,
            Quantity::Width => validity.t_pulse_s,
            Quantity::BitLine => validity.v_bl_v,
            Quantity::Age => validity.age_s,
            Quantity::ChargeUnsigned => validity.charge_unsigned_c,
            Quantity::ChargeSigned => validity.charge_signed_c,
        });
        Bounds { limits, outside }
    }

    /// Least and greatest admitted value.
    pub fn of(&self, quantity: Quantity) -> [f64; 2] {
        self.limits[quantity as usize]
    }

    /// Takes off the lower limit of a quantity, where a characterized clip goes on below it.
    pub(crate) fn open_below(&mut self, quantity: Quantity) {
        self.limits[quantity as usize][0] = f64::NEG_INFINITY;
    }

    /// Takes off the upper limit.
    pub(crate) fn open_above(&mut self, quantity: Quantity) {
        self.limits[quantity as usize][1] = f64::INFINITY;
    }

    /// Whether `value` is inside; NaN is not.
    #[inline]
    pub fn holds(&self, quantity: Quantity, value: f64) -> bool {
        let [low, high] = self.limits[quantity as usize];
        // Box ends are the axes' own nodes, and values reach them through arithmetic: one part in 1e12 is no excess.
        let span = high - low;
        let slack = if span.is_finite() { 1e-12 * span } else { 0.0 };
        value >= low - slack && value <= high + slack
    }

    /// `value`, or what [`Outside`] makes of it.
    #[inline]
    pub fn admit(&self, quantity: Quantity, value: f64, tally: &mut Tally) -> Result<f64> {
        if self.holds(quantity, value) {
            return Ok(value);
        }
        self.reject(quantity, value, tally)
    }

    #[cold]
    fn reject(&self, quantity: Quantity, value: f64, tally: &mut Tally) -> Result<f64> {
        let [low, high] = self.of(quantity);
        if self.outside == Outside::Refuse || value.is_nan() {
            return Err(Problem::new(Kind::OutsideValidity, format!("{value:.6e} is outside the table's validity"))
                .key(quantity.name())
                .accepted(format!("{low:.6e} to {high:.6e}"))
                .help("characterize a wider range, or allow clamping, which is counted in the result")
                .into());
        }
        tally.count(quantity);
        Ok(value.clamp(low, high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lut::synthetic;

    #[test]
    fn outside_is_refused_or_counted_and_nan_always_refused() {
        let validity = synthetic::table().unwrap().validity;
        let mut tally = Tally::default();
        let refuse = Bounds::new(&validity, Outside::Refuse);
        let error = refuse.admit(Quantity::Driven, 0.91, &mut tally).unwrap_err();
        assert_eq!(error.kind(), Kind::OutsideValidity);
        assert!(error.to_string().contains("v_driven_v"), "{error}");
        assert_eq!(refuse.admit(Quantity::Driven, 0.9, &mut tally).unwrap(), 0.9);

        let clamp = Bounds::new(&validity, Outside::Clamp);
        assert_eq!(clamp.admit(Quantity::Driven, 0.91, &mut tally).unwrap(), 0.9);
        assert_eq!(clamp.admit(Quantity::Width, -1.0, &mut tally).unwrap(), 0.0);
        assert!(clamp.admit(Quantity::Width, f64::NAN, &mut tally).is_err());
        let counted: Vec<_> = tally.entries().collect();
        assert_eq!(counted, [(Quantity::Driven, 1), (Quantity::Width, 1)]);
    }

    #[test]
    fn an_opened_side_leaves_the_other() {
        let mut bounds = Bounds::new(&synthetic::table().unwrap().validity, Outside::Refuse);
        bounds.open_above(Quantity::ChargeUnsigned);
        assert!(bounds.holds(Quantity::ChargeUnsigned, 1.0) && !bounds.holds(Quantity::ChargeUnsigned, -1.0));
        bounds.open_below(Quantity::ChargeUnsigned);
        assert!(bounds.holds(Quantity::ChargeUnsigned, -1.0) && !bounds.holds(Quantity::ChargeUnsigned, f64::NAN));
    }
}
