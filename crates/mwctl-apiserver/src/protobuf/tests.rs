//! Objects as a Kubernetes 1.34 API server wrote them, in protobuf and in JSON.

use super::*;
use crate::decode::complete::complete;
use crate::kinds;
use proptest::prelude::*;
use serde_json::json;

fn pod() -> Gvk {
    Gvk {
        group: String::new(),
        version: "v1".to_owned(),
        kind: "Pod".to_owned(),
    }
}

/// An object without what a client cannot rely on: the order of keys, and the letters of a quantity.
fn completed(value: &Value) -> Value {
    let schema = kinds::builtin();
    let api_version = value["apiVersion"].as_str().unwrap();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let gvk = Gvk {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: value["kind"].as_str().unwrap().to_owned(),
    };
    let checked = crate::decode::check(
        &schema,
        schema.kind(&gvk).unwrap(),
        value.clone(),
        crate::decode::Reader::Decoder,
    )
    .unwrap();
    assert!(checked.strict.is_empty(), "{:?}", checked.strict);
    let Value::Object(mut object) = checked.value else {
        panic!("objects stay objects");
    };
    complete(&schema, &gvk, &mut object);
    Value::Object(object)
}

#[test]
fn protobuf_says_the_same_as_json() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/vectors/protobuf.json")).unwrap();
    let mut different = Vec::new();
    for vector in &vectors {
        let bytes = STANDARD
            .decode(vector["protobuf"].as_str().unwrap())
            .unwrap();
        let decoded = completed(&decode(&kinds::builtin(), &pod(), &bytes).unwrap());
        if decoded != vector["json"] {
            different.push(format!(
                "{}\nrecorded {}\n     got {decoded}",
                vector["path"], vector["json"]
            ));
        }
    }
    assert!(
        different.is_empty(),
        "{} of {}:\n{}",
        different.len(),
        vectors.len(),
        different.join("\n")
    );
}

#[test]
fn json_of_the_server_is_complete_already() {
    let vectors: Vec<Value> =
        serde_json::from_str(include_str!("../../tests/vectors/protobuf.json")).unwrap();
    for vector in &vectors {
        assert_eq!(completed(&vector["json"]), vector["json"]);
    }
}

#[test]
fn the_expected_kind_is_assumed_where_none_is_given() {
    let decoded = decode(&kinds::builtin(), &pod(), b"k8s\0").unwrap();
    assert_eq!(decoded, json!({"apiVersion": "v1", "kind": "Pod"}));
}

#[test]
fn other_bytes_are_malformed() {
    assert_eq!(
        decode(&kinds::builtin(), &pod(), b"{}"),
        Err(Malformed::Prefix)
    );
    assert_eq!(
        decode(&kinds::builtin(), &pod(), b"k8s\0\x12\x05"),
        Err(Malformed::Truncated)
    );
}

#[test]
fn many_tiny_values_are_too_many() {
    // Containers of a pod's spec, each two bytes long.
    let containers = [0x12, 0x00].repeat(400_000);
    let wrapped = |number: u8, inner: &[u8]| {
        let mut length = inner.len();
        let mut bytes = vec![number << 3 | 2];
        while length > 0x7f {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(inner);
        bytes
    };
    let mut body = PREFIX.to_vec();
    body.extend(wrapped(2, &wrapped(2, &containers)));
    assert_eq!(
        decode(&kinds::builtin(), &pod(), &body),
        Err(Malformed::TooLarge)
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
        let mut body = b"k8s\0\x12".to_vec();
        body.push(bytes.len() as u8);
        body.append(&mut bytes);
        // Any answer will do.
        prop_assert!(matches!(decode(&kinds::builtin(), &pod(), &body), Ok(Value::Object(_)) | Err(_)));
    }
}
