//! Machines: what `machines/NAME/config.json` says of how one is reached by ssh, and what to type for that.
//!
//! `minikube ssh` isn't used for it: its own client asks for a terminal also where there is none, which spoils what is piped through,
//! and it makes 1 of every exit code.

use serde::Deserialize;

/// Drivers whose machines aren't reached by ssh: containers, this machine itself, and what isn't known.
const WITHOUT_SSH: [&str; 6] = ["", "docker", "podman", "none", "native", "mock"];

/// As minikube has them, so that what it reaches is reached here: nobody's configuration, no questions, and hosts that nobody knows. A
/// machine that is made anew has another key at the same address; minikube doesn't look at it either, and sends its own secrets there.
const OPTIONS: [&str; 10] = [
    "BatchMode=yes",
    "StrictHostKeyChecking=no",
    "UserKnownHostsFile=/dev/null",
    "GlobalKnownHostsFile=/dev/null",
    // Otherwise each call says that it took the host's key.
    "LogLevel=ERROR",
    "ConnectTimeout=10",
    "ServerAliveInterval=15",
    // One that stays behind for the next call would outlive us.
    "ControlMaster=no",
    "ControlPath=none",
    "PasswordAuthentication=no",
];

/// How a machine is reached by ssh.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Machine {
    /// Its name.
    pub name: String,
    /// Its address, as seen from here.
    pub host: String,
    /// The port there.
    pub port: u16,
    /// Who comes.
    pub user: String,
    /// The file of the key; whatever ssh finds by itself where none is named.
    pub key: Option<String>,
}

impl Machine {
    /// The words before a command for it. What follows is put together with spaces and read by a shell over there.
    pub fn ssh(&self) -> Vec<String> {
        let mut words = vec!["ssh".to_owned(), "-F".to_owned(), "/dev/null".to_owned()];
        // No terminal: it would change what is piped through.
        words.push("-T".to_owned());
        let mut option = |text: &str| words.extend(["-o".to_owned(), text.to_owned()]);
        OPTIONS.into_iter().for_each(&mut option);
        if let Some(key) = &self.key {
            option("IdentitiesOnly=yes");
            words.extend(["-i".to_owned(), key.clone()]);
        }
        words.extend(["-p".to_owned(), self.port.to_string()]);
        words.push(format!("{}@{}", self.user, self.host));
        words
    }
}

/// Whether machines of a driver are reached by ssh.
pub fn is_by_ssh(driver: &str) -> bool {
    !WITHOUT_SSH.contains(&driver)
}

/// Reads a machine's `config.json`, which lies in `folder`; `None` where it doesn't say how to get there.
pub fn machine(text: &str, folder: &str) -> Option<Machine> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Wire {
        driver: Driver,
        #[serde(default)]
        driver_name: String,
    }
    #[derive(Deserialize)]
    struct Driver {
        #[serde(rename = "MachineName")]
        name: String,
        #[serde(rename = "IPAddress", default)]
        address: String,
        #[serde(rename = "SSHUser", default)]
        user: String,
        #[serde(rename = "SSHPort", default)]
        port: u16,
        #[serde(rename = "SSHKeyPath", default)]
        key: String,
    }
    let Wire {
        driver,
        driver_name,
    } = serde_json::from_str(text).ok()?;
    let is_generic = matches!(driver_name.as_str(), "ssh" | "generic");
    let host = match driver_name.as_str() {
        // Its port is one of this machine's; the address is the one that nodes have among each other.
        "virtualbox" => "127.0.0.1".to_owned(),
        _ => driver.address,
    };
    let user = match driver.user.as_str() {
        "" if is_generic => "root",
        "" => "docker",
        user => user,
    };
    let key = match driver.key.as_str() {
        // Whoever named no key for a host of their own has one where ssh looks.
        "" if is_generic => None,
        "" => Some(format!("{folder}/id_rsa")),
        key => Some(key.to_owned()),
    };
    let is_word = |text: &str| {
        !text.is_empty() && !text.starts_with('-') && !text.contains(char::is_whitespace)
    };
    (is_word(&host) && is_word(user)).then(|| Machine {
        name: driver.name,
        port: if driver.port == 0 { 22 } else { driver.port },
        user: user.to_owned(),
        host,
        key,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = "/home/me/.minikube/machines/work";

    fn read(driver: &str, fields: &str) -> Option<Machine> {
        let text = format!(
            r#"{{"ConfigVersion":3,"Driver":{{"MachineName":"work",{fields}"StorePath":"/home/me/.minikube"}},"DriverName":"{driver}","Name":"work"}}"#
        );
        machine(&text, FOLDER)
    }

    #[test]
    fn a_machine_says_where_it_is_and_its_key_lies_beside() {
        let kvm = r#""IPAddress":"192.168.39.7","SSHUser":"docker","SSHPort":22,"SSHKeyPath":"","#;
        let machine = read("kvm2", kvm).unwrap();
        let words = machine.ssh().join(" ");
        assert!(words.starts_with("ssh -F /dev/null -T -o BatchMode=yes"));
        assert!(
            words.ends_with(&format!(
                "-o IdentitiesOnly=yes -i {FOLDER}/id_rsa -p 22 docker@192.168.39.7"
            )),
            "{words}"
        );
    }

    #[test]
    fn ports_of_this_machine_lead_to_machines_behind_its_own_network() {
        let host_only = r#""IPAddress":"192.168.59.100","SSHUser":"docker","SSHPort":40022,"#;
        let machine = read("virtualbox", host_only).unwrap();
        assert_eq!((machine.host.as_str(), machine.port), ("127.0.0.1", 40022));
        let user_network = r#""IPAddress":"127.0.0.1","SSHUser":"","SSHPort":37777,"#;
        let machine = read("qemu2", user_network).unwrap();
        assert_eq!((machine.user.as_str(), machine.port), ("docker", 37777));
    }

    #[test]
    fn a_host_of_the_users_own_has_its_user_and_key_or_what_ssh_finds() {
        let named = r#""IPAddress":"10.0.0.9","SSHUser":"me","SSHPort":2222,"SSHKeyPath":"/k/id","#;
        let machine = read("ssh", named).unwrap();
        assert_eq!(machine.user, "me");
        assert_eq!(machine.key.as_deref(), Some("/k/id"));
        let unnamed = read("ssh", r#""IPAddress":"10.0.0.9","#).unwrap();
        assert_eq!((unnamed.user.as_str(), unnamed.port), ("root", 22));
        assert!(!unnamed.ssh().contains(&"-i".to_owned()));
    }

    #[test]
    fn what_says_no_address_is_none() {
        for fields in [
            "",
            r#""IPAddress":"","#,
            r#""IPAddress":"-oProxyCommand=x","#,
            r#""IPAddress":"a b","#,
            r#""IPAddress":"10.0.0.9","SSHUser":"-l","#,
        ] {
            assert_eq!(read("kvm2", fields), None, "{fields}");
        }
        assert_eq!(machine(r#"{"Driver":{"#, FOLDER), None);
    }

    #[test]
    fn containers_and_this_machine_are_not_reached_by_ssh() {
        for (driver, expected) in [
            ("kvm2", true),
            ("ssh", true),
            ("podman", false),
            ("none", false),
        ] {
            assert_eq!(is_by_ssh(driver), expected, "{driver}");
        }
    }
}
