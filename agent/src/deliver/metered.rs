//! Whether bytes are dear now: over which interface the cloud is reached, and what time it is.

use jiff::Timestamp;

use super::windows::Windows;

/// The kernel's IPv4 routes.
const ROUTES: &str = "/proc/net/route";
/// The kernel's IPv6 routes.
const ROUTES_V6: &str = "/proc/net/ipv6_route";

/// When originals are held back.
#[derive(Clone, Debug)]
pub struct Metered {
    /// Interfaces whose bytes are dear, such as `wwan*`; with none, all are where `cheap` has windows.
    pub interfaces: Vec<String>,
    /// When bytes are cheap whatever the interface.
    pub cheap: Windows,
}

impl Metered {
    /// Whether the originals may be sent now. Looks at the machine's routes.
    pub fn is_cheap(&self, now: Timestamp) -> bool {
        if self.interfaces.is_empty() {
            return self.cheap.is_open(now);
        }
        if !self.cheap.is_empty() && self.cheap.is_open(now) {
            return true;
        }
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let (v4, v6) = (read(ROUTES), read(ROUTES_V6));
        !default_interfaces(&v4, &v6).iter().any(|name| self.interfaces.iter().any(|it| matches(it, name)))
    }
}

/// The interfaces of the default routes.
fn default_interfaces(v4: &str, v6: &str) -> Vec<String> {
    let v4 = v4.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Interface, destination, gateway, flags, use counts, metric, mask.
        (fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000"))
            .then(|| fields[0].to_owned())
    });
    let v6 = v6.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let name = fields.last()?;
        (fields.first()?.chars().all(|c| c == '0') && fields.get(1) == Some(&"00") && *name != "lo")
            .then(|| (*name).to_owned())
    });
    v4.chain(v6).collect()
}

/// Whether a name fits a pattern, in which a star at the end stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_of_the_default_route_tells_whether_bytes_are_dear() {
        let v4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                  wwan0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                  eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n";
        let zeros = "0".repeat(32);
        let v6 = format!(
            "{zeros} 00 {zeros} 00 fe80 00000400 1 0 00450003 ppp0\n{zeros} 00 {zeros} 00 {zeros} ffffffff 1 0 00200200 lo\n"
        );
        assert_eq!(default_interfaces(v4, &v6), ["wwan0", "ppp0"]);
        assert!(matches("wwan*", "wwan0") && matches("ppp0", "ppp0"));
        assert!(!matches("wwan*", "wlan0") && !matches("ppp", "ppp0"));
    }
}
