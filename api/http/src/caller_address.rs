//! The address of a caller, which may come by proxies.

use std::net::IpAddr;

use hyper::header::HeaderName;
use ipnet::IpNet;

use crate::request::IncomingRequest;

/// The header in which a proxy names those for whom it asks, the nearest last.
pub(crate) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address of the caller: that of the other side; where that is a proxy, the last that it names and is none itself.
pub(crate) fn of(proxies: &[IpNet], request: &IncomingRequest) -> Option<IpAddr> {
    let peer = request.peer?.to_canonical();
    let is_proxy = |address: IpAddr| proxies.iter().any(|range| range.contains(&address));
    if !is_proxy(peer) {
        return Some(peer);
    }
    let lines = request.headers.get_all(FORWARDED_FOR).iter().filter_map(|line| line.to_str().ok());
    let named: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    for text in named.into_iter().rev() {
        match text.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(address) if is_proxy(address) => {}
            Ok(address) => return Some(address),
            Err(_) => break,
        }
    }
    Some(peer)
}
