//! IP addresses that filters look for: one, a network or a range.

use std::net::IpAddr;
use std::str::FromStr;

/// The addresses from the first to the last, both of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Addresses {
    first: IpAddr,
    last: IpAddr,
}

impl FromStr for Addresses {
    type Err = String;

    /// `10.0.0.1`, `10.0.0.0/8`, `10.0.0.1-10.0.0.9`, and the same in IPv6.
    fn from_str(text: &str) -> Result<Self, String> {
        let read = || {
            if let Some((first, last)) = text.split_once('-') {
                let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
                return Some(Self { first, last });
            }
            if let Some((address, bits)) = text.split_once('/') {
                return Self::network(address.parse().ok()?, bits.parse().ok()?);
            }
            let one = text.parse().ok()?;
            Some(Self {
                first: one,
                last: one,
            })
        };
        read()
            .filter(|range| {
                range.first.is_ipv4() == range.last.is_ipv4() && range.first <= range.last
            })
            .ok_or_else(|| {
                format!(
                    "{text:?} is no address, network or range such as 10.0.0.1, 10.0.0.0/8, 10.0.0.1-10.0.0.9"
                )
            })
    }
}

impl Addresses {
    fn network(address: IpAddr, bits: u32) -> Option<Self> {
        Some(match address {
            IpAddr::V4(address) if bits <= 32 => {
                let host = u32::MAX.checked_shr(bits).unwrap_or(0);
                let number = u32::from(address);
                Self {
                    first: IpAddr::V4((number & !host).into()),
                    last: IpAddr::V4((number | host).into()),
                }
            }
            IpAddr::V6(address) if bits <= 128 => {
                let host = u128::MAX.checked_shr(bits).unwrap_or(0);
                let number = u128::from(address);
                Self {
                    first: IpAddr::V6((number & !host).into()),
                    last: IpAddr::V6((number | host).into()),
                }
            }
            _ => return None,
        })
    }

    /// Whether the address is one of these.
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4() && self.first <= address && address <= self.last
    }

    /// Whether any address that stands in a text is one of these.
    pub(super) fn occur_in(&self, text: &str) -> bool {
        // An address ends where a character stands that none has; `1.2.3.4:80` ends at the colon.
        let separates = |c: char| match self.first {
            IpAddr::V4(_) => !c.is_ascii_digit() && c != '.',
            IpAddr::V6(_) => !c.is_ascii_hexdigit() && c != ':' && c != '.',
        };
        text.split(separates)
            .map(|candidate| candidate.trim_end_matches('.'))
            .filter_map(|candidate| candidate.parse().ok())
            .any(|address| self.contain(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_texts() {
        let cases = [
            ("10.0.0.1", "from 10.0.0.1.", true),
            ("10.0.0.1", "from 110.0.0.1", false),
            ("10.0.0.0/8", "[10.9.8.7:80] GET", true),
            ("10.0.0.0/8", "11.9.8.7", false),
            ("10.0.0.3/31", "10.0.0.2", true),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("192.168.0.1-192.168.4.5", "a 192.168.4.5 b", true),
            ("192.168.0.1-192.168.4.5", "a 192.168.4.6 b", false),
            ("::1", "host ::1 up", true),
            ("2001:db8::/32", "from 2001:db8::8:800:200c:417a", true),
            ("2001:db8::/32", "from 2001:db9::1", false),
            ("10.0.0.0/8", "no address, 1.2.3", false),
        ];
        for (addresses, text, expected) in cases {
            let addresses: Addresses = addresses.parse().unwrap();
            assert_eq!(addresses.occur_in(text), expected, "{addresses:?} {text}");
        }
        for text in [
            "",
            "x",
            "1.2.3",
            "1.2.3.4/33",
            "1.2.3.4-::1",
            "2.0.0.0-1.0.0.0",
        ] {
            assert!(text.parse::<Addresses>().is_err(), "{text}");
        }
    }
}
