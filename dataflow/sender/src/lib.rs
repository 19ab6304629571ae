//! Contents and campaigns, the log of sends, and the way from a planned send to a provider.
//!
//! **The law.** Each member of a launched campaign has one send, whose state is on disk before the world can see more of it. A
//! send is `handing` on disk before the first byte leaves that can make the provider take it. So after a crash nothing is
//! missing, and in doubt are only sends of the windows that were open: four times a hundred.
//!
//! | File | Contents |
//! |---|---|
//! | `log` | The log of sends: rows, the queue by due instant, what is open, what caps count. |
//! | `contents`, `campaigns` | The resources of the API. |
//! | `checks` | The checks of both that need nothing but the request. |
//! | `documents` | Contents and campaigns as they are stored. |
//! | `facts` | What gates need to know of members. |
//! | `figures` | Hand-overs by outcome, for metrics. |
//! | `plan` | From the members of a segment to planned sends; the preview is the same without a write. |
//! | `schedule` | The instants at which a campaign is planned. |
//! | `deliver` | Claims, windows, hand-overs and results. |
//! | `compose` | From a content and a person to a mail. |
//! | `trigger` | Campaigns that changes of memberships trigger. |
//! | `trouble` | Campaigns that cannot go on, each with its own wait. |
//! | `token`, `suppress` | Links that unsubscribe; who is not written to. |
//! | `sandbox` | A provider that keeps mails and sends none. |
//! | `sender` | All of it as one part of the platform: a job, and the resources of the API. |
//!
//! The store is [`Notes`](audience_contract::Notes), with keys below `mail/`. One process sends: the lock of the data directory
//! is the fence against an older one.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod campaigns;
mod checks;
mod compose;
mod contents;
mod deliver;
mod documents;
mod facts;
mod figures;
mod log;
mod plan;
mod sandbox;
mod schedule;
mod sender;
mod suppress;
mod token;
mod trigger;
mod trouble;

pub use checks::{check_campaign, check_content};
pub use compose::SenderIdentity;

pub use sandbox::Sandbox;
pub use sender::{CampaignSender, SenderContext};

/// The keys of all that is stored here, from the first (inclusive) to the second (exclusive): a backup copies them.
pub const NOTES: (&[u8], &[u8]) = (b"mail/", b"mail0");
