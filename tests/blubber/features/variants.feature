Feature: Copying from other variants, scratch, build arguments

  Background:
    Given "samples/greeting" as a working directory

  Scenario: A variant's place and its libraries are copied whole
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        build:
          builders:
            - custom: {script: "mkdir -p /opt/lib/shared; echo library > /opt/lib/shared/one; echo made > made"}
          copies: [local]
        production:
          lives: {uid: 1234}
          copies: [build]
      """
    When you build the "production" variant
    Then the image will have the following files in "/"
      | owner | group | name                |
      | 1234  | 65533 | srv/app/made        |
      | 1234  | 65533 | srv/app/greet.sh    |
      | 1234  | 65533 | opt/lib/shared/one  |

  Scenario: Upon nothing there is nothing but what is copied, owned by nobody in particular
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build:
          base: system:1
          lives: {in: /src}
          builder: {script: "echo made > made"}
        application:
          copies:
            - {from: build, source: /src/made, destination: /made}
            - {from: build, source: ./made, destination: /again/made}
          entrypoint: [/made]
      """
    When you build the "application" variant
    Then the image will have the following files in "/"
      | made       |
      | again/made |
    And the image will not have the following files in "/"
      | etc/passwd |
      | srv/app    |
      | opt/lib    |
    And the image entrypoint will be "/made"
    And the image runtime user will be ""

  Scenario: An image that no variant is based upon may be copied from
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        application:
          copies:
            - from: system:1
              source: /etc/passwd
              destination: /passwd
      """
    When you build the "application" variant
    Then the image will have the following files in "/"
      | passwd |

  Scenario: Arguments have defaults, are given by whoever builds, and don't stay
    Given this "blubber.yaml"
      """
      version: v4
      arguments: {WORD: default, OTHER: other}
      variants:
        build:
          base: system:1
          builder: {script: 'echo "$WORD $OTHER" > word'}
      """
    When you build the "build" variant with the following build arguments
      | WORD | given |
    Then the image will contain a file "/srv/app/word" that looks like
      """
      given other
      """
    And the image will not include environment variables
      | WORD |
    When you build the "build" variant
    Then the image will contain a file "/srv/app/word" that looks like
      """
      default other
      """

  Scenario: Whoever builds may own the files
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build: {base: "system:1", copies: [local]}
      """
    When you build the "build" variant with the following build arguments
      | LIVES_UID | 1000 |
      | RUNS_UID  | 1001 |
    Then the image will have the following files in the default working directory
      | owner | group | name     |
      | 1000  | 65533 | greet.sh |
    And the image runtime user will be "1001"

  Scenario: Variants that copy from each other are refused
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        one: {copies: [two]}
        two: {copies: [one]}
      """
    When you try to build the "one" variant
    Then the build will be refused with
      """
      variants.one.copies: is a circle of variants
      """
