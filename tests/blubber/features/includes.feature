Feature: What an including variant makes of the included ones

  Background:
    Given "samples/greeting" as a working directory

  Scenario: Single values of the upper one count, others stay
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      lives: {in: /srv/common, uid: 1000}
      variants:
        lower:
          lives: {uid: 2000, gid: 2001}
          runs: {insecurely: true}
        upper:
          includes: [lower]
          lives: {gid: 3001}
          runs: {insecurely: false, uid: 0}
          copies: [local]
      """
    When you build the "upper" variant
    Then the image will have the following files in "/srv/common"
      | owner | group | name     |
      | 2000  | 3001  | greet.sh |
    And the image runtime user will be "900"

  Scenario: A base that is there isn't undone
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        upper: {base: ~, copies: [local]}
      """
    When you build the "upper" variant
    Then the image will have the following files in "/etc"
      | passwd |

  Scenario: Variables and arguments are put together
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      arguments: {ONE: a, TWO: b}
      runs: {environment: {A: common, B: common, C: common}}
      variants:
        lower:
          runs: {environment: {B: lower, C: lower}}
        upper:
          includes: [lower]
          arguments: {TWO: c}
          runs: {environment: {C: upper}}
          builder: {script: 'echo $ONE $TWO > arguments'}
      """
    When you build the "upper" variant
    Then the image will include environment variables
      | A=common |
      | B=lower  |
      | C=upper  |
    And the image will contain a file "/srv/app/arguments" that looks like
      """
      a c
      """

  Scenario: Packages are added to, release by release
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      apt: {packages: [one]}
      variants:
        lower: {apt: {packages: {default: [two], backports: [three]}}}
        upper: {includes: [lower], apt: {packages: {backports: [four]}}}
      """
    When you build the "upper" variant
    Then the image will contain a file "/apt" that looks like
      """
      apt-get update, noninteractive
      apt-get install -y -t backports three four, noninteractive
      apt-get install -y one two, noninteractive
      """

  Scenario: An entrypoint is replaced, also by none
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        lower: {entrypoint: [cat, one]}
        upper: {includes: [lower], entrypoint: [ls]}
        none: {includes: [lower], entrypoint: []}
      """
    When you build the "upper" variant
    Then the image entrypoint will be "ls"
    When you build the "none" variant
    Then the image entrypoint will be []

  Scenario: Requirements and commands are replaced whole
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        lower:
          builder: {requirements: [words/one], command: "ls words > seen"}
        upper:
          includes: [lower]
          builder: {requirements: [words/two]}
      """
    When you build the "upper" variant
    Then the image will contain a file "/srv/app/seen" that looks like
      """
      two
      """

  Scenario: Copies are added, each once
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        lower:
          copies:
            - {from: local, source: words/one, destination: a}
            - {from: local, source: words/two, destination: a}
        upper:
          includes: [lower]
          copies:
            - {from: local, source: words/one, destination: a}
      """
    When you build the "upper" variant
    Then the image will contain a file "/srv/app/a" that looks like
      """
      one
      """

  Scenario: Builders of one's own are all run, the lower ones first; a predefined one stays where the upper list has it
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        lower:
          builders:
            - node: {requirements: [words/one]}
            - custom: {script: "echo lower >> asked"}
        upper:
          includes: [lower]
          builders:
            - custom: {script: "echo upper >> asked"}
            - node: {use-npm-ci: true}
      """
    When you build the "upper" variant
    Then the image will contain a file "/srv/app/asked" that looks like
      """
      lower
      upper
      npm ci
      """

  Scenario: What is included by way of others comes once, what is deeper first
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        deep: {builders: [{custom: {script: "echo deep >> order"}}]}
        left: {includes: [deep], builders: [{custom: {script: "echo left >> order"}}]}
        right: {includes: [deep], builders: [{custom: {script: "echo right >> order"}}]}
        top: {includes: [left, right], builders: [{custom: {script: "echo top >> order"}}]}
      """
    When you build the "top" variant
    Then the image will contain a file "/srv/app/order" that looks like
      """
      deep
      left
      right
      top
      """

  Scenario: An unknown variant and a circle are refused
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        one: {includes: [nobody]}
        two: {includes: [three]}
        three: {includes: [two]}
      """
    When you try to build the "one" variant
    Then the build will be refused with
      """
      variants.one.includes[0]: references an unknown variant "nobody"
      """

  Scenario: Both ways of naming builders don't go together
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        lower: {node: {requirements: [package.json]}}
        upper: {includes: [lower], builders: [{custom: {command: "true"}}]}
      """
    When you try to build the "upper" variant
    Then the build will be refused with
      """
      variants.upper.builders: is not allowed if any of these are declared or included: node
      """
