//! Whether bytes are dear now: by the clock, by the interface over which the cloud is reached, or by what a program says.
//!
//! While they are, originals wait and the searchable PDF goes alone. What cannot be told counts as dear: waiting loses
//! nothing, and `status` says why the originals wait. A program is asked no more often than [`ASKED_EVERY`], and given
//! up after [`ANSWER_TIME`].

use std::process::Stdio;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::time::timeout;

use super::windows::Windows;

/// The kernel's IPv4 routes.
const ROUTES: &str = "/proc/net/route";
/// The kernel's IPv6 routes.
const ROUTES_V6: &str = "/proc/net/ipv6_route";
/// The kernel's flag of a route that may be used.
const RTF_UP: u32 = 0x1;
/// Its flag of a route over which nothing gets through.
const RTF_REJECT: u32 = 0x200;
/// How long an answer of a program holds.
const ASKED_EVERY: Duration = Duration::from_secs(30);
/// The longest time a program may take to answer.
const ANSWER_TIME: Duration = Duration::from_secs(3);
/// Asks NetworkManager for its property `Metered`; `busctl` is a part of systemd.
const NETWORK_MANAGER: [&str; 6] = [
    "busctl",
    "get-property",
    "org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
    "Metered",
];

/// Who says whether bytes are dear, beside the interfaces and the windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meter {
    /// Nobody.
    #[default]
    Off,
    /// They are, at any time that is in no window for originals.
    On,
    /// NetworkManager.
    Auto,
}

/// When originals are held back.
#[derive(Clone, Debug)]
pub struct Metered {
    /// Who says so.
    pub meter: Meter,
    /// A program and its arguments: it ends with 0 where bytes are dear, with 1 where they are cheap.
    pub command: Vec<String>,
    /// Interfaces whose bytes are dear, such as `wwan*`.
    pub interfaces: Vec<String>,
    /// When bytes are cheap whatever is said. Where nobody says anything, they are dear at all other times.
    pub cheap: Windows,
    /// What the program said last.
    said: Option<(Instant, Said)>,
}

/// What a program said.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Cheap,
    Dear,
    Nothing(String),
}

impl Metered {
    /// By these rules; nobody was asked yet.
    pub fn new(meter: Meter, command: Vec<String>, interfaces: Vec<String>, cheap: Windows) -> Self {
        Self { meter, command, interfaces, cheap, said: None }
    }

    /// Asks the program, where there is one and its last answer is old.
    pub async fn ask(&mut self) {
        let is_fresh = self.said.as_ref().is_some_and(|(at, _)| at.elapsed() < ASKED_EVERY);
        if is_fresh {
            return;
        }
        let said = if !self.command.is_empty() {
            said_by_status(&self.command).await
        } else if self.meter == Meter::Auto {
            said_by_network_manager(&NETWORK_MANAGER.map(str::to_owned)).await
        } else {
            return;
        };
        self.said = Some((Instant::now(), said));
    }

    /// Why the originals wait; `None` where they may be sent now. Looks at the machine's routes.
    pub fn dear(&self, now: Timestamp) -> Option<String> {
        if !self.cheap.is_empty() && self.cheap.is_open(now) {
            return None;
        }
        match &self.said {
            Some((_, Said::Dear)) => return Some("the link is said to be metered".into()),
            Some((_, Said::Nothing(why))) => {
                return Some(format!("whether the link is metered cannot be told: {why}"));
            }
            Some((_, Said::Cheap)) | None => {}
        }
        if self.meter == Meter::On {
            return Some("outbox.metered is on".into());
        }
        let nobody_says = self.meter == Meter::Off && self.command.is_empty() && self.interfaces.is_empty();
        if nobody_says && !self.cheap.is_empty() {
            return Some("it is no time of outbox.originals_windows".into());
        }
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let reached_over = match self.interfaces.is_empty() {
            true => Vec::new(),
            false => default_interfaces(&read(ROUTES), &read(ROUTES_V6)),
        };
        let dear = |name: &String| self.interfaces.iter().any(|it| matches(it, name));
        reached_over.into_iter().find(dear).map(|name| format!("the link goes over {name}"))
    }
}

