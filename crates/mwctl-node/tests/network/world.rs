//! A cluster as a test tells it, with pods that are threads in their namespaces.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::thread::JoinHandle;
use std::time::Duration;

use futures::StreamExt;
use futures::channel::mpsc::{UnboundedSender, unbounded};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::watcher::Event;
use mwctl_node::network::cluster::Change;
use mwctl_node::network::{Config, Network, PodNetwork};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::scenario::within;

/// What nobody answers takes no longer than this to be found out.
pub(crate) const SHORT: Duration = Duration::from_millis(700);
/// What somebody answers takes no longer than this, however busy the machine is.
pub(crate) const LONG: Duration = Duration::from_secs(20);

/// A network and the cluster it is told of.
pub(crate) struct World {
    pub(crate) network: Network,
    changes: UnboundedSender<Change>,
}

impl World {
    pub(crate) async fn new(config: Config) -> Self {
        // Not the runtime's channel, which hands out no more than some messages at a time: what was told is known before a pod is added.
        let (changes, receiver) = unbounded();
        let network = Network::start(config, receiver.boxed()).await.unwrap();
        let world = Self { network, changes };
        world.tell(Change::Namespace(Event::Init));
        world.tell(Change::Namespace(Event::InitApply(read(json!({
            "metadata": {"name": "default", "labels": {"kubernetes.io/metadata.name": "default"}}
        })))));
        world.tell(Change::Namespace(Event::InitDone));
        world.tell(Change::Pod(Event::InitDone));
        world.tell(Change::Service(Event::InitDone));
        world.tell(Change::EndpointSlice(Event::InitDone));
        world.tell(Change::NetworkPolicy(Event::InitDone));
        world
    }

    pub(crate) fn tell(&self, change: Change) {
        self.changes.unbounded_send(change).unwrap();
    }

    /// A pod in `default` with the label `app`.
    pub(crate) async fn pod(&self, name: &str) -> Runner {
        self.pod_at(name, None).await
    }

    /// A pod whose port 8080 is reached at a port of the node.
    pub(crate) async fn pod_at(&self, name: &str, host_port: Option<u16>) -> Runner {
        let pod = pod_object(name, host_port);
        let place = self.network.add(&pod, None).await.unwrap();
        Runner {
            name: name.to_owned(),
            place,
        }
    }

    /// A service with endpoints behind its port 80.
    pub(crate) async fn service(&self, name: &str, address: &str, endpoints: &[SocketAddrV4]) {
        self.service_at(name, address, None, endpoints).await;
    }

    pub(crate) async fn service_at(
        &self,
        name: &str,
        address: &str,
        node_port: Option<u16>,
        endpoints: &[SocketAddrV4],
    ) {
        self.tell(Change::Service(Event::Apply(read(json!({
            "metadata": {"namespace": "default", "name": name},
            "spec": {"clusterIP": address, "ports": [{"name": "http", "port": 80, "nodePort": node_port}]},
        })))));
        self.endpoints(name, endpoints).await;
    }

    /// The same, for clients that are to stay with an endpoint.
    pub(crate) async fn sticky(&self, name: &str, address: &str, endpoints: &[SocketAddrV4]) {
        self.tell(Change::Service(Event::Apply(read(json!({
            "metadata": {"namespace": "default", "name": name},
            "spec": {"clusterIP": address, "sessionAffinity": "ClientIP", "ports": [{"name": "http", "port": 80}]},
        })))));
        self.endpoints(name, endpoints).await;
    }

