mod custom;
mod derive;
mod hand_expanded;
