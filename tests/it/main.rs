mod hand_expanded;
mod tidy;
fn main() {}
