//! Builds by other engines: programs on PATH that note what they are asked and write a small image.

use std::os::unix::fs::PermissionsExt as _;

use crate::program::Home;

/// Notes its arguments, says something, and leaves the image where it is told to.
const PROGRAM: &str = r#"#!/bin/sh
echo "${0##*/} $*" >> "$HOME/calls"
echo "one of ${0##*/}'s lines" >&2
case "${0##*/} $*" in
  "buildctl "*) cp -r "$HOME/layout" image ;;
  "docker save "* | "podman save "* | "buildah push "*) cp "$HOME/layout.tar" image ;;
esac
"#;

fn program(home: &Home, name: &str, text: &str) {
    let path = format!("bin/{name}");
    home.write(&path, text);
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(home.path(&path), executable).unwrap();
}

/// A home with a folder to build and an image that engines are to have made.
fn home() -> Home {
    let home = Home::new();
    home.write("small/file", "content");
    home.write(
        "small/Dockerfile",
        "FROM scratch\nCOPY file /\nCMD [\"/made\"]\n",
    );
    home.output(["build", "small", "--export", "layout"]);
    home.output(["image", "remove", "mwctl.local/small:image"]);
    let archive = std::fs::File::create(home.path("layout.tar")).unwrap();
    let mut archive = tar::Builder::new(archive);
    archive.append_dir_all(".", home.path("layout")).unwrap();
    archive.finish().unwrap();
    home.write(
        "service/Dockerfile",
        "FROM base AS last\nRUN <<EOF\nx\nEOF\n",
    );
    home
}

#[test]
fn each_engine_is_asked_in_its_own_way_and_its_image_is_one_of_the_store() {
    let home = home();
    let place = home.path("service").display().to_string();
    for (engine, asked) in [
        (
            "buildkit",
            vec![format!(
                "buildctl build --progress plain --frontend dockerfile.v0 --local context={place} --local dockerfile={place} \
                 --opt filename=Dockerfile --opt target=last --opt build-arg:A=b \
                 --output type=oci,tar=false,compression=uncompressed,dest=image"
            )],
        ),
        (
            "docker",
            vec![
                format!(
                    "docker build --file {place}/Dockerfile --target last --build-arg A=b --tag NAME {place}"
                ),
                "docker save --output image NAME".to_owned(),
            ],
        ),
        (
            "podman",
            vec![
                format!(
                    "podman build --format oci --file {place}/Dockerfile --target last --build-arg A=b --tag NAME {place}"
                ),
                "podman save --format oci-archive --output image NAME".to_owned(),
            ],
        ),
        (
            "buildah",
            vec![
                format!(
                    "buildah build --format oci --layers --file {place}/Dockerfile --target last --build-arg A=b --tag NAME {place}"
                ),
                "buildah push NAME oci-archive:image".to_owned(),
            ],
        ),
    ] {
        let name = asked[0].split(' ').next().unwrap();
        program(&home, name, PROGRAM);
        home.write("calls", "");
        let image = format!("mwctl.local/service:{engine}");
        let build = ["build", "service", "--engine", engine, "--variant", "last"];
        let build = build.into_iter().chain(["--arg", "A=b", "--tag", &image]);
        let answer = home.answer(build);
        assert_eq!(answer["items"][0]["reference"], image.as_str());
        let calls = std::fs::read_to_string(home.path("calls")).unwrap();
        let calls: Vec<&str> = calls.lines().collect();
        let asked: Vec<String> = asked.iter().map(|it| it.replace("NAME", &image)).collect();
        assert_eq!(calls, asked);
        let details = home.answer(["image", "inspect", &image]);
        assert_eq!(details["config"]["command"][0], "/made");
    }
}

#[test]
fn what_a_service_says_of_its_engine_counts_unless_something_else_is_typed() {
    let home = home();
    home.write(
        "service/mwctl.yaml",
        "apiVersion: mwctl/v1\nkind: Service\nname: service\n\
         container: {build: {file: Dockerfile, variant: last, engine: buildkit}}\n",
    );
    program(&home, "buildctl", PROGRAM);
    home.output(["-C", "service", "build", "service"]);
    let calls = std::fs::read_to_string(home.path("calls")).unwrap();
    assert!(calls.contains("--opt target=last"), "{calls}");
    let text = home.failure(["-C", "service", "build", "service", "--engine", "mwctl"]);
    assert!(text.contains("Dockerfile:2"), "{text}");
    assert!(text.contains("`mwctl build --engine buildkit`"), "{text}");
}

#[test]
fn an_engine_that_isnt_there_or_fails_or_cant_is_told() {
    let home = home();
    let text = home.failure(["build", "service", "--engine", "podman"]);
    assert!(
        text.contains("its program `podman` isn't on PATH"),
        "{text}"
    );
    assert!(text.contains("apt install podman"), "{text}");

    program(
        &home,
        "docker",
        "#!/bin/sh\necho a line; echo the cause >&2; exit 3\n",
    );
    let text = home.failure(["build", "service", "--engine", "docker"]);
    assert!(text.contains("failed with exit code 3"), "{text}");
    assert!(
        text.contains("a line\nthe cause") || text.contains("the cause"),
        "{text}"
    );

    let text = home.failure(["build", "service", "--engine", "docker", "--explain"]);
    assert!(text.contains("what docker would do isn't known"), "{text}");
    let text = home.failure(["build", "small", "--export", "layout"]);
    assert!(text.contains("`layout` isn't empty"), "{text}");
}
