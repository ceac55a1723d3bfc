//! Cells of what pods and nodes use.

use serde_json::{Value, json};

use super::{items, text};
use crate::decode::quantity::Quantity;

/// The cell of a column. A pod uses what its containers do together.
pub(super) fn cell(column: &str, object: &Value) -> Option<Value> {
    if column == "Window" {
        return Some(object["window"].clone());
    }
    let containers = items(&object["containers"]).map(|container| &container["usage"]);
    let sum = (containers.chain([&object["usage"]]))
        .filter_map(|usage| Quantity::parse(text(&usage[column])))
        .reduce(Quantity::plus);
    sum.map(|sum| json!(sum.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_uses_what_its_containers_do() {
        let usage = |cpu: &str, memory: &str| json!({"usage": {"cpu": cpu, "memory": memory}});
        let pod = json!({"window": "1s", "containers": [usage("250m", "20Mi"), usage("1500000n", "512Ki")]});
        assert_eq!(cell("cpu", &pod), Some(json!("251500u")));
        assert_eq!(cell("memory", &pod), Some(json!("20992Ki")));
        assert_eq!(cell("Window", &pod), Some(json!("1s")));
        assert_eq!(cell("cpu", &usage("1", "1Gi")), Some(json!("1")));
        assert_eq!(cell("storage", &pod), None);
    }
}
