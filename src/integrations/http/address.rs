//! Which addresses of the internet a request may go to: the public ones. What is refused comes from the special-purpose
//! registries of IANA, and from what other protocols hide an IPv4 address in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Ranges of IPv4 that are not public: first address, length of the prefix, what they are.
const NOT_PUBLIC: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, "an unspecified address"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "a private address"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "an address of a provider's own network"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, LOOPBACK),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "the address of a cloud's own services"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "a link-local address"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "a private address"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "a reserved address"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "an address of documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "a relay's address"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "a private address"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "an address for benchmarks"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "an address of documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "an address of documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "a multicast address"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "a reserved address"),
];

/// The same of IPv6. Outside 2000::/3 nothing is public; what is named here outside it gets a better name.
const NOT_PUBLIC_6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, "an unspecified address"),
    (Ipv6Addr::LOCALHOST, 128, LOOPBACK),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, "an IPv4 address in another form"),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96, "an IPv4 address in another form"),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, "an IPv4 address behind a translator"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "an IPv4 address behind a translator"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, "an IPv4 address in a tunnel"),
    (Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0), 48, "an address for benchmarks"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "a reserved address"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "an address of documentation"),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, "an IPv4 address in a tunnel"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "an address of documentation"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "a private address"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "a link-local address"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "a private address"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "a multicast address"),
];

const PUBLIC_6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

const LOOPBACK: &str = "an address of this machine";

/// Why no request may go to this address; none when one may. `loopback`: the addresses of this machine are allowed.
#[must_use]
pub fn forbidden(address: IpAddr, loopback: bool) -> Option<&'static str> {
    let what = match address {
        IpAddr::V4(address) => {
            let number = u128::from(address.to_bits()) << 96;
            NOT_PUBLIC
                .iter()
                .find(|(first, length, _)| within(number, u128::from(first.to_bits()) << 96, *length))
                .map(|(.., what)| *what)
        }
        IpAddr::V6(address) => {
            let number = address.to_bits();
            let named = NOT_PUBLIC_6.iter().find(|(first, length, _)| within(number, first.to_bits(), *length));
            match named {
                Some((.., what)) => Some(*what),
                None if within(number, PUBLIC_6.0.to_bits(), PUBLIC_6.1) => None,
                None => Some("a reserved address"),
            }
        }
    };
    what.filter(|what| !(loopback && *what == LOOPBACK))
}

/// Whether the first `length` bits agree.
const fn within(number: u128, first: u128, length: u32) -> bool {
    (number ^ first).leading_zeros() >= length
}

#[cfg(test)]
mod tests {
    use url::{Host, Url};

    use super::*;

    /// The address of a URL's host, as the parser that every request goes through reads it.
    fn literal(host: &str) -> IpAddr {
        match Url::parse(&format!("https://{host}/")).unwrap().host().unwrap() {
            Host::Ipv4(address) => address.into(),
            Host::Ipv6(address) => address.into(),
            Host::Domain(name) => panic!("{name} is a name"),
        }
    }

    #[test]
    fn nothing_but_public_addresses() {
        for host in [
            "127.0.0.1",
            "127.1",
            "127.255.255.255",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "0",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.0",
            "10.255.255.255",
            "0xa.1",
            "012.0.0.1",
            "100.64.0.0",
            "100.127.255.255",
            "169.254.0.1",
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "172.16.0.0",
            "172.31.255.255",
            "168.63.129.16",
            "192.0.0.1",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.65535",
            "3232235521",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::127.0.0.1]",
            "[::8.8.8.8]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:8.8.8.8]",
            "[::ffff:0:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::10.0.0.1]",
            "[64:ff9b:1::1]",
            "[64:ff9b:1:ffff::a00:1]",
            "[100::1]",
            "[2001::1]",
            "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
            "[2001:2::1]",
            "[2001:10::1]",
            "[2001:20::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[2002:a00:1::1]",
            "[3fff::1]",
            "[5f00::1]",
            "[fc00::1]",
            "[fd12:3456:789a::1]",
            "[fe80::1]",
            "[febf::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[4000::1]",
            "[e000::1]",
        ] {
            assert!(forbidden(literal(host), false).is_some(), "{host}");
        }
    }

    #[test]
    fn public_addresses_are_allowed() {
        for host in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "134744072",
            "[2606:4700:4700::1111]",
            "[2001:4860:4860::8888]",
            "[2a00:1450:4001::1]",
            "[2001:200::1]",
            "[2003::1]",
        ] {
            assert_eq!(forbidden(literal(host), false), None, "{host}");
        }
    }

    #[test]
    fn development_may_call_this_machine_and_nothing_else() {
        for host in ["127.0.0.1", "127.1.2.3", "2130706433", "[::1]"] {
            assert_eq!(forbidden(literal(host), true), None, "{host}");
        }
        for host in ["0.0.0.0", "10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[fe80::1]"] {
            assert!(forbidden(literal(host), true).is_some(), "{host}");
        }
    }
}
