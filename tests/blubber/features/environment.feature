Feature: Who owns files, who runs the program, and in which environment

  Background:
    Given "samples/greeting" as a working directory

  Scenario: The accounts that are there when nothing is said
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        greeter: {base: "system:1", copies: [local]}
      """
    When you build the "greeter" variant
    Then the image will have the user "somebody" with UID 65533
    And the image will have the group "somebody" with GID 65533
    And the image will have the user "runuser" with UID 900
    And the image will have the group "runuser" with GID 900
    And the image will have the following files in "/"
      | mode       | owner | group | name          |
      | drwxr-xr-x | 65533 | 65533 | srv/app       |
      | drwxr-xr-x | 65533 | 65533 | opt/lib       |
      | drwxr-xr-x | 65533 | 65533 | home/somebody |
      | drwxr-xr-x | 900   | 900   | home/runuser  |
    And the image will include environment variables
      | HOME=/home/runuser |

  Scenario: Another place and another owner
    Given this "blubber.yaml"
      """
      version: v4
      lives: {in: /usr/local/greeter, as: owner, uid: 1234, gid: 1235}
      variants:
        greeter:
          base: system:1
          builder: {script: "id > made"}
          copies: [local]
      """
    When you build the "greeter" variant
    Then the image will have the user "owner" with UID 1234
    And the image will have the group "owner" with GID 1235
    And the image will have the following files in "/usr/local/greeter"
      | mode       | owner | group | name     |
      | -rwxr-xr-x | 1234  | 1235  | greet.sh |
      | -rw-r--r-- | 1234  | 1235  | made     |
    And the image will contain a file "/usr/local/greeter/made" that looks like
      """
      uid=1234(owner) gid=1235(owner) groups=1235(owner)
      """
    And the image runtime directory will be "/usr/local/greeter"

  Scenario: Another account runs it, in another folder
    Given this "blubber.yaml"
      """
      version: v4
      runs: {as: runner, uid: 4321, gid: 4320, in: /srv/app/words}
      variants:
        greeter:
          base: system:1
          copies: [local]
          entrypoint: [cat, one]
      """
    When you build and run the "greeter" variant
    Then the image will have the user "runner" with UID 4321
    And the image will have the group "runner" with GID 4320
    And the image runtime user will be "4321"
    And the image runtime directory will be "/srv/app/words"
    And the entrypoint will have run successfully

  Scenario: Whoever runs it may own its files
    Given this "blubber.yaml"
      """
      version: v4
      lives: {uid: 1234}
      runs: {insecurely: true, uid: 4321}
      variants:
        greeter: {base: "system:1", copies: [local]}
      """
    When you build the "greeter" variant
    Then the image runtime user will be "1234"
    And the image will include environment variables
      | HOME=/home/somebody |

  Scenario: Variables are there for builders, too, and may be made of others
    Given this "blubber.yaml"
      """
      version: v4
      runs:
        environment: {GREETING: "hello world", WHOLE: "<${GREETING}>"}
      variants:
        greeter:
          base: system:1
          builder: {script: 'echo "$GREETING $WHOLE" > made'}
      """
    When you build the "greeter" variant
    Then the image will include environment variables
      | GREETING=hello world |
      | WHOLE=<hello world>  |
    And the image will contain a file "/srv/app/made" that looks like
      """
      hello world <hello world>
      """
