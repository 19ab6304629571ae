//! Emission: ticks on their way out, through the change log to its followers.
//!
//! **Law.** The changes of a tick and the progress that they reach are one commit. Nothing is emitted before it.
//!
//! | File | What passes through |
//! |---|---|
//! | `encode` | A worker's changes into a block of the change log. |
//! | `commit` | Ticks into the change log, in order, with retries. |
//! | `followers` | Committed ticks to sinks, subscribers, webhooks, sizes and profiles. |
//! | `past_sizes` | Sizes over the past before the platform. |

pub(crate) mod commit;
pub(crate) mod encode;
pub(crate) mod followers;
pub(crate) mod past_sizes;

pub use self::encode::encode;
