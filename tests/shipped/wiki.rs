//! Wikimedia's development stack in miniature: a page with a formula goes from MediaWiki through the stand-in for
//! RESTBase to Mathoid and back.

use std::path::Path;

use mwctl_tests::cluster::{get, post};

use crate::sample::{Sample, eventually};

#[test]
#[ignore = "it fetches and installs hundreds of packages: `tests/shipped/run --full` runs it"]
fn a_formula_on_a_page_is_rendered_by_the_whole_chain() {
    let stack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conventions/stacks/mediawiki");
    let sample = Sample::up_from(&stack, "wiki");
    let (_forward, local) = sample.forward("mediawiki:0");
    let page = eventually("the main page", || {
        get(&local, "/index.php/Main_Page").filter(|reply| reply.status == 200)
    });
    assert!(page.body.contains("MediaWiki"), "{}", page.body);
    let formula =
        "action=parse&format=json&contentmodel=wikitext&text=%3Cmath%3EE%3Dmc%5E2%3C%2Fmath%3E";
    let parsed = post(&local, "/api.php", formula).unwrap();
    // What Mathoid makes of it: MathML.
    assert!(parsed.body.contains("<math"), "{}", parsed.body);
    assert!(
        parsed.body.contains("<mi>E<") || parsed.body.contains("<mi>E"),
        "{}",
        parsed.body
    );
    let wrong =
        "action=parse&format=json&contentmodel=wikitext&text=%3Cmath%3E%5Cnosuch%3C%2Fmath%3E";
    let parsed = post(&local, "/api.php", wrong).unwrap();
    assert!(parsed.body.contains("unknown function"), "{}", parsed.body);
    sample.down();
}
