mod custom;
mod hand_expanded;
fn main() {}
