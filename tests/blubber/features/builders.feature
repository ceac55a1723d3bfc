Feature: Builders of one's own

  Background:
    Given "samples/greeting" as a working directory

  Scenario: Commands and scripts, each after what it needs was copied
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build:
          base: system:1
          builders:
            - custom: {requirements: [words/one], command: "ls words > first"}
            - custom: {requirements: [words/two], command: [ls, words, .], caches: []}
            - custom: {requirements: [words/two], script: "ls words > second"}
      """
    When you build the "build" variant
    Then the image will contain a file "/srv/app/first" that looks like
      """
      one
      """
    And the image will contain a file "/srv/app/second" that looks like
      """
      one
      two
      """
    And the image will not have the following files in the default working directory
      | greet.sh |

  Scenario: Words of a command stay whole, and an unknown variable is empty in it, not in a script
    Given this "blubber.yaml"
      """
      version: v4
      runs: {environment: {KNOWN: known}}
      variants:
        build:
          base: system:1
          builders:
            - custom: {command: [./put.sh, "two words", "${KNOWN}", "$unknown"], requirements: [put.sh]}
            - custom: {command: "for i in 1 2; do echo $i >> command; done"}
            - custom: {script: "for i in 1 2; do echo $i >> script; done"}
      """
    And this "put.sh" executable
      """
      #!/bin/sh
      for word; do echo "<$word>" >> words.txt; done
      """
    When you build the "build" variant
    Then the image will contain a file "/srv/app/words.txt" that looks like
      """
      <two words>
      <known>
      <>
      """
    And the image will contain a file "/srv/app/command" that looks like
      """


      """
    And the image will contain a file "/srv/app/script" that looks like
      """
      1
      2
      """

  Scenario: A script may name its interpreter
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build:
          base: system:1
          builder:
            script: |
              #!/usr/bin/npm
              this is no shell's language
      """
    When you build the "build" variant
    Then the image will have the following files in the default working directory
      | asked |

  Scenario: Requirements come from a variant, go elsewhere and leave files out
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        first:
          builder: {script: "echo made > made"}
        second:
          builder:
            requirements:
              - {from: first, source: made, destination: from/first}
              - {from: local, source: words, destination: words, exclude: [one]}
            script: ls from words > seen
      """
    When you build the "second" variant
    Then the image will contain a file "/srv/app/seen" that looks like
      """
      from:
      first

      words:
      two
      """

  Scenario: A builder of one's own comes after the predefined ones
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build:
          base: system:1
          node: {requirements: [words/one]}
          builder: {script: "echo mine >> asked"}
      """
    When you build the "build" variant
    Then the image will contain a file "/srv/app/asked" that looks like
      """
      npm install
      mine
      """

  Scenario: Caches keep what a build wrote, and no image has it
    Given this "blubber.yaml"
      """
      version: v4
      runs: {environment: {PLACE: /var/cache/place}}
      variants:
        build:
          base: system:1
          builders:
            - custom: {script: "echo 1 >> $PLACE/count", caches: ["${PLACE}"]}
            - custom: {script: "echo 2 >> /elsewhere/count; cat /elsewhere/count > counted; id > who", caches: [{destination: /elsewhere, id: /var/cache/place, access: locked}]}
      """
    When you build the "build" variant
    Then the image will contain a file "/srv/app/counted" that looks like
      """
      1
      2
      """
    And the image will not have the following files in "/"
      | var/cache/place/count |
      | elsewhere/count       |

  Scenario: Mounts lend files, and what is done to them is lost
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        first:
          lives: {in: /first}
          builder: {script: "mkdir out; echo made > out/made"}
        second:
          builders:
            - custom:
                mounts: [{from: first, source: /first/out, destination: lent}]
                script: cat lent/made > seen; echo changed > lent/made; rm lent/made
            - custom:
                mounts: [{from: local, source: words, destination: /words}]
                script: cat /words/one >> seen
      """
    When you build the "second" variant
    Then the image will contain a file "/srv/app/seen" that looks like
      """
      made
      one
      """
    And the image will not have the following files in the default working directory
      | lent/made |
    And the image will not have the following files in "/words"
      | one |
