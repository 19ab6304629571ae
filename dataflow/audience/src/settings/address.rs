//! The address of a listener as people write it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// The address of a listener: `127.0.0.1:8081`, `localhost:8081`, or a port of this machine, `:8081` or `8081`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address(pub SocketAddr);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Address, String> {
        let of_port = |port: &str| Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().ok()?));
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = text.strip_prefix("localhost:").or_else(|| text.strip_prefix(':')).unwrap_or(text);
        let address = if is_port(port) { of_port(port) } else { text.parse().ok() };
        address.map(Address).ok_or_else(|| {
            "write an address of this machine and a port, such as 127.0.0.1:8081, localhost:8081, or 8081".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        for (text, address) in [
            ("8081", "127.0.0.1:8081"),
            (":8081", "127.0.0.1:8081"),
            ("localhost:8081", "127.0.0.1:8081"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("0.0.0.0:8081", "0.0.0.0:8081"),
            ("[::1]:8081", "[::1]:8081"),
        ] {
            assert_eq!(text.parse::<Address>().map(|address| address.0.to_string()), Ok(address.to_owned()), "{text}");
        }
        for text in ["", ":", "8081x", "65536", "localhost", "localhost:", "example.org:80", "127.0.0.1", "-1", "+80"] {
            let error = text.parse::<Address>().expect_err(text);
            assert!(error.contains("127.0.0.1:8081"), "{text}: {error}");
        }
    }
}
