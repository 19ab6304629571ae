//! A request, as it comes in and as a handler gets it.

use std::net::IpAddr;

use audience_auth::Principal;
use hyper::Method;
use hyper::header::HeaderMap;
use hyper::upgrade::OnUpgrade;

use crate::body::BodyStream;
use crate::call_body::CallBody;

/// The parts of a request, as warp takes it apart.
pub(crate) struct IncomingRequest {
    pub(crate) method: Method,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodyStream,
    /// The upgrade, if a WebSocket is asked for.
    pub(crate) upgrade: Option<warp::ws::Ws>,
    /// The connection itself, where something else than HTTP is asked for.
    pub(crate) connection: Option<OnUpgrade>,
    /// The address of the other side.
    pub(crate) peer: Option<IpAddr>,
}

/// A request on its way to its handler.
pub(crate) struct Call {
    /// The caller, whom the door has let in.
    pub(crate) principal: Principal,
    /// The caller's address.
    pub(crate) address: Option<IpAddr>,
    pub(crate) parameters: Vec<String>,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: CallBody,
    /// The upgrade, if a WebSocket is asked for.
    pub(crate) upgrade: Option<warp::ws::Ws>,
}

impl Call {
    /// The first parameter of the path, which its template has.
    pub(crate) fn take_id(&mut self) -> String {
        if self.parameters.is_empty() { String::new() } else { self.parameters.swap_remove(0) }
    }
}
