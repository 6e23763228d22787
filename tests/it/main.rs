mod hand_expanded;
fn main() {}
