//! Buffers of weights.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line, and of the widest register.
const LINE: usize = 64;

/// Numbers that begin with a cache line: a register's load that crosses two takes twice as long.
#[derive(Debug)]
pub struct Aligned<T> {
    all: Vec<T>,
    start: usize,
    len: usize,
}

impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Aligned { all: Vec::new(), start: 0, len: 0 }
    }
}

impl<T: Copy + Default> Aligned<T> {
    /// Makes it so long; what it holds then is whatever it held.
    pub fn resize(&mut self, len: usize) {
        if self.all.len() < len + LINE {
            self.all.resize(len + LINE, T::default());
        }
        self.start = self.all.as_ptr().align_offset(LINE).min(LINE);
        self.len = len;
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.all[self.start..self.start + self.len]
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.all[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_with_a_line_and_keeps_its_length() {
        let mut numbers: Aligned<i16> = Aligned::default();
        assert!(numbers.is_empty());
        for len in [3, 4096, 100] {
            numbers.resize(len);
            assert!(numbers.len() == len && numbers.as_ptr().addr().is_multiple_of(LINE));
            numbers.fill(7);
        }
    }
}
