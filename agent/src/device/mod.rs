//! The disk as this program sees it: ranges read and written past the page cache, zeroed, flushed ([`Device`]); and requests that are
//! under way while their thread does something else ([`Queue`]).

mod buffer;
mod disk;
mod ioctl;
mod queue;

pub(crate) use self::{
    buffer::AlignedBuffer,
    disk::{Device, Mode, ZERO_STEP, whole_blocks},
    queue::Queue,
};
