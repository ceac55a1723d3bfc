//! `mwctl forward`: leads local ports to services until Ctrl-C; they survive the pods.

use std::net::{Ipv4Addr, SocketAddr};

use futures::future::try_join_all;
use mwctl_core::model::{Service, Stack};
use mwctl_engine::kube::forward::{self, Route};
use mwctl_engine::kube::pods::selector;

use crate::args::Forward;
use crate::error::CommandError;
use crate::exit::Exit;
use crate::invocation::{Invocation, service};

pub(super) async fn run(run: &Invocation, arguments: &Forward) -> Result<Exit, CommandError> {
    let workspace = run.workspace()?;
    let stack = &workspace.stack;
    let routes: Vec<Route> = if arguments.routes.is_empty() {
        stack
            .services
            .values()
            .filter_map(|service| own(stack, service))
            .collect()
    } else {
        arguments
            .routes
            .iter()
            .map(|text| route(stack, text))
            .collect::<Result<_, _>>()?
    };
    if routes.is_empty() {
        return Err(CommandError::usage("no service has a port to lead to"));
    }
    let cluster = run.connect(&stack.namespace).await?;
    let events = run.ui.events();
    let all = try_join_all(
        routes
            .iter()
            .map(|route| forward::run(&cluster, route, &events)),
    );
    tokio::select! {
        result = all => {
            result.map_err(|error| {
                CommandError::failure(error).hint("name another local port: `SERVICE:LOCAL`")
            })?;
        }
        () = run.interrupt.finish.cancelled() => {}
    }
    Ok(Exit::Success)
}

fn own(stack: &Stack, service: &Service) -> Option<Route> {
    let port = service.port()?.number;
    Some(lead(stack, service, port, port))
}

fn lead(stack: &Stack, service: &Service, local: u16, port: u16) -> Route {
    Route {
        service: service.name.clone(),
        selector: selector(stack, service),
        local: SocketAddr::from((Ipv4Addr::LOCALHOST, local)),
        port,
    }
}

/// Reads `SERVICE[:LOCAL[:PORT]]`.
fn route(stack: &Stack, text: &str) -> Result<Route, CommandError> {
    let mut parts = text.split(':');
    let service = service(stack, parts.next().unwrap_or_default())?;
    let mut number = |default: Option<u16>| match parts.next() {
        None => default.ok_or_else(|| {
            CommandError::usage(format!("`{}` has no port of its own", service.name))
                .hint(format!("mwctl forward {}:LOCAL:PORT", service.name))
        }),
        Some(text) => text.parse::<u16>().map_err(|_| {
            CommandError::usage(format!("`{text}` is no port"))
                .hint(format!("mwctl forward {}:8080", service.name))
        }),
    };
    let own = service.port().map(|port| port.number);
    let local = number(own)?;
    let port = number(own)?;
    if parts.next().is_some() {
        return Err(CommandError::usage(format!("`{text}` has too many parts"))
            .hint("write SERVICE, SERVICE:LOCAL or SERVICE:LOCAL:PORT"));
    }
    Ok(lead(stack, service, local, port))
}
