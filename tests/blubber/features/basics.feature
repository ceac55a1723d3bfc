Feature: What is copied, and how the image is started

  Background:
    Given "samples/greeting" as a working directory

  Scenario: A program of the folder is what the image runs
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        greeter:
          base: system:1
          copies: [local]
          entrypoint: [./greet.sh]
      """
    When you build and run the "greeter" variant
    Then the image will have the following files in the default working directory
      | mode       | owner | group | name       |
      | -rwxr-xr-x | 65533 | 65533 | greet.sh   |
      | -rw-r--r-- | 65533 | 65533 | words/one  |
    And the image runtime user will be "900"
    And the image runtime directory will be "/srv/app"
    And the image entrypoint will be "./greet.sh"
    And the image will not include default arguments
    And the image will include labels
      | blubber.variant | greeter |
      | blubber.version |         |
    And the entrypoint will have run successfully

  Scenario: Nothing is copied unless it is said
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        greeter: {base: "system:1"}
      """
    When you build the "greeter" variant
    Then the image will not have the following files in the default working directory
      | greet.sh |

  Scenario: An entrypoint of several words
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        greeter:
          base: system:1
          copies: [local]
          entrypoint: [cat, words/one, words/two]
      """
    When you build and run the "greeter" variant
    Then the image entrypoint will be ["cat", "words/one", "words/two"]
    And the entrypoint will have run successfully

  Scenario: What .dockerignore names stays out, unless it is brought back
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        greeter:
          base: system:1
          copies: [local]
      """
    And this ".dockerignore"
      """
      words/*
      !words/two
      """
    When you build the "greeter" variant
    Then the image will have the following files in the default working directory
      | greet.sh  |
      | words/two |
    And the image will not have the following files in the default working directory
      | words/one |

  Scenario: Patterns of one copy leave out what another one takes
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        greeter:
          base: system:1
          copies:
            - from: local
              exclude: ["words", "*.sh", "!greet.sh"]
            - from: local
              source: words/one
              destination: /opt/word
      """
    And this "other.sh" executable
      """
      #!/bin/sh
      """
    When you build the "greeter" variant
    Then the image will have the following files in the default working directory
      | greet.sh |
    And the image will not have the following files in the default working directory
      | words    |
      | other.sh |
    And the image will contain a file "/opt/word" that looks like
      """
      one
      """

  Scenario: A folder's content is copied, and goes where it is told
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        greeter:
          base: system:1
          copies:
            - from: local
              source: words
            - from: local
              source: words
              destination: ./more/
      """
    When you build the "greeter" variant
    Then the image will have the following files in the default working directory
      | words/one |
      | more/two  |
