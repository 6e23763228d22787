mod derive;
mod hand_expanded;
fn main() {}
