//! A standby: a second process that has each commit of the first, and takes over where that one ends.
//!
//! **Law.** At most one data directory gives out at a time: the holder of the lease. While the lease says that the holder is
//! followed, nothing was given out that the standby does not have.
//!
//! | File | What passes through |
//! |---|---|
//! | `fence` | The lease: acquired, renewed, lost, taken over. |
//! | `shipment` | What a standby has, and what it gets, as bytes. |
//! | `shipping` | The primary's logs to its standby; answers and changes wait for it. |
//! | `figures` | Figures of the standby. |
//! | `keep` | A shipment into the standby's stores. |
//! | `follow` | Shipments one after the other, until the promotion. |
//! | `apply` | What was kept into the standby's engine, in silence. |

pub(crate) mod apply;
mod fence;
pub(crate) mod figures;
pub(crate) mod follow;
mod keep;
mod shipment;
pub(crate) mod shipping;

pub use self::fence::{Fence, FenceError};
pub use self::follow::{PrimaryLog, PromotionOrders, StandbyOptions};
pub use self::keep::{holder_name, is_standby, note_primary};
pub use self::shipping::ShippingOptions;

/// The other process that has, or gets, the same log; none of either by default.
#[derive(Clone, Default)]
pub struct Pairing {
    /// Shipping of the log to a standby.
    pub shipping: Option<ShippingOptions>,
    /// The primary that is followed before anything is given out.
    pub standby: Option<StandbyOptions>,
}