/// What a program of the administrator's says by its exit status.
async fn said_by_status(command: &[String]) -> Said {
    match run(command).await {
        Ok((Some(0), _)) => Said::Dear,
        Ok((Some(1), _)) => Said::Cheap,
        Ok((status, _)) => Said::Nothing(match status {
            Some(status) => format!("outbox.metered_command ended with {status}, not with 0 or 1"),
            None => "outbox.metered_command was killed".into(),
        }),
        Err(why) => Said::Nothing(format!("outbox.metered_command: {why}")),
    }
}

/// What NetworkManager says: `u 1` and `u 3` (a guess) are metered, `u 0` (unknown), `u 2` and `u 4` are not.
async fn said_by_network_manager(command: &[String]) -> Said {
    match run(command).await {
        Ok((Some(0), answer)) => match answer.trim() {
            "u 1" | "u 3" => Said::Dear,
            "u 0" | "u 2" | "u 4" => Said::Cheap,
            other => Said::Nothing(format!("NetworkManager answered {other:?}")),
        },
        Ok(_) => Said::Nothing("NetworkManager does not answer (busctl get-property)".into()),
        Err(why) => Said::Nothing(format!("NetworkManager cannot be asked: {why}")),
    }
}

/// Runs a program to its end. Answers its exit status, and what it printed.
async fn run(command: &[String]) -> Result<(Option<i32>, String), String> {
    let Some((program, arguments)) = command.split_first() else { return Err("it is empty".into()) };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match timeout(ANSWER_TIME, command.output()).await {
        Err(_) => Err(format!("{program} did not answer within {} s", ANSWER_TIME.as_secs())),
        Ok(Err(error)) => Err(format!("{program}: {error}")),
        Ok(Ok(output)) => Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())),
    }
}

/// A default route, of one family of addresses.
struct DefaultRoute<'t> {
    interface: &'t str,
    /// The lowest is taken.
    metric: u32,
    flags: u32,
}

impl<'t> DefaultRoute<'t> {
    /// Interface, destination, gateway, flags, use counts, metric, mask.
    fn of_v4(line: &'t str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let is_default = fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000");
        let flags = u32::from_str_radix(fields.get(3)?, 16).ok()?;
        let metric = fields.get(6)?.parse().ok()?;
        is_default.then(|| Self { interface: fields[0], metric, flags })
    }

    /// Destination, its length, source, its length, gateway, metric, use counts, flags, interface.
    fn of_v6(line: &'t str) -> Option<Self> {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |index: usize| u32::from_str_radix(fields.get(index)?, 16).ok();
        let (metric, flags, interface) = (number(5)?, number(8)?, *fields.get(9)?);
        let is_default = fields[0].chars().all(|c| c == '0') && fields[1] == "00" && interface != "lo";
        is_default.then_some(Self { interface, metric, flags })
    }

    fn is_usable(&self) -> bool {
        self.flags & RTF_UP != 0 && self.flags & RTF_REJECT == 0
    }
}

/// The interfaces of the default routes that are taken: of each family, the usable ones of the lowest metric. A modem
/// that stands by for a cable has a route too, of a higher one.
fn default_interfaces(v4: &str, v6: &str) -> Vec<String> {
    let v4: Vec<DefaultRoute<'_>> = v4.lines().skip(1).filter_map(DefaultRoute::of_v4).collect();
    let v6: Vec<DefaultRoute<'_>> = v6.lines().filter_map(DefaultRoute::of_v6).collect();
    [v4, v6].into_iter().flat_map(taken).collect()
}

