//! wua
fn main() {}
