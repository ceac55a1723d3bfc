//! The platform that is built for, which is always this machine's.

use std::collections::BTreeMap;

/// What the builder tells a file of this machine: before the first stage by itself, in one when it asks
/// with `ARG`.
pub(crate) fn known(architecture: &str) -> BTreeMap<String, String> {
    let mut known = BTreeMap::new();
    for prefix in ["BUILD", "TARGET"] {
        known.insert(format!("{prefix}PLATFORM"), format!("linux/{architecture}"));
        known.insert(format!("{prefix}OS"), "linux".to_owned());
        known.insert(format!("{prefix}ARCH"), architecture.to_owned());
        known.insert(format!("{prefix}VARIANT"), String::new());
    }
    known
}

/// Whether a platform as files name it is the one of this architecture: `linux/amd64`, `linux/arm64/v8`,
/// `linux`, `x86_64`.
pub(super) fn is(platform: &str, architecture: &str) -> bool {
    let platform = platform.to_lowercase();
    let parts: Vec<&str> = platform.split('/').collect();
    let (system, machine, variant) = match parts[..] {
        ["linux"] => return true,
        [machine] => ("linux", machine, ""),
        [system, machine] => (system, machine, ""),
        [system, machine, variant] => (system, machine, variant),
        _ => return false,
    };
    let machine = match machine {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let usual = match machine {
        "amd64" => "v1",
        "arm64" => "v8",
        _ => "",
    };
    system == "linux" && machine == architecture && (variant.is_empty() || variant == usual)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_has_several_names() {
        for name in [
            "linux/amd64",
            "linux/x86_64",
            "amd64",
            "linux",
            "Linux/AMD64/v1",
        ] {
            assert!(is(name, "amd64"), "{name}");
        }
        for name in [
            "linux/arm64",
            "linux/amd64/v3",
            "windows/amd64",
            "linux/arm/v7",
            "s390x",
            "",
        ] {
            assert!(!is(name, "amd64"), "{name}");
        }
        assert!(is("linux/arm64/v8", "arm64"));
    }
}
