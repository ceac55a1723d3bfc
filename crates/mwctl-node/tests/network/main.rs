//! A node's network, for real: namespaces, interfaces, rules and sockets, as root and as an ordinary user.
//!
//! Each scenario is a process of its own in a network namespace of its own, which plays the host; so nothing of the machine is touched and
//! nothing outlives a test. `cargo test -p mwctl-node --test network [FILTER]`; `-- --bench` prints figures instead.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test fails where it can't go on, and says so itself: it has no other harness"
)]

mod api;
mod bench;
mod host;
mod isolation;
mod names;
mod outside;
mod pods;
mod scenario;
mod services;
mod world;

use std::process::ExitCode;

use self::scenario::Scenario;

const SCENARIOS: &[(&str, Scenario)] = &[
    ("api::tells_what_packets_feel", api::tells_what_packets_feel),
    (
        "services::are_spread_over_endpoints",
        services::are_spread_over_endpoints,
    ),
    (
        "services::without_endpoints_refuse_at_once",
        services::without_endpoints_refuse_at_once,
    ),
    (
        "services::outside_are_reached_by_the_relay",
        services::outside_are_reached_by_the_relay,
    ),
    ("isolation::closes_and_opens", isolation::closes_and_opens),
    (
        "isolation::is_what_the_policies_say",
        isolation::is_what_the_policies_say,
    ),
    (
        "isolation::cuts_what_was_open",
        isolation::cuts_what_was_open,
    ),
    (
        "isolation::holds_before_a_pod_starts",
        isolation::holds_before_a_pod_starts,
    ),
    (
        "isolation::cannot_be_evaded_by_a_false_address",
        isolation::cannot_be_evaded_by_a_false_address,
    ),
    (
        "names::are_answered_from_memory",
        names::are_answered_from_memory,
    ),
    (
        "names::of_others_come_from_the_host",
        names::of_others_come_from_the_host,
    ),
    ("names::fail_at_once_offline", names::fail_at_once_offline),
    (
        "outside::is_reached_and_policies_hold",
        outside::is_reached_and_policies_hold,
    ),
    ("outside::is_not_this_machine", outside::is_not_this_machine),
    ("host::reaches_services", host::reaches_services),
    ("host::is_left_as_it_was", host::is_left_as_it_was),
    (
        "host::is_left_as_it_was_by_a_killed_one",
        host::is_left_as_it_was_by_a_killed_one,
    ),
    ("pods::come_and_go", pods::come_and_go),
    ("pods::are_reached_within", pods::are_reached_within),
    ("pods::rules_are_shown_by_nft", pods::rules_are_shown_by_nft),
    (
        "pods::rules_larger_than_one_transaction_hold",
        pods::rules_larger_than_one_transaction_hold,
    ),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--bench") {
        return scenario::run_all(&[("bench::figures", bench::figures)], None);
    }
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in SCENARIOS {
            println!("{name}: test");
        }
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    scenario::run_all(SCENARIOS, filter.map(String::as_str))
}
