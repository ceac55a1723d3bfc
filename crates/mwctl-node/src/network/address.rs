//! IPv4 networks, sets of addresses, and who has which. Values only: nothing here touches an interface.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An IPv4 network, such as `10.42.0.0/16`. Bits below the prefix are cleared when it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    base: u32,
    prefix: u8,
}

/// Why a text is no IPv4 network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no IPv4 network such as `10.0.0.0/8`")]
pub struct ParseCidrError(String);

impl Cidr {
    /// The network of `prefix` bits that `address` lies in. A prefix above 32 counts as 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        Self {
            base: address.to_bits() & mask(prefix),
            prefix,
        }
    }

    /// Its first address.
    pub fn base(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.base)
    }

    /// The number of leading bits that all its addresses share.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The address that many after the first, if it lies inside.
    pub fn nth(self, offset: u32) -> Option<Ipv4Addr> {
        let address = Ipv4Addr::from_bits(self.base.checked_add(offset)?);
        self.contains(address).then_some(address)
    }

    /// Whether the address lies inside.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.base
    }

    fn last(self) -> u32 {
        self.base | !mask(self.prefix)
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = ParseCidrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || ParseCidrError(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(refused)?;
        let address: Ipv4Addr = address.parse().map_err(|_| refused())?;
        let prefix: u8 = prefix.parse().map_err(|_| refused())?;
        if prefix > 32 {
            return Err(refused());
        }
        Ok(Self::new(address, prefix))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.base(), self.prefix)
    }
}

/// A set of addresses as ranges: sorted, apart from each other, so that equal sets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressSet {
    ranges: Vec<(u32, u32)>,
}

impl AddressSet {
    /// Every address there is.
    pub fn all() -> Self {
        Self {
            ranges: vec![(0, u32::MAX)],
        }
    }

    /// Whether the address is one of them.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let bits = address.to_bits();
        let after = self.ranges.partition_point(|range| range.0 <= bits);
        after > 0 && bits <= self.ranges[after - 1].1
    }

    /// Whether all of its addresses are also the other's.
    pub fn is_within(&self, other: &Self) -> bool {
        // The other's have gaps between them, so that one of ours lies in one of its.
        let lies_in = |range: &(u32, u32)| {
            let after = other.ranges.partition_point(|it| it.0 <= range.0);
            after > 0 && range.1 <= other.ranges[after - 1].1
        };
        self.ranges.iter().all(lies_in)
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Its ranges, first and last address of each, in order and with gaps between them.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = (Ipv4Addr, Ipv4Addr)> {
        (self.ranges.iter()).map(|range| (range.0.into(), range.1.into()))
    }

    /// Adds an address.
    pub fn insert(&mut self, address: Ipv4Addr) {
        self.add((address.to_bits(), address.to_bits()));
    }

    /// Adds all addresses of another set.
    pub fn extend(&mut self, other: &Self) {
        for range in &other.ranges {
            self.add(*range);
        }
    }

    /// Takes all addresses of a network out.
    pub fn remove(&mut self, network: Cidr) {
        let (first, last) = (network.base, network.last());
        let mut left = Vec::with_capacity(self.ranges.len() + 1);
        for &(from, to) in &self.ranges {
            if to < first || from > last {
                left.push((from, to));
                continue;
            }
            if from < first {
                left.push((from, first - 1));
            }
            if to > last {
                left.push((last + 1, to));
            }
        }
        self.ranges = left;
    }

    fn add(&mut self, (mut first, mut last): (u32, u32)) {
        // Ranges that touch the new one become part of it.
        self.ranges.retain(|&(from, to)| {
            let apart = to.saturating_add(1) < first || from > last.saturating_add(1);
            if !apart {
                first = first.min(from);
                last = last.max(to);
            }
            apart
        });
        let place = self.ranges.partition_point(|range| range.0 < first);
        self.ranges.insert(place, (first, last));
    }
}

impl From<Cidr> for AddressSet {
    fn from(network: Cidr) -> Self {
        Self {
            ranges: vec![(network.base, network.last())],
        }
    }
}

impl FromIterator<Ipv4Addr> for AddressSet {
    fn from_iter<T: IntoIterator<Item = Ipv4Addr>>(addresses: T) -> Self {
        let mut bits: Vec<u32> = addresses.into_iter().map(Ipv4Addr::to_bits).collect();
        bits.sort_unstable();
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for bit in bits {
            match ranges.last_mut() {
                Some(range) if bit <= range.1.saturating_add(1) => range.1 = bit,
                _ => ranges.push((bit, bit)),
            }
        }
        Self { ranges }
    }
}

/// Why a pod gets no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {taken} pod addresses of {network} are taken")]
pub struct Exhausted {
    network: Cidr,
    taken: usize,
}

