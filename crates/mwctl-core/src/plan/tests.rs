mod fixture;

use super::*;
use crate::manifest::fixture::stack;
use fixture::World;

#[test]
fn an_empty_cluster_gets_everything_in_order() {
    let world = World::new(stack());
    let plan = world.plan();
    let text = render::text(&plan);
    insta::assert_snapshot!(text);
}
