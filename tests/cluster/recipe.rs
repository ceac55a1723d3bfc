//! A service whose image its own Dockerfile says: built on this machine, upon a base that only the node has.

use super::plain;

const DESCRIPTION: &str = "apiVersion: mwctl/v1
kind: Service
name: plain
container:
  build: {file: Dockerfile, directory: /srv/app, user: 1000}
  command: [node, server.js]
  workingDirectory: /srv/app
";

const DOCKERFILE: &str = "FROM docker.io/library/node:20-bookworm-slim
WORKDIR /srv/app
COPY . .
RUN node -p \"'module.exports = ' + JSON.stringify('step ' + 1)\" > lib/made.js
";

#[test]
fn a_dockerfile_is_built_upon_the_nodes_base_and_a_changed_one_is_rolled_out() {
    let cluster = plain("recipe");
    cluster.write("mwctl.yaml", DESCRIPTION);
    cluster.write("Dockerfile", DOCKERFILE);
    cluster.write("lib/place.js", "module.exports = require('./made');\n");
    let up = cluster.run(&["up"]);
    assert_eq!(up.code, Some(0), "{up}");
    let forward = cluster.start(&["forward", "plain:0"]);
    cluster.answers(&forward, "/", |reply| reply.body == "hello step 1\n");

    let develop = cluster.develop("plain");
    cluster.answers(&develop, "/", |reply| reply.body == "hello step 1\n");
    cluster.write("Dockerfile", &DOCKERFILE.replace("+ 1", "+ 2"));
    cluster.answers(&develop, "/", |reply| reply.body == "hello step 2\n");
}
