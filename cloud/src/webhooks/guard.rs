//! Which addresses may be called: a tenant names the URL, or a certificate does, so it must not reach what only we can
//! reach (SSRF).
//!
//! Names are resolved here and every address is looked at before it is connected to, at each attempt anew: a name that
//! was harmless when the endpoint was made may lead elsewhere now. Redirects and proxies are not followed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Networks that are not the public internet (IANA's special-purpose registries, multicast, reserved).
static SPECIAL: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    const NETWORKS: [&str; 24] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",
        "2001::/23",
        "2001:db8::/32",
        "2620:4f:8000::/48",
        "3fff::/20",
        // Of IPv6 only 2000::/3 is public; these two are the rest.
        "::/3",
        "4000::/2",
        "8000::/1",
    ];
    NETWORKS.iter().filter_map(|network| network.parse().ok()).collect()
});

/// What may be called.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Private networks that the site's administrator allows.
    allowed: Arc<[IpNet]>,
    /// Whether nothing else may be called, the public internet included.
    only: bool,
}

impl Guard {
    /// Lets public addresses be reached, and those in these networks.
    pub fn new(allowed: &[IpNet]) -> Self {
        Self { allowed: allowed.into(), only: false }
    }

    /// The same, for what nothing encrypts: the allowed networks and nothing else.
    pub(super) fn only_allowed(&self) -> Self {
        Self { only: true, ..self.clone() }
    }

    /// Whether this address may be connected to.
    pub fn may_reach(&self, address: IpAddr) -> bool {
        let address = plain(address);
        self.allowed.iter().any(|network| network.contains(&address))
            || !self.only && !SPECIAL.iter().any(|network| network.contains(&address))
    }

    /// Why this address may not be connected to.
    fn refusal(&self, address: IpAddr) -> String {
        if self.only && !SPECIAL.iter().any(|network| network.contains(&plain(address))) {
            return format!(
                "leads to {address} without https, which is only for the networks of `webhook_networks`"
            );
        }
        format!("leads to {address}, which is not a public address (`webhook_networks` may allow it)")
    }

    /// Why this URL cannot be called, where that can be said without asking for its name.
    pub fn refuses(&self, url: &Url) -> Option<String> {
        let plain_http = url.scheme() == "http" && !self.allowed.is_empty();
        if url.scheme() != "https" && !plain_http {
            return Some("is not an https address".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Some("has a user or password in it; deliveries are signed instead".into());
        }
        if plain_http { self.only_allowed().refuses_host(url) } else { self.refuses_host(url) }
    }

    /// Why the host of this URL cannot be called, where that can be said without asking for its name.
    pub fn refuses_host(&self, url: &Url) -> Option<String> {
        let host = url.host_str().unwrap_or_default();
        let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match literal {
            Ok(address) if !self.may_reach(address) => Some(self.refusal(address)),
            Ok(_) => None,
            Err(_) if host.is_empty() => Some("has no host".into()),
            Err(_) => None,
        }
    }
}

/// The IPv4 address in an IPv6 address that only wraps one.
fn plain(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let inner = |at: usize| {
        let octets = v6.octets();
        IpAddr::V4(Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]))
    };
    let segments = v6.segments();
    match segments {
        [0, 0, 0, 0, 0, 0xffff, ..] => inner(12),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => inner(12),
        [0x2002, ..] => inner(2),
        _ => address,
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let first = found.first().copied();
            // One forbidden address forbids the name: which one is taken is not ours to choose.
            if let Some(forbidden) = found.iter().find(|address| !guard.may_reach(address.ip())) {
                return Err(format!("{} {}", name.as_str(), guard.refusal(forbidden.ip())).into());
            }
            match first {
                Some(_) => Ok(Box::new(found.into_iter()) as Addrs),
                None => Err(format!("{} has no address", name.as_str()).into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_may_be_reached_in_whatever_form_they_are_written() {
        let guard = Guard::new(&[]);
        for forbidden in [
            "http://example.com/",
            "ftp://example.com/",
            "https://user@example.com/",
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://0.0.0.0/",
            "https://10.1.2.3/",
            "https://169.254.169.254/latest/meta-data",
            "https://100.64.0.1/",
            "https://224.0.0.1/",
            "https://255.255.255.255/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[2002:7f00:1::]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://[2001:db8::1]/",
        ] {
            let url: Url = forbidden.parse().expect("a URL");
            assert!(guard.refuses(&url).is_some(), "{forbidden}");
        }
        for good in ["https://example.com/hook", "https://93.184.215.14/", "https://[2606:2800::1]:8443/"] {
            assert_eq!(guard.refuses(&good.parse().expect("a URL")), None, "{good}");
        }
    }

    #[test]
    fn an_administrator_may_allow_a_network_and_no_more_than_it() {
        let guard = Guard::new(&["10.0.0.0/8".parse().expect("a network")]);
        assert_eq!(guard.refuses(&"http://10.1.2.3:9000/".parse().expect("a URL")), None);
        assert_eq!(guard.refuses(&"https://93.184.216.34/".parse().expect("a URL")), None);
        let unencrypted = guard.refuses(&"http://93.184.216.34/".parse().expect("a URL"));
        assert!(unencrypted.is_some_and(|why| why.contains("without https")));
        assert!(!guard.only_allowed().may_reach("93.184.216.34".parse().expect("an address")));
        assert!(guard.refuses(&"http://192.168.1.1/".parse().expect("a URL")).is_some());
        assert!(guard.may_reach("::ffff:10.0.0.1".parse().expect("an address")));
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_not_connected_to() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().dns_resolver(Guard::new(&[])).build().expect("a client");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let error = client.get(format!("http://localhost:{port}/")).send().await.expect_err("forbidden");
        assert!(format!("{error:?}").contains("not a public address"), "{error:?}");
    }
}
