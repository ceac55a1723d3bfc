//! Limits: enforced where they must be, and else told, without being in anybody's way.

use serde_json::json;

use crate::space::{Space, said, shell};

const LACKING: [&str; 3] = [
    "MemoryLimitsLacking",
    "ProcessLimitsLacking",
    "ProcessorLimitsLacking",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_enforced_or_told_to_be_lacking() {
    let space = Space::new("limits").await;
    let conditions = space.conditions().await;
    let lacking: Vec<&str> = LACKING
        .into_iter()
        .filter(|lacking| conditions.iter().any(|it| it == lacking))
        .collect();
    let enforced = match &*said("MWCTL_SMOKE_LIMITS") {
        "enforced" => true,
        "lacking" => false,
        other => panic!("MWCTL_SMOKE_LIMITS is `{other}`"),
    };
    assert_eq!(lacking, if enforced { &[][..] } else { &LACKING[..] });
    assert!(conditions.iter().any(|it| it == "Ready"), "{conditions:?}");

    // It wants three times as much as it may have, all at once.
    let limits = json!({"resources": {"limits": {"memory": "32Mi"}}});
    let greedy = "exec dd if=/dev/zero of=/dev/null bs=96M count=1";
    space.pod("greedy", shell(greedy, limits)).await;
    let ended = space.ended("greedy").await;
    let told = (ended.reason.as_deref(), ended.exit_code);
    if enforced {
        assert_eq!(told, (Some("OOMKilled"), 137));
    } else {
        assert_eq!(told, (Some("Completed"), 0));
    }

    // What a program sizes itself by, also one that comes later.
    let limits = json!({"resources": {"limits": {"memory": "64Mi", "cpu": "500m"}}});
    space.pod("sized", shell("exec sleep 1000", limits)).await;
    space.runs("sized").await;
    let look = "cd /sys/fs/cgroup && cat cpu.max cpu.weight memory.max memory.swap.max memory.oom.group; \
        echo changed 2> /dev/null > memory.max && echo changed";
    let seen = space.exec("sized", &["sh", "-c", look]).await;
    if enforced {
        assert_eq!(seen, "50000 100000\n20\n67108864\n0\n1\n");
    } else {
        assert_eq!(seen, "");
    }
    space.end().await;
}
