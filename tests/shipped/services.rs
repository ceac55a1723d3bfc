//! Services that answer requests: each language, a site, and what only its Dockerfile describes.

use crate::sample::Sample;

/// Deploys a sample, asks its service for a path, and takes it down.
fn answers(sample: &str, service: &str, path: &str, expected: &str) {
    let sample = Sample::up(sample);
    let reply = sample.get(&format!("{service}:0"), path);
    assert_eq!((reply.status, reply.body.as_str()), (200, expected));
    sample.down();
}

#[test]
fn service_runner_answers_and_has_read_its_configuration() {
    let expected = r#"{"name":"runner","greeting":"good day","path":"/_info"}"#;
    answers("service-runner", "runner", "/_info", expected);
}

#[test]
fn python_answers_with_the_dependencies_of_a_lone_pyproject() {
    answers("python", "plain", "/", "python\n");
}

#[test]
fn a_wsgi_application_is_served_by_gunicorn() {
    answers("python-wsgi", "gateway", "/", "gunicorn/23.0.0\n");
}

#[test]
fn an_asgi_application_is_served_by_uvicorn() {
    answers("python-asgi", "asynchronous", "/", "asgi\n");
}

#[test]
fn php_answers_from_the_folder_that_is_served() {
    answers("php", "php", "/index.php/page", "php page\n");
}

#[test]
fn a_site_is_served_by_nginx() {
    answers("static", "static", "/deeper/page.txt", "static\n");
}

#[test]
fn go_answers_from_the_program_that_was_built() {
    answers("go", "gopher", "/path", "go /path\n");
}

#[test]
fn rust_answers_from_the_program_that_was_built() {
    answers("rust", "crab", "/", "rust\n");
}

#[test]
fn what_only_a_dockerfile_describes_answers() {
    answers(
        "container",
        "container",
        "/made.txt",
        "container\ncontainer\n",
    );
}
