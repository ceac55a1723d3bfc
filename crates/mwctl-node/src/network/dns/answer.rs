//! Makes an answer of a question. Pure: bytes in, bytes out, or the decision to ask somebody else.

use std::net::Ipv4Addr;

use simple_dns::rdata::{A, CNAME, OPT, PTR, RData, SOA, SRV, TXT};
use simple_dns::{
    CLASS, Name, OPCODE, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, ResourceRecord, TYPE,
};

use super::zone::{Records, Zone};

#[cfg(test)]
mod tests;

/// How long an answer may be kept, in seconds: pods come and go.
const TTL: u32 = 5;
/// The longest answer over UDP to who says nothing of it (RFC 1035), and the longest that is sent at all (DNS flag day 2020).
const PLAIN_LIMIT: usize = 512;
const UDP_LIMIT: u16 = 1232;
/// A header.
const HEADER: usize = 12;

/// How the question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Long answers are cut, and the asker comes again by TCP.
    Udp,
    /// Answers may be as long as they like.
    Tcp,
}

/// What is to be done about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// This is the answer.
    Answer(Vec<u8>),
    /// Somebody else knows: the question is to be passed on as it is, and the answer back.
    Forward,
    /// The name stands for another one that somebody else knows. `question` asks for it; [`complete`] makes one answer of both.
    Follow { question: Vec<u8> },
    /// It isn't a question; an answer could begin a quarrel.
    Nothing,
}

/// Decides on a question.
pub(crate) fn answer(zone: &Zone, bytes: &[u8], transport: Transport) -> Reply {
    let Ok(query) = Packet::parse(bytes) else {
        return unread(bytes);
    };
    if query.has_flags(PacketFlag::RESPONSE) {
        return Reply::Nothing;
    }
    if query.opcode() != OPCODE::StandardQuery {
        return finish(&query, &outcome(RCODE::NotImplemented), transport);
    }
    let [question] = &query.questions[..] else {
        return finish(&query, &outcome(RCODE::FormatError), transport);
    };
    let asked = lower(&question.qname);
    let internet = matches!(question.qclass, QCLASS::ANY | QCLASS::CLASS(CLASS::IN));
    let address = reverse(&asked);
    let ours = zone.speaks_for(&asked) || address.is_some_and(|it| zone.speaks_for_address(it));
    if !ours || !internet {
        return Reply::Forward;
    }
    if let Some(address) = address {
        return finish(&query, &names(zone, address, question), transport);
    }
    let Some(records) = zone.get(&asked) else {
        return finish(&query, &outcome(RCODE::NameError), transport);
    };
    if let Some(alias) = records.alias.as_deref()
        && !zone.speaks_for(alias)
    {
        return follow(query.id(), alias, question);
    }
    finish(
        &query,
        &records_for(zone, records, question, query.id()),
        transport,
    )
}

/// The answer to a question for a name that stands for another, made of the answer for the other. Without one it failed.
pub(crate) fn complete(
    zone: &Zone,
    bytes: &[u8],
    transport: Transport,
    other: Option<&[u8]>,
) -> Reply {
    let Ok(query) = Packet::parse(bytes) else {
        return unread(bytes);
    };
    let [question] = &query.questions[..] else {
        return finish(&query, &outcome(RCODE::FormatError), transport);
    };
    let alias = zone
        .get(&lower(&question.qname))
        .and_then(|records| records.alias.clone());
    let other = other.and_then(|other| Packet::parse(other).ok());
    let (Some(alias), Some(other)) = (alias, other) else {
        return finish(&query, &outcome(RCODE::ServerFailure), transport);
    };
    let mut outcome = outcome(other.rcode());
    outcome.authoritative = false;
    outcome.answers.extend(record(
        &question.qname,
        name(&alias).map(|it| RData::CNAME(CNAME(it))),
    ));
    outcome
        .answers
        .extend(other.answers.into_iter().map(ResourceRecord::into_owned));
    finish(&query, &outcome, transport)
}

