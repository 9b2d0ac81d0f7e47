//! Money: integer minor units of the one currency of a deployment, with checked arithmetic only.
//!
//! Protocols carry amounts as plain integers whose name ends in `_minor`; whoever computes with them goes
//! through [`Money`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// The currency of every amount (ISO 4217).
pub const CURRENCY: &str = "INR";
/// Minor units in a major one: 100 paise in a rupee.
pub const MINOR_PER_MAJOR: i64 = 100;
/// Basis points in a whole; tax rates are given in them (5 % is 500).
pub const BASIS_POINTS: i64 = 10_000;
/// The largest amount that anything costs: ten million rupees.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000;

/// An amount in minor units. Serialised as the integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money(i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many minor units.
    pub const fn from_minor(minor: i64) -> Self {
        Self(minor)
    }

    /// The minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// The sum, or nothing when it overflows.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or nothing when it overflows.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// So many times the amount, or nothing when it overflows.
    #[must_use]
    pub fn checked_mul(self, quantity: u32) -> Option<Self> {
        self.0.checked_mul(i64::from(quantity)).map(Self)
    }

    /// The sum of all, or nothing when it overflows.
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// The tax that a price with tax contains, rounded half up, or nothing when it overflows.
    ///
    /// A price of 105 with 500 basis points contains 5.
    #[must_use]
    pub fn tax_contained(self, rate_basis_points: u32) -> Option<Self> {
        let rate = i64::from(rate_basis_points);
        let divisor = BASIS_POINTS.checked_add(rate)?;
        let doubled = self.0.checked_mul(rate)?.checked_mul(2)?.checked_add(divisor)?;
        Some(Self(doubled.div_euclid(divisor.checked_mul(2)?)))
    }

    /// Whether it can be a price: not negative and at most [`AMOUNT_MINOR_MAX`].
    pub const fn is_price(self) -> bool {
        self.0 >= 0 && self.0 <= AMOUNT_MINOR_MAX
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let minor = self.0.unsigned_abs();
        let per_major = MINOR_PER_MAJOR.unsigned_abs();
        write!(f, "{CURRENCY} {sign}{}.{:02}", minor / per_major, minor % per_major)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_currency_and_two_digits() {
        assert_eq!(Money::from_minor(123_405).to_string(), "INR 1234.05");
        assert_eq!(Money::from_minor(-7).to_string(), "INR -0.07");
    }

    #[test]
    fn overflow_is_nothing_and_never_wraps() {
        assert_eq!(Money::from_minor(i64::MAX).checked_add(Money::from_minor(1)), None);
        assert_eq!(Money::from_minor(i64::MAX).checked_mul(2), None);
        assert_eq!(Money::checked_sum([Money::from_minor(1), Money::from_minor(2)]), Some(Money::from_minor(3)));
    }

    #[test]
    fn tax_is_contained_in_the_price() {
        assert_eq!(Money::from_minor(10_500).tax_contained(500), Some(Money::from_minor(500)));
        assert_eq!(Money::from_minor(11_800).tax_contained(1_800), Some(Money::from_minor(1_800)));
        assert_eq!(Money::from_minor(999).tax_contained(0), Some(Money::ZERO));
    }
}
