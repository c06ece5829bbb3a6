//! What the image cannot know: where this disk ends, what this firmware boots ([`finished`]), and what ties it to this machine ([`bind`]).

pub(crate) mod bind;
pub(crate) mod finished;
mod place;
