//! Frames survive any cut, and garbage gives an error instead of a panic or a large allocation.

use proptest::prelude::*;

use super::*;
use crate::protocol::{Commit, Put, Restart, ToAgent, transfer};

fn message(seed: u64, contents: &[u8]) -> ToAgent {
    let commit = Commit {
        update: seed,
        step: None,
        restart: Restart::Always,
        in_place: false,
    };
    match seed % 3 {
        0 => ToAgent::Heartbeat { nonce: seed },
        1 => ToAgent::Update {
            puts: vec![Put::file(format!("lib/{seed}.js"), contents, false)],
            deletes: vec!["gone".into()],
            commit,
        },
        _ => transfer::want(seed, Vec::new()).remove(0),
    }
}

proptest! {
    #[test]
    fn frames_come_back_however_the_stream_is_cut(
        seeds in prop::collection::vec((any::<u64>(), prop::collection::vec(any::<u8>(), 0..2000)), 1..8),
        cut in 1_usize..700,
    ) {
        let messages: Vec<_> = seeds.iter().map(|(seed, bytes)| message(*seed, bytes)).collect();
        let stream: Vec<u8> = messages.iter().flat_map(|m| encode(m).unwrap()).collect();
        let mut decoder = Decoder::<ToAgent>::default();
        let mut found = Vec::new();
        for piece in stream.chunks(cut) {
            decoder.push(piece);
            while let Some(message) = decoder.next_frame().unwrap() {
                found.push(message);
            }
        }
        prop_assert!(decoder.is_between_frames());
        prop_assert_eq!(&found, &messages);
        let mut blocking = stream.as_slice();
        for message in &messages {
            prop_assert_eq!(&read_frame::<ToAgent>(&mut blocking).unwrap().unwrap(), message);
        }
        prop_assert!(read_frame::<ToAgent>(&mut blocking).unwrap().is_none());
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let mut decoder = Decoder::<ToAgent>::default();
        decoder.push(&bytes);
        while let Ok(Some(_)) = decoder.next_frame() {}
        let mut framed = u32::try_from(bytes.len()).unwrap().to_le_bytes().to_vec();
        framed.extend_from_slice(&bytes);
        let mut decoder = Decoder::<ToAgent>::default();
        decoder.push(&framed);
        while let Ok(Some(_)) = decoder.next_frame() {}
    }

    #[test]
    fn a_truncated_stream_is_an_error_and_not_an_end(
        seed in any::<u64>(), contents in prop::collection::vec(any::<u8>(), 0..300), keep in 1_usize..1000,
    ) {
        let frame = encode(&message(seed, &contents)).unwrap();
        let keep = keep % (frame.len() - 1) + 1;
        let result = read_frame::<ToAgent>(&mut &frame[..keep]);
        prop_assert!(matches!(result, Err(FrameError::Truncated)));
        let mut decoder = Decoder::<ToAgent>::default();
        decoder.push(&frame[..keep]);
        prop_assert!(decoder.next_frame().unwrap().is_none());
        prop_assert!(!decoder.is_between_frames());
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_from_its_length_alone() {
    let mut decoder = Decoder::<ToAgent>::default();
    decoder.push(&(MAX_FRAME as u32 + 1).to_le_bytes());
    assert!(matches!(
        decoder.next_frame(),
        Err(FrameError::TooLong { .. })
    ));
    let too_long = ToAgent::Delete {
        update: 1,
        paths: vec!["x".repeat(MAX_FRAME)],
    };
    assert!(matches!(encode(&too_long), Err(FrameError::TooLong { .. })));
}

#[test]
fn bytes_after_the_value_are_refused() {
    let mut frame = encode(&ToAgent::Stop).unwrap();
    frame.push(0);
    let length = (frame.len() - LENGTH) as u32;
    frame[..LENGTH].copy_from_slice(&length.to_le_bytes());
    let result = read_frame::<ToAgent>(&mut frame.as_slice());
    assert!(matches!(
        result,
        Err(FrameError::Malformed { source: None, .. })
    ));
}
