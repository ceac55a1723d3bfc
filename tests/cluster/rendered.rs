//! A real API takes everything that is rendered of every sample: the embedded one alone would judge in its own cause.

use mwctl_tests::cluster::Bed;

use crate::served;

#[test]
fn a_real_api_takes_everything_that_is_rendered() {
    let bed = Bed::find();
    let client = bed.client();
    let namespaces = bed.wait_for(served::judged(&client));
    for namespace in namespaces {
        bed.delete_namespace(&namespace);
    }
}
