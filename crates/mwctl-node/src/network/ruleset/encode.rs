//! Writes a [`Ruleset`] as netlink messages for the kernel's packet filter (`linux/netfilter/nf_tables.h`).
//!
//! A ruleset becomes a table of its own that takes the place of the one before it: in one transaction where it fits into one, else in
//! several of which the last puts the new table's hooks in and the old table out. At no moment are there no rules, or two.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::{Action, Chain, Choice, Condition, Hook, Rule, Ruleset};
use crate::network::address::AddressSet;
use crate::network::netlink::{Messages, flag};
use crate::network::observed::Protocol;

/// Message kinds: the packet filter is subsystem 10.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = 0x0a00;
const DELETE_TABLE: u16 = 0x0a02;
const NEW_CHAIN: u16 = 0x0a03;
const NEW_RULE: u16 = 0x0a06;
const NEW_SET: u16 = 0x0a09;
const NEW_ELEMENTS: u16 = 0x0a0c;

/// The fixed part of each message: family IPv4.
const FIXED: [u8; 4] = [2, 0, 0, 0];
/// The fixed part of batch markers: the subsystem they are for.
const FIXED_BATCH: [u8; 4] = [0, 0, 0, 10];

/// Set flags.
const ANONYMOUS: u32 = 0x1;
const CONSTANT: u32 = 0x2;
const INTERVAL: u32 = 0x4;
const MAP: u32 = 0x8;

/// Types of keys, by which `nft list ruleset` knows how to show them; six bits each where there are several.
const INTEGER: u32 = 4;
const ADDRESS: u32 = 7;
const PROTOCOL: u32 = 12;
const PORT: u32 = 13;
const ADDRESS_ADDRESS: u32 = (ADDRESS << 6) | ADDRESS;
const ADDRESS_PORT: u32 = (ADDRESS << 6) | PORT;
const ADDRESS_PROTOCOL_PORT: u32 = (ADDRESS << 12) | PROTOCOL_PORT;
const PROTOCOL_PORT: u32 = (PROTOCOL << 6) | PORT;
const VERDICT: u32 = 0xffff_ff00;

/// Verdicts (`linux/netfilter.h`, `nf_tables.h`).
const DROP: i32 = 0;
const ACCEPT: i32 = 1;
const JUMP: i32 = -3;
const GOTO: i32 = -4;
const RETURN: i32 = -5;

/// Registers: the verdict, and four bytes each from here on.
const VERDICT_REGISTER: u32 = 0;
const FIRST: u32 = 8;

/// Elements of a set per message, so that their nest stays below 64 KiB.
const ELEMENTS: usize = 500;
/// Room for the largest rule with its set, which must stand in one transaction.
const LARGEST_UNIT: usize = 128 << 10;

/// The transactions that put the ruleset in place under the name `table`, and take `previous` away.
///
/// None is larger than `limit` bytes, unless a single rule is.
pub(crate) fn transactions(
    ruleset: &Ruleset,
    table: &str,
    previous: Option<&str>,
    limit: usize,
) -> Vec<Messages> {
    let mut writer = Writer {
        table,
        limit: limit.saturating_sub(LARGEST_UNIT),
        sets: 0,
        open: Messages::default(),
        done: Vec::new(),
    };
    writer.open.begin(BATCH_BEGIN, 0, &FIXED_BATCH);
    // Deleting wants it to exist, and what a failed attempt left must go.
    writer.table(NEW_TABLE, table);
    writer.table(DELETE_TABLE, table);
    writer.table(NEW_TABLE, table);
    let (hooks, plain): (Vec<&Chain>, Vec<&Chain>) =
        (ruleset.chains.iter()).partition(|chain| chain.hook.is_some());
    for chain in plain {
        writer.chain(chain);
    }
    writer.maps(ruleset);
    // From here on the new rules take effect, so the rest stays together.
    writer.split_at(writer.limit / 2);
    writer.limit = usize::MAX;
    for chain in hooks {
        writer.chain(chain);
    }
    if let Some(previous) = previous.filter(|previous| *previous != table) {
        writer.table(NEW_TABLE, previous);
        writer.table(DELETE_TABLE, previous);
    }
    writer.close();
    writer.done
}