fn taken(mut routes: Vec<DefaultRoute<'_>>) -> Vec<String> {
    routes.retain(DefaultRoute::is_usable);
    let lowest = routes.iter().map(|route| route.metric).min();
    routes.retain(|route| Some(route.metric) == lowest);
    routes.into_iter().map(|route| route.interface.to_owned()).collect()
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
    use jiff::tz::TimeZone;

    fn windows(texts: &[&str]) -> Windows {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        Windows::parse(&texts, TimeZone::UTC).expect("windows")
    }

    /// Why originals wait at noon by these rules.
    async fn check(meter: Meter, command: &[&str], cheap: &[&str], dear: Option<&str>) {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let mut metered = Metered::new(meter, command, Vec::new(), windows(cheap));
        metered.ask().await;
        let noon = "2026-03-02T12:00:00Z".parse().expect("a time");
        let why = metered.dear(noon);
        match dear {
            None => assert_eq!(why, None),
            Some(dear) => assert!(why.as_ref().is_some_and(|why| why.contains(dear)), "{why:?}: {dear}"),
        }
    }

    #[tokio::test]
    async fn originals_wait_where_a_rule_says_so_or_nobody_can_tell() {
        let (off, on) = (Meter::Off, Meter::On);
        check(off, &[], &[], None).await;
        check(off, &[], &["22:00-06:00"], Some("originals_windows")).await;
        check(off, &[], &["11:00-13:00"], None).await;
        check(on, &[], &[], Some("outbox.metered is on")).await;
        check(on, &[], &["11:00-13:00"], None).await;
        check(off, &["true"], &[], Some("said to be metered")).await;
        check(off, &["true"], &["11:00-13:00"], None).await;
        check(off, &["false"], &[], None).await;
        check(off, &["false"], &["22:00-06:00"], None).await;
        check(off, &["sh", "-c", "exit 7"], &[], Some("ended with 7")).await;
        check(off, &["sh", "-c", "kill -9 $$"], &[], Some("was killed")).await;
        check(off, &["/nowhere/at-all"], &[], Some("cannot be told")).await;
    }

    #[tokio::test]
    async fn what_network_manager_says_is_understood() {
        for (answer, said) in
            [("u 1", Said::Dear), ("u 3", Said::Dear), ("u 4", Said::Cheap), ("u 0", Said::Cheap)]
        {
            assert_eq!(said_by_network_manager(&["echo".into(), answer.into()]).await, said, "{answer}");
        }
        let nothing = |said| matches!(said, Said::Nothing(_));
        assert!(nothing(said_by_network_manager(&["echo".into(), "s \"x\"".into()]).await));
        assert!(nothing(said_by_network_manager(&["false".into()]).await));
    }

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
        assert!(default_interfaces("", "").is_empty());
        assert!(matches("wwan*", "wwan0") && matches("ppp0", "ppp0"));
        assert!(!matches("wwan*", "wlan0") && !matches("ppp", "ppp0"));
    }

    /// The interfaces of IPv4 routes with these metrics and flags.
    fn check_routes(routes: &[(&str, u32, &str)], taken: &[&str]) {
        let line = |(name, metric, flags): &(&str, u32, &str)| {
            format!("{name}\t00000000\t0100000A\t{flags}\t0\t0\t{metric}\t00000000\t0\t0\t0\n")
        };
        let v4: String = std::iter::once("Iface …\n".to_owned()).chain(routes.iter().map(line)).collect();
        assert_eq!(default_interfaces(&v4, ""), taken, "{routes:?}");
    }

    #[test]
    fn a_route_that_stands_by_makes_no_bytes_dear() {
        check_routes(&[("eth0", 100, "0003"), ("wwan0", 700, "0003")], &["eth0"]);
        check_routes(&[("wwan0", 700, "0003"), ("eth0", 100, "0003")], &["eth0"]);
        check_routes(&[("eth0", 100, "0002"), ("wwan0", 700, "0003")], &["wwan0"]);
        check_routes(&[("eth0", 100, "0203"), ("wwan0", 700, "0003")], &["wwan0"]);
        check_routes(&[("eth0", 100, "0003"), ("wwan0", 100, "0003")], &["eth0", "wwan0"]);
        let zeros = "0".repeat(32);
        let line = |metric: &str, flags: &str, name: &str| {
            format!("{zeros} 00 {zeros} 00 fe80 {metric} 1 0 {flags} {name}\n")
        };
        let v6 = line("00000064", "00450003", "eth0") + &line("00000400", "00450003", "wwan0");
        assert_eq!(default_interfaces("", &v6), ["eth0"]);
    }
}