/// An answer that says that it failed, for who must not wait.
pub(crate) fn failure(bytes: &[u8]) -> Reply {
    match Packet::parse(bytes) {
        Ok(query) => {
            let mut outcome = outcome(RCODE::ServerFailure);
            outcome.authoritative = false;
            finish(&query, &outcome, Transport::Tcp)
        }
        Err(_) => error(bytes, RCODE::ServerFailure),
    }
}

struct Outcome<'a> {
    code: RCODE,
    authoritative: bool,
    answers: Vec<ResourceRecord<'a>>,
}

fn outcome<'a>(code: RCODE) -> Outcome<'a> {
    Outcome {
        code,
        authoritative: true,
        answers: Vec::new(),
    }
}

/// What the library can't read may still be a question for others, such as one for a type it doesn't know.
fn unread(bytes: &[u8]) -> Reply {
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return Reply::Nothing;
    };
    let is_answer = header[2] & 0x80 != 0;
    let one_question = header[4..6] == [0, 1];
    match (is_answer, one_question) {
        (true, _) => Reply::Nothing,
        (false, true) => Reply::Forward,
        (false, false) => error(bytes, RCODE::FormatError),
    }
}

/// An answer that is nothing but a header, for a question that can't be repeated in it.
fn error(bytes: &[u8], code: RCODE) -> Reply {
    let Some(header) = bytes.first_chunk::<HEADER>() else {
        return Reply::Nothing;
    };
    let mut answer = Packet::new_reply(u16::from_be_bytes([header[0], header[1]]));
    *answer.rcode_mut() = code;
    answer
        .build_bytes_vec()
        .map_or(Reply::Nothing, Reply::Answer)
}

fn records_for<'a>(
    zone: &'a Zone,
    records: &'a Records,
    question: &Question<'a>,
    turn: u16,
) -> Outcome<'a> {
    let mut outcome = outcome(RCODE::NoError);
    let mut owner = question.qname.clone();
    let mut found = records;
    // An alias of an alias is answered too; a circle ends.
    for _ in 0..8 {
        let Some(alias) = &found.alias else { break };
        outcome.answers.extend(record(
            &owner,
            name(alias).map(|it| RData::CNAME(CNAME(it))),
        ));
        let (Some(next), Some(meant)) = (zone.get(alias), name(alias)) else {
            return outcome;
        };
        (found, owner) = (next, meant);
    }
    if wants(question, TYPE::A) {
        // Who takes the first address always gets another one each time.
        let mut addresses = found.addresses.clone();
        let length = addresses.len().max(1);
        addresses.rotate_left(usize::from(turn) % length);
        for address in addresses {
            let data = RData::A(A {
                address: address.to_bits(),
            });
            outcome.answers.extend(record(&owner, Some(data)));
        }
    }
    if wants(question, TYPE::SRV) {
        for (port, target) in &found.services {
            let data = name(target).map(|target| {
                RData::SRV(SRV {
                    priority: 0,
                    weight: 100,
                    port: *port,
                    target,
                })
            });
            outcome.answers.extend(record(&owner, data));
        }
    }
    if wants(question, TYPE::TXT)
        && let Some(text) = &found.text
    {
        let data = TXT::new().with_string(text).ok().map(RData::TXT);
        outcome.answers.extend(record(&owner, data));
    }
    outcome
}

fn names<'a>(zone: &'a Zone, address: Ipv4Addr, question: &Question<'a>) -> Outcome<'a> {
    let mut outcome = outcome(RCODE::NoError);
    let mut known = zone.names_of(address).peekable();
    if known.peek().is_none() {
        outcome.code = RCODE::NameError;
    }
    if wants(question, TYPE::PTR) {
        for theirs in known {
            let data = name(theirs).map(|theirs| RData::PTR(PTR(theirs)));
            outcome.answers.extend(record(&question.qname, data));
        }
    }
    outcome
}

