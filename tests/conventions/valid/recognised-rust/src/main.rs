//! Does nothing: that it is there shows what the folder is.

fn main() {}
