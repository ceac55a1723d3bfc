//! What `mwctl image` says; what it does is tested in `tests/images` and beside the code.

use insta::assert_snapshot;

use crate::folder::Folder;

/// A root filesystem as an archive: small enough to be written by hand.
fn folder() -> Folder {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(5);
    archive
        .append_data(&mut header, "etc/passwd", &b"root\n"[..])
        .unwrap();
    let bytes = archive.into_inner().unwrap();
    Folder::new().file("root.tar", std::str::from_utf8(&bytes).unwrap())
}

#[test]
fn an_image_is_imported_listed_shown_and_removed() {
    let folder = folder();
    let told = [
        folder.mwctl(["image", "list"]),
        folder.mwctl(["image", "import", "root.tar"]),
        folder.mwctl(["image", "import", "--name", "tiny:1", "root.tar"]),
        folder.mwctl(["image", "list"]),
        folder.mwctl(["image", "inspect", "tiny:1"]),
        folder.mwctl(["image", "remove", "tiny:1", "other"]),
        folder.mwctl(["image", "remove", "tiny:1", "--output", "json"]),
        folder.mwctl(["image", "prune"]),
    ];
    // How an ordinary user's files are owned is part of the path.
    let told = told.join("\n").replace("layers/single", "layers/kept");
    let told = told.replace(mwctl_engine::images::oci::architecture(), "ARCHITECTURE");
    assert_snapshot!(told);
}

#[test]
fn what_cant_be_imported_is_told() {
    let folder = folder().file("text", "no archive");
    let told = [
        folder.mwctl(["image", "import", "missing.tar"]),
        folder.mwctl(["image", "import", "text"]),
        folder.mwctl(["image", "import", "."]),
        folder.mwctl(["image", "import", "--name", "A B", "root.tar"]),
        folder.mwctl(["image", "import", "--name", "a", "root.tar", "root.tar"]),
        folder.mwctl(["image", "inspect", "mwctl.local/host"]),
    ];
    assert_snapshot!(told.join("\n"));
}

#[test]
fn a_registry_that_doesnt_answer_is_no_fault_of_the_image() {
    // Nobody listens on port 1 of this machine.
    let told = Folder::new().mwctl(["image", "pull", "localhost:1/nothing:2"]);
    assert_snapshot!(told);
}

/// A small machine, or a container: `ca-certificates` is no part of the least that Debian installs.
#[test]
fn a_machine_that_knows_no_authorities_lacks_them_for_pulls_alone() {
    let nothing = [
        ("SSL_CERT_FILE", "/dev/null"),
        ("SSL_CERT_DIR", "/dev/null"),
    ];
    let told = Folder::new().mwctl_with(&nothing, ["image", "pull", "localhost:1/nothing:2"]);
    assert_snapshot!(told);
    let command = ["cluster", "run", "--grade", "node", "--", "/bin/true"];
    let run = Folder::new().mwctl_with(&nothing, command);
    assert!(run.ends_with("[exit status: 0]\n"), "{run}");
}
