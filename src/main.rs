//! The `gaincell` command.

fn main() {}
