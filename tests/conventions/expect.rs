//! Compares texts with files, and writes the files anew when asked to.
//!
//! All differences of a test are reported together.

use std::path::Path;

#[derive(Default)]
pub(crate) struct Expect {
    differences: Vec<String>,
}

impl Expect {
    pub(crate) fn file(&mut self, file: &Path, actual: &str) {
        if update() {
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, actual).unwrap();
            return;
        }
        let expected = std::fs::read_to_string(file).unwrap_or_default();
        if expected != actual {
            let name = file.display();
            self.differences
                .push(format!("{name}\nexpected:\n{expected}\nbut got:\n{actual}"));
        }
    }

    pub(crate) fn finish(self) {
        assert!(
            self.differences.is_empty(),
            "{}\nset UPDATE_EXPECT=1 if this is right",
            self.differences.join("\n")
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "this variable is the tests' own")]
fn update() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some_and(|value| value == "1")
}