/// Which pod has which address. An address that was given back is the last to be given out again, so that
/// nobody meets a stranger at an address still remembered.
#[derive(Clone, Debug)]
pub struct Pool {
    network: Cidr,
    /// Offsets from here on are for pods; those before are the node's own.
    first: u32,
    next: u32,
    taken: BTreeMap<String, Ipv4Addr>,
    used: std::collections::BTreeSet<u32>,
}

impl Pool {
    /// A pool over a network whose first `reserved` addresses are never given out, nor is the last.
    pub fn new(network: Cidr, reserved: u32) -> Self {
        Self {
            network,
            first: reserved,
            next: reserved,
            taken: BTreeMap::new(),
            used: std::collections::BTreeSet::new(),
        }
    }

    /// The address of this pod; the same one each time it is asked, until it is released.
    pub fn allocate(&mut self, uid: &str) -> Result<Ipv4Addr, Exhausted> {
        if let Some(address) = self.taken.get(uid) {
            return Ok(*address);
        }
        let end = (self.network.last() - self.network.base).max(self.first);
        let free = (self.next..end)
            .chain(self.first..self.next.min(end))
            .find(|offset| !self.used.contains(offset))
            .ok_or(Exhausted {
                network: self.network,
                taken: self.taken.len(),
            })?;
        let address = Ipv4Addr::from_bits(self.network.base + free);
        self.next = free + 1;
        self.used.insert(free);
        self.taken.insert(uid.to_owned(), address);
        Ok(address)
    }

    /// The address this pod has.
    pub fn get(&self, uid: &str) -> Option<Ipv4Addr> {
        self.taken.get(uid).copied()
    }

    /// Takes the pod's address back.
    pub fn release(&mut self, uid: &str) -> Option<Ipv4Addr> {
        let address = self.taken.remove(uid)?;
        self.used.remove(&(address.to_bits() - self.network.base));
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_is_read_as_it_is_written_with_host_bits_cleared() {
        assert_eq!(cidr("10.42.7.1/16").to_string(), "10.42.0.0/16");
        assert!(cidr("0.0.0.0/0").contains(Ipv4Addr::BROADCAST));
        assert!(!cidr("10.0.0.1/32").contains("10.0.0.2".parse().unwrap()));
        for wrong in ["10.0.0.0", "10.0.0.0/33", "::/0", "10.0.0/8", "a/8", ""] {
            assert!(wrong.parse::<Cidr>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_exception_splits_a_block() {
        let mut set = AddressSet::from(cidr("10.0.0.0/8"));
        set.remove(cidr("10.1.0.0/16"));
        let ranges: Vec<_> = set
            .ranges()
            .map(|(first, last)| format!("{first}-{last}"))
            .collect();
        assert_eq!(ranges, ["10.0.0.0-10.0.255.255", "10.2.0.0-10.255.255.255"]);
    }

    #[test]
    fn a_pod_keeps_its_address_and_a_released_one_is_last_in_turn() {
        let mut pool = Pool::new(cidr("10.42.0.0/29"), 3);
        let a = pool.allocate("a").unwrap();
        assert_eq!(a, Ipv4Addr::new(10, 42, 0, 3));
        assert_eq!(pool.allocate("a").unwrap(), a);
        pool.allocate("b").unwrap();
        assert_eq!(pool.release("a"), Some(a));
        assert_eq!(pool.release("a"), None);
        assert_eq!(pool.allocate("c").unwrap(), Ipv4Addr::new(10, 42, 0, 5));
        assert_eq!(pool.allocate("d").unwrap(), Ipv4Addr::new(10, 42, 0, 6));
        assert_eq!(pool.allocate("e").unwrap(), a);
        let full = pool.allocate("f").unwrap_err();
        assert_eq!(
            full.to_string(),
            "all 4 pod addresses of 10.42.0.0/29 are taken"
        );
    }

    proptest! {
        #[test]
        fn a_set_has_what_was_put_in_and_not_taken_out(
            networks in proptest::collection::vec((any::<bool>(), 0u32..64, 26u8..=32), 0..8),
            singles in proptest::collection::vec(0u32..64, 0..8),
        ) {
            let mut set: AddressSet = singles.iter().map(|&bits| bits.into()).collect();
            let mut expected: std::collections::BTreeSet<u32> = singles.iter().copied().collect();
            for (add, base, prefix) in networks {
                let network = Cidr::new(base.into(), prefix);
                if add {
                    set.extend(&network.into());
                    expected.extend(network.base..=network.last());
                } else {
                    set.remove(network);
                    expected.retain(|&bits| !network.contains(bits.into()));
                }
            }
            for bits in 0..128 {
                prop_assert_eq!(set.contains(bits.into()), expected.contains(&bits));
            }
            let ranges: Vec<_> = set.ranges().collect();
            prop_assert!(ranges.windows(2).all(|two| two[0].1.to_bits() + 1 < two[1].0.to_bits()));
        }
    }
}
