//! What the image cannot know: where this disk ends, what this firmware boots ([`finished`]), and what ties it to this machine ([`bind`]).

pub mod bind;
pub mod finished;
mod place;