struct Writer<'a> {
    table: &'a str,
    limit: usize,
    sets: u32,
    open: Messages,
    done: Vec<Messages>,
}

impl Writer<'_> {
    fn split_at(&mut self, limit: usize) {
        if self.open.len() > limit {
            self.close();
            self.open.begin(BATCH_BEGIN, 0, &FIXED_BATCH);
        }
    }

    /// Ends the transaction. An acknowledgement of a last, harmless message tells that all of it went through.
    fn close(&mut self) {
        self.open
            .begin(NEW_TABLE, flag::ACK, &FIXED)
            .text(1, self.table);
        self.open.begin(BATCH_END, 0, &FIXED_BATCH);
        self.done.push(std::mem::take(&mut self.open));
    }

    fn table(&mut self, kind: u16, name: &str) {
        let flags = if kind == NEW_TABLE { flag::CREATE } else { 0 };
        self.open.begin(kind, flags, &FIXED).text(1, name);
    }

    fn chain(&mut self, chain: &Chain) {
        let table = self.table;
        let message = self.open.begin(NEW_CHAIN, flag::CREATE, &FIXED);
        message.text(1, table).text(3, &chain.name);
        if let Some(hook) = chain.hook {
            let (number, priority, kind) = hook_point(hook);
            message.nest(4, |nest| {
                nest.number(1, number).number(2, priority as u32);
            });
            message.number(5, ACCEPT as u32).text(7, kind);
        }
        for rule in &chain.rules {
            self.split_at(self.limit);
            self.rule(&chain.name, rule);
        }
    }

    fn rule(&mut self, chain: &str, rule: &Rule) {
        // What is looked up must be there before the rule that does it.
        let sets: Vec<u32> = (rule.conditions.iter())
            .map(|condition| self.condition_set(condition))
            .collect();
        let spread = self.spread_map(&rule.action);
        let table = self.table;
        let message = self
            .open
            .begin(NEW_RULE, flag::CREATE | flag::APPEND, &FIXED);
        message.text(1, table).text(2, chain).nest(4, |nest| {
            let mut expressions = Expressions(nest);
            for (condition, set) in rule.conditions.iter().zip(sets) {
                expressions.condition(condition, set);
            }
            expressions.action(&rule.action, spread);
        });
    }

    /// Makes the set that a condition needs; its number, or zero where it needs none.
    fn condition_set(&mut self, condition: &Condition) -> u32 {
        let (Condition::From(addresses) | Condition::To(addresses)) = condition else {
            return 0;
        };
        if single_range(addresses).is_some() {
            return 0;
        }
        let name = "__set%d";
        let set = self.set(name, ANONYMOUS | CONSTANT | INTERVAL, (ADDRESS, 4), None);
        let mut elements = Vec::new();
        for (first, last) in addresses.ranges() {
            elements.push((first.octets().to_vec(), Data::None));
            if let Some(after) = last.to_bits().checked_add(1) {
                elements.push((after.to_be_bytes().to_vec(), Data::IntervalEnd));
            }
        }
        self.elements(name, set, &elements);
        set
    }

    /// Makes the map from turn to endpoint that an action needs; its number, or zero where it needs none.
    fn spread_map(&mut self, action: &Action) -> u32 {
        let Action::Spread(targets, _) = action else {
            return 0;
        };
        if targets.len() < 2 {
            return 0;
        }
        let name = "__map%d";
        let data = Some((ADDRESS_PORT, 8));
        let set = self.set(name, ANONYMOUS | CONSTANT | MAP, (INTEGER, 4), data);
        let elements: Vec<_> = (0u32..)
            .zip(targets)
            .map(|(turn, target)| {
                (
                    turn.to_ne_bytes().to_vec(),
                    Data::Value(address_port(*target)),
                )
            })
            .collect();
        self.elements(name, set, &elements);
        set
    }

    fn maps(&mut self, ruleset: &Ruleset) {
        let services = (ruleset.services.iter()).map(|((address, protocol, port), chain)| {
            let key = [&address.octets()[..], &protocol_port(*protocol, *port)].concat();
            (key, Data::Verdict(GOTO, chain.clone()))
        });
        let services: Vec<_> = services.collect();
        self.map("services", (ADDRESS_PROTOCOL_PORT, 12), &services);
        let ports = (ruleset.node_ports.iter()).map(|((protocol, port), chain)| {
            let verdict = Data::Verdict(GOTO, chain.clone());
            (protocol_port(*protocol, *port), verdict)
        });
        let ports: Vec<_> = ports.collect();
        self.map("node-ports", (PROTOCOL_PORT, 8), &ports);
        self.map("egress", (ADDRESS, 4), &jumps(&ruleset.egress));
        self.map("ingress", (ADDRESS, 4), &jumps(&ruleset.ingress));
        let itself: Vec<_> = (ruleset.itself.iter())
            .map(|address| ([address.octets(), address.octets()].concat(), Data::None))
            .collect();
        let set = self.set("itself", 0, (ADDRESS_ADDRESS, 8), None);
        self.elements("itself", set, &itself);
    }

    fn map(&mut self, name: &str, key: (u32, u32), elements: &[(Vec<u8>, Data)]) {
        let set = self.set(name, MAP, key, Some((VERDICT, 0)));
        self.elements(name, set, elements);
    }

    /// Makes a set, or with `data` a map; types and lengths are given for both. Its number is good within a transaction.
    fn set(&mut self, name: &str, flags: u32, key: (u32, u32), data: Option<(u32, u32)>) -> u32 {
        self.sets += 1;
        let message = self.open.begin(NEW_SET, flag::CREATE, &FIXED);
        message.text(1, self.table).text(2, name).number(3, flags);
        message.number(4, key.0).number(5, key.1);
        if let Some((kind, length)) = data {
            message.number(6, kind).number(7, length);
        }
        message.number(10, self.sets);
        if key.0 == INTEGER {
            // Tells `nft list ruleset`, and nobody else, in which order the bytes of a number stand.
            message.attribute(13, &[0, 4, 1, 0, 0, 0]);
        }
        self.sets
    }

    fn elements(&mut self, set: &str, number: u32, elements: &[(Vec<u8>, Data)]) {
        for some in elements.chunks(ELEMENTS) {
            // What is anonymous has no name to be found by in a later transaction.
            if !set.starts_with("__") {
                self.split_at(self.limit);
            }
            let message = self.open.begin(NEW_ELEMENTS, flag::CREATE, &FIXED);
            message.text(1, self.table).text(2, set).number(4, number);
            message.nest(3, |list| {
                for (key, data) in some {
                    list.nest(1, |element| {
                        element.nest(1, |nest| {
                            nest.attribute(1, key);
                        });
                        data.write(element);
                    });
                }
            });
        }
    }
}