    pub(crate) async fn endpoints(&self, name: &str, endpoints: &[SocketAddrV4]) {
        let port = endpoints.first().map_or(8080, SocketAddrV4::port);
        let endpoints: Vec<Value> = (endpoints.iter())
            .map(|endpoint| json!({"addresses": [endpoint.ip()], "conditions": {"ready": true}}))
            .collect();
        self.tell(Change::EndpointSlice(Event::Apply(read(json!({
            "metadata": {"namespace": "default", "name": format!("{name}-1"), "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "http", "port": port}],
        })))));
        self.settled().await;
    }

    /// A policy in `default` that isolates the pods labelled `app=whom`.
    pub(crate) async fn policy(&self, name: &str, spec: Value) {
        self.tell(Change::NetworkPolicy(Event::Apply(read(json!({
            "metadata": {"namespace": "default", "name": name}, "spec": spec,
        })))));
        self.settled().await;
    }

    pub(crate) async fn no_policy(&self, name: &str) {
        self.tell(Change::NetworkPolicy(Event::Delete(read(json!({
            "metadata": {"namespace": "default", "name": name}, "spec": {"podSelector": {}},
        })))));
        self.settled().await;
    }

    /// Waits until all that was told is in the kernel: adding a pod returns no sooner.
    pub(crate) async fn settled(&self) {
        let pod: Pod = read(
            json!({"metadata": {"namespace": "default", "name": "settled", "uid": "settled"}, "spec": {"containers": []}}),
        );
        self.network.add(&pod, None).await.unwrap();
        self.network.remove("settled").await.unwrap();
    }
}

pub(crate) fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A pod as a server would tell of it.
pub(crate) fn pod_object(name: &str, host_port: Option<u16>) -> Pod {
    read(json!({
        "metadata": {"namespace": "default", "name": name, "uid": format!("uid-{name}"), "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "ports": [{"name": "http", "containerPort": 8080, "hostPort": host_port}]}]},
    }))
}

/// A pod, whose processes are threads.
pub(crate) struct Runner {
    pub(crate) name: String,
    pub(crate) place: PodNetwork,
}

impl Runner {
    pub(crate) fn at(&self, port: u16) -> SocketAddrV4 {
        SocketAddrV4::new(self.place.address, port)
    }

    /// Answers each connection with the pod's name and the asker's address, then echoes.
    pub(crate) fn serve(&self, port: u16) {
        self.serve_at(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
    }

    pub(crate) fn serve_at(&self, at: SocketAddr) {
        let name = self.name.clone();
        let listener = within(&self.place.namespace, move || {
            TcpListener::bind(at).unwrap()
        });
        serve(name, listener.join().unwrap());
    }

    /// Connects and gives who answered; an error if nobody did within `patience`.
    pub(crate) fn ask(&self, to: SocketAddrV4, patience: Duration) -> io::Result<Asked> {
        self.run(move || ask(to, patience)).join().unwrap()
    }

    pub(crate) fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        within(self.place.namespace.as_fd(), work)
    }
}

/// An open connection to somebody who said who they are.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) who: String,
    /// As whom they saw the asker.
    pub(crate) seen_as: String,
    pub(crate) stream: TcpStream,
}

pub(crate) fn ask(to: SocketAddrV4, patience: Duration) -> io::Result<Asked> {
    let mut stream = TcpStream::connect_timeout(&to.into(), patience)?;
    stream.set_read_timeout(Some(patience))?;
    let mut line = String::new();
    let mut byte = [0];
    loop {
        if stream.read(&mut byte)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if byte == *b"\n" {
            break;
        }
        line.push(byte[0].into());
    }
    let (who, seen_as) = line.split_once(' ').unwrap();
    Ok(Asked {
        who: who.to_owned(),
        seen_as: seen_as.to_owned(),
        stream,
    })
}

/// Serves on threads until the process ends.
pub(crate) fn serve(name: String, listener: TcpListener) {
    std::thread::spawn(move || {
        while let Ok((mut stream, from)) = listener.accept() {
            let greeting = format!("{name} {}\n", from.ip());
            std::thread::spawn(move || {
                stream.set_nodelay(true).ok();
                stream.write_all(greeting.as_bytes()).ok();
                let mut buffer = vec![0; 64 << 10];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                }
            });
        }
    });
}

/// Sends something and waits for it to come back.
pub(crate) fn echo(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"ping")?;
    let mut back = [0; 4];
    stream.read_exact(&mut back)?;
    assert_eq!(&back, b"ping");
    Ok(())
}

pub(crate) fn v4(text: &str) -> SocketAddrV4 {
    text.parse().unwrap()
}