fn wants(question: &Question<'_>, kind: TYPE) -> bool {
    question.qtype == QTYPE::ANY || question.qtype == QTYPE::TYPE(kind)
}

fn record<'a>(owner: &Name<'a>, data: Option<RData<'a>>) -> Option<ResourceRecord<'a>> {
    Some(ResourceRecord::new(owner.clone(), CLASS::IN, TTL, data?))
}

fn follow(id: u16, alias: &str, question: &Question<'_>) -> Reply {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let Some(alias) = name(alias) else {
        return Reply::Nothing;
    };
    packet
        .questions
        .push(Question::new(alias, question.qtype, question.qclass, false));
    let question = packet.build_bytes_vec();
    question.map_or(Reply::Nothing, |question| Reply::Follow { question })
}

fn finish(query: &Packet<'_>, outcome: &Outcome<'_>, transport: Transport) -> Reply {
    let whole = build(query, outcome, true);
    let theirs = query
        .opt()
        .map(|opt| usize::from(opt.udp_packet_size.clamp(512, UDP_LIMIT)));
    let limit = match transport {
        Transport::Udp => theirs.unwrap_or(PLAIN_LIMIT),
        Transport::Tcp => usize::from(u16::MAX),
    };
    let bytes = match whole {
        Some(bytes) if bytes.len() <= limit => Some(bytes),
        _ => build(query, outcome, false),
    };
    bytes.map_or(Reply::Nothing, Reply::Answer)
}

/// Writes the answer; not `whole` means without records and with the mark that it was cut.
fn build(query: &Packet<'_>, outcome: &Outcome<'_>, whole: bool) -> Option<Vec<u8>> {
    let mut answer = Packet::new_reply(query.id());
    answer.set_flags(PacketFlag::RESPONSE | PacketFlag::RECURSION_AVAILABLE);
    if outcome.authoritative {
        answer.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    }
    if query.has_flags(PacketFlag::RECURSION_DESIRED) {
        answer.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    *answer.opcode_mut() = query.opcode();
    *answer.rcode_mut() = outcome.code;
    answer.questions.clone_from(&query.questions);
    if query.opt().is_some() {
        *answer.opt_mut() = Some(OPT {
            opt_codes: Vec::new(),
            udp_packet_size: UDP_LIMIT,
            version: 0,
        });
    }
    if whole {
        answer.answers.clone_from(&outcome.answers);
        if outcome.authoritative && outcome.answers.is_empty() {
            answer.name_servers.extend(authority(query));
        }
    } else {
        answer.set_flags(PacketFlag::TRUNCATION);
    }
    answer.build_bytes_vec_compressed().ok()
}

/// Says how long it may be remembered that there is nothing (RFC 2308).
fn authority<'a>(query: &Packet<'a>) -> Option<ResourceRecord<'a>> {
    let question = query.questions.first()?;
    let labels = question.qname.get_labels();
    let zone = Name::new_with_labels(&labels[labels.len().saturating_sub(2)..]);
    let data = RData::SOA(SOA {
        mname: zone.clone(),
        rname: zone.clone(),
        serial: 1,
        refresh: 7200,
        retry: 1800,
        expire: 86400,
        minimum: TTL,
    });
    Some(ResourceRecord::new(zone, CLASS::IN, TTL, data))
}

fn name(text: &str) -> Option<Name<'_>> {
    Name::new(text).ok()
}

fn lower(name: &Name<'_>) -> String {
    name.to_string().to_ascii_lowercase()
}

/// The address that a reverse name such as `4.3.96.10.in-addr.arpa` stands for.
fn reverse(name: &str) -> Option<Ipv4Addr> {
    let mut numbers = name.strip_suffix(".in-addr.arpa")?.split('.');
    let mut octets = [0; 4];
    for octet in octets.iter_mut().rev() {
        *octet = numbers.next()?.parse().ok()?;
    }
    numbers.next().is_none().then(|| octets.into())
}
