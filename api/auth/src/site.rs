//! The page that asks: whether a browser sends a request on behalf of another site.

use std::net::IpAddr;

/// The headers by which a browser names the page that asks, and the host that it asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Site<'a> {
    /// `Host`
    pub host: Option<&'a str>,
    /// `Origin`
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`
    pub fetch: Option<&'a str>,
}

impl Site<'_> {
    /// Returns whether a page of another site asks, which is none of `allowed`. A request that names no page at all is none
    /// of a browser.
    pub fn is_other(&self, allowed: &[String]) -> bool {
        let is_allowed = |origin: &str| allowed.iter().any(|taken| taken == "*" || taken.eq_ignore_ascii_case(origin));
        if self.origin.is_some_and(is_allowed) {
            return false;
        }
        match (self.fetch, self.origin) {
            (Some(site), _) => !matches!(site, "same-origin" | "none"),
            (None, Some(origin)) => {
                let host = origin.split_once("://").map(|(_, host)| host);
                !host.zip(self.host).is_some_and(|(named, host)| named.eq_ignore_ascii_case(host))
            }
            (None, None) => false,
        }
    }
}

/// Returns whether a `Host` is a name of this machine: anything else may be a name that somebody has pointed here. A program
/// that names none is no browser.
pub(crate) fn is_local(host: Option<&str>) -> bool {
    let Some(host) = host else { return true };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let is_name = name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost");
    is_name || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_other_sites() {
        let site = |fetch, origin| Site { host: Some("localhost:8081"), origin, fetch };
        let other = |fetch, origin| site(fetch, origin).is_other(&[]);
        for (fetch, origin) in [
            (None, None),
            (Some("same-origin"), Some("http://localhost:8081")),
            (Some("none"), None),
            (None, Some("http://localhost:8081")),
        ] {
            assert!(!other(fetch, origin), "{fetch:?} {origin:?}");
        }
        for (fetch, origin) in [
            (Some("cross-site"), None),
            (Some("same-site"), Some("http://localhost:9000")),
            (Some("cross-site"), Some("http://localhost:8081")),
            (None, Some("http://localhost:9000")),
            (None, Some("null")),
            (None, Some("")),
        ] {
            assert!(other(fetch, origin), "{fetch:?} {origin:?}");
        }
        let console = site(Some("cross-site"), Some("https://console.example.org"));
        assert!(!console.is_other(&["https://console.example.org".to_owned()]));
        assert!(console.is_other(&["https://example.org".to_owned()]));
    }

    #[test]
    fn names_of_this_machine() {
        for host in [
            None,
            Some("localhost"),
            Some("LOCALHOST:8081"),
            Some("127.0.0.1:1"),
            Some("[::1]:8081"),
            Some("a.localhost:1"),
        ] {
            assert!(is_local(host), "{host:?}");
        }
        for host in [
            "",
            "example.org",
            "example.org:8081",
            "localhost.example.org",
            "10.0.0.1:80",
            "[fe80::1]:1",
            "127.0.0.1.example.org:1",
        ] {
            assert!(!is_local(Some(host)), "{host}");
        }
    }
}
