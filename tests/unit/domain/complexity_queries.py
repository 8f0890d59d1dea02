"""Questions as people ask them, each with the level that a person would give it.

SIMPLE: one fact, one look. MEDIUM: one piece of work or one explanation in one place.
COMPLEX: several parts, or one that reaches through the whole. CRITICAL: a change whose
failure costs data, money, access or a service.

The weights were tuned on the first table only.
"""

from typing import Final

TUNED: Final = {
    "SIMPLE": (
        "What does the --dry-run flag do?",
        "Where is the default timeout defined?",
        "Which Python versions are supported?",
        "How many retries does the patient preset allow?",
        "Is there a test for the retry budget?",
        "What is a circuit breaker?",
        "Who wrote the parser module?",
        "List the environment variables that are read at start-up",
        "How do I run the unit tests?",
        "What port does the server listen on in production?",
        "hello",
        "Show me the signature of `spawn_parallel`",
    ),
    "MEDIUM": (
        "Fix the typo in the error message of load_config",
        "Add a --verbose flag to the list command",
        "Why does test_resume fail on Python 3.13?",
        "Explain how the retry budget works",
        "Write a docstring for parse_header",
        "Rename the variable tmp to buffer in reader.py",
        "Update the changelog for the new release",
        "How does authentication work in this service?",
        "Can you add a test for empty input to the tokenizer?",
        "Compare the two hashing functions in digest.py",
        "Remove the unused imports in cli/app.py",
        "Please summarise what the scheduler does",
    ),
    "COMPLEX": (
        "Refactor the report module into smaller files and update all callers",
        "Implement a plugin system for output formats, with documentation and tests",
        "Design a caching layer for the search service and compare it with the existing one",
        "Add internationalisation to the whole command line, extract all messages and write a guide for translators",
        "Find out why the nightly build is slow, fix the three worst causes and document what you found",
        "Migrate the test suite from unittest to pytest, keeping the coverage",
        "Build a web dashboard that shows live progress of all runs, with filters and a search box",
        "Rewrite the scheduler so that it is event-driven and benchmark it against the old one",
        "Review the whole code base for dead code, remove it, and make sure that the tests still pass",
        "Implement OpenTelemetry tracing across the HTTP server, the worker and the queue",
    ),
    "CRITICAL": (
        "Migrate the production payment database to the new schema without data loss",
        "Fix the SQL injection vulnerability in the login endpoint",
        "Rotate all leaked API keys and deploy the new ones to production",
        "Implement authentication with OAuth2 for the admin API, including password reset and session handling",
        "Encrypt the personal data of all users at rest and plan the key rotation",
        "Investigate the outage of last night, restore the lost data and prevent it from happening again",
        "Audit the codebase for security vulnerabilities and fix what you find",
        "Change the billing code so that refunds are never charged twice",
        "Delete the old backups and user data that GDPR does not allow us to keep",
        "Roll out the zero-downtime upgrade of the live database cluster",
    ),
}

HELD_OUT: Final = {
    "SIMPLE": (
        "What is the exit code when a budget is reached?",
        "Where are run folders stored?",
        "Which function parses retry-after headers?",
        "Does the stub support delays?",
        "What version of attrs do we depend on?",
        "When was the journal format last changed?",
        "Print the names of all presets",
        "How can I disable colours?",
        "thanks",
        "What does HTTP 429 mean?",
        "Is the payment module covered by tests?",
        "Which file defines AgentProfile?",
    ),
    "MEDIUM": (
        "Correct the spelling of 'recieve' in the docs",
        "Add type hints to helpers.py",
        "How does the resume command decide which tasks to repeat?",
        "Make the progress bar show the elapsed time",
        "Describe the difference between a lane and a pool",
        "Write a unit test for format_duration",
        "Bump the version to 1.4.0",
        "Why is the first start slower than the second?",
        "Let the export command accept a --output option",
        "Could you improve the error message for a missing file?",
        "Fix the flaky test in test_lane_gate.py",
        "Explain what happens when the token expires",
    ),
    "COMPLEX": (
        "Split the monolithic settings file into one per feature, migrate existing users' files and document the new layout",
        "Port the command line from argparse to cyclopts, command by command, and keep all flags working",
        "Create a REST API for the job queue with pagination, an OpenAPI document and integration tests",
        "Redesign the event log so that it is structured, versioned and can be replayed",
        "Profile the indexer, reduce its memory by half, and prove it with a benchmark",
        "Add Windows support to the process supervisor and run its tests on both systems in CI",
        "Replace the home-grown template engine with Jinja everywhere and delete the old code",
        "Analyse how the modules depend on each other, propose a layered architecture and move the files accordingly",
        "Write a tutorial, a reference and three worked examples for the public API",
        "Integrate the crawler with the new storage backend, handle retries and rate limits, and add metrics",
    ),
    "CRITICAL": (
        "Move customer data from MySQL to PostgreSQL while the shop stays online",
        "Patch the remote code execution CVE in the upload handler and add regression tests",
        "Implement the new pricing in the invoicing service and migrate existing subscriptions",
        "Our TLS private key was leaked: revoke it, issue a new one and update every server",
        "Rewrite the permission checks of the multi-tenant API so that tenants cannot read each other's records",
        "Design and implement a disaster recovery procedure for the production cluster",
        "Drop the legacy tables after verifying that no transaction refers to them",
        "Fix the race condition that makes us lose payments under load",
        "Make the medical records module HIPAA compliant",
        "Harden the authentication service against brute-force attacks and credential stuffing",
    ),
}
