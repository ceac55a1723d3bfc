//! What an earlier run of the node has told of a pod, whose containers ended with it. It is all that a node knows of its past.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;

use super::state::{Finish, Run, State};
use super::status;

impl State {
    /// Takes it in, before anything is decided.
    pub(super) fn remember(&mut self, pod: &Pod) {
        let Some(status) = &pod.status else { return };
        if let Some(begun) = &status.start_time {
            self.begun = begun.0;
        }
        for known in status
            .init_container_statuses
            .iter()
            .chain(&status.container_statuses)
            .flatten()
        {
            let Some(member) = self.containers.get_mut(&known.name) else {
                continue;
            };
            let before = u32::try_from(known.restart_count).unwrap_or_default();
            member.restarts = before + u32::from(known.container_id.is_some());
            debug_assert_eq!(member.run, Run::Waiting);
        }
        for known in status.ephemeral_container_statuses.iter().flatten() {
            let member = self.containers.get_mut(&known.name);
            if let (Some(member), Some(id)) = (member, &known.container_id) {
                // It is never started again.
                member.run = Run::Ended(Finish {
                    id: id.trim_start_matches(status::RUNTIME).to_owned(),
                    code: 137,
                    signal: None,
                    reason: "ContainerStatusUnknown".to_owned(),
                    message: Some("it ended with an earlier run of the node".to_owned()),
                    started: self.begun,
                    finished: Timestamp::now(),
                });
            }
        }
    }
}
