//! Cells that hold one level whatever is written.

use super::die::{Array, Extent};
use crate::rng;

/// A stuck cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StuckCell {
    /// Head.
    pub head: usize,
    /// Slot in the head.
    pub slot: usize,
    /// Which array.
    pub array: Array,
    /// Dimension.
    pub dimension: usize,
    /// The level that it holds, from 0.
    pub level: u32,
}

impl StuckCell {
    /// Draws the stuck cells of a head: each of both arrays' cells is stuck with probability `rate`, at the
    /// lowest or at the highest of `levels`, as likely; keyed by (seed, head, cell, `stuck`).
    pub fn draw(seed: u64, rate: f64, head: usize, extent: Extent, levels: u32) -> Vec<Self> {
        let mut stuck = Vec::new();
        for slot in 0..extent.slots {
            for array in [Array::K, Array::V] {
                for dimension in 0..extent.d {
                    let drawn = rng::uniform(seed, head as u64, &extent.instance(array, slot, dimension), "stuck");
                    if drawn < rate {
                        let level = if drawn < 0.5 * rate { 0 } else { levels - 1 };
                        stuck.push(StuckCell { head, slot, array, dimension, level });
                    }
                }
            }
        }
        stuck
    }

    /// The cells of one slot of a head, in a sorted list.
    pub(super) fn of_slot(stuck: &[StuckCell], head: usize, slot: usize) -> &[StuckCell] {
        let from = stuck.partition_point(|cell| (cell.head, cell.slot) < (head, slot));
        let to = stuck.partition_point(|cell| (cell.head, cell.slot) <= (head, slot));
        &stuck[from..to]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_stuck_at_the_rate_and_at_either_end() {
        let stuck = StuckCell::draw(3, 0.05, 1, Extent { slots: 100, tile_tokens: 64, d: 50 }, 8);
        // Five standard errors of 10,000 cells.
        assert!((stuck.len() as f64 - 500.0).abs() < 5.0 * (10_000.0f64 * 0.05 * 0.95).sqrt(), "{}", stuck.len());
        let high = stuck.iter().filter(|cell| cell.level == 7).count();
        assert!((high as f64 - 250.0).abs() < 80.0, "{high}");
        assert!(stuck.is_sorted() && stuck.iter().all(|cell| cell.level % 7 == 0 && cell.head == 1));
        let of_slot = StuckCell::of_slot(&stuck, 1, stuck[9].slot);
        assert!(of_slot.contains(&stuck[9]) && of_slot.iter().all(|cell| cell.slot == stuck[9].slot));
        assert!(StuckCell::of_slot(&stuck, 0, 3).is_empty());
    }
}
