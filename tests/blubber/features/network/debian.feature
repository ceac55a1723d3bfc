Feature: Real bases, real package managers

  `tests/compat/blubber/run` makes the bases; packages come from their registries.

  Background:
    Given "samples/greeting" as a working directory

  Scenario: Debian's packages are installed, and used by a builder
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build:
          base: debian:bookworm
          apt: {packages: [make]}
          arguments: {WORD: unheard}
          builder: {requirements: [Makefile], command: "make ${WORD}"}
        production:
          copies: [{from: build, source: heard}]
      """
    And this "Makefile"
      """
      heard:
      	echo $(shell id -un) > heard
      """
    When you build the "production" variant with the following build arguments
      | WORD | heard |
    Then the image will contain a file "/heard" that looks like
      """
      somebody
      """

  Scenario: Accounts that Debian has already are taken as they are
    Given this "blubber.yaml"
      """
      version: v4
      lives: {as: games, uid: 5, gid: 60}
      variants:
        build:
          base: debian:bookworm
          builder: {script: "id > made"}
      """
    When you build the "build" variant
    Then the image will contain a file "/srv/app/made" that looks like
      """
      uid=5(games) gid=60(games) groups=60(games)
      """

  Scenario: Node's packages are installed from a lock, for production
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build:
          base: node:latest
          node: {env: production, requirements: [package.json], allow-dedupe-failure: true}
          copies: [local]
        production:
          base: node:latest
          copies: [build]
          entrypoint: [node, index.js]
      """
    And this "package.json"
      """
      {"name": "greeting", "version": "1.0.0", "dependencies": {"picocolors": "1.1.1"}}
      """
    And this "index.js"
      """
      console.log(require("picocolors").red("hello"));
      """
    When you build and run the "production" variant
    Then the entrypoint will have run successfully

  Scenario: Python's packages are installed, and are complete without their dependencies
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build:
          base: python:latest
          python: {version: python3, requirements: [requirements.txt], no-deps: true}
          copies: [local]
        production:
          base: python:latest
          copies: [build]
          entrypoint: [/opt/lib/venv/bin/python, hello.py]
      """
    And this "requirements.txt"
      """
      idna==3.10
      """
    And this "hello.py"
      """
      import idna
      print(idna.encode("hello"))
      """
    When you build and run the "production" variant
    Then the entrypoint will have run successfully

  Scenario: Python's packages that aren't complete end the build
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build:
          base: python:latest
          python: {version: python3, requirements: [requirements.txt], no-deps: true}
      """
    And this "requirements.txt"
      """
      jinja2==3.1.6
      """
    When you try to build the "build" variant
    Then the build will be refused with
      """
      jinja2 3.1.6 requires markupsafe, which is not installed
      """

  Scenario: Poetry installs what is locked, or what it resolves
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        test:
          base: python:latest
          python: {version: python3, requirements: [pyproject.toml], poetry: {version: "==2.0.1", only: main}}
          copies: [local]
          entrypoint: [poetry, run, python3, hello.py]
      """
    And this "pyproject.toml"
      """
      [project]
      name = "greeting"
      version = "1.0.0"
      requires-python = ">=3.11"
      dependencies = ["idna==3.10"]

      [[tool.poetry.source]]
      name = "simple"
      url = "https://pypi.org/simple/"
      """
    And this "hello.py"
      """
      import idna
      print(idna.encode("hello"))
      """
    When you build and run the "test" variant
    Then the entrypoint will have run successfully
