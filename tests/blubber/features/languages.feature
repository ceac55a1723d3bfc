Feature: Predefined builders

  The base's `npm`, `composer`, `python3` and so on write down what they are asked, and which files they find.

  Background:
    Given an empty working directory
    And this "package.json"
      """
      {}
      """
    And this "requirements.txt"
      """
      something
      """
    And this "other"
      """
      not needed
      """

  Scenario: Node, for development
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build: {base: "system:1", builders: [{node: {requirements: [package.json]}}], copies: [local]}
      """
    When you build the "build" variant
    Then the image will contain a file "/srv/app/asked" that looks like
      """
      npm install
      """
    And the image will contain a file "/srv/app/found" that looks like
      """
      asked
      found
      package.json
      """
    And the image will have the following files in the default working directory
      | other |

  Scenario: Node, for production
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build:
          base: system:1
          node: {env: production, requirements: [package.json], use-npm-ci: true, allow-dedupe-failure: true}
      """
    When you build the "build" variant
    Then the image will contain a file "/srv/app/asked" that looks like
      """
      npm ci --only=production
      npm dedupe
      """
    And the image will include environment variables
      | NODE_ENV=production |

  Scenario: Node without requirements installs nothing
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build: {base: "system:1", node: {env: production}}
      """
    When you build the "build" variant
    Then the image will not have the following files in the default working directory
      | asked |
    And the image will include environment variables
      | NODE_ENV=production |

  Scenario: PHP
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        test: {base: "system:1", php: {requirements: [package.json]}}
        production: {includes: [test], php: {production: true}}
      """
    When you build the "test" variant
    Then the image will contain a file "/srv/app/asked" that looks like
      """
      composer install --no-scripts
      """
    When you build the "production" variant
    Then the image will contain a file "/srv/app/asked" that looks like
      """
      composer install --no-scripts --no-dev
      """

  Scenario: Python and a list of requirements
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build:
          base: system:1
          runs: {insecurely: true}
          python:
            version: python3
            requirements: [requirements.txt, {from: local, source: other, destination: more.txt}]
            no-deps: true
            use-system-site-packages: true
            tox-version: "4.0"
            pip-version: ">=23"
      """
    When you build the "build" variant
    Then the image will contain a file "/srv/app/asked" that looks like
      """
      python3 -m venv /opt/lib/venv --system-site-packages
      python -m pip install -U setuptools!=60.9.0
      python -m pip install -U wheel tox==4.0 pip>=23
      python -m pip install --no-deps -r requirements.txt -r more.txt
      python -m pip check
      """
    And the image will include environment variables
      | VIRTUAL_ENV=/opt/lib/venv |

  Scenario: Python without requirements is nothing
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build: {base: "system:1", python: {version: python3}}
      """
    When you build the "build" variant
    Then the image will not have the following files in the default working directory
      | asked |
    And the image will not include environment variables
      | VIRTUAL_ENV |

  Scenario: Poetry before its version 2
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build:
          base: system:1
          python: {version: python3, venv: /opt/lib/mine, requirements: [requirements.txt], poetry: {version: "==1.5.1"}}
      """
    When you build the "build" variant
    Then the image will contain a file "/srv/app/asked" that looks like
      """
      python3 -m venv /opt/lib/mine
      python -m pip install -U setuptools!=60.9.0
      python -m pip install -U wheel tox pip
      python -m pip install -U poetry==1.5.1
      poetry install --no-root --no-dev
      """
    And the image will include environment variables
      | VIRTUAL_ENV=/opt/lib/mine                  |
      | POETRY_VIRTUALENVS_PATH=/opt/lib/poetry |
    And the image will have the following files in "/opt/lib"
      | poetry |

  Scenario: Poetry since its version 2 knows groups
    Given this "blubber.yaml"
      """
      version: v4
      variants:
        build:
          base: system:1
          python: {version: python3, requirements: [requirements.txt], poetry: {version: "==2.0.1", only: main, without: dev}}
      """
    When you build the "build" variant
    Then the image will contain a file "/srv/app/asked" that looks like
      """
      python3 -m venv /opt/lib/venv
      python -m pip install -U setuptools!=60.9.0
      python -m pip install -U wheel tox pip
      python -m pip install -U poetry==2.0.1
      poetry install --no-root --only main --without dev
      """

  Scenario: Poetry without a version is none, and only a list of requirements is checked to be complete
    Given this "blubber.yaml"
      """
      version: v4
      base: system:1
      variants:
        list:
          runs: {insecurely: true}
          python: {version: python3, requirements: [requirements.txt], no-deps: true, poetry: {devel: true}, wheel-version: "0.40"}
        lock:
          runs: {insecurely: true}
          python: {version: python3, requirements: [requirements.txt], no-deps: true, poetry: {version: "==1.5.1", devel: true}}
      """
    When you build the "list" variant
    Then the image will contain a file "/srv/app/asked" that looks like
      """
      python3 -m venv /opt/lib/venv
      python -m pip install -U setuptools!=60.9.0
      python -m pip install -U wheel==0.40 tox pip
      python -m pip install --no-deps -r requirements.txt
      python -m pip check
      """
    When you build the "lock" variant
    Then the image will contain a file "/srv/app/asked" that looks like
      """
      python3 -m venv /opt/lib/venv
      python -m pip install -U setuptools!=60.9.0
      python -m pip install -U wheel tox pip
      python -m pip install -U poetry==1.5.1
      poetry install --no-root
      """
