//! The laws of sets, and the form in JSON.

use super::*;
use proptest::prelude::*;
use serde_json::json;

/// Sets with few names, so that two of them have much in common.
fn sets() -> impl Strategy<Value = FieldSet> {
    let leaf = any::<bool>().prop_map(|member| FieldSet {
        member,
        ..FieldSet::default()
    });
    let names = |names: &'static [&'static str]| prop::sample::select(names);
    leaf.prop_recursive(4, 32, 4, move |below| {
        let fields = prop::collection::vec((names(&["a", "b", "."]), below.clone()), 0..3);
        let items =
            prop::collection::vec((names(&["k:{\"name\":\"m\"}", "v:1", "i:0"]), below), 0..3);
        (any::<bool>(), fields, items).prop_map(|(member, fields, items)| {
            let mut set = FieldSet {
                member,
                ..FieldSet::default()
            };
            for (name, below) in fields {
                set.add_field(name, below);
            }
            for (name, below) in items {
                set.add_item(name.to_owned(), below);
            }
            set
        })
    })
}

fn union(a: &FieldSet, b: &FieldSet) -> FieldSet {
    let mut union = a.clone();
    union.union(b);
    union
}

fn difference(a: &FieldSet, b: &FieldSet) -> FieldSet {
    let mut difference = a.clone();
    difference.subtract(b);
    difference
}

proptest! {
    #[test]
    fn a_set_survives_its_encoding(mut set in sets()) {
        // The whole object is never a member, and alone it could not be told from nothing.
        set.disown();
        prop_assert_eq!(FieldSet::decode(&set.encode()), Some(set));
    }

    #[test]
    fn union_and_intersection_commute_and_absorb(a in sets(), b in sets()) {
        prop_assert_eq!(union(&a, &b), union(&b, &a));
        prop_assert_eq!(a.intersection(&b), b.intersection(&a));
        prop_assert_eq!(union(&a, &a.intersection(&b)), a.clone());
        prop_assert_eq!(a.intersection(&union(&a, &b)), a);
    }

    #[test]
    fn they_distribute(a in sets(), b in sets(), c in sets()) {
        prop_assert_eq!(
            a.intersection(&union(&b, &c)),
            union(&a.intersection(&b), &a.intersection(&c))
        );
        prop_assert_eq!(union(&union(&a, &b), &c), union(&a, &union(&b, &c)));
    }

    #[test]
    fn what_is_subtracted_is_gone_and_nothing_else(a in sets(), b in sets()) {
        let rest = difference(&a, &b);
        prop_assert!(rest.intersection(&b).is_empty());
        prop_assert_eq!(union(&rest, &a.intersection(&b)), a.clone());
        prop_assert!(difference(&a, &a).is_empty());
    }

    #[test]
    fn nothing_empty_is_kept(a in sets(), b in sets()) {
        fn compact(set: &FieldSet) -> bool {
            let mut below = set.fields.values().chain(set.items.values());
            below.all(|below| !below.is_empty() && compact(below))
        }
        prop_assert!(compact(&difference(&a, &b)) && compact(&a.intersection(&b)));
        prop_assert!(compact(&a.leaves()) && compact(&a.members_beyond(&[&b])));
    }

    #[test]
    fn leaves_are_members_with_nothing_below(a in sets()) {
        let leaves = a.leaves();
        prop_assert!(difference(&leaves, &a).is_empty());
        prop_assert_eq!(leaves.is_empty(), a.is_empty());
        prop_assert_eq!(leaves.leaves(), leaves);
    }
}

#[test]
fn a_member_with_something_below_says_so() {
    let json = json!({"f:metadata": {"f:labels": {".": {}, "f:a": {}}}, "f:spec": {"f:x": {"k:{\"n\":1}": {".": {}, "f:n": {}}}}});
    let set = FieldSet::decode(&json).unwrap();
    assert_eq!(set.encode(), json);
    assert_eq!(
        set.paths(),
        [
            ".metadata.labels",
            ".metadata.labels.a",
            ".spec.x[n=1]",
            ".spec.x[n=1].n"
        ]
    );
}

#[test]
fn what_is_no_set_is_not_read_as_one() {
    for json in [json!([]), json!({"f:a": 1}), json!({"spec": {}})] {
        assert_eq!(FieldSet::decode(&json), None, "{json}");
    }
}

#[test]
fn given_up_is_what_nobody_has_anything_in() {
    let decode = |json| FieldSet::decode(&json).unwrap();
    let mine = decode(json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}, "f:d": {}}));
    let other = decode(json!({"f:a": {"f:z": {}}}));
    let kept = decode(json!({"f:d": {}}));
    assert_eq!(
        mine.members_beyond(&[&other, &kept]).paths(),
        [".a.b", ".c"]
    );
}