fn jumps(map: &BTreeMap<Ipv4Addr, String>) -> Vec<(Vec<u8>, Data)> {
    map.iter()
        .map(|(address, chain)| {
            let verdict = Data::Verdict(JUMP, chain.clone());
            (address.octets().to_vec(), verdict)
        })
        .collect()
}

/// What a set's element has besides its key.
enum Data {
    None,
    /// The range that began before ends before this key.
    IntervalEnd,
    Value(Vec<u8>),
    Verdict(i32, String),
}

impl Data {
    fn write(&self, element: &mut Messages) {
        match self {
            Self::None => {}
            Self::IntervalEnd => {
                element.number(3, 1);
            }
            Self::Value(value) => {
                element.nest(2, |nest| {
                    nest.attribute(1, value);
                });
            }
            Self::Verdict(code, chain) => {
                element.nest(2, |nest| verdict(nest, *code, chain));
            }
        }
    }
}

fn verdict(nest: &mut Messages, code: i32, chain: &str) {
    nest.nest(2, |nest| {
        nest.number(1, code as u32);
        if !chain.is_empty() {
            nest.text(2, chain);
        }
    });
}

/// The hook's number, priority (that of `mangle`, `dstnat`, `srcnat` and `filter`) and kind.
fn hook_point(hook: Hook) -> (u32, i32, &'static str) {
    match hook {
        Hook::Meant => (0, -150, "filter"),
        Hook::NatIn => (0, -100, "nat"),
        Hook::Input => (1, 0, "filter"),
        Hook::Forward => (2, 0, "filter"),
        Hook::NatOut => (3, -100, "nat"),
        Hook::Output => (3, 0, "filter"),
        Hook::NatLeave => (4, 100, "nat"),
    }
}

