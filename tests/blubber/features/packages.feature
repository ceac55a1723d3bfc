Feature: Debian's packages

  The base's `apt-get` writes down what it is asked.

  Background:
    Given an empty working directory

  Scenario: Packages are installed at once, and nothing stays that only installing needs
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        tools:
          base: system:1
          apt: {packages: [gcc, libc6-dev]}
      """
    When you build the "tools" variant
    Then the image will contain a file "/apt" that looks like
      """
      apt-get update, noninteractive
      apt-get install -y gcc libc6-dev, noninteractive
      """
    And the image will include environment variables
      | DEBIAN_FRONTEND=noninteractive |

  Scenario: Releases are asked in the order of their names
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        tools:
          base: system:1
          apt:
            packages:
              stable-backports: [git]
              default: [gcc=4:12.2.0-3]
      """
    When you build the "tools" variant
    Then the image will contain a file "/apt" that looks like
      """
      apt-get update, noninteractive
      apt-get install -y gcc=4:12.2.0-3, noninteractive
      apt-get install -y -t stable-backports git, noninteractive
      """

  Scenario: Proxies serve installing alone
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        tools:
          base: system:1
          apt:
            packages: [gcc]
            proxies:
              - http://proxy.example:8080
              - {url: "http://other.example:8081", source: "https://packages.example/debian"}
      """
    When you build the "tools" variant
    Then the image will contain a file "/apt" that looks like
      """
      apt-get update, noninteractive
      /etc/apt/apt.conf.d/99blubber-proxies:
      Acquire::http::Proxy "http://proxy.example:8080";
      Acquire::https::Proxy::packages.example "http://other.example:8081";
      apt-get install -y gcc, noninteractive
      /etc/apt/apt.conf.d/99blubber-proxies:
      Acquire::http::Proxy "http://proxy.example:8080";
      Acquire::https::Proxy::packages.example "http://other.example:8081";
      """
    And the image will not have the following files in "/etc/apt/apt.conf.d"
      | 99blubber-proxies |

  Scenario: Sources come after the certificates that reading them needs, and with their keys
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        tools:
          base: system:1
          apt:
            sources:
              - {url: "https://one.example/debian", distribution: bookworm, components: [main, contrib]}
              - {url: "https://two.example/debian", distribution: stable, signed-by: a key}
            packages: [gcc]
      """
    When you build the "tools" variant
    Then the image will contain a file "/apt" that looks like
      """
      apt-get update, noninteractive
      apt-get install -y ca-certificates, noninteractive
      apt-get update, noninteractive
      /etc/apt/sources.list.d/99blubber.list:
      deb https://one.example/debian bookworm main contrib
      deb [signed-by=/etc/apt/keyrings/8fa3aab2faa9b79e0a0398da5b5abd0780142442a5be80b9a64608d718cb1fcd.asc] https://two.example/debian stable
      apt-get install -y gcc, noninteractive
      /etc/apt/sources.list.d/99blubber.list:
      deb https://one.example/debian bookworm main contrib
      deb [signed-by=/etc/apt/keyrings/8fa3aab2faa9b79e0a0398da5b5abd0780142442a5be80b9a64608d718cb1fcd.asc] https://two.example/debian stable
      """
