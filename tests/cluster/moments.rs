//! `develop` ended at moments that nobody chose, by Ctrl-C and by SIGKILL.

use std::time::Duration;

use mwctl_tests::cluster::{Mwctl, TestCluster, eventually};
use sha2::{Digest as _, Sha256};

use super::plain;

/// The longest life of one `develop`: beyond its first update, so that each stage is met.
const LONGEST: Duration = Duration::from_secs(3);

/// Numbers that are new in each run, and the same again when their seed is given.
struct Moments {
    seed: String,
    drawn: u32,
}

impl Moments {
    #[expect(
        clippy::disallowed_methods,
        clippy::print_stderr,
        reason = "a failed run is repeated with the seed that it printed"
    )]
    fn new() -> Self {
        let seed = std::env::var("MWCTL_TEST_SEED")
            .unwrap_or_else(|_| format!("{:?}", std::time::SystemTime::now()));
        eprintln!("MWCTL_TEST_SEED='{seed}'");
        Self { seed, drawn: 0 }
    }

    fn next(&mut self) -> Duration {
        self.drawn += 1;
        let digest = Sha256::digest(format!("{} {}", self.seed, self.drawn));
        let number = u16::from_be_bytes([digest[0], digest[1]]);
        LONGEST.mul_f64(f64::from(number) / f64::from(u16::MAX))
    }
}

/// Lets a command live for a while; it may end before. The moment is what is tested: no condition describes it.
fn live(_command: &Mwctl, time: Duration) {
    std::thread::sleep(time);
}

fn round(cluster: &TestCluster, number: u32, moments: &mut Moments) {
    let develop = cluster.start(&["develop", "plain"]);
    live(&develop, moments.next());
    cluster.write(
        "lib/place.js",
        &format!("module.exports = 'moon {number}';\n"),
    );
    live(&develop, moments.next() / 8);
    if number % 3 == 2 {
        let end = develop.interrupt();
        // Before it developed anything there is nothing to bring back: it was interrupted.
        assert!(matches!(end.code, Some(0 | 130)), "{end}");
    } else {
        drop(develop.kill());
    }
}

#[test]
fn whenever_develop_ends_the_service_answers_and_the_next_one_converges() {
    let cluster = plain("moments");
    let up = cluster.run(&["up"]);
    assert_eq!(up.code, Some(0), "{up}");
    let forward = cluster.start(&["forward", "plain:0"]);
    let mut moments = Moments::new();
    for number in 0..9 {
        round(&cluster, number, &mut moments);
        let reply = cluster.answers(&forward, "/", |reply| reply.status == 200);
        let whole = (0..=number).any(|it| reply.body == format!("hello moon {it}\n"));
        assert!(whole || reply.body == "hello world\n", "{reply:?}");
    }
    let develop = cluster.develop("plain");
    cluster.answers(&forward, "/", |reply| reply.body == "hello moon 8\n");
    cluster.converges("plain");
    let end = develop.interrupt();
    assert_eq!(end.code, Some(0), "{end}");
    eventually("one pod remains", || {
        (cluster.pods().len() == 1).then_some(())
    });
    let down = cluster.run(&["down", "--volumes"]);
    assert_eq!(down.code, Some(0), "{down}");
    assert_eq!(
        cluster.bed().objects(cluster.namespace()),
        Vec::<String>::new()
    );
}