fn single_range(addresses: &AddressSet) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let mut ranges = addresses.ranges();
    ranges.next().filter(|_| ranges.len() == 0)
}

/// Protocol and port as part of a key: each piece fills four bytes.
fn protocol_port(protocol: Protocol, port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    vec![protocol.number(), 0, 0, 0, high, low, 0, 0]
}

fn address_port(target: SocketAddrV4) -> Vec<u8> {
    let [high, low] = target.port().to_be_bytes();
    [&target.ip().octets()[..], &[high, low, 0, 0]].concat()
}

/// The expressions of a rule.
struct Expressions<'a>(&'a mut Messages);

impl Expressions<'_> {
    fn condition(&mut self, condition: &Condition, set: u32) {
        match condition {
            Condition::Established => self.connection_state(2 | 4),
            Condition::Invalid => self.connection_state(1),
            Condition::Protocol(protocol) => {
                self.protocol(0);
                self.compare(0, &[protocol.number()]);
            }
            Condition::From(addresses) => {
                self.source(0);
                self.among(addresses, set);
            }
            Condition::To(addresses) => {
                self.destination(0);
                self.among(addresses, set);
            }
            Condition::Ports(first, last) => {
                self.port(0);
                self.range(&first.to_be_bytes(), &last.to_be_bytes());
            }
            Condition::ToItself => {
                self.source(0);
                self.destination(1);
                self.lookup("itself", 0, None);
            }
        }
    }

    fn action(&mut self, action: &Action, spread: u32) {
        match action {
            Action::Accept => self.verdict(ACCEPT),
            Action::Drop => self.verdict(DROP),
            Action::Return => self.verdict(RETURN),
            Action::Refuse => self.expression("reject", |data| {
                // ICMP port unreachable.
                data.number(1, 0).attribute(2, &[3]);
            }),
            Action::Reset => self.expression("reject", |data| {
                data.number(1, 1).attribute(2, &[0]);
            }),
            Action::ToService => {
                self.destination(0);
                self.protocol(1);
                self.port(2);
                self.lookup("services", 0, Some(VERDICT_REGISTER));
            }
            Action::ToNodePort => {
                self.protocol(0);
                self.port(1);
                self.lookup("node-ports", 0, Some(VERDICT_REGISTER));
            }
            Action::ThroughEgress => {
                self.source(0);
                self.lookup("egress", 0, Some(VERDICT_REGISTER));
            }
            Action::ThroughIngress => {
                self.destination(0);
                self.lookup("ingress", 0, Some(VERDICT_REGISTER));
            }
            Action::Spread(targets, choice) => self.spread(targets, *choice, spread),
            Action::SourceBecomes(address) => {
                self.immediate(0, &address.octets());
                self.expression("nat", |data| {
                    data.number(1, 0).number(2, 2).number(3, FIRST);
                });
            }
        }
    }

    fn spread(&mut self, targets: &[SocketAddrV4], choice: Choice, map: u32) {
        if let [target] = targets {
            self.immediate(0, &target.ip().octets());
            self.immediate(1, &target.port().to_be_bytes());
        } else {
            self.choose(choice, targets.len() as u32);
            self.lookup("__map%d", map, Some(FIRST));
        }
        self.expression("nat", |data| {
            data.number(1, 1)
                .number(2, 2)
                .number(3, FIRST)
                .number(5, FIRST + 1);
        });
    }

    /// A number below `count`.
    fn choose(&mut self, choice: Choice, count: u32) {
        match choice {
            Choice::Turn => self.expression("numgen", |data| {
                data.number(1, FIRST).number(2, count);
                data.number(3, 0).number(4, 0);
            }),
            Choice::Sender => {
                self.source(0);
                self.expression("hash", |data| {
                    data.number(1, FIRST).number(2, FIRST).number(3, 4);
                    data.number(4, count).number(7, 0);
                });
            }
        }
    }

    fn among(&mut self, addresses: &AddressSet, set: u32) {
        match single_range(addresses) {
            Some((first, last)) => self.range(&first.octets(), &last.octets()),
            None => self.lookup("__set%d", set, None),
        }
    }

    fn expression(&mut self, name: &str, fill: impl FnOnce(&mut Messages)) {
        self.0.nest(1, |nest| {
            nest.text(1, name).nest(2, fill);
        });
    }

    /// Loads bytes of a header: 1 is the network's, 2 the transport's.
    fn payload(&mut self, register: u32, header: u32, offset: u32, length: u32) {
        self.expression("payload", |data| {
            data.number(1, FIRST + register).number(2, header);
            data.number(3, offset).number(4, length);
        });
    }

    fn source(&mut self, register: u32) {
        self.payload(register, 1, 12, 4);
    }

    fn destination(&mut self, register: u32) {
        self.payload(register, 1, 16, 4);
    }

    fn port(&mut self, register: u32) {
        self.payload(register, 2, 2, 2);
    }

    fn protocol(&mut self, register: u32) {
        self.expression("meta", |data| {
            data.number(1, FIRST + register).number(2, 16);
        });
    }

    fn connection_state(&mut self, bits: u32) {
        self.expression("ct", |data| {
            data.number(1, FIRST).number(2, 0);
        });
        self.expression("bitwise", |data| {
            data.number(1, FIRST).number(2, FIRST).number(3, 4);
            data.nest(4, |mask| {
                mask.attribute(1, &bits.to_ne_bytes());
            });
            data.nest(5, |xor| {
                xor.attribute(1, &[0; 4]);
            });
        });
        self.expression("cmp", |data| {
            data.number(1, FIRST).number(2, 1).nest(3, |value| {
                value.attribute(1, &[0; 4]);
            });
        });
    }

    fn compare(&mut self, register: u32, value: &[u8]) {
        self.expression("cmp", |data| {
            data.number(1, FIRST + register)
                .number(2, 0)
                .nest(3, |nest| {
                    nest.attribute(1, value);
                });
        });
    }

    fn range(&mut self, first: &[u8], last: &[u8]) {
        if first == last {
            return self.compare(0, first);
        }
        self.expression("range", |data| {
            data.number(1, FIRST).number(2, 0);
            data.nest(3, |from| {
                from.attribute(1, first);
            });
            data.nest(4, |to| {
                to.attribute(1, last);
            });
        });
    }

    /// Looks up what is in the registers from the first on; a map's value goes into `into`.
    fn lookup(&mut self, set: &str, number: u32, into: Option<u32>) {
        self.expression("lookup", |data| {
            data.text(1, set).number(2, FIRST);
            if let Some(register) = into {
                data.number(3, register);
            }
            if number != 0 {
                data.number(4, number);
            }
        });
    }

    fn immediate(&mut self, register: u32, value: &[u8]) {
        self.expression("immediate", |data| {
            data.number(1, FIRST + register).nest(2, |nest| {
                nest.attribute(1, value);
            });
        });
    }

    fn verdict(&mut self, code: i32) {
        self.expression("immediate", |data| {
            data.number(1, VERDICT_REGISTER)
                .nest(2, |nest| verdict(nest, code, ""));
        });
    }
}
