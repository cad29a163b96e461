//! Forward-mode differentiation: numbers that carry one directional derivative along.

use std::ops::{Add, Div, Mul, Neg, Sub};

use crate::fit::stats;

/// A value and its derivative in one direction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dual {
    /// Value.
    pub value: f64,
    /// Derivative.
    pub tangent: f64,
}

impl Dual {
    /// A number that does not depend on anything.
    pub fn constant(value: f64) -> Dual {
        Dual { value, tangent: 0.0 }
    }
    /// The variable that is differentiated by.
    pub fn variable(value: f64) -> Dual {
        Dual { value, tangent: 1.0 }
    }
    /// e to this power.
    pub fn exp(self) -> Dual {
        let value = self.value.exp();
        Dual { value, tangent: value * self.tangent }
    }
    /// Natural logarithm.
    pub fn ln(self) -> Dual {
        Dual { value: self.value.ln(), tangent: self.tangent / self.value }
    }
    /// Square root.
    pub fn sqrt(self) -> Dual {
        let value = self.value.sqrt();
        Dual { value, tangent: 0.5 * self.tangent / value }
    }
    /// ln(1 + exp(x)), a smooth corner: x far right, 0 far left.
    pub fn softplus(self) -> Dual {
        let logistic = 1.0 / (1.0 + (-self.value).exp());
        Dual { value: stats::softplus(self.value), tangent: logistic * self.tangent }
    }
    /// The greater of this and 0; at 0 the derivative is 0.
    pub fn positive_part(self) -> Dual {
        if self.value > 0.0 { self } else { Dual::constant(0.0) }
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, |$a:ident, $b:ident| $body:expr) => {
        impl $trait for Dual {
            type Output = Dual;
            fn $method(self, other: Dual) -> Dual {
                let ($a, $b) = (self, other);
                $body
            }
        }
        impl $trait<f64> for Dual {
            type Output = Dual;
            fn $method(self, other: f64) -> Dual {
                let ($a, $b) = (self, Dual::constant(other));
                $body
            }
        }
        impl $trait<Dual> for f64 {
            type Output = Dual;
            fn $method(self, other: Dual) -> Dual {
                let ($a, $b) = (Dual::constant(self), other);
                $body
            }
        }
    };
}

operator!(Add, add, |a, b| Dual { value: a.value + b.value, tangent: a.tangent + b.tangent });
operator!(Sub, sub, |a, b| Dual { value: a.value - b.value, tangent: a.tangent - b.tangent });
operator!(Mul, mul, |a, b| Dual { value: a.value * b.value, tangent: a.tangent * b.value + a.value * b.tangent });
operator!(Div, div, |a, b| {
    let value = a.value / b.value;
    Dual { value, tangent: (a.tangent - value * b.tangent) / b.value }
});

impl Neg for Dual {
    type Output = Dual;
    fn neg(self) -> Dual {
        Dual { value: -self.value, tangent: -self.tangent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derivatives_agree_with_central_differences() {
        let f = |x: Dual| {
            ((2.0 * x - 1.0) / (x * x + 3.0)).softplus() * (-x).exp() + x.sqrt().ln() - (x - 9.0).positive_part() * 2.0
        };
        for at in [0.3, 1.0, 2.7, 9.5] {
            let h = 1e-5;
            let difference = (f(Dual::constant(at + h)).value - f(Dual::constant(at - h)).value) / (2.0 * h);
            assert!((f(Dual::variable(at)).tangent - difference).abs() < 1e-8, "{at}");
        }
    }
}
