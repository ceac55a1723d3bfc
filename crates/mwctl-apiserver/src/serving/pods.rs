//! What is asked of a pod's containers: logs, commands, connections. Whether there is such a pod and such a container is decided here; the
//! rest is the node's ([`crate::backend`]), and the protocols are [`crate::streaming`]'s.

use super::respond::{self, Body};
use super::verbs::Call;
use crate::backend::{Backend, ContainerRef, LogOptions, LogSource, PodRef, Streams};
use crate::registry::Target;
use crate::status::{Cause, Status};
use crate::storage::Object;
use crate::streaming::{self, Continuation, Purpose, Work};
use futures::{StreamExt as _, future};
use http::{HeaderValue, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The most ports of one request, so that each has its two channels.
const PORTS: usize = 100;

impl Call<'_> {
    /// The answer, if that is what is asked for.
    pub(super) async fn stream(&self, target: &Target) -> Option<Result<Response<Body>, Status>> {
        let place = (
            target.resource.gvk.group.as_str(),
            target.resource.plural.as_str(),
            target.subresource.as_str(),
        );
        Some(match place {
            ("", "pods", "log") => self.log(target).await,
            ("", "pods", "exec") => self.exec(target).await,
            ("", "pods", "attach") => self.attach(target).await,
            ("", "pods", "portforward") => self.port_forward(target),
            _ => return None,
        })
    }

    async fn log(&self, target: &Target) -> Result<Response<Body>, Status> {
        let options = self.log_options(target)?;
        let pod = self.api.registry().get(target)?;
        let name = self.container(&pod)?;
        let wanted = streaming::upgrade(&self.parts.headers);
        let agreement = match wanted {
            Some(name) if name.eq_ignore_ascii_case("websocket") => {
                Some(streaming::agree(self.parts, Purpose::Log)?)
            }
            _ => None,
        };
        let mut response = respond::text(200, "");
        let plain = HeaderValue::from_static("text/plain");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
        // A pod without a node has written nothing yet.
        if node(&pod).is_empty() {
            return Ok(response);
        }
        let container = ContainerRef {
            pod: reference(&pod),
            name,
        };
        let log = self.backend(&pod)?.log(&container, &options).await?;
        if let Some(agreement) = agreement {
            return self.upgrade(agreement, Work::Log(log));
        }
        let pieces = log.scan((), |(), piece| {
            let piece =
                piece.inspect_err(|error| tracing::debug!(%error, "a log ended before its end"));
            future::ready(piece.ok().map(|bytes| Ok(Frame::data(bytes))))
        });
        *response.body_mut() = StreamBody::new(pieces).boxed_unsync();
        Ok(response)
    }

    async fn exec(&self, target: &Target) -> Result<Response<Body>, Status> {
        let streams = self.streams(false)?;
        let argv: Vec<String> = self.parameters.all("command").map(str::to_owned).collect();
        if argv.is_empty() {
            return Err(Status::bad_request(
                "you must specify at least one command for the container",
            ));
        }
        let (backend, container) = self.running(target)?;
        let agreement = streaming::agree(self.parts, Purpose::Remote)?;
        let process = backend.exec(&container, &argv, streams).await?;
        self.upgrade(agreement, Work::Remote(process, streams))
    }

    async fn attach(&self, target: &Target) -> Result<Response<Body>, Status> {
        let streams = self.streams(true)?;
        let (backend, container) = self.running(target)?;
        let agreement = streaming::agree(self.parts, Purpose::Remote)?;
        let process = backend.attach(&container, streams).await?;
        self.upgrade(agreement, Work::Remote(process, streams))
    }

    fn port_forward(&self, target: &Target) -> Result<Response<Body>, Status> {
        let pod = self.api.registry().get(target)?;
        let backend = self.backend(&pod)?;
        let agreement = streaming::agree(self.parts, Purpose::Forward)?;
        let ports = match &agreement {
            streaming::Agreement::WebSocket { .. } => self.ports()?,
            streaming::Agreement::Spdy(_) | streaming::Agreement::Tunnel(_) => Vec::new(),
        };
        self.upgrade(agreement, Work::Forward(backend, reference(&pod), ports))
    }

    /// The ports of a client that names them once and for all.
    fn ports(&self) -> Result<Vec<u16>, Status> {
        let texts = self
            .parameters
            .all("ports")
            .flat_map(|list| list.split(','));
        let ports: Vec<u16> = texts
            .map(|text| {
                let port = text.parse().ok().filter(|port| *port > 0);
                port.ok_or_else(|| {
                    Status::bad_request(format!("unable to parse {text:?} as a port"))
                })
            })
            .collect::<Result<_, _>>()?;
        match ports.len() {
            0 => Err(Status::bad_request("query parameter \"ports\" is required")),
            1..=PORTS => Ok(ports),
            many => Err(Status::bad_request(format!(
                "{many} ports at once are more than {PORTS}"
            ))),
        }
    }

    /// The pod's node, and the container that is meant.
    fn running(&self, target: &Target) -> Result<(Arc<dyn Backend>, ContainerRef), Status> {
        let pod = self.api.registry().get(target)?;
        let container = ContainerRef {
            name: self.container(&pod)?,
            pod: reference(&pod),
        };
        Ok((self.backend(&pod)?, container))
    }

    pub(super) fn backend(&self, pod: &Object) -> Result<Arc<dyn Backend>, Status> {
        let node = node(pod);
        if node.is_empty() {
            let message = format!("pod {} does not have a host assigned", pod.name());
            return Err(Status::bad_request(message));
        }
        self.api.backends().of(node).ok_or_else(|| {
            let message = format!(
                "no container of pod \"{}\" runs here: node \"{node}\" is not a part of this cluster's server",
                pod.name()
            );
            Status::new(503, "ServiceUnavailable", message)
        })
    }

    /// The name of the container that is meant, which need not be told where there is but one.
    fn container(&self, pod: &Object) -> Result<String, Status> {
        let spec = &pod.value()["spec"];
        let names = |list: &str| -> Vec<&str> {
            let items = spec[list].as_array().into_iter().flatten();
            items.filter_map(|item| item["name"].as_str()).collect()
        };
        let all = || {
            ["initContainers", "containers", "ephemeralContainers"]
                .map(names)
                .concat()
        };
        match (
            self.parameters.get("container"),
            names("containers").as_slice(),
        ) {
            ("", [only]) => Ok((*only).to_owned()),
            ("", _) => Err(Status::bad_request(format!(
                "a container name must be specified for pod {}, choose one of: [{}]",
                pod.name(),
                all().join(" ")
            ))),
            (name, _) if all().contains(&name) => Ok(name.to_owned()),
            (name, _) => Err(Status::bad_request(format!(
                "container {name} is not valid for pod {}",
                pod.name()
            ))),
        }
    }

    /// The streams that the client wants; output is wanted if it doesn't say otherwise, where that is `usual`.
    fn streams(&self, usual: bool) -> Result<Streams, Status> {
        let flag = |name: &str| self.parameters.flag(name);
        let output = |name: &str| flag(name) || usual && self.parameters.get(name).is_empty();
        let tty = flag("tty");
        let streams = Streams {
            stdin: flag("stdin"),
            stdout: output("stdout"),
            // A terminal shows both as one.
            stderr: output("stderr") && !tty,
            tty,
        };
        if streams.stdin || streams.stdout || streams.stderr {
            return Ok(streams);
        }
        Err(Status::bad_request(
            "you must specify at least 1 of stdin, stdout, stderr",
        ))
    }

    fn log_options(&self, target: &Target) -> Result<LogOptions, Status> {
        let parameters = &self.parameters;
        let mut causes = Vec::new();
        let mut wrong = |reason: &'static str, field: &str, message: String| {
            causes.push(Cause {
                reason,
                message,
                field: field.to_owned(),
            });
        };
        let mut number = |name: &str, least: i64, than: &str| -> Result<Option<u64>, Status> {
            let number = parameters.number(name)?;
            if let Some(small) = number.filter(|number| *number < least) {
                wrong(
                    "FieldValueInvalid",
                    name,
                    format!("Invalid value: {small}: must be greater than {than}"),
                );
            }
            Ok(number.and_then(|number| u64::try_from(number).ok()))
        };
        let tail = number("tailLines", 0, "or equal to 0")?;
        let limit = number("limitBytes", 1, "0")?;
        let seconds = number("sinceSeconds", 1, "0")?;
        let time = parameters.get("sinceTime");
        let source = match parameters.get("stream") {
            "" | "All" => LogSource::All,
            "Stdout" => LogSource::Stdout,
            "Stderr" => LogSource::Stderr,
            other => {
                let known = "supported values: \"All\", \"Stderr\", \"Stdout\"";
                wrong(
                    "FieldValueNotSupported",
                    "stream",
                    format!("Unsupported value: \"{other}\": {known}"),
                );
                LogSource::All
            }
        };
        let since = match (seconds, time) {
            (None, "") => None,
            (Some(seconds), "") => {
                let before = Duration::from_secs(seconds);
                jiff::Timestamp::now().checked_sub(before).ok()
            }
            (None, time) => Some(time.parse().map_err(|_| {
                Status::bad_request(format!("parsing time \"{time}\": it is not of RFC 3339"))
            })?),
            (Some(_), _) => {
                let message =
                    "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified";
                wrong("FieldValueForbidden", "", message.to_owned());
                None
            }
        };
        if !causes.is_empty() {
            return Err(Status::invalid("", "PodLogOptions", &target.name, causes));
        }
        Ok(LogOptions {
            follow: parameters.flag("follow"),
            previous: parameters.flag("previous"),
            since,
            timestamps: parameters.flag("timestamps"),
            tail,
            limit,
            source,
        })
    }

    /// Ends HTTP on this connection, and leaves it to the work.
    fn upgrade(
        &self,
        agreement: streaming::Agreement,
        work: Work,
    ) -> Result<Response<Body>, Status> {
        let upgrade = self.parts.extensions.get::<OnUpgrade>();
        let after = self.parts.extensions.get::<Continuation>();
        let (Some(upgrade), Some(after)) = (upgrade, after) else {
            return Err(Status::bad_request("Upgrade request required"));
        };
        let response = agreement.answer(http_body_util::Empty::new().boxed_unsync());
        let work = streaming::carry(upgrade.clone(), agreement, work);
        if after.0.send(Box::pin(work)).is_err() {
            return Err(Status::internal("the connection is not served any more"));
        }
        Ok(response)
    }
}

fn node(pod: &Object) -> &str {
    let node = pod.value().pointer("/spec/nodeName");
    node.and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn reference(pod: &Object) -> PodRef {
    PodRef {
        namespace: pod.namespace().to_owned(),
        name: pod.name().to_owned(),
        uid: pod.uid().to_owned(),
    }
}
